//! snnc inside another Rust program: compile a model from a string, run a batch, train one.
//!
//! Must never need a file.

use snnc::{Model, SessionOptions, Silent};

const PAIR: &str = "
use std.neurons { LIF }
model Pair {
    input current: frames[2]
    time 6
    current -> LIF(tau = 2.0)
}
";

const DIGITS: &str = include_str!("../../models/digits_mlp.snn");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pair = Model::from_text("pair.snn", PAIR, &[])?;
    let mut session = pair.session(SessionOptions { batch: 1, ..pair.options() })?;
    let current = [1.5, 0.4].repeat(6); // for each of 6 steps: a strong and a weak current
    let result = session.infer_batch(&[("current", &current)])?;
    for (step, spikes) in result.output.data.chunks(2).enumerate() {
        println!("step {step}: {spikes:?}");
    }
    println!("firing rates: {:?}", result.firing_rates);

    let digits = Model::from_text("digits.snn", DIGITS, &[("epochs", "1")])?;
    let mut training = digits.training(digits.options(), None)?;
    training.train(&mut Silent)?;
    println!("digits after one epoch: {:?}", training.evaluate()?);
    Ok(())
}
