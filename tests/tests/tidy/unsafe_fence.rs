//! `unsafe` stands only where ARCHITECTURE.md fences it in, and always says why it is sound.
//!
//! Must never know what the code does.

use crate::crates::{Row, crate_table};
use crate::repository::{File, assert_none, rust_files, text};
use crate::rust_text::{Layers, layers, line_of, words};

/// `unsafe` outside of the fence.
fn outside_of_the_fence(files: &[&File], rows: &[Row]) -> Vec<String> {
    let fence: Vec<String> = rows.iter().flat_map(Row::unsafe_places).collect();
    let is_inside = |file: &File| fence.iter().any(|place| *place == file.path || file.is_under(place));
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| !is_inside(file)) {
        let code = layers(&file.text).code;
        problems.extend(words(&code, "unsafe").iter().map(|at| format!("{}:{}", file.path, line_of(&code, *at))));
    }
    problems
}

/// `unsafe` without an explanation: `SAFETY:` before a block or impl, a section `# Safety` before a function.
fn unexplained(files: &[&File]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        let Layers { code, comments } = layers(&file.text);
        for at in words(&code, "unsafe") {
            let rest = code[at + "unsafe".len()..].trim_start();
            // The type of a function calls nothing and promises nothing.
            if rest.split_once("fn").is_some_and(|(before, after)| is_abi(before) && after.starts_with('(')) {
                continue;
            }
            let is_function = ["fn ", "extern "].iter().any(|word| rest.starts_with(word));
            let explanation = if is_function { "# Safety" } else { "SAFETY:" };
            let line = line_of(&code, at);
            if !comment_before(&code, &comments, line).contains(explanation) {
                problems.push(format!("{}:{line}: no `{explanation}`", file.path));
            }
        }
    }
    problems
}

/// Whether this stands between `unsafe` and `fn`: nothing, or `extern` with a name of a calling convention.
fn is_abi(text: &str) -> bool {
    text.is_empty() || text.starts_with("extern ") && !text.contains([';', '{', '('])
}

/// The comments on a line and on the lines before it, as far back as the statement and its comments and attributes reach.
fn comment_before(code: &str, comments: &str, line: usize) -> String {
    let lines: Vec<(&str, &str)> =
        code.lines().map(str::trim).zip(comments.lines().map(str::trim)).take(line).collect();
    let mut found: Vec<&str> = Vec::new();
    for (i, (code, comment)) in lines.iter().enumerate().rev() {
        let is_this_statement = i + 1 == line || code.starts_with("#[") || !code.ends_with([';', '{', '}']);
        if !is_this_statement || code.is_empty() && comment.is_empty() {
            break;
        }
        found.push(comment);
    }
    found.reverse();
    found.join("\n")
}

#[test]
fn unsafe_code_stays_inside_the_fence() {
    let rows = crate_table(text("ARCHITECTURE.md"));
    assert_none("`unsafe` outside of the fence", &outside_of_the_fence(&rust_files(), &rows));
}

#[test]
fn unsafe_code_says_why_it_is_sound() {
    assert_none("unexplained `unsafe`", &unexplained(&rust_files()));
}

#[test]
fn the_rules_can_fail() {
    let rows = crate_table("| `jit` (snn-jit) | x | nothing | nothing | x | `call.rs`, `kernels/` |\n");
    let good = "//! A.\n#![deny(unsafe_code)]\nfn f() {\n    // SAFETY: why.\n    let x =\n        unsafe { g() };\n\
                \x20   // SAFETY: why.\n    #[rustfmt::skip]\n    unsafe { g() }\n}\n/// # Safety\n/// Never.\nunsafe fn g() {}\n\
                struct A(unsafe extern \"C\" fn(u32), unsafe fn());\n";
    let bad = "//! B.\n// SAFETY: too early.\n\nunsafe impl Send for A {}\nfn f() {\n    // SAFETY: why.\n    unsafe { g() };\n\
               \x20   unsafe { g() };\n}\nunsafe fn g() {}\n";
    let files = [
        File::planted("jit/src/call.rs", good),
        File::planted("jit/src/kernels/gemm.rs", bad),
        File::planted("jit/src/module.rs", "//! C. unsafe\nfn f() { unsafe {} }\n"),
        File::planted("graph/src/call.rs", "//! D.\n// SAFETY: no.\nunsafe impl Send for A {}\n"),
    ];
    let files: Vec<&File> = files.iter().collect();
    assert_eq!(outside_of_the_fence(&files, &rows), ["jit/src/module.rs:2", "graph/src/call.rs:3"]);
    let expected = [
        "jit/src/kernels/gemm.rs:4: no `SAFETY:`",
        "jit/src/kernels/gemm.rs:8: no `SAFETY:`",
        "jit/src/kernels/gemm.rs:10: no `# Safety`",
        "jit/src/module.rs:2: no `SAFETY:`",
    ];
    assert_eq!(unexplained(&files), expected);
}
