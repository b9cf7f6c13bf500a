//! The error of everything this crate does: a message that says what is wrong and where, and what to do about it.
//!
//! Must never know which command or program shows it: no colors, no exit codes, no source positions.

use std::fmt;
use std::path::Path;

/// What went wrong at run time: with data, files, checkpoints, settings or a run.
///
/// `message` names the thing and the place (a file, a tensor, a sample); `help` says what the user can do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeError {
    message: String,
    help: Option<String>,
}

/// The result of fallible functions of this crate.
pub type Result<T, E = RuntimeError> = std::result::Result<T, E>;

impl RuntimeError {
    /// An error with the given message (no final full stop, no `error:` in front).
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// The same error with advice on what to do; replaces earlier advice.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// An operating system's refusal: `action` is a verb phrase ("read", "create the directory").
    pub fn io(action: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(format!("cannot {action} `{}`: {error}", path.display()))
    }

    /// What is wrong and where.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, if there is advice.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RuntimeError {}

/// The candidate most like `name`, if one is near enough to be a misspelling of it.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const NEAR_ENOUGH: f64 = 0.6;
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates {
        let similarity = strsim::normalized_damerau_levenshtein(name, candidate);
        if similarity >= NEAR_ENOUGH && best.is_none_or(|(highest, _)| similarity > highest) {
            best = Some((similarity, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_shows_the_help_on_its_own_line() {
        let error = RuntimeError::new("no such tensor `w`").with_help("did you mean `v`?");
        assert_eq!(error.to_string(), "no such tensor `w`\nhelp: did you mean `v`?");
        assert_eq!(RuntimeError::new("plain").to_string(), "plain");
    }

    #[test]
    fn nearest_finds_misspellings_only() {
        assert_eq!(nearest("mnits", ["cifar10", "mnist", "digits"]), Some("mnist"));
        assert_eq!(nearest("imagenet", ["cifar10", "mnist"]), None);
    }
}
