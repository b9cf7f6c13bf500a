//! `snnc passes`: the passes of the compiler.

use snnc::{Result, stages};

use super::Status;
use super::table::{Align, Table};
use super::terminal::write;

/// Lists the passes of the compiler.
///
/// They lie between a model as written and one that can be differentiated, and run in this order. Any
/// prefix of them can be seen at work with `snnc dump FILE --stage graph --until PASS`.
#[derive(clap::Args)]
pub struct Args {}

pub fn run(_args: &Args) -> Result<Status> {
    let mut table = Table::new(&[("pass", Align::Left), ("what it does", Align::Left)]);
    for (name, description) in stages::pass_list() {
        table.row(vec![name.to_owned(), description.to_owned()]);
    }
    write(&table.render());
    Ok(Status::Success)
}
