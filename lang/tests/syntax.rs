//! The grammar as users meet it: what parses, and into which tree.
//!
//! Errors and their words are in `syntax_errors.rs`.

use snn_lang::ast::{DeclKind, File, StmtKind};
use snn_lang::ast_print::{dump_tokens, print_expr, print_file, print_stmt};
use snn_lang::diagnostic::Diagnostic;
use snn_lang::parse::{example, parse_file};
use snn_lang::render::render_all;
use snn_lang::source::Sources;
use snn_lang::token::{Keyword, KeywordClass};

const MODELS: [(&str, &str); 8] = [
    ("digits_mlp", include_str!("../../examples/models/digits_mlp.snn")),
    ("exact_convnet", include_str!("../../examples/models/exact_convnet.snn")),
    ("exact_fashion", include_str!("../../examples/models/exact_fashion.snn")),
    ("exact_multispike", include_str!("../../examples/models/exact_multispike.snn")),
    ("neunorm_cifarnet", include_str!("../../examples/models/neunorm_cifarnet.snn")),
    ("noise_single_step", include_str!("../../examples/models/noise_single_step.snn")),
    ("recurrent_spoken_digits", include_str!("../../examples/models/recurrent_spoken_digits.snn")),
    ("tdbn_resnet19", include_str!("../../examples/models/tdbn_resnet19.snn")),
];

fn parse(text: &str) -> (File, Vec<Diagnostic>, String) {
    let mut sources = Sources::new();
    let id = sources.add("test.snn", text);
    let (file, diagnostics) = parse_file(id, text);
    let shown = render_all(&diagnostics, &sources, false);
    (file, diagnostics, shown)
}

/// Parses what must be right.
fn right(text: &str) -> File {
    let (file, diagnostics, shown) = parse(text);
    assert!(diagnostics.is_empty(), "{text}\n{shown}");
    file
}

/// The statements of one body, printed, with the body in a block.
fn body(text: &str) -> Vec<String> {
    let file = right(&format!("test \"t\" {{\n{text}\n}}"));
    let Some(DeclKind::Test(test)) = file.decls.first().map(|decl| &decl.kind) else { panic!("no test") };
    test.body.stmts.iter().map(print_stmt).collect()
}

/// An expression, printed with every operator in brackets.
fn expr(text: &str) -> String {
    let file = right(&format!("fn f(x) = {text}"));
    match &file.decls.first().expect("a declaration").kind {
        DeclKind::Fn(function) => print_expr(&function.value),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_model_parses_without_a_word() {
    for (name, text) in MODELS {
        let file = right(text);
        assert!(file.decls.len() >= 2, "{name}");
        assert!(file.comments.first().is_some_and(|comment| comment.text.starts_with("// ")), "{name}");
    }
}

#[test]
fn a_model_keeps_its_parts() {
    let (_, text) = MODELS.iter().find(|(name, _)| *name == "tdbn_resnet19").unwrap();
    let file = right(text);
    let printed = print_file(&file);
    for line in [
        "use std.neurons { IterativeLIF }",
        "/// Basic block: two tdBN convolutions and a shortcut, each branch scaled by 1/sqrt(2), summed before the last neuron.",
        "block BasicBlock",
        "    setting neuron = IterativeLIF",
        "    signal x: [c, h, w]",
        "    let skip = if ((stride == 1) && (c == channels)) { x } else { (x -> Conv2d(channels, 1, stride = stride) -> TdBN(alpha = (1 / sqrt(2)))) }",
        "    ((main + skip) -> neuron())",
        "    time steps",
        "    augment = [random_crop(32, padding = 4), horizontal_flip()]",
    ] {
        assert!(printed.contains(&format!("{line}\n")), "no line {line:?} in\n{printed}");
    }
    assert!(
        printed
            .contains("-> lif() as stem -> (3 * BasicBlock(width, neuron = lif)) as stage1 -> BasicBlock((2 * width)")
    );
}

#[test]
fn operators_bind_as_documented() {
    for (text, grouped) in [
        ("1 + 2 * 3", "(1 + (2 * 3))"),
        ("1 - 2 - 3", "((1 - 2) - 3)"),
        ("a / b * c", "((a / b) * c)"),
        ("-x^2", "(-(x ^ 2))"),
        ("2^-3", "(2 ^ (-3))"),
        ("a^b^c", "(a ^ (b ^ c))"),
        ("2 * -x", "(2 * (-x))"),
        ("!a && b || c", "(((!a) && b) || c)"),
        ("a || b && c", "(a || (b && c))"),
        ("a + 1 < b * 2", "((a + 1) < (b * 2))"),
        ("a == b && c ~ d", "((a == b) && (c ~ d))"),
        ("a + b -> f()", "((a + b) -> f())"),
        ("x -> 3 * B(1) -> C()", "(x -> (3 * B(1)) -> C())"),
        ("(x -> A()) + (y -> B()) -> C()", "(((x -> A()) + (y -> B())) -> C())"),
        ("LIF(tau = 2.0)(x)", "LIF(tau = 2)(x)"),
        ("f(x)(y)^2", "(f(x)(y) ^ 2)"),
        ("mean(x -> A(), over = [time, batch, ..])", "mean((x -> A()), over = [time, batch, ..])"),
        ("[[1.5, 2], []]", "[[1.5, 2], []]"),
        ("A() as a -> B() -> C() as b", "(A() as a -> B() -> C() as b)"),
        ("if a { b } else if c { d } else { e }", "if a { b } else { if c { d } else { e } }"),
        ("for c in [64, 128] { A(c) -> B() }", "for c in [64, 128] { (A(c) -> B()) }"),
        ("x -> if training { A() } else { B() } -> C()", "(x -> if training { A() } else { B() } -> C())"),
        ("20ms + 1us - 3ns * 2s", "((0.02s + 1e-6s) - (3e-9s * 2.0s))"),
        ("0.5ms / 1e1ms", "(0.0005s / 0.01s)"),
        (r#"f("a\"b\\c\n", true, false)"#, r#"f("a\"b\\c\n", true, false)"#),
        ("f(a, b,)", "f(a, b)"),
    ] {
        assert_eq!(expr(text), grouped, "{text}");
    }
}

#[test]
fn a_statement_ends_with_its_line_unless_it_goes_on() {
    for (text, statements) in [
        ("let a = 1\nlet b = 2", vec!["let a = 1", "let b = 2"]),
        ("let a = 1 +\n  2", vec!["let a = (1 + 2)"]),
        ("let a =\n  2", vec!["let a = 2"]),
        ("let a = x\n  -> f()\n  -> g()\nlet b = a", vec!["let a = (x -> f() -> g())", "let b = a"]),
        ("let a = x ->\n f()", vec!["let a = (x -> f())"]),
        ("let a = A()\n  as first\n -> B()", vec!["let a = (A() as first -> B())"]),
        ("let a = f(1,\n\n 2\n)", vec!["let a = f(1, 2)"]),
        ("let a = [1,\n 2]", vec!["let a = [1, 2]"]),
        ("let a = x // why\n  // more\n\n  -> f() // end\nlet b = 1", vec!["let a = (x -> f())", "let b = 1"]),
        ("let a = if b { c }\n  else { d }", vec!["let a = if b { c } else { d }"]),
        ("let a = if b {\n c\n} else {\n d\n}", vec!["let a = if b { c } else { d }"]),
        ("let a = f(if b {\n let c = 1\n c\n} else { d })", vec!["let a = f(if b { let c = 1; c } else { d })"]),
        ("let a = 1\r\nlet b = 2\rlet c = 3", vec!["let a = 1", "let b = 2", "let c = 3"]),
        ("\n\n\tlet a = 1\n\n\n", vec!["let a = 1"]),
        ("expect a\n  == b", vec!["expect a", "BREAK"]),
    ] {
        if statements.contains(&"BREAK") {
            let (_, diagnostics, _) = parse(&format!("test \"t\" {{\n{text}\n}}"));
            assert!(!diagnostics.is_empty(), "an operator may not begin a line: {text}");
        } else {
            assert_eq!(body(text), statements, "{text}");
        }
    }
}

#[test]
fn words_are_keywords_only_where_something_begins() {
    for word in Keyword::ALL.iter().filter(|word| word.class() != KeywordClass::Reserved).map(|word| word.as_str()) {
        right(&format!("train M {{\n {word} = 1\n b = {word}\n}}"));
        right(&format!("neuron N({word} = 1)(x) {{\n let {word} = x\n {word}\n}}"));
        right(&format!("block N(n)(x) {{\n x -> {word}() -> F({word} = {word}) as {word}\n}}"));
        // A bracket after `expect`, `require` and `time` may open what they claim: only there a name of a call loses.
        let called = if matches!(word, "expect" | "require" | "time") { "f" } else { word };
        right(&format!("block N(n)({word}: [{word}]) {{\n let y = {word} + 1\n {called}(x, over = {word})(y)\n}}"));
        right(&format!("fn {word}(x) = {word}\n{}", "use a.b { c }"));
        right(&format!("use std.{word} {{ {word}, a as {word} }}"));
        right(&format!("block N(n)(x) {{\n state {word} = 0\n next {word} = {word}\n {word} * 2\n}}"));
    }
}

#[test]
fn statements_of_every_kind() {
    let file = right(
        "neuron N(tau = 20ms in (0, inf), a = 0.5 in [0, 1), b: string = \"x\")(x, y: [2 * c, ..]) {
    param p
    param q: [time]
    param w: [channel] = 0.0
    param z: [..] ~ normal(0, 1)
    param k ~ uniform(-1, 1)
    state v = 0.0, i: [n] = 1
    require a < 1, \"why\"
    require tau > 0
    let u = v
    next v = u
    v' = (i - v) / tau
    on x { i += x }
    on y {
        i -= 2 * y
        v *= 0.5
        v = 0
    }
    spike when v >= v_th { v -= v_th, i = 0 }
    v
}
model M {
    input a: [1, 8, 8]
    input b: frames[2, 128]
    input c: spikes[700]
    time 100 of 10ms
    a
}
model M2() {
    time 200ms
    x
}
test training \"t\" {
    expect a ~ b within 1e-3
    expect -a == (b)
}
extern dataset cifar10(path: string = \"data\") {
    /// pixels
    image: [3, 32, 32], label: class(10)
    events: spikes[700]
}
extern init kaiming_normal(fan_in)
surrogate s(a = 1)(x) = a * x
    primitive a * x^2 / 2
surrogate t()(x) = x primitive x",
    );
    insta::assert_snapshot!(print_file(&file));
}

#[test]
fn a_file_begins_with_its_edition() {
    let file = right("\u{feff}// first\nedition 1\nuse \"mine.snn\" { A as B }\n");
    assert_eq!(file.edition.map(|edition| edition.number), Some(1));
    assert_eq!(print_file(&file), "edition 1\nuse \"mine.snn\" { A as B }\n");
    assert!(right("").decls.is_empty());
    assert!(right("\n// nothing\n").decls.is_empty());
}

#[test]
fn comments_and_documentation_survive() {
    let file = right(
        "// own line
/// What it is,
///   indented.
neuron N(
    /// membrane time constant
    tau = 2.0, // trailing
    v_th = 1.0,
)(x) {
    /// the potential
    state v = 0.0
    //// no documentation
    x
}
train N {
    /// how long
    epochs = 3
}",
    );
    let decl = file.decls.first().expect("a declaration");
    assert_eq!(decl.doc.as_ref().map(|doc| doc.text.as_str()), Some("What it is,\n  indented."));
    let DeclKind::Unit(unit) = &decl.kind else { panic!("{decl:?}") };
    let doc_of = |at: usize| unit.settings.get(at).and_then(|setting| setting.doc.as_ref()).map(|doc| doc.text.clone());
    assert_eq!(doc_of(0).as_deref(), Some("membrane time constant"));
    assert_eq!(doc_of(1), None);
    let first = unit.body.stmts.first().expect("a statement");
    assert_eq!(first.doc.as_ref().map(|doc| doc.text.as_str()), Some("the potential"));
    let Some(DeclKind::Train(train)) = file.decls.get(1).map(|decl| &decl.kind) else { panic!("no train") };
    assert!(train.entries.first().is_some_and(|entry| entry.doc.is_some()));
    let comments: Vec<(&str, bool)> =
        file.comments.iter().map(|comment| (comment.text.as_str(), comment.trailing)).collect();
    assert_eq!(comments, [("// own line", false), ("// trailing", true), ("//// no documentation", false)]);
}

#[test]
fn every_node_knows_its_place() {
    let text = "model M {\n    let a = f(x, k = 2) -> g()\n    a\n}";
    let mut sources = Sources::new();
    let id = sources.add("m.snn", text);
    let (file, _) = parse_file(id, text);
    let decl = file.decls.first().expect("a declaration");
    assert_eq!(sources.slice(decl.span), text);
    assert_eq!(sources.slice(decl.name().span), "M");
    let DeclKind::Model(model) = &decl.kind else { panic!("{decl:?}") };
    let first = model.body.stmts.first().expect("a statement");
    assert_eq!(sources.slice(first.span), "let a = f(x, k = 2) -> g()");
    assert_eq!(sources.line_and_column(first.span), (2, 5));
    let StmtKind::Let { name, value } = &first.kind else { panic!("{first:?}") };
    assert_eq!(sources.slice(name.span), "a");
    assert_eq!(sources.slice(value.span), "f(x, k = 2) -> g()");
    let mut children = Vec::new();
    value.for_each_child(&mut |child| children.push(sources.slice(child.span)));
    assert_eq!(children, ["f(x, k = 2)", "g()"]);
    assert_eq!(model.body.result().map(|result| sources.slice(result.span)), Some("a"));
}

/// Messages show these; they must not teach what does not parse.
#[test]
fn every_example_in_a_message_parses() {
    let mut seen = 0;
    for keyword in Keyword::ALL {
        let Some(form) = example(*keyword) else { continue };
        seen += 1;
        let form = form.replace("...", "x");
        let text = match (keyword.class(), keyword) {
            (KeywordClass::Declaration, Keyword::Test) => form.replace("{ x }", "{ expect x }"),
            (KeywordClass::Declaration, _) => form,
            (_, Keyword::Expect) => format!("test \"t\" {{\n{form}\n}}"),
            (_, Keyword::Input | Keyword::Time) => format!("model M {{\n{form}\nx\n}}"),
            (_, Keyword::If | Keyword::For) => format!("fn f(x) = {form}"),
            _ => format!("neuron N()(x) {{\n{form}\n}}"),
        };
        right(&text);
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn tokens_are_shown_with_their_places() {
    assert_eq!(
        dump_tokens("model M {\n  time 8\n}"),
        "0..5 keyword model\n6..7 word M\n8..9 sign {\n12..16 keyword time\n17..18 number 8\n19..20 sign }\n"
    );
}
