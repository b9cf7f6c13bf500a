//! The edges between crates: what `cargo metadata` says against the table of ARCHITECTURE.md.
//!
//! The table is the rule: a row for each crate with the crates of ours and of others that it may import. An edge that the
//! table lacks is a violation, and so is an entry that nothing uses any more. Crates that only tests need may be used by the
//! tests of every crate; they are those of the row of `tests`.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use crate::repository::{File, assert_none, root, rust_files, text};
use crate::rust_text::{layers, line_of, words};

/// Crates that one file alone may import.
const SINGLE_IMPORTERS: &[(&str, &str)] = &[("ariadne", "lang/src/render.rs")];
/// In a cell of the table: all crates of ours.
const EVERYTHING: &str = "everything";

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    folder: String,
    package: String,
    ours: BTreeSet<String>,
    imports_everything: bool,
    others: BTreeSet<String>,
    unsafe_places: Vec<String>,
}

impl Row {
    /// Files and folders that may hold `unsafe`.
    pub fn unsafe_places(&self) -> Vec<String> {
        self.unsafe_places.iter().map(|place| format!("{}/src/{}", self.folder, place.trim_end_matches('/'))).collect()
    }
}

/// The rows of the table ``| `folder` (package) | is | may import | others | must never know | unsafe |``.
pub fn crate_table(document: &str) -> Vec<Row> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim().strip_prefix("| `")?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let [name, _, ours, others, _, fence] = cells[..] else { return None };
        let (folder, package) = name.split_once("` (")?;
        Some(Row {
            folder: folder.to_owned(),
            package: package.strip_suffix(')')?.to_owned(),
            ours: quoted(ours).into_iter().collect(),
            imports_everything: ours == EVERYTHING,
            others: quoted(others).into_iter().collect(),
            unsafe_places: quoted(fence),
        })
    };
    document.lines().filter_map(row).collect()
}

/// The parts of a text between backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// A dependency: from one package of ours to any package.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    is_ours: bool,
    for_tests: bool,
    is_pinned: bool,
}

fn edges(metadata: &Metadata) -> Vec<Edge> {
    let packages = metadata.workspace_packages();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let of = |package: &cargo_metadata::Package| -> Vec<Edge> {
        let edge = |dependency: &cargo_metadata::Dependency| Edge {
            from: package.name.to_string(),
            to: dependency.name.clone(),
            is_ours: ours.contains(dependency.name.as_str()),
            for_tests: dependency.kind == DependencyKind::Development,
            is_pinned: dependency.req.to_string().starts_with('='),
        };
        package.dependencies.iter().map(edge).collect()
    };
    packages.iter().flat_map(|package| of(package)).collect()
}

fn metadata() -> Metadata {
    let manifest = root().join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().unwrap()
}

/// Edges without an entry, and entries without an edge.
fn broken_edges(rows: &[Row], edges: &[Edge]) -> Vec<String> {
    let package_of = |folder: &String| rows.iter().find(|row| row.folder == *folder).map(|row| row.package.clone());
    let test_tools: BTreeSet<&String> =
        rows.iter().filter(|row| row.folder == "tests").flat_map(|row| &row.others).collect();
    let mut problems = Vec::new();
    for row in rows {
        let own: Vec<&Edge> = edges.iter().filter(|edge| edge.from == row.package).collect();
        let ours: BTreeSet<String> = row.ours.iter().filter_map(package_of).collect();
        let is_allowed = |edge: &Edge| match (edge.is_ours, edge.for_tests) {
            (true, _) => row.imports_everything || ours.contains(&edge.to),
            (false, false) => row.others.contains(&edge.to),
            (false, true) => row.others.contains(&edge.to) || test_tools.contains(&edge.to),
        };
        let forbidden = own.iter().filter(|edge| !is_allowed(edge));
        problems.extend(forbidden.map(|edge| format!("{} must not import {}", edge.from, edge.to)));
        let unused = ours.iter().chain(&row.others).filter(|name| !own.iter().any(|edge| edge.to == **name));
        problems.extend(unused.map(|name| format!("the table lets {} import {name}, which it does not", row.package)));
    }
    problems
}

/// Crates without a row and rows without a crate.
fn unmatched_rows(rows: &[Row], folders: &[(String, String)]) -> Vec<String> {
    let of = |row: &Row| (row.folder.clone(), row.package.clone());
    let listed: BTreeSet<(String, String)> = rows.iter().map(of).collect();
    let existing: BTreeSet<(String, String)> = folders.iter().cloned().collect();
    let new = existing.difference(&listed).map(|(folder, name)| format!("{name} in {folder} has no row"));
    let gone = listed.difference(&existing).map(|(folder, name)| format!("there is no {name} in {folder}"));
    new.chain(gone).collect()
}

/// Dependencies, other than those of tests, that no file of the package names.
fn unused(files: &[&File], folders: &[(String, String)], edges: &[Edge]) -> Vec<String> {
    let is_named = |edge: &Edge| {
        let name = edge.to.replace('-', "_");
        let folder = folders.iter().find(|(_, package)| *package == edge.from).map_or("", |(folder, _)| folder);
        files.iter().filter(|file| file.is_under(folder)).any(|file| !words(&layers(&file.text).code, &name).is_empty())
    };
    let unused = edges.iter().filter(|edge| !edge.for_tests && !is_named(edge));
    unused.map(|edge| format!("{} does not use {}", edge.from, edge.to)).collect()
}

fn unpinned(edges: &[Edge]) -> Vec<String> {
    let loose = edges.iter().filter(|edge| !edge.is_ours && !edge.is_pinned);
    loose.map(|edge| format!("{} takes any version of {}", edge.from, edge.to)).collect()
}

fn wrong_importers(files: &[&File], importers: &[(&str, &str)]) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, only) in importers {
        for file in files.iter().filter(|file| file.path != *only) {
            let code = layers(&file.text).code;
            problems
                .extend(words(&code, name).iter().map(|at| format!("{}:{}: {name}", file.path, line_of(&code, *at))));
        }
    }
    problems
}

/// Members whose manifests do not take the lints of the workspace.
fn without_lints(folders: &[(String, String)], manifest: impl Fn(&str) -> String) -> Vec<String> {
    let takes_lints = |folder: &str| manifest(folder).contains("[lints]\nworkspace = true\n");
    folders
        .iter()
        .filter(|(folder, _)| !takes_lints(folder))
        .map(|(folder, _)| format!("{folder}/Cargo.toml"))
        .collect()
}

/// Folder and name of each member of the workspace.
fn folders(metadata: &Metadata) -> Vec<(String, String)> {
    let root = root();
    let folder = |package: &cargo_metadata::Package| {
        let folder = package.manifest_path.parent().unwrap().as_std_path().canonicalize().unwrap();
        folder.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/")
    };
    metadata.workspace_packages().into_iter().map(|package| (folder(package), package.name.to_string())).collect()
}

#[test]
fn crates_import_what_the_architecture_allows() {
    let metadata = metadata();
    let rows = crate_table(text("ARCHITECTURE.md"));
    assert_none("crates that differ from the table in ARCHITECTURE.md", &unmatched_rows(&rows, &folders(&metadata)));
    assert_none("edges that differ from it", &broken_edges(&rows, &edges(&metadata)));
}

#[test]
fn dependencies_are_used() {
    let metadata = metadata();
    assert_none("dependencies that nothing uses", &unused(&rust_files(), &folders(&metadata), &edges(&metadata)));
}

#[test]
fn versions_of_others_are_pinned() {
    assert_none("dependencies without `=`", &unpinned(&edges(&metadata())));
}

#[test]
fn renderers_are_imported_in_one_file() {
    assert_none("imports of a crate that one file alone may know", &wrong_importers(&rust_files(), SINGLE_IMPORTERS));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let manifest = |folder: &str| text(&format!("{folder}/Cargo.toml")).to_owned();
    assert_none("manifests without `[lints] workspace = true`", &without_lints(&folders(&metadata()), manifest));
}

#[test]
fn the_rules_can_fail() {
    let rows = crate_table(
        "| folder (package) | is | may import | others | must never know | unsafe |\n\
         | `loops` (a) | x | nothing | `half` | x | none |\n\
         | `graph` (b) | x | `loops` | nothing | x | none |\n\
         | `tests` (t) | x | everything | `insta` | x | none |\n\
         | `gone` (g) | x | nothing | nothing | x | none |\n",
    );
    let edge = |from: &str, to: &str, is_ours, for_tests| Edge {
        from: from.into(),
        to: to.into(),
        is_ours,
        for_tests,
        is_pinned: to != "half",
    };
    let folder = |folder: &str, package: &str| (folder.to_owned(), package.to_owned());
    let folders = [folder("loops", "a"), folder("graph", "b"), folder("tests", "t"), folder("new", "n")];
    let edges = [
        edge("a", "half", false, false),
        edge("a", "b", true, true),
        edge("b", "insta", false, true),
        edge("b", "clap", false, false),
        edge("t", "b", true, true),
        edge("t", "insta", false, true),
    ];
    assert_eq!(unmatched_rows(&rows, &folders), ["n in new has no row", "there is no g in gone"]);
    let expected = ["a must not import b", "b must not import clap", "the table lets b import a, which it does not"];
    assert_eq!(broken_edges(&rows, &edges), expected);
    assert_eq!(unpinned(&edges), ["a takes any version of half"]);
    let file = File::planted("loops/src/lib.rs", "//! half\nuse b::c;\n");
    assert_eq!(unused(&[&file], &folders, &edges)[..2], ["a does not use half", "b does not use clap"]);
    let file = File::planted("lang/src/lib.rs", "//! ariadne\nuse ariadne::Report;\n");
    assert_eq!(wrong_importers(&[&file], SINGLE_IMPORTERS), ["lang/src/lib.rs:2: ariadne"]);
    let manifest =
        |folder: &str| if folder == "new" { String::new() } else { "[lints]\nworkspace = true\n".to_owned() };
    assert_eq!(without_lints(&folders, manifest), ["new/Cargo.toml"]);
}
