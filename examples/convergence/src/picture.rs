//! Maps side by side as a picture: an SVG text, written by hand.
//!
//! Must never know what was trained.

use std::fmt::Write;

use crate::map::Map;

/// Side of a cell, in pixels.
const CELL: f64 = 22.0;
/// Space around a map: left, above, below and between maps.
const MARGIN: f64 = 56.0;
/// Colors of 50 % and less, 75 % and 100 %: red, green and blue.
const COLORS: [[f64; 3]; 3] = [[52.0, 32.0, 92.0], [198.0, 81.0, 99.0], [252.0, 236.0, 170.0]];

/// A picture of maps with their titles. A cell is dark at 50 %, which is chance for two classes, and light at 100 %; a dot
/// marks those of at least `least`.
pub fn svg(maps: &[(&str, &Map)], least: f64) -> String {
    let n = maps.iter().map(|(_, map)| map.levels.len()).max().unwrap_or(0);
    let side = CELL * n as f64;
    let width = MARGIN + maps.len() as f64 * (side + MARGIN) + MARGIN;
    let height = side + 2.0 * MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (at, (title, map)) in maps.iter().enumerate() {
        panel(&mut out, MARGIN + at as f64 * (side + MARGIN), title, map, least);
    }
    legend(&mut out, MARGIN + maps.len() as f64 * (side + MARGIN) - 0.6 * MARGIN, side);
    out.push_str("</svg>\n");
    out
}

/// A map with its axes; means go to the right, deviations upward.
fn panel(out: &mut String, left: f64, title: &str, map: &Map, least: f64) {
    let side = CELL * map.levels.len() as f64;
    let middle = left + side / 2.0;
    label(out, [middle, MARGIN - 24.0], 14, title);
    label(out, [middle, MARGIN + side + 38.0], 12, "mean of the first weights");
    let (x, y) = (left - 36.0, MARGIN + side / 2.0);
    put(
        out,
        format_args!(
            "<text transform=\"translate({x:.1} {y:.1}) rotate(-90)\" text-anchor=\"middle\" font-size=\"12\">their deviation</text>"
        ),
    );
    for (row, (std, accuracies)) in map.levels.iter().zip(&map.accuracy).enumerate() {
        let top = MARGIN + side - CELL * (row + 1) as f64;
        label(out, [left - 16.0, top + 0.7 * CELL], 11, &format!("{std:.1}"));
        label(out, [left + CELL * (row as f64 + 0.5), MARGIN + side + 16.0], 11, &format!("{std:.1}"));
        for (column, (mean, accuracy)) in map.levels.iter().zip(accuracies).enumerate() {
            let (x, color) = (left + CELL * column as f64, color(*accuracy));
            put(
                out,
                format_args!(
                    "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{CELL}\" height=\"{CELL}\" fill=\"{color}\">\
                     <title>mean {mean:.1}, deviation {std:.1}: {:.1} %</title></rect>",
                    100.0 * accuracy
                ),
            );
            if *accuracy >= least {
                let (x, y) = (x + CELL / 2.0, top + CELL / 2.0);
                put(out, format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.2\" fill=\"#34205c\"/>"));
            }
        }
    }
}

/// What the colors mean.
fn legend(out: &mut String, left: f64, side: f64) {
    let parts = 50;
    let each = side / f64::from(parts);
    for part in 0..parts {
        let accuracy = 0.5 + 0.5 * (f64::from(part) + 0.5) / f64::from(parts);
        let (top, color) = (MARGIN + side - each * f64::from(part + 1), color(accuracy));
        put(
            out,
            format_args!(
                "<rect x=\"{left:.1}\" y=\"{top:.2}\" width=\"14\" height=\"{:.2}\" fill=\"{color}\"/>",
                each + 0.2
            ),
        );
    }
    for percent in [50.0, 75.0, 100.0] {
        let y = MARGIN + side * (1.0 - (percent - 50.0) / 50.0) + 4.0;
        label(out, [left + 36.0, y], 11, &format!("{percent} %"));
    }
}

fn label(out: &mut String, [x, y]: [f64; 2], size: u32, text: &str) {
    put(out, format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" font-size=\"{size}\">{text}</text>"));
}

fn put(out: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{line}");
}

/// Between the colors, in equal parts.
fn color(accuracy: f64) -> String {
    let place = ((accuracy - 0.5) * 4.0).clamp(0.0, 2.0);
    let (from, to) = if place < 1.0 { (COLORS[0], COLORS[1]) } else { (COLORS[1], COLORS[2]) };
    let part = place - if place < 1.0 { 0.0 } else { 1.0 };
    let mix = |channel: usize| (from[channel] + (to[channel] - from[channel]) * part).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
}
