//! A comparison as charts over dt: spike-time errors with a line that falls as dt does, and angles.
//!
//! Must never know how charts are drawn.

use snnc::compare::{Difference, Grid, Report};

use super::super::chart::{Axis, Chart, Scale, Series};

/// The charts.
pub fn charts(report: &Report) -> Vec<Chart> {
    vec![errors(report), angles(report)]
}

fn errors(report: &Report) -> Chart {
    let layer = |(path, _): &(String, usize)| {
        let error =
            |grid: &Grid| grid.layers.iter().find(|layer| layer.path == *path).and_then(|layer| layer.mean_error);
        Series { name: path.clone(), points: points(report, |grid| Some(1e3 * error(grid)?)) }
    };
    let series: Vec<Series> = report.exact.spikes.iter().map(layer).collect();
    let first = series.iter().find_map(|series| series.points.first().copied());
    let guide = first.map(|(dt, error)| Series {
        name: "proportional to dt".to_owned(),
        points: report.grids.iter().map(|grid| (1e3 * grid.dt, error * 1e3 * grid.dt / dt)).collect(),
    });
    Chart {
        title: "mean error of spike times (ms)".to_owned(),
        x: dt(),
        y: Axis { label: "ms", scale: Scale::Log },
        series,
        guide,
    }
}

fn angles(report: &Report) -> Chart {
    let rows = |grid: &Grid| grid.gradients.iter().chain([&grid.total]).cloned().collect::<Vec<Difference>>();
    let paths: Vec<String> =
        report.grids.first().map(rows).unwrap_or_default().into_iter().map(|row| row.path).collect();
    let parameter = |path: String| {
        let angle = |grid: &Grid| rows(grid).into_iter().find(|row| row.path == path)?.angle;
        Series { points: points(report, angle), name: path }
    };
    Chart {
        title: "angle between the gradients (degrees)".to_owned(),
        x: dt(),
        y: Axis { label: "deg", scale: Scale::Linear { tick: 45.0 } },
        series: paths.into_iter().map(parameter).collect(),
        guide: None,
    }
}

fn dt() -> Axis {
    Axis { label: "dt (ms)", scale: Scale::Log }
}

/// The points over dt in milliseconds, where there is a value.
fn points(report: &Report, value: impl Fn(&Grid) -> Option<f64>) -> Vec<(f64, f64)> {
    report.grids.iter().filter_map(|grid| Some((1e3 * grid.dt, value(grid)?))).collect()
}
