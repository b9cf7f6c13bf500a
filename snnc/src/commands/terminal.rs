//! Writing to the terminal, or to whatever stands in its place.
//!
//! A reader that goes away (`snnc dump ... | head`) is no reason to panic, nor to stop a training: what it does not read
//! is dropped. Must never know what is written.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use snnc::{Error, Program};

/// Writes a line to standard output.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Writes a text as it is to standard output.
pub fn write(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// Writes an error to standard error.
pub fn complain(error: &Error) {
    note(error.render(io::stderr().is_terminal()));
}

/// Writes a line to standard error.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Writes the warnings of a program to standard error.
pub fn warn(program: &Program) {
    if !program.warnings().is_empty() {
        let _ = io::stderr().lock().write_all(program.warnings().render(io::stderr().is_terminal()).as_bytes());
    }
}
