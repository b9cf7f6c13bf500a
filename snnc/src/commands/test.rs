//! `snnc test`: the `test` declarations of programs.

use std::path::PathBuf;

use snnc::{Program, Result, Source, claims, standard_library};

use super::Status;
use super::terminal::{say, warn};

/// Runs the `test` declarations of programs.
///
/// Each is checked on the reference evaluation and on compiled code.
#[derive(clap::Args)]
pub struct Args {
    /// The programs.
    #[arg(required_unless_present = "std")]
    files: Vec<PathBuf>,
    /// Runs the tests of the standard library.
    #[arg(long)]
    std: bool,
}

pub fn run(args: &Args) -> Result<Status> {
    let mut sources = Vec::new();
    for file in &args.files {
        sources.push(Source::from_file(file)?);
    }
    if args.std {
        sources.extend(standard_library()?);
    }
    let (mut passed, mut failed) = (0, 0);
    for source in sources {
        let name = source.name().to_owned();
        let program = Program::compile(source, &[])?;
        warn(&program);
        for verdict in claims::check(&program)? {
            match verdict.failures.as_slice() {
                [] => {
                    passed += 1;
                    say(format_args!("ok    {name}: {}", verdict.title));
                }
                failures => {
                    failed += 1;
                    say(format_args!("FAIL  {name}: {}", verdict.title));
                    failures.iter().for_each(|failure| say(format_args!("      {failure}")));
                }
            }
        }
    }
    say(format_args!("{passed} passed, {failed} failed"));
    Ok(if failed == 0 { Status::Success } else { Status::Failure })
}
