//! Rules for every text file: nothing of the machine it was written on, no host that packages are fetched from.
//!
//! The patterns are written in two halves, so that this file keeps its own rule.

use crate::repository::{FILES, File, assert_none, text};

/// How paths of a machine begin.
const MACHINE_PATHS: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("/tm", "p/"),
    concat!("/var/fol", "ders/"),
    concat!("C:", "\\"),
];
/// Hosts of package registries and mirrors, and the words that their names hold.
const REGISTRY_HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("anaconda", ".org"),
    concat!("golang", ".org"),
    concat!("rubygems", ".org"),
    concat!("docker", ".io"),
    concat!("ghcr", ".io"),
    concat!("arti", "factory"),
    concat!("j", "frog"),
];
/// Cargo writes one host into this file, whatever the machine fetches from.
const LOCK: &str = "Cargo.lock";
/// What every line with a source must say there.
const LOCK_SOURCE: &str = concat!("source = \"registry+https://github.com/rust-lang/crates", ".io-index\"");

fn machine_paths(files: &[File]) -> Vec<String> {
    lines_with(files, |line| {
        MACHINE_PATHS.iter().copied().find(|path| {
            let begins_here = |(at, _): (usize, &str)| {
                !line[..at].ends_with(|before: char| before.is_alphanumeric() || "._-/~".contains(before))
            };
            line.match_indices(path).any(begins_here)
        })
    })
}

fn registry_hosts(files: &[File]) -> Vec<String> {
    let others: Vec<File> = files.iter().filter(|file| file.path != LOCK).cloned().collect();
    lines_with(&others, |line| {
        let line = line.to_ascii_lowercase();
        REGISTRY_HOSTS.iter().copied().find(|host| line.contains(host))
    })
}

fn foreign_sources(lock: &str) -> Vec<String> {
    let foreign = |line: &&str| line.starts_with("source = ") && *line != LOCK_SOURCE;
    lock.lines().filter(foreign).map(str::to_owned).collect()
}

fn lines_with(files: &[File], find: impl Fn(&str) -> Option<&'static str>) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        for (i, line) in file.text.lines().enumerate() {
            problems.extend(find(line).map(|what| format!("{}:{}: {what}", file.path, i + 1)));
        }
    }
    problems
}

#[test]
fn no_text_holds_a_path_of_a_machine() {
    assert_none("paths of a machine", &machine_paths(&FILES));
}

#[test]
fn no_text_names_a_host_that_packages_come_from() {
    assert_none("hosts of registries", &registry_hosts(&FILES));
    assert_none("packages from elsewhere", &foreign_sources(text(LOCK)));
}

#[test]
fn the_rules_can_fail() {
    let path = format!("see {}me/x and a/tmp/b, b/tm{}", "/ho", "p/c");
    let files = [File::planted("a.md", &path), File::planted(LOCK, LOCK_SOURCE), File::planted("b.md", "fine\n")];
    assert_eq!(machine_paths(&files), [format!("a.md:1: {}", MACHINE_PATHS[0])]);
    let host = [File::planted("a.toml", &format!("\n# {}", REGISTRY_HOSTS[0].to_uppercase()))];
    assert_eq!(registry_hosts(&host), [format!("a.toml:2: {}", REGISTRY_HOSTS[0])]);
    assert!(registry_hosts(&files).is_empty());
    assert!(foreign_sources(LOCK_SOURCE).is_empty());
    assert_eq!(foreign_sources("source = \"git+https://x\"\n"), ["source = \"git+https://x\""]);
}
