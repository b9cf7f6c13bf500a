//! What the grammar says to mistakes, and that nothing brings it down.

use snn_lang::codes::Code;
use snn_lang::diagnostic::{Diagnostic, nearest};
use snn_lang::lexer::{MAX_BYTES, MAX_HEIGHT};
use snn_lang::parse::{MAX_DIAGNOSTICS, parse_file};
use snn_lang::render::{render, render_all};
use snn_lang::source::{FileId, Files, NoFiles, Sources, Span};

const MODELS: [&str; 8] = [
    include_str!("../../examples/models/digits_mlp.snn"),
    include_str!("../../examples/models/exact_convnet.snn"),
    include_str!("../../examples/models/exact_fashion.snn"),
    include_str!("../../examples/models/exact_multispike.snn"),
    include_str!("../../examples/models/neunorm_cifarnet.snn"),
    include_str!("../../examples/models/noise_single_step.snn"),
    include_str!("../../examples/models/recurrent_spoken_digits.snn"),
    include_str!("../../examples/models/tdbn_resnet19.snn"),
];

fn diagnose(text: &str) -> (Vec<Diagnostic>, String) {
    let mut sources = Sources::new();
    let id = sources.add("test.snn", text);
    let (_, diagnostics) = parse_file(id, text);
    let shown = render_all(&diagnostics, &sources, false);
    (diagnostics, shown)
}

/// Each mistake, and words that its one diagnostic must hold; `@` marks the text under the primary label.
const MISTAKES: &[(&str, &[&str])] = &[
    ("test \"t\" {\n expect a = b\n}", &["@=", "`=` does not compare", "`==`"]),
    ("nueron LIF()(x) { x }", &["@nueron", "E0108", "did you mean `neuron`?"]),
    ("hello world", &["@hello", "E0108", "a declaration begins with one of"]),
    ("fn f(x) = g(tau: 2.0)", &["@:", "`tau` is given with `=`"]),
    ("neuron N(tau: 2.0)(x) { x }", &["@:", "`tau` is given with `=`"]),
    ("train M {\n lr: 3\n}", &["@:", "`lr` is given with `=`"]),
    ("fn f(x) = x;", &["@;", "no `;`", "ends with its line"]),
    ("# note\nfn f(x) = x", &["@# note", "a comment begins with `//`"]),
    ("model M {\n Conv2d(3) LIF()\n}", &["@LIF", "E0112", "side by side", "`->`"]),
    ("fn f(x) = g(a b)", &["@b", "E0112", "is a `,` missing"]),
    ("neuron N(tau = 2)(x) {\n stat v = 0\n x\n}", &["@stat", "did you mean `state v = 0.0`?"]),
    ("neuron N(tau = 2)(x) {\n spike v >= 1 { v = 0 }\n}", &["@spike", "`spike when v >= v_th { v -= v_th }`"]),
    ("neuron N(tau = 2)(x) {\n return x\n}", &["@return", "the last expression of a body is its value"]),
    ("neuron N(tau = 2)(x) {\n v = 3\n x\n}", &["@=", "nothing is assigned twice", "`let v = ...`", "`next v = ...`"]),
    ("neuron N(tau = 2)(x) {\n v += 3\n x\n}", &["@+=", "only inside `on` and `spike when`"]),
    ("neuron N(x) {\n x\n}", &["E0111", "no list of signals", "two lists"]),
    ("neuron N {\n x\n}", &["E0111", "no list of settings and signals"]),
    ("neuron N()(x = 1) {\n x\n}", &["@1", "the signal `x` has a value"]),
    ("fn f(x) = x ** 2", &["@*", "`x^2`"]),
    ("fn f(x) = 'abc'", &["between two `\""]),
    ("fn f(x) = .5", &["@.", "`0.5`"]),
    ("fn f(x) = x.relu()", &["@.", "`relu(x)`"]),
    ("fn f(x) = a < x < b", &["@<", "comparisons do not chain"]),
    ("model M {\n -> Linear(3)\n}", &["@->", "nothing before it"]),
    ("neuron N()(x) {\n let u == x\n u\n}", &["@==", "`==` compares"]),
    ("neuron N()(x) {\n let in = x\n x\n}", &["@in", "E0113", "reserved"]),
    ("neuron N()(x) {\n state v\n x\n}", &["expected", "`=`", "`state v = 0.0`"]),
    ("model M {\n input image [3, 32]\n x\n}", &["@[", "expected `:`", "`input image: [3, 32, 32]`"]),
    ("model M {\n let a =\n let b = 2\n b\n}", &["expected an expression"]),
    ("fn f(x) = x +\nfn g(x) = x", &["expected an expression"]),
    ("model M {\n let a =\n}", &["expected an expression"]),
    ("model M {\n let a = (1 + 2\n let b = 3\n b\n}", &["@(", "E0105", "never closed", "new statement"]),
    ("model M {\n let a = f([1, 2)\n a\n}", &["@[", "E0105", "`[` is never closed"]),
    ("model M {\n let a = [1, 2)\n a\n}", &["@)", "E0105", "`[` is closed by `)`"]),
    ("model M {\n x\n}\n}", &["@}", "E0105", "closes nothing"]),
    ("model M {\n x\nmodel N {\n x\n}", &["@{", "E0105", "a new declaration begins here"]),
    ("model M {\n x", &["@{", "E0105", "the file ends here"]),
    ("model M {\n fn f(x) = x\n x\n}", &["@fn", "cannot stand inside another declaration"]),
    ("fn f(x) = \"abc", &["@\"abc", "E0103", "not closed"]),
    ("fn f(x) = \"a\\qb\"", &["@\\", "E0103", "escape"]),
    ("fn f(x) = 20mss", &["@20mss", "E0102", "did you mean `20ms`?"]),
    ("fn f(x) = 3x", &["@3x", "E0102", "`3 * x`"]),
    ("fn f(x) = 1e999", &["@1e999", "E0102", "too large"]),
    ("fn f(x) = 1e999s", &["@1e999s", "E0102", "too large"]),
    ("fn f(x) = 5µs", &["@µ", "E0101", "`us`"]),
    ("fn f(x) = τ + x", &["@τ", "E0101", "ASCII"]),
    ("fn f(x) = x % 2", &["@%", "E0101", "remainder"]),
    ("fn f(x) = x\nedition 1", &["@edition 1", "E0110", "before everything else"]),
    ("edition 7", &["@edition 7", "E0110", "only edition"]),
    ("layer L()(x) {\n state v = 0\n x\n}", &["@state v = 0", "E0109", "a neuron or a block or a model"]),
    ("layer L()(x) {\n v' = x\n x\n}", &["E0109", "an equation cannot stand in a layer"]),
    ("block B()(x) {\n let y = x\n}", &["@}", "E0109", "the body of a block has no value"]),
    ("block B()(x) {\n x -> A()\n x\n}", &["@x -> A()", "goes nowhere"]),
    ("block B()(x) {\n if a { let y = 1 } else { x }\n}", &["the body of an `if` has no value"]),
    ("test \"t\" {\n a\n}", &["@a", "claim something with `expect`"]),
    ("fn f(x) = x\n/// nothing", &["@/// nothing", "W0701"]),
    ("fn f(x) = x /// late", &["@/// late", "W0701"]),
    ("block B()(x) {\n else { x }\n}", &["belongs to no `if`"]),
    ("let x = 3", &["@let", "E0108", "inside the braces"]),
    ("use std.neurons { LIF PLIF }", &["@PLIF", "expected", "`,`"]),
    ("use std.neurons", &["expected", "`{`"]),
    ("model M { x } model N { x }", &["@model", "beginning its own line"]),
    ("neuron N(tau = 2 in (0 1))(x) { x }", &["@1"]),
    ("test \"t\" {\n check a == b\n}", &["@check", "`expect out == [0, 1]`"]),
];

#[test]
fn each_mistake_has_one_diagnostic_in_plain_words() {
    let mut failures = Vec::new();
    for (text, wanted) in MISTAKES {
        let (diagnostics, shown) = diagnose(text);
        let place = diagnostics.first().and_then(Diagnostic::span);
        let under = place.and_then(|span| text.get(span.start as usize..span.end as usize)).unwrap_or_default();
        let fits = |word: &&str| word.strip_prefix('@').map_or(shown.contains(*word), |marked| marked == under);
        let missing: Vec<&&str> = wanted.iter().filter(|word| !fits(word)).collect();
        if diagnostics.len() != 1 || !missing.is_empty() {
            failures.push(format!(
                "{text}\n-- {} diagnostics, missing {missing:?}, under {under:?}\n{shown}",
                diagnostics.len()
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n====\n"));
}

#[test]
fn independent_errors_come_out_in_one_run() {
    let text = "
neuron A()(x) {
    let a = = 1
    state v = 0
    let b = (1 + 2
    next v 3
    x
}
nueron B()(x) { x }
model M {
    input image 3
    let skip = if a {
        let c = 1 2
        c
    } else {
        let d = 3 x y
        d
    }
    image -> -> f()
}
train M {
    epochs 3
    lr = = 1
    seed = 1
}
test \"t\" { expect a = b }
";
    let (diagnostics, shown) = diagnose(text);
    let lines: Vec<usize> = diagnostics
        .iter()
        .filter_map(Diagnostic::span)
        .map(|span| text[..span.start as usize].matches('\n').count() + 1)
        .collect();
    assert_eq!(lines, [3, 5, 6, 9, 11, 13, 16, 19, 22, 23, 26], "{shown}");
}

#[test]
fn what_is_right_survives_what_is_wrong() {
    let text = "model M {\n let a = = 1\n let b = 2\n b\n}\nfn f(x) = )\nfn g(x) = x";
    let (file, diagnostics) = parse_file(FileId(0), text);
    assert!(diagnostics.len() == 2, "{diagnostics:?}");
    let kept: Vec<(&str, bool)> = file.decls.iter().map(|decl| (decl.name().as_str(), decl.broken)).collect();
    assert_eq!(kept, [("M", true), ("g", false)]);
}

#[test]
fn depth_is_bounded_and_length_is_not() {
    let many = 20_000;
    let deep = [
        format!("fn f(x) = {}x{}", "(".repeat(many), ")".repeat(many)),
        format!("fn f(x) = {}x", "(".repeat(many)),
        format!("fn f(x) = {}x", "-".repeat(many)),
        format!("fn f(x) = x{}", "^x".repeat(many)),
        format!("fn f(x) = x{}", " + x".repeat(many)),
        format!("fn f(x) = f{}", "(x)".repeat(many)),
        format!("fn f(x) = {}", "f(".repeat(many)),
        format!("fn f(x) = {}", "if a { ".repeat(many)),
        format!("fn f(x) = if a {{ b }} {}", "else if a { b } ".repeat(many)),
        format!("fn f(x) = {}1{}", "(1 + (1 * -".repeat(many), "))".repeat(many)),
    ];
    for text in &deep {
        let (diagnostics, _) = diagnose(text);
        assert!(diagnostics.iter().any(|it| it.code == Code::TooDeep), "{}", &text[..40]);
    }
    let long = [
        format!("model M {{\n x{}\n}}", "\n -> f(1, [2])".repeat(many)),
        format!("fn f(x) = [{}]", "1 + 2, ".repeat(many)),
        format!("fn f(x) = g({})", "a = [1], ".repeat(many)),
        format!("block B()(x) {{\n{} x\n}}", "let a = (1 + 2)\n".repeat(many)),
        format!("fn f(x) = {}x{}", "(".repeat(MAX_HEIGHT / 2), ")".repeat(MAX_HEIGHT / 2)),
        format!("fn f(x) = x{}", " + x".repeat(MAX_HEIGHT - 2)),
    ];
    for text in &long {
        let (diagnostics, shown) = diagnose(text);
        assert!(diagnostics.is_empty(), "{}", &shown[..shown.len().min(2000)]);
    }
}

#[test]
fn size_and_number_of_messages_are_bounded() {
    let (diagnostics, _) = diagnose(&" ".repeat(MAX_BYTES + 1));
    assert_eq!(diagnostics.iter().map(|it| it.code).collect::<Vec<_>>(), [Code::FileTooLarge]);
    let (diagnostics, _) = diagnose(&"fn f(x) = )\n".repeat(1000));
    assert_eq!(diagnostics.len(), MAX_DIAGNOSTICS + 1);
    assert_eq!(diagnostics.last().map(|it| it.code), Some(Code::TooManyErrors));
}

/// Texts of nothing but one thing, on which a careless pass would take forever or all memory.
#[test]
fn no_monotonous_text_takes_forever() {
    for piece in [
        ";",
        "#",
        "%a",
        "(",
        ")",
        "([",
        "(]",
        "{",
        "}",
        "{(",
        ")]}",
        "\"",
        "'",
        "a",
        "a ",
        "a\n",
        "fn f(x) = )\n",
        "///\n",
        "//\n",
        "edition 1\n",
        "use a.b {}\n",
        "model",
        "model M {\n",
        "let a =\n",
        "if ",
        "->",
        "x -> ",
        "1",
        "1 ",
        "1e",
        "..",
        ",",
        "µ",
    ] {
        let count = MAX_BYTES / 4 / piece.len();
        for text in [piece.repeat(count), format!("test \"t\" {{\n{}\n}}", piece.repeat(count))] {
            let mut sources = Sources::new();
            let id = sources.add("long.snn", text.as_str());
            let (_, diagnostics) = parse_file(id, &text);
            assert!(diagnostics.len() <= MAX_DIAGNOSTICS + 1, "{piece:?}");
        }
    }
}

/// A small linear congruential generator, so that every run tries the same texts.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % bound.max(1)
    }
}

#[test]
fn no_broken_text_brings_the_parser_down() {
    let snippets = [
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "\n",
        " ",
        "->",
        "=",
        "'",
        "\"",
        "//",
        "///",
        "#",
        ";",
        "if ",
        "else",
        "for ",
        "let ",
        "spike when ",
        "model ",
        "in ",
        "..",
        "µ",
        "1e",
        "20ms",
        "\\",
        "as ",
        "^",
        "\u{2028}",
        "\r",
    ];
    let mut chance = Chance(7);
    for round in 0..3000 {
        let mut text = MODELS[chance.below(MODELS.len())].as_bytes().to_vec();
        for _ in 0..=chance.below(6) {
            let at = chance.below(text.len());
            match chance.below(4) {
                0 => drop(text.drain(at..(at + 1 + chance.below(12)).min(text.len()))),
                1 => {
                    let piece = text[at..(at + 1 + chance.below(40)).min(text.len())].to_vec();
                    drop(text.splice(at..at, piece));
                }
                2 => drop(text.splice(at..at, snippets[chance.below(snippets.len())].bytes())),
                _ => text.truncate(at.max(1)),
            }
        }
        let text = String::from_utf8_lossy(&text);
        let mut sources = Sources::new();
        let id = sources.add("fuzz.snn", text.as_ref());
        let (file, diagnostics) = parse_file(id, &text);
        let broken = file.decls.iter().any(|decl| decl.broken);
        assert!(!broken || diagnostics.iter().any(Diagnostic::is_error), "a silent error in\n{text}");
        for span in diagnostics.iter().flat_map(|it| &it.labels).map(|label| label.span) {
            assert!(span.start <= span.end && span.end as usize <= text.len(), "{span:?} in\n{text}");
        }
        if round % 10 == 0 {
            let _ = (render_all(&diagnostics, &sources, true), snn_lang::ast_print::print_file(&file));
        }
    }
}

#[test]
fn any_span_can_be_drawn() {
    for text in ["", "\n", "a", "äöü\n→ x\r\n\ty\u{2028}z", "a\r", "\r\n\r\n"] {
        let mut sources = Sources::new();
        let (first, second) = (sources.add("a.snn", text), sources.add("a.snn", "other\ntext"));
        for (start, end) in (0..20).flat_map(|start| (0..20).map(move |end| (start, end))) {
            for file in [first, second, FileId(9)] {
                let span = Span { file, start, end };
                let diagnostic = Diagnostic::error(Code::UnexpectedToken, "what is wrong")
                    .at(span, "here")
                    .because(Span::new(first, 1, 2), "")
                    .because(Span::new(second, 0, u32::MAX), "there")
                    .note("a fact")
                    .help("what to do");
                let shown = render(&diagnostic, &sources, start % 2 == 0);
                assert!(shown.contains("what is wrong") && shown.contains("what to do") && shown.contains("a fact"));
            }
        }
    }
}

#[test]
fn a_diagnostic_is_drawn_with_every_place() {
    let mut sources = Sources::new();
    let first = sources.add("a.snn", "let x = 1\nlet y = x");
    let second = sources.add("b.snn", "fn f(x) = x");
    let diagnostic = Diagnostic::warning(Code::UnattachedDoc, "these two disagree")
        .at(Span::new(first, 4, 5), "this one")
        .because(Span::new(second, 3, 4), "and that one")
        .note("they are far apart")
        .help("bring them together");
    insta::assert_snapshot!(render(&diagnostic, &sources, false));
}

#[test]
fn a_text_on_one_endless_line_is_not_drawn() {
    let (diagnostics, shown) = diagnose(&format!("fn f(x) = g({}) x", "1, ".repeat(10_000)));
    assert_eq!(diagnostics.len(), 1);
    assert!(shown.len() < 500 && shown.contains("test.snn:1:30015: the second begins here"), "{shown}");
}

#[test]
fn codes_are_unique_and_sorted() {
    let texts: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let mut sorted = texts.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(texts, sorted);
    assert!(Code::ALL.iter().all(|code| !code.explanation().is_empty()));
}

#[test]
fn the_nearest_name_is_found_or_none() {
    assert_eq!(nearest("nueron", ["neuron", "layer"]), Some("neuron"));
    assert_eq!(nearest("LiF", ["LIF", "PLIF"]), Some("LIF"));
    assert_eq!(nearest("banana", ["neuron", "layer"]), None);
    assert_eq!(nearest("", ["neuron"]), None);
    assert!(NoFiles.read("a.snn", "b.snn").is_err());
}
