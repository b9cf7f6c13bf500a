//! Charts of a few series over a common axis: what is drawn, in fractions of the drawing.
//!
//! Must never know what the numbers mean, nor what they are drawn on.

pub mod svg;
pub mod text;

/// A chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// The axis to the right.
    pub x: Axis,
    /// The axis upward.
    pub y: Axis,
    /// What is drawn with marks.
    pub series: Vec<Series>,
    /// What is drawn as a line to compare with.
    pub guide: Option<Series>,
}

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it counts.
    pub label: &'static str,
    /// How.
    pub scale: Scale,
}

/// How values become places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// By their logarithm, a tick at each power of ten; values that are not positive have no place.
    Log,
    /// From 0, with a tick at each multiple.
    Linear {
        /// The distance of ticks.
        tick: f64,
    },
}

/// Points that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What they are.
    pub name: String,
    /// The points.
    pub points: Vec<(f64, f64)>,
}

/// The stretch of an axis that is drawn.
#[derive(Clone, Debug, PartialEq)]
struct Range {
    scale: Scale,
    /// The ends, in units of ticks: powers of ten or multiples.
    low: f64,
    high: f64,
}

/// The most ticks of an axis; of more, every second is left out, or every fourth.
const MAX_TICKS: f64 = 12.0;

impl Range {
    /// The smallest that ends with ticks and holds all values.
    fn around(scale: Scale, values: impl Iterator<Item = f64>) -> Range {
        let units: Vec<f64> = values.filter_map(|value| units(scale, value)).collect();
        let low = units.iter().copied().fold(f64::INFINITY, f64::min).floor();
        let high = units.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil();
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let low = if scale == Scale::Log { low } else { low.min(0.0) };
        Range { scale, low, high: high.max(low + 1.0) }
    }

    /// Where a value lies, from 0 to 1; `None` if it has no place.
    fn place(&self, value: f64) -> Option<f64> {
        Some((units(self.scale, value)? - self.low) / (self.high - self.low))
    }

    /// The ticks with their places, upward.
    fn ticks(&self) -> Vec<(String, f64)> {
        let mut stride = 1.0;
        while (self.high - self.low) / stride > MAX_TICKS {
            stride *= 2.0;
        }
        let count = ((self.high - self.low) / stride).floor() as usize;
        let tick = |number: usize| {
            let unit = self.low + stride * number as f64;
            let text = match self.scale {
                Scale::Linear { tick } => format!("{}", unit * tick),
                Scale::Log if unit.abs() <= 3.0 => format!("{}", 10f64.powi(unit as i32)),
                Scale::Log => format!("1e{unit}"),
            };
            (text, (unit - self.low) / (self.high - self.low))
        };
        (0..=count).map(tick).collect()
    }
}

fn units(scale: Scale, value: f64) -> Option<f64> {
    let units = match scale {
        // Powers of ten must lie on their ticks.
        Scale::Log => (value.log10() * 1e9).round() / 1e9,
        Scale::Linear { tick } => value / tick,
    };
    units.is_finite().then_some(units)
}

impl Chart {
    /// The axes for all points.
    fn ranges(&self) -> (Range, Range) {
        let points = || self.series.iter().chain(&self.guide).flat_map(|series| series.points.iter().copied());
        (Range::around(self.x.scale, points().map(|(x, _)| x)), Range::around(self.y.scale, points().map(|(_, y)| y)))
    }
}

/// The points of a series that have a place, in the order of x.
fn places(series: &Series, (x, y): (&Range, &Range)) -> Vec<(f64, f64)> {
    let place = |point: &(f64, f64)| Some((x.place(point.0)?, y.place(point.1)?));
    let mut places: Vec<(f64, f64)> = series.points.iter().filter_map(place).collect();
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_with_ticks() {
        let range = Range::around(Scale::Log, [0.1, 1.0, 0.03, 0.0, f64::NAN].into_iter());
        assert_eq!((range.low, range.high), (-2.0, 0.0));
        let ticks: Vec<String> = range.ticks().into_iter().map(|(text, _)| text).collect();
        assert_eq!(ticks, ["0.01", "0.1", "1"]);
        assert_eq!((range.place(0.1), range.place(0.0)), (Some(0.5), None));
        let range = Range::around(Scale::Linear { tick: 45.0 }, [62.0, 10.0].into_iter());
        assert_eq!(range.ticks().last(), Some(&("90".to_owned(), 1.0)));
        assert_eq!(range.place(45.0), Some(0.5));
    }

    #[test]
    fn no_values_and_one_value_have_a_range_too() {
        for values in [vec![], vec![1.0], vec![0.0], vec![f64::INFINITY]] {
            for scale in [Scale::Log, Scale::Linear { tick: 45.0 }] {
                let range = Range::around(scale, values.iter().copied());
                assert!(range.high > range.low && range.ticks().len() >= 2, "{range:?}");
            }
        }
        let wide = Range::around(Scale::Log, [1e-300, 1e300].into_iter());
        assert!(wide.ticks().len() <= 13, "{:?}", wide.ticks());
    }
}
