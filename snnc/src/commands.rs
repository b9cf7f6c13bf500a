//! All commands: one file, one variant and one arm each.
//!
//! Files here are the only ones that print. They must never compute anything that another program might want.

mod bench;
mod chart;
mod check;
mod compare;
mod doctor;
mod dump;
mod eval;
mod firing;
mod gradcheck;
mod infer;
mod machine;
mod memory;
mod passes;
mod profile;
mod progress;
mod run;
mod simulate;
mod table;
pub mod terminal;
mod test;

use clap::{Parser, Subcommand};

use snnc::Result;

/// Compiles, trains and runs spiking neural networks written in the .snn language.
#[derive(Parser)]
#[command(name = "snnc", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 success, 1 an error in the program or its data, 2 wrong usage.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do; the words for users are those of the arguments.
#[derive(Subcommand)]
pub enum Command {
    Check(check::Args),
    Run(run::Args),
    Eval(eval::Args),
    Infer(infer::Args),
    Test(test::Args),
    Gradcheck(gradcheck::Args),
    Compare(compare::Args),
    Bench(bench::Args),
    Profile(profile::Args),
    Dump(dump::Args),
    Passes(passes::Args),
    Doctor(doctor::Args),
}

/// How a command ended that had nothing to complain about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All is well.
    Success,
    /// It did its work, and the answer is no: a test that fails, a gradient that is wrong.
    Failure,
}

impl Command {
    /// Does it.
    pub fn run(self) -> Result<Status> {
        match self {
            Command::Check(args) => check::run(&args),
            Command::Run(args) => run::run(&args),
            Command::Eval(args) => eval::run(&args),
            Command::Infer(args) => infer::run(&args),
            Command::Test(args) => test::run(&args),
            Command::Gradcheck(args) => gradcheck::run(&args),
            Command::Compare(args) => compare::run(&args),
            Command::Bench(args) => bench::run(&args),
            Command::Profile(args) => profile::run(&args),
            Command::Dump(args) => dump::run(&args),
            Command::Passes(args) => passes::run(&args),
            Command::Doctor(args) => doctor::run(&args),
        }
    }
}
