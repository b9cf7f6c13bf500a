//! Charts side by side as an SVG file.
//!
//! Must never know what the numbers mean.

use std::fmt::Write as _;

use super::{Chart, Series, places};

/// Width and height of a chart with its margins, in pixels.
const PANEL: (f64, f64) = (460.0, 400.0);
/// Space to the left, above, to the right and below of the drawing.
const MARGIN: [f64; 4] = [70.0, 40.0, 20.0, 50.0];
/// Height of a line of the legend.
const LINE: f64 = 18.0;
/// Colors of series, told apart by people who do not see red or green (Okabe and Ito); they are repeated.
const COLORS: &[&str] = &["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// The charts, from left to right.
pub fn draw(charts: &[Chart]) -> String {
    let legend = charts.iter().map(|chart| chart.series.len() + 1).max().unwrap_or(0) as f64 * LINE;
    let (width, height) = (PANEL.0 * charts.len() as f64, PANEL.1 + legend);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (number, chart) in charts.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "<g transform=\"translate({} 0)\">", PANEL.0 * number as f64);
        panel(&mut text, chart);
        text.push_str("</g>\n");
    }
    text.push_str("</svg>\n");
    text
}

fn panel(text: &mut String, chart: &Chart) {
    let (x, y) = chart.ranges();
    let [left, top, right, bottom] = MARGIN;
    let (wide, high) = (PANEL.0 - left - right, PANEL.1 - top - bottom);
    let at = |(x, y): (f64, f64)| (left + x * wide, top + (1.0 - y) * high);
    let mut label = |x: f64, y: f64, anchor: &str, words: &str| {
        let _ = writeln!(text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escaped(words));
    };
    label(left + wide / 2.0, top - 15.0, "middle", &chart.title);
    label(left + wide / 2.0, top + high + 40.0, "middle", chart.x.label);
    for (words, place) in x.ticks() {
        let (x, y) = at((place, 0.0));
        label(x, y + 18.0, "middle", &words);
    }
    for (words, place) in y.ticks() {
        let (x, y) = at((0.0, place));
        label(x - 8.0, y + 4.0, "end", &words);
    }
    for (number, series) in chart.series.iter().chain(&chart.guide).enumerate() {
        label(left + 24.0, PANEL.1 + LINE * number as f64 + 4.0, "start", &series.name);
    }
    let mut line = |from: (f64, f64), to: (f64, f64)| {
        let ((x1, y1), (x2, y2)) = (at(from), at(to));
        let _ = writeln!(text, "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"#ddd\"/>");
    };
    x.ticks().into_iter().for_each(|(_, place)| line((place, 0.0), (place, 1.0)));
    y.ticks().into_iter().for_each(|(_, place)| line((0.0, place), (1.0, place)));
    let points = |series: &Series| places(series, (&x, &y)).into_iter().map(at).collect::<Vec<_>>();
    if let Some(guide) = &chart.guide {
        curve(text, &points(guide), "#888", "stroke-dasharray=\"4 4\"");
        let height = PANEL.1 + LINE * chart.series.len() as f64;
        curve(text, &[(left, height), (left + 18.0, height)], "#888", "stroke-dasharray=\"4 4\"");
    }
    for (number, series) in chart.series.iter().enumerate() {
        let color = COLORS.get(number % COLORS.len()).copied().unwrap_or("black");
        let mut points = points(series);
        curve(text, &points, color, "");
        points.push((left + 9.0, PANEL.1 + LINE * number as f64));
        for (x, y) in points {
            let _ = writeln!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{color}\"/>");
        }
    }
}

fn curve(text: &mut String, points: &[(f64, f64)], color: &str, more: &str) {
    let list: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(text, "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" {more}/>", list.join(" "));
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::{Axis, Scale};
    use super::*;

    #[test]
    fn every_point_is_drawn_and_names_are_escaped() {
        let axis = || Axis { label: "ms", scale: Scale::Log };
        let series = |name: &str| Series { name: name.to_owned(), points: vec![(1.0, 2.0), (0.1, 0.2), (0.1, 0.0)] };
        let chart = Chart {
            title: "a < b & c".to_owned(),
            x: axis(),
            y: axis(),
            series: vec![series("w<1>"), series("b")],
            guide: Some(series("line")),
        };
        let text = draw(&[chart.clone(), chart]);
        assert_eq!(text.matches("<circle").count(), 2 * 2 * 3, "two points and a legend for each of two series, twice");
        assert_eq!(text.matches("<polyline").count(), 2 * 4);
        assert!(text.contains("a &lt; b &amp; c") && text.contains("w&lt;1&gt;"), "{text}");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert!(text.starts_with("<svg") && text.ends_with("</svg>\n"));
    }
}
