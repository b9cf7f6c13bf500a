//! A chart in characters, for a terminal.
//!
//! Must never know what the numbers mean.

use super::{Chart, places};

/// Columns and rows of the drawing.
const SIZE: (usize, usize) = (56, 14);
/// Marks of series; those beyond share the last.
const MARKS: &[char] = &['o', 'x', '+', '#', '@', '%', '='];
/// Where marks of several series fall on each other.
const SEVERAL: char = '*';
const GUIDE: char = '.';
const EMPTY: char = ' ';

/// The chart with its title, axes and legend.
pub fn draw(chart: &Chart) -> String {
    let (x, y) = chart.ranges();
    let (columns, rows) = SIZE;
    let mut cells = vec![vec![EMPTY; columns]; rows];
    if let Some(guide) = &chart.guide {
        for pair in places(guide, (&x, &y)).windows(2) {
            line(&mut cells, pair);
        }
    }
    for (number, series) in chart.series.iter().enumerate() {
        for place in places(series, (&x, &y)) {
            let Some(cell) = cell(&mut cells, place) else { continue };
            *cell = if *cell == EMPTY || *cell == GUIDE || *cell == mark(number) { mark(number) } else { SEVERAL };
        }
    }
    let mut labels = vec![String::new(); rows];
    for (text, place) in y.ticks() {
        if let Some(label) = labels.get_mut(row(place)) {
            *label = text;
        }
    }
    let margin = labels.iter().map(String::len).max().unwrap_or(0);
    let mut text = format!("{}\n\n", chart.title);
    for (cells, label) in cells.iter().zip(&labels) {
        let edge = if label.is_empty() { '|' } else { '+' };
        let line: String = cells.iter().collect();
        text.push_str(format!("{label:>margin$} {edge}{line}").trim_end());
        text.push('\n');
    }
    text.push_str(&bottom(&x.ticks(), margin, chart.x.label));
    text.push_str(&legend(chart));
    text
}

fn mark(number: usize) -> char {
    MARKS.get(number).or(MARKS.last()).copied().unwrap_or(SEVERAL)
}

fn column(place: f64) -> usize {
    (place * (SIZE.0 - 1) as f64).round() as usize
}

/// The row of a place, counted from the top.
fn row(place: f64) -> usize {
    SIZE.1 - 1 - ((place * (SIZE.1 - 1) as f64).round() as usize).min(SIZE.1 - 1)
}

fn cell(cells: &mut [Vec<char>], (x, y): (f64, f64)) -> Option<&mut char> {
    cells.get_mut(row(y))?.get_mut(column(x))
}

/// A straight line between two points, a character a column.
fn line(cells: &mut [Vec<char>], pair: &[(f64, f64)]) {
    let [from, to] = pair else { return };
    let (first, last) = (column(from.0), column(to.0));
    for column in first..=last {
        let share = (column - first) as f64 / (last - first).max(1) as f64;
        let place = (column as f64 / (SIZE.0 - 1) as f64, from.1 + share * (to.1 - from.1));
        if let Some(cell) = cell(cells, place) {
            *cell = GUIDE;
        }
    }
}

/// The axis at the bottom with its labels; those that would touch the one before are left out.
fn bottom(ticks: &[(String, f64)], margin: usize, label: &str) -> String {
    let mut axis = vec!['-'; SIZE.0];
    let mut labels = String::new();
    for (text, place) in ticks {
        if let Some(cell) = axis.get_mut(column(*place)) {
            *cell = '+';
        }
        let start = column(*place);
        if labels.is_empty() || labels.len() < start {
            labels.push_str(&" ".repeat(start.saturating_sub(labels.len())));
            labels.push_str(text);
        }
    }
    let axis: String = axis.into_iter().collect();
    let indent = " ".repeat(margin + 2);
    format!("{} +{axis}\n{indent}{labels}  {label}\n", " ".repeat(margin))
}

fn legend(chart: &Chart) -> String {
    let mut text = String::from("\n");
    for (number, series) in chart.series.iter().enumerate() {
        text.push_str(&format!("  {} {}\n", mark(number), series.name));
    }
    if let Some(guide) = &chart.guide {
        text.push_str(&format!("  {GUIDE} {}\n", guide.name));
    }
    if chart.series.len() > 1 {
        text.push_str(&format!("  {SEVERAL} several in one place\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Axis, Scale, Series};
    use super::*;

    fn series(name: &str, points: &[(f64, f64)]) -> Series {
        Series { name: name.to_owned(), points: points.to_vec() }
    }

    #[test]
    fn marks_lie_on_the_line_that_they_follow() {
        let axis = |label| Axis { label, scale: Scale::Log };
        let chart = Chart {
            title: "errors".to_owned(),
            x: axis("dt"),
            y: axis("ms"),
            series: vec![series("a", &[(1.0, 1.0), (0.01, 0.01)]), series("b", &[(1.0, 1.0), (0.01, 0.1)])],
            guide: Some(series("line", &[(1.0, 1.0), (0.1, 0.1), (0.01, 0.01)])),
        };
        let text = draw(&chart);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "errors");
        assert!(lines[2].starts_with("   1 +") && lines[2].ends_with(SEVERAL), "{text}");
        assert!(lines[15].starts_with("0.01 +o"), "{text}");
        assert_eq!(
            text.matches(GUIDE).count(),
            56 - 2 + 5,
            "a dot in each column without a mark, four numbers and the legend\n{text}"
        );
        assert!(text.contains("  o a\n  x b\n  . line\n"), "{text}");
        assert!(lines[17].trim_end().ends_with("1  dt"), "{text}");
    }

    #[test]
    fn nothing_is_a_chart_too() {
        let axis = |scale| Axis { label: "", scale };
        let (x, y) = (axis(Scale::Log), axis(Scale::Linear { tick: 45.0 }));
        let chart = Chart { title: String::new(), x, y, series: vec![series("a", &[])], guide: None };
        assert_eq!(draw(&chart).lines().count(), 2 + SIZE.1 + 2 + 2);
    }
}
