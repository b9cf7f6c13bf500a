//! `snnc gradcheck`: gradients against finite differences.

use std::path::PathBuf;

use snnc::gradcheck::{Row, Settings, gradcheck};
use snnc::{Method, Program, Result, Source};

use super::Status;
use super::machine;
use super::table::{Align, Table};
use super::terminal::{note, say, warn, write};

/// Compares the gradients of a model with finite differences.
///
/// Everything is computed in double precision on random input. Every spike is replaced
/// by the smooth function whose derivative its surrogate is; random draws and detached values stay as they are while a
/// weight moves. Where a model has no grid of steps, what is checked are the derivatives of its spike times.
#[derive(clap::Args)]
pub struct Args {
    /// The program.
    file: PathBuf,
    /// Samples in the batch.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
    /// The most elements of each parameter that are moved.
    #[arg(long, value_name = "K", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    elements: u16,
    /// The largest error that passes, relative to the largest gradient of the parameter.
    #[arg(long, value_name = "E", default_value_t = 1e-5)]
    tolerance: f64,
    /// Checks the gradient of exact spike times, also of a model that says `gradient = stbp`: its neurons, which must be
    /// given by equations, are solved without a grid of steps.
    #[arg(long)]
    exact: bool,
    #[command(flatten)]
    settings: machine::Settings,
}

pub fn run(args: &Args) -> Result<Status> {
    let method = if args.exact { Method::Exact } else { Method::AsWritten };
    let program = Program::compile_smooth(Source::from_file(&args.file)?, &args.settings.overrides, method)?;
    warn(&program);
    let settings = Settings { batch: args.batch.into(), elements: args.elements.into(), tolerance: args.tolerance };
    let model = program.model()?;
    let rows = gradcheck(&model, &settings)?;
    write(&table(&rows));
    if model.graph().time.events().is_some() {
        say("checked with a weighted sum of the result's spike times: the number of spikes has a declared gradient");
    }
    let failed = rows.iter().filter(|row| !row.ok).count();
    if rows.iter().any(|row| row.vanishes) {
        note("note: some of these gradients are 0 everywhere, so little was checked: do the neurons spike?");
    }
    if failed == 0 {
        say(format_args!("all {} gradients are derivatives", rows.len()));
        return Ok(Status::Success);
    }
    say(format_args!("{failed} of {} gradients are not the derivatives", rows.len()));
    Ok(Status::Failure)
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new(&[
        ("parameter", Align::Left),
        ("shape", Align::Left),
        ("checked", Align::Right),
        ("absolute error", Align::Right),
        ("relative error", Align::Right),
        ("compiled code", Align::Right),
        ("", Align::Left),
    ]);
    for row in rows {
        table.row(vec![
            row.path.clone(),
            format!("{:?}", row.dims),
            row.checked.to_string(),
            format!("{:.1e}", row.absolute),
            format!("{:.1e}", row.relative),
            format!("{:.1e}", row.compiled),
            if row.ok { "ok" } else { "FAIL" }.to_owned(),
        ]);
    }
    table.render()
}
