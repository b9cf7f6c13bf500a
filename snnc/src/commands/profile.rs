//! `snnc profile`: where the time of a step goes.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use snnc::profile::{Line, Profile, Row, Settings as Profiled, profile};
use snnc::runtime::kernels::Recorded;
use snnc::{Model, Result, SessionOptions};

use super::Status;
use super::machine::{Kind, Machine, Memory, Settings, positive};
use super::table::{Align, Table};
use super::terminal::{say, write};

/// Shows where the time of a training step goes, by line of the program and by kernel.
///
/// A line's time is that of the kernels whose first result it is; what differentiation adds is shown as the backward part
/// of the line it belongs to. The floor, here as a share of the time, is the least that this machine could do it in: the larger of bytes over copy
/// bandwidth and operations over the rate of a matrix product, both measured first. Synaptic operations are the products
/// of a spike and a weight. The data are random, the learning rate is 0.
#[derive(clap::Args)]
pub struct Args {
    /// The program.
    file: PathBuf,
    /// Samples in a batch; by default what `train` says.
    #[arg(long, value_name = "N", value_parser = positive)]
    batch: Option<usize>,
    /// An inference in place of a training step; so is a model without `train`.
    #[arg(long)]
    inference: bool,
    /// Steps that are timed.
    #[arg(long, value_name = "N", default_value = "5", value_parser = positive)]
    runs: usize,
    /// The most lines and kernels shown; JSON has all of them.
    #[arg(long, value_name = "N", default_value = "15", value_parser = positive)]
    top: usize,
    /// The result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    machine: Machine,
    #[command(flatten)]
    memory: Memory,
    /// Which machine computes.
    #[arg(long, value_enum, default_value_t = Kind::Cpu)]
    device: Kind,
}

pub fn run(args: &Args) -> Result<Status> {
    let model = args.settings.compile(&args.file)?.model()?;
    let options = args.machine.options(&model, args.device, &args.memory)?;
    let options = SessionOptions { batch: args.batch.unwrap_or(options.batch), ..options };
    let training = !args.inference && model.recipe().is_some();
    let profile = profile(&model, &Profiled { options, training, runs: args.runs })?;
    let what = if training { "training step" } else { "inference" };
    match args.json {
        true => say(as_json(&model, &options, what, &profile)),
        false => write(&as_text(&model, &options, what, &profile, args.top)),
    }
    Ok(Status::Success)
}

fn as_text(model: &Model, options: &SessionOptions, what: &str, profile: &Profile, top: usize) -> String {
    let limits = &profile.limits;
    let mut text = format!(
        "model {}, {what}, batch {}, {}: {:.3} ms in {} kernels\nthis machine copies {:.1} GB/s and computes {:.1} GFLOP/s\n",
        model.name(),
        options.batch,
        profile.machine,
        profile.total_ms,
        profile.kernels.len(),
        limits.bytes_per_second / 1e9,
        limits.operations_per_second / 1e9,
    );
    for (heading, rows) in [("line", &profile.lines), ("kernel", &profile.kernels)] {
        let mut table = Table::new(&[
            ("time", Align::Right),
            ("share", Align::Right),
            ("floor", Align::Right),
            ("moved", Align::Right),
            ("operations", Align::Right),
            ("synaptic", Align::Right),
            ("rate", Align::Right),
            ("", Align::Left),
            (heading, Align::Left),
        ]);
        for row in rows.iter().take(top) {
            table.row(cells(model, row, profile.total_ms));
        }
        text.push_str(&format!("\n{}", table.render()));
        if let Some(rest) = rows.get(top..).filter(|rest| !rest.is_empty()) {
            let ms: f64 = rest.iter().map(|row| row.ms).sum();
            text.push_str(&format!("and {} more, {ms:.3} ms together\n", rest.len()));
        }
    }
    text
}

fn cells(model: &Model, row: &Row, total_ms: f64) -> Vec<String> {
    let rate = row.density().or(row.firing_rate);
    let place = row.line.as_ref().map_or_else(|| "(nowhere)".to_owned(), place);
    let what = match (row.kernel.as_str(), &row.line) {
        ("", Some(line)) => format!("{place}  {}", model.line_text(&line.file, line.number)),
        ("", None) => place,
        (kernel, _) => format!("{kernel}  {place}"),
    };
    vec![
        format!("{:.3} ms", row.ms),
        format!("{:.1}%", 100.0 * row.ms / total_ms.max(1e-12)),
        format!("{:.0}%", 100.0 * row.floor_ms / row.ms.max(1e-12)),
        format!("{:.2} MB", row.bytes / 1e6),
        format!("{:.2} M", row.operations / 1e6),
        if row.synaptic_operations > 0.0 { format!("{:.2} M", row.synaptic_operations / 1e6) } else { String::new() },
        rate.map(|rate| format!("{rate:.3}")).unwrap_or_default(),
        row.role.name().to_owned(),
        what,
    ]
}

fn place(line: &Line) -> String {
    let name = line.file.rsplit('/').next().unwrap_or(&line.file);
    format!("{name}:{}", line.number)
}

fn as_json(model: &Model, options: &SessionOptions, what: &str, profile: &Profile) -> Value {
    let rows = |rows: &[Row]| Value::Array(rows.iter().map(|row| row_json(row, profile.total_ms)).collect());
    json!({
        "model": model.name(),
        "what": what,
        "batch": options.batch,
        "threads": options.device.threads(),
        "device": options.device.name(),
        "machine": profile.machine,
        "kernels": options.device.kernels().map(Recorded),
        "steps": model.graph().graph.steps,
        "copy_bytes_per_second": profile.limits.bytes_per_second,
        "operations_per_second": profile.limits.operations_per_second,
        "total_ms": profile.total_ms,
        "lines": rows(&profile.lines),
        "kernels": rows(&profile.kernels),
    })
}

fn row_json(row: &Row, total_ms: f64) -> Value {
    let line = |line: &Line| json!({ "file": line.file, "line": line.number });
    let mut all = Map::new();
    if !row.kernel.is_empty() {
        all.insert("kernel".into(), json!(row.kernel));
    }
    all.insert("layer".into(), json!(row.layer));
    all.insert("role".into(), json!(row.role.name()));
    all.insert("place".into(), row.line.as_ref().map_or(Value::Null, line));
    all.insert("also".into(), Value::Array(row.also.iter().map(line).collect()));
    all.insert("launches".into(), json!(row.launches));
    all.insert("ms".into(), json!(row.ms));
    all.insert("share".into(), json!(row.ms / total_ms.max(1e-12)));
    all.insert("floor_ms".into(), json!(row.floor_ms));
    all.insert("share_of_floor".into(), json!(row.floor_ms / row.ms.max(1e-12)));
    all.insert("bytes".into(), json!(row.bytes));
    all.insert("operations".into(), json!(row.operations));
    all.insert("synaptic_operations".into(), json!(row.synaptic_operations));
    all.insert("input_density".into(), json!(row.density()));
    all.insert("firing_rate".into(), json!(row.firing_rate));
    Value::Object(all)
}
