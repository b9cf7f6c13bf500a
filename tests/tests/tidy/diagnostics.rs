//! Every diagnostic code is used, explained in docs/language.md and shown by a UI test; nobody mentions one that is not.
//!
//! A UI test is a program `tests/ui/NAME.snn` beside `NAME.txt`, what the compiler says about it. Must never know what a
//! code means.

use std::collections::BTreeSet;

use snn_lang::codes::Code;

use crate::repository::{FILES, File, assert_none, text};
use crate::rust_text::words;

const UI: &str = "tests/ui";
/// Codes that one short text cannot show, because they need other files, options, or megabytes: a test names them.
const SHOWN_BY_TESTS: &[(&str, &str)] =
    &[("E0107", "FileTooLarge"), ("E0204", "ImportCycle"), ("E0206", "TooManyFiles"), ("E0409", "UnknownOverride")];
/// Where these tests are.
const TESTS: &[&str] = &["lang/tests", "tests/tests", "snnc/tests"];
const REFERENCE: &str = "docs/language.md";

/// The codes that a text mentions: a letter and four digits that stand by themselves.
fn mentioned(text: &str) -> BTreeSet<&str> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let candidate = |(at, _): (usize, char)| {
        let code = text.get(at..at + 5)?;
        let is_free = !text[..at].ends_with(is_word) && !text[at + 5..].starts_with(is_word);
        (is_free && code[1..].bytes().all(|byte| byte.is_ascii_digit())).then_some(code)
    };
    text.char_indices().filter(|(_, letter)| matches!(letter, 'E' | 'W')).filter_map(candidate).collect()
}

/// Codes that a text lacks, and what it says in place of codes.
fn gaps(place: &str, said: &BTreeSet<&str>, codes: &BTreeSet<&str>) -> Vec<String> {
    let lacking = codes.difference(said).map(|code| format!("{place} lacks {code}"));
    lacking.chain(said.difference(codes).map(|code| format!("{place}: there is no code {code}"))).collect()
}

fn expectations(files: &[File]) -> Vec<&File> {
    files.iter().filter(|file| file.is_under(UI) && file.has_extension("txt")).collect()
}

/// Programs without expectation and expectations without program.
fn unpaired(files: &[File]) -> Vec<String> {
    let paths = |extension: &str| -> BTreeSet<&str> {
        let own = files.iter().filter(|file| file.is_under(UI) && file.has_extension(extension));
        own.map(|file| file.path.rsplit_once('.').map_or("", |(path, _)| path)).collect()
    };
    let (programs, expected) = (paths("snn"), paths("txt"));
    let is_imported = |path: &&&str| path.contains("/imported/");
    let lonely =
        programs.difference(&expected).filter(|path| !is_imported(path)).map(|path| format!("{path}.snn has no .txt"));
    lonely.chain(expected.difference(&programs).map(|path| format!("{path}.txt has no .snn"))).collect()
}

/// Codes that the compiler never reports.
fn unused(files: &[File], codes: &[(&str, String)]) -> Vec<String> {
    let sources: Vec<&File> =
        files.iter().filter(|file| file.is_under("lang/src") && file.path != "lang/src/codes.rs").collect();
    let is_used = |name: &str| sources.iter().any(|file| !words(&file.text, &format!("Code::{name}")).is_empty());
    codes
        .iter()
        .filter(|(_, name)| !is_used(name))
        .map(|(code, name)| format!("{code} {name} is never reported"))
        .collect()
}

/// Those of some codes that a test names, in either spelling.
fn shown_by_tests<'a>(files: &[File], codes: &[(&'a str, &str)]) -> BTreeSet<&'a str> {
    let is_test = |file: &&File| TESTS.iter().any(|folder| file.is_under(folder)) && !file.is_under("tests/tests/tidy");
    let tests: Vec<&File> = files.iter().filter(is_test).collect();
    let names = |file: &&&File, code: &str, name: &str| {
        !words(&file.text, code).is_empty() || !words(&file.text, &format!("Code::{name}")).is_empty()
    };
    let is_shown = |(code, name): &&(&str, &str)| tests.iter().any(|file| names(&file, code, name));
    codes.iter().filter(is_shown).map(|(code, _)| *code).collect()
}

fn all_codes() -> BTreeSet<&'static str> {
    Code::ALL.iter().map(|code| code.as_str()).collect()
}

#[test]
fn codes_are_unique_and_explained() {
    assert_eq!(all_codes().len(), Code::ALL.len());
    assert!(Code::ALL.iter().all(|code| !code.explanation().is_empty()));
}

#[test]
fn every_code_is_reported_somewhere() {
    let codes: Vec<(&str, String)> = Code::ALL.iter().map(|code| (code.as_str(), format!("{code:?}"))).collect();
    assert_none("codes that nothing reports", &unused(&FILES, &codes));
}

#[test]
fn every_code_stands_in_the_reference() {
    assert_none("the reference", &gaps(REFERENCE, &mentioned(text(REFERENCE)), &all_codes()));
}

#[test]
fn every_code_is_shown_by_a_ui_test() {
    let expectations = expectations(&FILES);
    let mut said: BTreeSet<&str> = expectations.iter().flat_map(|file| mentioned(&file.text)).collect();
    said.extend(shown_by_tests(&FILES, SHOWN_BY_TESTS));
    assert_none("the UI tests", &gaps(UI, &said, &all_codes()));
    assert_none("UI tests that are not whole", &unpaired(&FILES));
}

#[test]
fn the_rules_can_fail() {
    let said = mentioned("error[E0101]: x\n`W0702` E01 XE0103 E01044 W0705\u{2014}, E0999");
    assert_eq!(said.iter().copied().collect::<Vec<_>>(), ["E0101", "E0999", "W0702", "W0705"]);
    let codes = BTreeSet::from(["E0101", "E0102", "W0702", "W0705"]);
    assert_eq!(gaps("here", &said, &codes), ["here lacks E0102", "here: there is no code E0999"]);
    let files = [
        File::planted("tests/ui/a.snn", ""),
        File::planted("tests/ui/names/b.snn", ""),
        File::planted("tests/ui/names/b.txt", "E0101"),
        File::planted("tests/ui/c.txt", "E0102"),
        File::planted("lang/src/codes.rs", "Code::BadTime"),
        File::planted("lang/tests/large.rs", "Code::FileTooLarge"),
        File::planted("tests/tests/tidy/diagnostics.rs", "E0204"),
        File::planted("lang/src/parse.rs", "Code::BadTimes Code::BadNumber"),
    ];
    assert_eq!(expectations(&files).len(), 2);
    assert_eq!(unpaired(&files), ["tests/ui/a.snn has no .txt", "tests/ui/c.txt has no .snn"]);
    assert_eq!(shown_by_tests(&files, SHOWN_BY_TESTS), BTreeSet::from(["E0107"]));
    let codes = [("E0502", "BadTime".to_owned()), ("E0102", "BadNumber".to_owned())];
    assert_eq!(unused(&files, &codes), ["E0502 BadTime is never reported"]);
}
