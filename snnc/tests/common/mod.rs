//! Runs the command line in a folder of its own, and says what it printed.
//!
//! Must never know what a test expects.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The digits example.
pub fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models/digits_mlp.snn")
}

/// A temporary folder in which commands run.
pub struct Place {
    dir: TempDir,
}

/// What a command did.
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Place {
        Place { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// The command line with these words, split at spaces; `DIGITS` stands for the digits example.
    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snnc"));
        command.current_dir(self.dir.path()).env("SNNC_CACHE", self.path("cache"));
        for word in words.split(' ') {
            match word {
                "DIGITS" => command.arg(digits()),
                word => command.arg(word),
            };
        }
        command
    }

    /// Runs a command to its end.
    pub fn snnc(&self, words: &str) -> Done {
        Done::of(self.command(words).output().unwrap())
    }

    /// Runs a command that must succeed, and gives what it printed.
    pub fn right(&self, words: &str) -> String {
        let done = self.snnc(words);
        assert_eq!(done.code, Some(0), "{words}\n{}\n{}", done.stdout, done.stderr);
        done.stdout
    }

    /// Runs a command that must fail with a code, and gives its complaint.
    pub fn wrong(&self, code: i32, words: &str) -> String {
        let done = self.snnc(words);
        assert_eq!(done.code, Some(code), "{words}\n{}\n{}", done.stdout, done.stderr);
        assert!(!done.stderr.contains("panicked"), "{words}\n{}", done.stderr);
        done.stderr
    }

    /// The epochs of a run, without times.
    pub fn metrics(&self, run: &str) -> Vec<serde_json::Value> {
        let text = self.read(&format!("{run}/metrics.jsonl"));
        text.lines()
            .map(|line| {
                let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
                let fields = record.as_object_mut().unwrap();
                fields.remove("seconds").unwrap();
                fields.remove("samples_per_second").unwrap();
                record
            })
            .collect()
    }
}

impl Done {
    pub fn of(output: Output) -> Done {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}
