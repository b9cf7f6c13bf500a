//! The language reference is true: every example in `docs/language.md` does what the text around it says.
//!
//! A fence that opens with "snn" is a whole file and compiles without a message; with "snn,error" it is a whole file that
//! the compiler refuses; with "snn,fragment" it is part of one and is not compiled.

use std::path::Path;

use snn_lang::compile::{Options, compile};
use snn_lang::render::render_all;
use snn_lang::source::NoFiles;

struct Example {
    line: usize,
    kind: String,
    text: String,
}

fn examples(text: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut open: Option<Example> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                open = Some(Example { line: number + 1, kind: kind.trim().into(), text: String::new() })
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(example), None) => {
                example.text.push_str(line);
                example.text.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

#[test]
fn examples_of_the_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/language.md");
    let mut seen = 0;
    let mut wrong = Vec::new();
    for example in examples(&std::fs::read_to_string(path).unwrap()) {
        let refused = match example.kind.as_str() {
            "snn" => false,
            "snn,error" => true,
            _ => continue,
        };
        seen += 1;
        let name = format!("docs/language.md:{}", example.line);
        let compiled = compile(&NoFiles, &name, &example.text, &Options::default());
        if compiled.has_errors() != refused {
            let said = render_all(&compiled.diagnostics, &compiled.sources, false);
            wrong.push(format!("{name} should {}:\n{said}", if refused { "be refused" } else { "compile" }));
        }
    }
    assert!(seen >= 20, "only {seen} examples");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
