//! The documents keep pace: their links lead somewhere, the README's commands are what CI runs, its listings are files.
//!
//! Must never know the wording of a document.

use crate::repository::{FILES, File, assert_none, root, text};

const README: &str = "README.md";
const CI: &str = ".ci/run";

/// A fenced block of a document: its language and its text.
struct Block {
    language: String,
    text: String,
}

fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in document.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => open = Some(Block { language: language.to_owned(), text: String::new() }),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    blocks
}

/// The commands of the first block of commands, without comments.
fn first_commands(document: &str) -> Vec<String> {
    let Some(block) = blocks(document).into_iter().find(|block| block.language == "sh") else { return Vec::new() };
    let command = |line: &str| line.split(" #").next().unwrap_or(line).trim().to_owned();
    block.text.lines().map(command).filter(|command| !command.is_empty()).collect()
}

/// Commands that no line of a script runs, possibly with more arguments.
fn not_run(commands: &[String], script: &str) -> Vec<String> {
    let runs = |line: &str, command: &str| {
        line.trim().strip_prefix(command).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    commands.iter().filter(|command| !script.lines().any(|line| runs(line, command))).cloned().collect()
}

/// Blocks of a language that are no part of a file of the given folder.
fn invented(document: &str, language: &str, folder: &str, files: &[File]) -> Vec<String> {
    let holds = |text: &str| files.iter().any(|file| file.is_under(folder) && file.text.contains(text));
    let own = blocks(document).into_iter().filter(|block| block.language == language);
    own.filter(|block| !holds(&block.text))
        .map(|block| format!("{language}, not in {folder}:\n{}", block.text))
        .collect()
}

/// The targets of a document's links that lie in the repository, from the document's folder.
fn links(document: &str) -> Vec<&str> {
    document
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .map(|target| target.split('#').next().unwrap_or(target))
        .filter(|target| !target.is_empty() && !target.contains(':') && !target.contains(char::is_whitespace))
        .collect()
}

fn broken_links(files: &[File], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| file.has_extension("md")) {
        let folder = file.path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let broken = links(&file.text).into_iter().filter(|target| !exists(&format!("{folder}{target}")));
        problems.extend(broken.map(|target| format!("{}: {target}", file.path)));
    }
    problems
}

#[test]
fn links_lead_somewhere() {
    let root = root();
    assert_none("broken links", &broken_links(&FILES, |path| root.join(path).exists()));
}

#[test]
fn the_commands_of_the_readme_are_those_of_ci() {
    let commands = first_commands(text(README));
    assert!(commands.iter().any(|command| command.starts_with("cargo run ")), "{commands:?}");
    assert!(commands.iter().any(|command| command.starts_with("cargo test ")), "{commands:?}");
    assert_none("commands of the README that CI does not run", &not_run(&commands, text(CI)));
}

#[test]
fn the_listings_of_the_readme_are_files() {
    assert_none("models", &invented(text(README), "snn", "examples/models", &FILES));
    assert_none("programs", &invented(text(README), "rust", "examples/embed", &FILES));
}

#[test]
fn the_rules_can_fail() {
    let document = "[a](b.md#c) [d](https://e) [f](#g)\n```snn\nmodel A\n```\n```sh\ncargo test   # all\n\ncargo run -- x\n```\n\
                    ```sh\nlater\n```\n```rust\nfn f() {}\n```\n";
    assert_eq!(first_commands(document), ["cargo test", "cargo run -- x"]);
    assert_eq!(not_run(&first_commands(document), "cargo tests\n  cargo run -- x --set epochs=2\n"), ["cargo test"]);
    let files = [File::planted("examples/models/a.snn", "// A.\nmodel A\n"), File::planted("docs/a.md", document)];
    assert!(invented(document, "snn", "examples/models", &files).is_empty());
    assert_eq!(invented(document, "rust", "examples/embed", &files).len(), 1);
    assert_eq!(broken_links(&files, |path| path != "docs/b.md"), ["docs/a.md: b.md"]);
}
