//! A comparison as JSON: times in seconds, angles in degrees, `null` where there is nothing to compare.
//!
//! Must never know how it was made.

use serde_json::{Map, Value, json};
use snnc::compare::{Cost, Difference, Grid, Report, SpikeErrors};

/// The whole of it.
pub fn report(report: &Report) -> Value {
    let exact = &report.exact;
    let spikes: Map<String, Value> = exact.spikes.iter().map(|(path, spikes)| (path.clone(), json!(spikes))).collect();
    let mut first = json!({ "loss": exact.loss, "spikes": spikes, "out_of_slots": exact.out_of_slots });
    add(&mut first, &exact.cost);
    json!({
        "model": report.model,
        "duration": report.duration,
        "samples": report.samples,
        "inputs": report.inputs,
        "order": report.order(),
        "exact": first,
        "stbp": report.grids.iter().map(grid).collect::<Vec<_>>(),
    })
}

fn grid(grid: &Grid) -> Value {
    let mut value = json!({
        "dt": grid.dt,
        "steps": grid.steps,
        "loss": grid.loss,
        "mean_error": grid.mean_error(),
        "layers": grid.layers.iter().map(layer).collect::<Vec<_>>(),
        "gradients": grid.gradients.iter().map(difference).collect::<Vec<_>>(),
        "angle": grid.total.angle,
        "ratio": grid.total.ratio,
    });
    add(&mut value, &grid.cost);
    value
}

fn layer(layer: &SpikeErrors) -> Value {
    json!({
        "path": layer.path,
        "mean_error": layer.mean_error,
        "max_error": layer.max_error,
        "matched": layer.matched,
        "only_exact": layer.only_exact,
        "only_grid": layer.only_grid,
    })
}

fn difference(row: &Difference) -> Value {
    json!({ "path": row.path, "angle": row.angle, "ratio": row.ratio })
}

fn add(value: &mut Value, cost: &Cost) {
    if let Value::Object(fields) = value {
        fields.insert("compile_ms".into(), json!(cost.compile_ms));
        fields.insert("sample_ms".into(), json!(cost.sample_ms));
    }
}
