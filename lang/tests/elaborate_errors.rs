//! Mistakes: each case is a program and what its diagnostics must say.

use snn_lang::source::{Files, NoFiles};
use snn_lang::{Compiled, Options, compile, render};

const USES: &str = "use std.neurons { LIF, PLIF, CubaLIF }
use std.layers { Linear, Flatten, Conv2d }
use std.norms { TdBN, TEBN }
use std.surrogates { rect }
";

/// Code, message, labels and help of everything that was found, one line each.
fn said(compiled: &Compiled) -> Vec<String> {
    compiled
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.code.as_str() != "W0702")
        .map(|diagnostic| {
            let labels: Vec<String> = diagnostic
                .labels
                .iter()
                .map(|label| format!("<{}> {}", compiled.sources.slice(label.span), label.text))
                .collect();
            let help = diagnostic.help.as_deref().unwrap_or_default();
            format!("{} {} | {} | {help}", diagnostic.code, diagnostic.message, labels.join(" | "))
        })
        .collect()
}

fn check(text: &str, expected: &[&[&str]]) {
    let compiled = compile(&NoFiles, "test.snn", text, &Options::default());
    let said = said(&compiled);
    assert_eq!(said.len(), expected.len(), "{text}\n{}", said.join("\n"));
    for (fragments, line) in expected.iter().zip(&said) {
        for fragment in *fragments {
            assert!(line.contains(fragment), "{text}\nno {fragment:?} in\n{line}");
        }
    }
    // Whatever was said can be drawn.
    assert!(!render::render_all(&compiled.diagnostics, &compiled.sources, false).is_empty() || expected.is_empty());
}

/// A model over an image, with that body.
fn model(body: &str) -> String {
    format!("{USES}model M {{\n    input image: [1, 8, 8]\n    time 4\n    {body}\n}}\n")
}

fn train(body: &str, entries: &str) -> String {
    format!("{}train M {{\n    {entries}\n}}\n", model(body))
}

#[test]
fn names_settings_and_instances() {
    check(&model("image -> Flaten() -> Linear(10)"), &[&["E0201", "<Flaten> unknown name", "did you mean `Flatten`?"]]);
    check(&model("image -> Flatten() -> AvgPool2d(2)"), &[&["`use std.layers { AvgPool2d }` brings it in"]]);
    check(&model("image -> Flatten() -> LIF(tua = 3.0)"), &[&["E0401", "`LIF` has no setting `tua`", "`tau`?"]]);
    check(&model("image -> LIF(tau = 0.5)"), &[&["E0405", "`tau` is 0.5, but must lie in [1, inf)", "<[1, inf)>"]]);
    check(&model("image -> LIF(tau = 2.0, tau = 3.0)"), &[&["E0403", "the first time"]]);
    check(&model("image -> Flatten() -> Linear()"), &[&["E0402", "`Linear` needs the setting `out`", "<Linear()>"]]);
    check(
        &model("image -> Flatten() -> Linear(image)"),
        &[&["E0404", "`out` must be known when the model is compiled"]],
    );
    check(&model("image -> LIF(surrogate = 3)"), &[&["E0404", "`surrogate` takes a surrogate, not a number"]]);
    check(&model("image -> Flatten() -> Linear(\"ten\")"), &[&["E0404", "`out` takes a number, not a word"]]);
    check(&model("image -> LIF(reset = sofd)"), &[&["E0406", "`reset` is `hard` or `soft`", "<LIF(reset = sofd)>"]]);
    check(&model("image -> LIF"), &[&["E0304", "write `LIF()`"]]);
    check(&model("image -> image"), &[&["E0303", "a signal cannot take a signal"]]);
    check(
        &model("let lif = LIF()\n let x = image -> lif\n let y = image -> lif\n x + y"),
        &[&["E0305", "one `LIF` with state is used in two places", "the second use", "the first use"]],
    );
    check(
        &model("let enc = Linear(9)\n image -> Flatten() -> enc -> enc"),
        &[&["E0306", "[9, 64] and [9, 9]", "<enc> this use"]],
    );
    check(&model("image -> mean(over = 3)"), &[&["E0302", "axis 3 is not an axis of a signal of shape [1, 8, 8]"]]);
}

#[test]
fn shapes_that_disagree_show_the_stages_that_made_them() {
    check(
        &model(
            "let main = image -> Conv2d(8, 3, stride = 2) -> TdBN()\n let skip = image -> Conv2d(8, 1)\n main + skip -> LIF()",
        ),
        &[&["E0301", "<main + skip> here", "<TdBN()> this is [8, 4, 4]", "<Conv2d(8, 1)> this is [8, 8, 8]"]],
    );
    check(
        &model("image -> Linear(10)"),
        &[&["the signal `x` should be [n], but is [1, 8, 8]", "put `Flatten()` before it"]],
    );
    check(
        &format!("{}block B(c)(x: [c, h, w]) {{ x }}\n", model("image -> B(3)")),
        &[&["should be [c, h, w], but is [1, 8, 8]", "`c` is 3 but axis 0 has 1"]],
    );
}

#[test]
fn states_and_equations() {
    let neuron = |body: &str| format!("{USES}neuron N(tau = 20ms, surrogate = rect())(x) {{\n{body}\n}}\n");
    check(&neuron("state v = 0.0\n spike(v + x, surrogate)"), &[&["E0503", "the state `v` has no `next`"]]);
    check(&neuron("state v = 0.0\n next v = v\n next v = x\n v"), &[&["E0504", "given two values", "the first"]]);
    check(
        &neuron("state volt = 0.0\n next vold = volt + x\n volt"),
        &[&["E0506", "`vold` is not a state", "did you mean `volt`?"]],
    );
    check(&neuron("state v = 0.0\n next v = x\n x"), &[&["E0505", "nothing reads the state `v`"]]);
    check(
        &neuron("state v = 0.0\n v' = -v / tau\n next v = v + x\n v"),
        &[&["E0507", "both as steps and as equations"]],
    );
    check(&neuron("state v = 0.0\n v' = -v / tau\n on x { v += x }"), &[&["E0508", "the neuron `N` has no value"]]);
    check(&neuron("state v = 0.0\n v' = -v / tau\n on y { v += x }\n v"), &[&["E0506", "`y` is not a signal"]]);
    check(
        &format!("{}model M {{ input x: [3]\n time 2\n x -> N() }}\n", neuron("x - mean(x)")),
        &[&["E0307", "a neuron cannot use `mean`", "element-wise"]],
    );
}

#[test]
fn time_and_feedback() {
    check(&model("image -> LIF(tau = 20ms)"), &[&["E0407", "<20ms> a duration", "`time 100 of 10ms`"]]);
    check(
        &model("image -> CubaLIF(tau_m = 20)").replace("time 4", "time 4 of 1ms"),
        &[&["E0407", "`tau_m` is a duration; 20 has no unit"]],
    );
    check(&model("image -> Flatten()").replace("time 4", ""), &[&["E0501", "`M` does not say how long it runs"]]);
    check(&model("image -> Flatten()").replace("time 4", "time 4.5"), &[&["E0502", "4.5 steps"]]);
    let feedback = |norm: &str| {
        format!(
            "{}block R(n)(x) {{\n state s: [n] = 0.0\n let y = (x -> Linear(n)) + (s -> Linear(n)) -> {norm} -> LIF()\n next s = y\n y\n}}\n",
            model("image -> Flatten() -> R(10)")
        )
    };
    check(
        &feedback("TdBN()"),
        &[&[
            "E0509",
            "a reduction over time cannot stand inside the feedback loop of `R`",
            "<TdBN()>",
            "<s: [n] = 0.0>",
        ]],
    );
    let compiled = compile(&NoFiles, "test.snn", &feedback("TEBN()"), &Options::default());
    assert!(said(&compiled).iter().any(|line| line.contains("the parameter `p`, which has one value a step")));
}

#[test]
fn training() {
    let net = "image -> Flatten() -> Linear(10) -> LIF()";
    let loss = "loss = cross_entropy(mean(out, over = time), label)";
    check(&train(net, &format!("data = digits()\n {loss}")), &[]);
    check(
        &train(net, "data = digits()\n loss = cross_entropy(out, label)"),
        &[&["E0604", "it has a value at each step", "`mean(..., over = time)`"]],
    );
    check(
        &train(net, "data = digits()\n loss = mse(mean(out, over = time), one_hot(label, 10))"),
        &[&["E0605", "add `predict = argmax(mean(out, over = time))`"]],
    );
    check(
        &train(net, &format!("data = digits()\n optimiser = adam()\n {loss}")),
        &[&["E0601", "did you mean `optimizer`?"]],
    );
    check(
        &train(net, &format!("data = digits()\n optimizer = cosine()\n schedule = step\n epochs = 0\n {loss}")),
        &[
            &["E0603", "`cosine` is of the kind schedule"],
            &["write `step()`"],
            &["`epochs` is a whole number, at least 1"],
        ],
    );
    check(
        &train(net, &format!("data = digits()\n gradient = exact\n {loss}")),
        &[&["E0502", "needs a model without a grid"]],
    );
    check(
        &train("image -> Flatten() -> Linear(9) -> LIF()", &format!("data = digits()\n {loss}")),
        &[&["E0606", "9 outputs", "10 classes"]],
    );
    check(
        &train(net, &format!("data = digits()\n {loss}")).replace("[1, 8, 8]", "[1, 9, 9]"),
        &[&["E0606", "its `image` is [1, 8, 8]", "the input is [1, 9, 9]", "write `input image: [1, 8, 8]`"]],
    );
    check(&train(net, &format!("data = digitz()\n {loss}")), &[&["E0201", "did you mean `digits`?"]]);
    check(&train(net, "data = digits()").replace("train M", "train N"), &[&["E0201", "there is no model `N`"]]);
}

#[test]
fn independent_mistakes_come_out_in_one_run() {
    let body = "let a = image -> Flaten() -> Linear(10, biass = false)\n let b = image -> Flatten() -> Linear(10) -> LIF(tau = 0.1)\n a + b";
    let text = format!("{}block Unused()(x) {{\n    x -> Conv2D(4, 3)\n}}\n", model(body));
    check(
        &text,
        &[&["did you mean `Flatten`?"], &["did you mean `bias`?"], &["`tau` is 0.1"], &["did you mean `Conv2d`?"]],
    );
}

#[test]
fn lints() {
    check(
        &model(
            "let a = image -> Conv2d(4, 3) -> LIF()\n let b = image -> Conv2d(4, 3) -> LIF()\n a + b -> Conv2d(4, 3)",
        ),
        &[&["W0703", "<Conv2d(4, 3)> it takes counts", "<a + b> the sum"]],
    );
    check(
        &model("image -> Conv2d(4, 3) -> TdBN() -> LIF(v_th = 0.5)"),
        &[&["W0704", "made for a threshold of 1, the neurons behind it have 0.5"]],
    );
}

#[test]
fn no_program_is_too_much() {
    check(&format!("{}block B()(x) {{ x -> B() }}\n", model("image -> B()")), &[&["E0310", "without end"]]);
    check(&format!("{}fn f(x) = f(x) + 1\n", model("f(image)")), &[&["E0310"]]);
    check(&format!("{}fn f(x) = g(x)\nfn g(x) = f(x)\n", model("f(image)")), &[&["E0310"]]);
    let deep = format!("{}x -> B(){}", "-(".repeat(60), ")".repeat(60));
    check(&format!("{}block B()(x) {{ {deep} }}\n", model("image -> B()")), &[&["E0310"]]);
    check(&model("image -> 10000 * (10000 * LIF())"), &[&["E0309", "takes too long"]]);
    check(&model("image -> 1000000 * LIF()"), &[&["E0302", "at most 10000"]]);
    check(
        &model("image -> Flatten() -> Linear(1000000) -> Linear(1000000)"),
        &[&["E0309", "1000000000000 elements", "<Linear(1000000)> in this use"]],
    );
    check(&model("image -> Flatten()").replace("[1, 8, 8]", "[100000, 100000, 100000]"), &[&["E0301"]]);
}

/// Two files that use each other, and one that is not there.
struct Circle;

impl Files for Circle {
    fn read(&self, _importing: &str, path: &str) -> Result<(String, String), String> {
        match path {
            "a.snn" => Ok(("a.snn".into(), "use \"b.snn\" { B }\nblock A()(x) { x -> B() }\n".into())),
            "b.snn" => Ok(("b.snn".into(), "use \"a.snn\" { A }\nblock B()(x) { x -> A() }\n".into())),
            _ => Err("no such file".into()),
        }
    }
}

#[test]
fn files() {
    let text = "use \"a.snn\" { A }\nuse \"c.snn\" { C }\nuse std.neuron { LIF }\nmodel M {\n input x: [3]\n time 2\n x -> A()\n}\n";
    let compiled = compile(&Circle, "main.snn", text, &Options::default());
    let said = said(&compiled).join("\n");
    for expected in [
        "`b.snn` and `a.snn` use each other",
        "the file `c.snn` cannot be read",
        "did you mean `std.neurons`?",
        "E0310",
    ] {
        assert!(said.contains(expected), "no {expected:?} in\n{said}");
    }
}

#[test]
fn settings_from_outside_that_name_nothing() {
    let text = model("image -> Flatten()");
    for (name, expected) in [("epoch", "did you mean `epochs`?"), ("model.stepz", "no setting `model.stepz`")] {
        let overrides = vec![(name.to_string(), "3".to_string())];
        let compiled = compile(&NoFiles, "test.snn", &text, &Options { overrides, ..Options::default() });
        assert!(said(&compiled).iter().any(|line| line.contains(expected)), "{:?}", said(&compiled));
    }
}
