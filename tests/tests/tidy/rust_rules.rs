//! Rules for every Rust file: its opening, its length, and what it may not say.
//!
//! Must never know the crates' edges (`crates`) nor where `unsafe` may stand (`unsafe_fence`).

use std::collections::BTreeSet;

use crate::repository::{File, assert_none, rust_files};
use crate::rust_text::{attributes, layers, line_of, without_tests, words};

/// The most lines of a file.
const MAX_LINES: usize = 500;

/// Folders whose code meets what users write.
const LIBRARIES: &[&str] =
    &["loops/src", "graph/src", "stdlib/src", "lang/src", "jit/src", "cuda/src", "runtime/src", "snnc/src"];
/// Where the terminal is.
const MAY_PRINT: &str = "snnc/src/commands";
/// Calls that end the program instead of explaining.
const PANICKING_CALLS: &[&str] = &[".unwrap()", ".unwrap_err()", "process::abort("];
/// Calls that do if they are given a message: a parser may `expect` a byte.
const PANICKING_WITH_MESSAGE: &[&str] = &[".expect(", ".expect_err("];
/// Macros that do.
const PANICKING_MACROS: &[&str] = &["panic", "unreachable"];
const ASSERTIONS: &[&str] = &["assert", "assert_eq", "assert_ne"];
/// Where lengths are asserted before pointers are used: what the caller promised there, no user can break.
const MAY_ASSERT: &str = "jit/src/kernels";
/// Macros that print.
const PRINTING_MACROS: &[&str] = &["println", "print", "eprintln", "eprint", "dbg"];
/// Macros that stand for code that is not there.
const STUBS: &[&str] = &["todo", "unimplemented"];

/// The path of each file, if it breaks what `broken` says.
fn each(files: &[&File], broken: impl Fn(&File) -> Option<String>) -> Vec<String> {
    files.iter().filter_map(|file| broken(file).map(|what| format!("{}: {what}", file.path))).collect()
}

fn without_opening(files: &[&File]) -> Vec<String> {
    each(files, |file| (!file.text.starts_with("//! ")).then(|| "does not open with `//!`".to_owned()))
}

fn too_long(files: &[&File]) -> Vec<String> {
    each(files, |file| {
        let lines = file.text.lines().count();
        (lines > MAX_LINES).then(|| format!("{lines} lines"))
    })
}

fn stubs(files: &[&File]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        let code = layers(&file.text).code;
        macros(&code, STUBS, |line, name| problems.push(format!("{}:{line}: {name}!", file.path)));
        for attribute in attributes(&code).iter().filter(|attribute| !words(attribute.content, "ignore").is_empty()) {
            problems.push(format!("{}:{}: a test that is ignored", file.path, line_of(&code, attribute.begin)));
        }
    }
    problems
}

fn unexplained_allowances(files: &[&File]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        let code = layers(&file.text).code;
        for attribute in attributes(&code) {
            let silences = ["allow", "expect"].iter().any(|word| !words(attribute.content, word).is_empty());
            let is_lint = silences && attribute.content.contains('(');
            if is_lint && words(attribute.content, "reason").is_empty() {
                let line = line_of(&code, attribute.begin);
                problems.push(format!("{}:{line}: #[{}] without a reason", file.path, attribute.content));
            }
        }
    }
    problems
}

/// Panics and prints in libraries, outside of tests.
fn panics_and_prints(files: &[&File]) -> Vec<String> {
    let tests = test_files(files);
    let is_library = |file: &File| LIBRARIES.iter().any(|folder| file.is_under(folder));
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| is_library(file) && !is_test_file(file, &tests)) {
        let (code, _) = without_tests(&layers(&file.text).code);
        let mut found = |line: usize, what: &str| problems.push(format!("{}:{line}: {what}", file.path));
        for call in PANICKING_CALLS {
            code.match_indices(call).for_each(|(at, _)| found(line_of(&code, at), call));
        }
        for call in PANICKING_WITH_MESSAGE {
            let has_message = |at: usize| file.text[at + call.len()..].trim_start().starts_with(['"', '&']);
            code.match_indices(call)
                .filter(|(at, _)| has_message(*at))
                .for_each(|(at, _)| found(line_of(&code, at), call));
        }
        macros(&code, PANICKING_MACROS, &mut found);
        if !file.is_under(MAY_ASSERT) {
            macros(&code, ASSERTIONS, &mut found);
        }
        if !file.is_under(MAY_PRINT) {
            macros(&code, PRINTING_MACROS, &mut found);
        }
    }
    problems
}

fn macros(code: &str, names: &[&str], mut found: impl FnMut(usize, &str)) {
    for name in names {
        for at in words(code, name).into_iter().filter(|at| code[at + name.len()..].starts_with('!')) {
            found(line_of(code, at), name);
        }
    }
}

/// Paths, without extension, of modules that only tests compile.
fn test_files(files: &[&File]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files {
        let (_, modules) = without_tests(&layers(&file.text).code);
        let own = file.path.trim_end_matches(".rs");
        let is_root = matches!(file.stem(), "lib" | "main" | "mod");
        let folder = if is_root { own.rsplit_once('/').map_or("", |(folder, _)| folder) } else { own };
        found.extend(modules.iter().map(|module| format!("{folder}/{module}")));
    }
    found
}

fn is_test_file(file: &File, tests: &BTreeSet<String>) -> bool {
    tests
        .iter()
        .any(|test| file.path.strip_prefix(test.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/')))
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    assert_none("files that do not say what they are for", &without_opening(&rust_files()));
}

#[test]
fn no_file_is_longer_than_can_be_kept_in_mind() {
    assert_none("files to be split by concept", &too_long(&rust_files()));
}

#[test]
fn nothing_is_stubbed_or_ignored() {
    assert_none("stubs and ignored tests", &stubs(&rust_files()));
}

#[test]
fn allowances_have_reasons() {
    assert_none("lints that are silenced without a reason", &unexplained_allowances(&rust_files()));
}

#[test]
fn users_mistakes_never_end_in_a_panic_and_libraries_never_print() {
    assert_none("panics and prints in libraries", &panics_and_prints(&rust_files()));
}

#[test]
fn the_rules_can_fail() {
    let planted = |path: &str, text: &str| File::planted(path, text);
    let files = [
        planted(
            "graph/src/a.rs",
            "//! A.\nfn f() { x.unwrap(); p.expect(b'{'); panic!(\"\") }\n#[cfg(test)]\nmod tests;\n",
        ),
        planted("graph/src/a/tests.rs", "//! T.\nfn f() { x.unwrap(); }\n"),
        planted("graph/tests/b.rs", "//! B.\n#[test]\n#[ignore = \"slow\"]\nfn f() { x.unwrap(); todo!() }\n"),
        planted("snnc/src/commands/run.rs", "//! M.\n#[allow(dead_code)]\nfn f() { println!(); x.expect(\"\") }\n"),
        planted(
            "jit/src/c.rs",
            "//! C.\n#![allow(dead_code, reason = \"why\")]\nfn f() { println!(); debug_assert!(true) }\n",
        ),
        planted("loops/src/d.rs", "// D.\n// x.unwrap() todo!()\n"),
        planted("loops/src/e.rs", &format!("//! E.\n{}", "\n".repeat(MAX_LINES))),
    ];
    let files: Vec<&File> = files.iter().collect();
    assert_eq!(without_opening(&files), ["loops/src/d.rs: does not open with `//!`"]);
    assert_eq!(too_long(&files), ["loops/src/e.rs: 501 lines"]);
    assert_eq!(stubs(&files), ["graph/tests/b.rs:4: todo!", "graph/tests/b.rs:3: a test that is ignored"]);
    assert_eq!(unexplained_allowances(&files), ["snnc/src/commands/run.rs:2: #[allow(dead_code)] without a reason"]);
    let expected = [
        "graph/src/a.rs:2: .unwrap()",
        "graph/src/a.rs:2: panic",
        "snnc/src/commands/run.rs:3: .expect(",
        "jit/src/c.rs:3: println",
    ];
    assert_eq!(panics_and_prints(&files), expected);
}
