//! The command line. What a command does is in `commands/`, what it does it with in the library.
//!
//! Knows exit codes: 0 is success, 1 an error of the user's program or data, 2 wrong usage.

mod commands;

use std::process::ExitCode;

use clap::Parser;

use commands::{Cli, Status};

fn main() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(Status::Success) => ExitCode::SUCCESS,
        Ok(Status::Failure) => ExitCode::from(1),
        Err(error) => {
            commands::terminal::complain(&error);
            ExitCode::from(1)
        }
    }
}
