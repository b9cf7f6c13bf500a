//! Surrogates: the curves of SpikingJelly, and how a surrogate of a peer is written here.
//!
//! Those of the standard library are used by name; the others are declared in `surrogates.snn`, as a user would.

use serde_json::Value;

use crate::files::{Golden, Values, number, open, word};
use crate::ledger::Ledger;
use crate::probe::{Probe, bind};
use crate::source::{compile, literal};
use crate::ways::{ALL, Bindings};

/// What every text with surrogates begins with.
pub const DECLARATIONS: &str = include_str!("../../golden/surrogates.snn");

/// A surrogate of SpikingJelly by its name there, with its parameters.
pub fn spikingjelly(name: &str, parameters: &Value) -> String {
    let p = |key: &str| literal(number(parameters, key));
    match name {
        "atan"
        | "sigmoid"
        | "piecewise_exp"
        | "soft_sign"
        | "super_spike"
        | "erf"
        | "q_pseudo_spike"
        | "nonzero_sign_log_abs"
        | "log_tailed_relu"
        | "fake_numerical_gradient" => {
            format!("{name}(alpha = {})", p("alpha"))
        }
        "rect" => format!("rect(a = 1 / {})", p("alpha")),
        "piecewise_quadratic" => format!("triangle(a = {})", p("alpha")),
        "s2nn" => format!("s2nn(alpha = {}, beta = {})", p("alpha"), p("beta")),
        "leaky_k_relu" => format!("leaky_k_relu(leak = {}, k = {})", p("leak"), p("k")),
        "piecewise_leaky_relu" => format!("piecewise_leaky_relu(w = {}, c = {})", p("w"), p("c")),
        "squarewave_fourier_series" => {
            format!("squarewave_fourier_series(n = {}, period = {})", p("n"), p("T_period"))
        }
        other => panic!("there is no surrogate for `{other}` of SpikingJelly"),
    }
}

/// A surrogate of snnTorch with its slope.
pub fn snntorch(case: &Value) -> String {
    let slope = literal(number(case, "slope"));
    match word(case, "surrogate") {
        "atan" => format!("atan(alpha = {slope})"),
        "fast_sigmoid" => format!("fast_sigmoid(k = {slope})"),
        "sigmoid" => format!("sigmoid(alpha = {slope})"),
        "triangular" => format!("snntorch_triangular(slope = {slope})"),
        other => panic!("there is no surrogate for `{other}` of snnTorch"),
    }
}

/// A surrogate of norse with its `alpha`.
pub fn norse(case: &Value) -> String {
    let alpha = literal(number(case, "alpha"));
    match word(case, "method") {
        // This one takes no notice of its parameter.
        "super" => "super_spike(alpha = 1.0)".to_owned(),
        "tanh" => format!("norse_tanh(alpha = {alpha})"),
        "triangle" => format!("norse_triangle(alpha = {alpha})"),
        "circ" => format!("norse_circ(alpha = {alpha})"),
        "heavi_erfc" => format!("norse_erfc(alpha = {alpha})"),
        other => panic!("there is no surrogate for `{other}` of norse"),
    }
}

fn check(golden: &Golden) {
    let x = golden.tensor("x");
    let mut ledger = Ledger::new(&golden.name);
    for (name, parameters) in golden.config["params"].as_object().unwrap() {
        let surrogate = spikingjelly(name, parameters);
        let n = x.data.len();
        let model =
            compile(&format!("{DECLARATIONS}\nmodel Case {{\n input x: [{n}]\n time 1\n spike(x, {surrogate})\n}}\n"));
        let wanted = Probe::default().wanted(&model);
        let mut bindings = Bindings::new();
        bind(&mut bindings, "x", &Values { dims: vec![1, n], data: x.data.clone() });
        bind(&mut bindings, "gs", &Values { dims: vec![1, n], data: vec![1.0; n] });
        for way in ALL {
            let results = wanted.compute(way, 1, &bindings);
            let key = format!("{name}.{}.grad", way.precision());
            ledger.close(way, name, "grad", &results["g:x"], golden.data(&key));
        }
    }
    ledger.finish();
}

#[test]
fn sj_surrogate_curves() {
    for golden in open("sj_surrogate_curves") {
        check(&golden);
    }
}
