//! Registries against folders: every file of an op or a pass is registered, everything registered has its file, and
//! ARCHITECTURE.md knows them all.
//!
//! Must never know what an op or a pass does.

use std::collections::BTreeSet;

use snn_graph::Op;
use snn_graph::passes::PASSES;

use crate::repository::{FILES, File, assert_none, text};
use crate::rust_text::layers;

const OPS: &str = "graph/src/ops";
/// Files beside the ops that serve several of them.
const OP_HELPERS: &[&str] = &["operands", "placeholder"];
const PASS_FILES: &str = "graph/src/passes";
/// Files beside the passes that serve several of them.
const PASS_HELPERS: &[&str] = &["rewrite"];
/// Passes that are not in the list because they run once a graph has its gradient, which a model has not.
const AFTER_DIFFERENTIATION: &[&str] = &["strip", "factor", "save_bits", "count_planes"];

/// Stems of the files that lie directly in a folder, helpers left out.
fn stems<'a>(files: &'a [File], folder: &str, helpers: &[&str]) -> BTreeSet<&'a str> {
    let direct = |file: &&File| {
        file.is_under(folder) && !file.path[folder.len() + 1..].contains('/') && !helpers.contains(&file.stem())
    };
    files.iter().filter(direct).map(File::stem).collect()
}

/// The `module::Name` entries of the registry's text.
fn entries(registry: &str) -> Vec<(String, String)> {
    let code = layers(registry).code;
    let lines = code.lines().skip_while(|line| !line.starts_with("registry! {"));
    let entry = |line: &str| {
        let (module, name) = line.trim().strip_suffix(',')?.split_once("::")?;
        Some((module.to_owned(), name.to_owned()))
    };
    lines.filter_map(entry).collect()
}

fn unregistered_ops(files: &[File], entries: &[(String, String)]) -> Vec<String> {
    let stems = stems(files, OPS, OP_HELPERS);
    let registered: BTreeSet<&str> = entries.iter().map(|(module, _)| module.as_str()).collect();
    let mut problems: Vec<String> = Vec::new();
    problems.extend(stems.difference(&registered).map(|stem| format!("{OPS}/{stem}.rs is not in the registry")));
    for (module, name) in entries {
        let of_module =
            |file: &&File| file.path == format!("{OPS}/{module}.rs") || file.is_under(&format!("{OPS}/{module}"));
        let rule = format!("impl OpRule for {name} ");
        if !files.iter().filter(of_module).any(|file| file.text.contains(&rule)) {
            problems.push(format!("{module}::{name} has no `impl OpRule` in {OPS}/{module}.rs"));
        }
    }
    problems
}

/// Passes as (name, description) against their files: names are unique and those of files, which say so in their first
/// line, and a description is a line.
fn misregistered_passes(files: &[File], passes: &[(&str, &str)]) -> Vec<String> {
    let others: Vec<&str> = PASS_HELPERS.iter().chain(AFTER_DIFFERENTIATION).copied().collect();
    let stems = stems(files, PASS_FILES, &others);
    let names: BTreeSet<&str> = passes.iter().map(|(name, _)| *name).collect();
    let mut problems = Vec::new();
    problems
        .extend(stems.difference(&names).map(|stem| format!("{PASS_FILES}/{stem}.rs is not in the list of passes")));
    problems.extend(names.difference(&stems).map(|name| format!("the pass {name} has no file {PASS_FILES}/{name}.rs")));
    if names.len() < passes.len() {
        problems.push("two passes of one name".to_owned());
    }
    for (name, description) in passes {
        if description.trim().is_empty() || description.contains('\n') {
            problems.push(format!("the pass {name} has no description of one line"));
        }
    }
    for name in names.iter().chain(AFTER_DIFFERENTIATION) {
        let own = files.iter().find(|file| file.path == format!("{PASS_FILES}/{name}.rs"));
        let opening = format!("//! The pass `{name}`: ");
        if own.is_some_and(|file| !file.text.starts_with(&opening)) {
            problems.push(format!("{PASS_FILES}/{name}.rs does not open with `{opening}`"));
        }
    }
    problems
}

/// What a document should name between backticks and does not.
fn unmentioned(document: &str, names: &[&str]) -> Vec<String> {
    let missing = names.iter().filter(|name| !document.contains(&format!("`{name}`")));
    missing.map(|name| format!("ARCHITECTURE.md does not mention `{name}`")).collect()
}

/// The names that stand alone in the first cells of a document's tables, as far as they are among `names`.
fn listed<'a>(document: &'a str, names: &[&str]) -> Vec<&'a str> {
    let first = |line: &'a str| line.strip_prefix("| `")?.split_once("` |").map(|(name, _)| name);
    document.lines().filter_map(first).filter(|name| names.contains(name)).collect()
}

#[test]
fn every_op_is_registered_and_has_its_file() {
    let entries = entries(text("graph/src/ops.rs"));
    let names: Vec<&str> = entries.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, Op::REGISTRY);
    assert_none("the registry of ops and its folder", &unregistered_ops(&FILES, &entries));
}

#[test]
fn every_pass_is_registered_described_and_has_its_file() {
    let passes: Vec<(&str, &str)> = PASSES.iter().map(|pass| (pass.name, pass.description)).collect();
    assert_none("the list of passes and its folder", &misregistered_passes(&FILES, &passes));
}

#[test]
fn the_architecture_knows_every_op_and_pass() {
    let entries = entries(text("graph/src/ops.rs"));
    let mut names: Vec<&str> = entries.iter().map(|(module, _)| module.as_str()).collect();
    names.extend(PASSES.iter().map(|pass| pass.name).chain(AFTER_DIFFERENTIATION.iter().copied()));
    assert_none("a document that is behind", &unmentioned(text("ARCHITECTURE.md"), &names));
    let passes: Vec<&str> = PASSES.iter().map(|pass| pass.name).collect();
    assert_eq!(listed(text("ARCHITECTURE.md"), &passes), passes, "the table of passes in ARCHITECTURE.md");
}

#[test]
fn the_rules_can_fail() {
    let files = [
        File::planted("graph/src/ops/a.rs", "//! A.\nimpl OpRule for A {}\n"),
        File::planted("graph/src/ops/b.rs", "//! B.\n"),
        File::planted("graph/src/ops/operands.rs", "//! Shared.\n"),
        File::planted("graph/src/ops/a/inner.rs", "//! Part of A.\n"),
        File::planted("graph/src/passes/fold.rs", "//! The pass `fold`: folds.\n"),
        File::planted("graph/src/passes/cse.rs", "//! Equal things.\n"),
        File::planted("graph/src/passes/dce.rs", "//! The pass `dce`: drops.\n"),
    ];
    let found = entries("macro_rules! registry { }\nregistry! {\n    /// A.\n    a::A,\n    /// C.\n    c::C,\n}\n");
    let expected = ["graph/src/ops/b.rs is not in the registry", "c::C has no `impl OpRule` in graph/src/ops/c.rs"];
    assert_eq!(unregistered_ops(&files, &found), expected);
    let expected = [
        "graph/src/passes/dce.rs is not in the list of passes",
        "the pass time has no file graph/src/passes/time.rs",
        "the pass fold has no description of one line",
        "graph/src/passes/cse.rs does not open with `//! The pass `cse`: `",
    ];
    assert_eq!(misregistered_passes(&files, &[("fold", " "), ("cse", "x"), ("time", "x")]), expected);
    assert_eq!(
        misregistered_passes(&files, &[("fold", "x"), ("fold", "x"), ("dce", "x"), ("cse", "x")])[0],
        "two passes of one name"
    );
    assert_eq!(listed("| `dce` | x |\n| `other` |\n| `cse` |\n`fold`\n", &["fold", "cse", "dce"]), ["dce", "cse"]);
    assert_eq!(unmentioned("`fold` scan", &["fold", "scan"]), ["ARCHITECTURE.md does not mention `scan`"]);
}
