//! A comparison as tables.
//!
//! Must never know how it was made.

use snnc::compare::{Cost, Report};

use super::super::table::{Align, Table, grouped};

/// Who took how long, spike times, gradients.
pub fn report(report: &Report) -> String {
    let plural = if report.samples == 1 { "" } else { "s" };
    let mut text = format!(
        "model {}, {} ms, {} sample{plural}: {}\n\n{}",
        report.model,
        milliseconds(report.duration),
        report.samples,
        report.inputs,
        runs(report),
    );
    text.push_str(&format!("\nspike times on a grid against the exact ones\n\n{}", spikes(report)));
    if let Some(order) = report.order() {
        text.push_str(&format!("mean error of all layers ~ dt^{order:.2}\n"));
    }
    text.push_str(&format!("\ngradients with surrogates on a grid against the exact ones\n\n{}", gradients(report)));
    text
}

fn runs(report: &Report) -> String {
    let mut table = Table::new(&[
        ("", Align::Left),
        ("steps", Align::Right),
        ("spikes", Align::Right),
        ("loss", Align::Right),
        ("compilation", Align::Right),
        ("a sample", Align::Right),
    ]);
    let mut row = |name: String, steps: String, spikes: usize, loss: f64, cost: &Cost| {
        let ms = |value: f64| format!("{value:.1} ms");
        table.row(vec![name, steps, grouped(spikes), format!("{loss:.6}"), ms(cost.compile_ms), ms(cost.sample_ms)]);
    };
    let exact = &report.exact;
    let spikes = exact.spikes.iter().map(|(_, spikes)| spikes).sum();
    row("exact".to_owned(), String::new(), spikes, exact.loss, &exact.cost);
    for grid in &report.grids {
        let spikes = grid.layers.iter().map(|layer| layer.matched + layer.only_grid).sum();
        row(length(grid.dt), grouped(grid.steps), spikes, grid.loss, &grid.cost);
    }
    table.render()
}

fn spikes(report: &Report) -> String {
    let mut table = Table::new(&[
        ("dt", Align::Left),
        ("layer", Align::Left),
        ("mean error", Align::Right),
        ("max error", Align::Right),
        ("matched", Align::Right),
        ("only exact", Align::Right),
        ("only on the grid", Align::Right),
    ]);
    let error = |error: Option<f64>| error.map_or("-".to_owned(), |error| format!("{:.4} ms", 1e3 * error));
    for grid in &report.grids {
        for layer in &grid.layers {
            table.row(vec![
                length(grid.dt),
                layer.path.clone(),
                error(layer.mean_error),
                error(layer.max_error),
                grouped(layer.matched),
                grouped(layer.only_exact),
                grouped(layer.only_grid),
            ]);
        }
    }
    table.render()
}

fn gradients(report: &Report) -> String {
    let mut table = Table::new(&[
        ("dt", Align::Left),
        ("parameter", Align::Left),
        ("angle", Align::Right),
        ("ratio of lengths", Align::Right),
    ]);
    for grid in &report.grids {
        for row in grid.gradients.iter().chain([&grid.total]) {
            table.row(vec![
                length(grid.dt),
                row.path.clone(),
                row.angle.map_or("-".to_owned(), |angle| format!("{angle:.2} deg")),
                row.ratio.map_or("-".to_owned(), ratio),
            ]);
        }
    }
    table.render()
}

/// A ratio with at least three digits that count.
fn ratio(ratio: f64) -> String {
    if ratio == 0.0 || (0.1..1e5).contains(&ratio) { format!("{ratio:.3}") } else { format!("{ratio:.2e}") }
}

/// The length of a step.
pub fn length(dt: f64) -> String {
    format!("{} ms", milliseconds(dt))
}

/// Milliseconds without what rounding adds to their digits.
fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1e12).round() / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_have_digits_that_count() {
        for (value, expected) in
            [(1.0, "1.000"), (88.6254, "88.625"), (0.0, "0.000"), (1.5e-7, "1.50e-7"), (2e6, "2.00e6")]
        {
            assert_eq!(ratio(value), expected);
        }
    }

    #[test]
    fn lengths_have_the_digits_that_they_were_given() {
        for (dt, expected) in
            [(1e-3, "1 ms"), (1e-4, "0.1 ms"), (3e-4, "0.3 ms"), (2.5e-5, "0.025 ms"), (1.0, "1000 ms")]
        {
            assert_eq!(length(dt), expected);
        }
    }
}
