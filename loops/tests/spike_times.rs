//! Spike times and gradients of single neurons against values with 50 digits (`tests/data/events`, written by
//! `tests/scripts/spike_times.py`).

use std::path::Path;

use serde_json::Value;
use snn_loops::events::{InputSpike, LinearNeuron, Solver, adjoint, simulate};

/// The membrane potential first, each state driven by the next; inputs reach the last; a spike subtracts the threshold.
fn cascade(taus: &[f64], theta: f64) -> LinearNeuron {
    let n = taus.len();
    let unit = |at: usize| (0..n).map(|k| f64::from(u8::from(k == at))).collect::<Vec<f64>>();
    let flow = |row: usize, column: usize| match column {
        _ if row == column => -1.0 / taus[row],
        _ if row + 1 == column => 1.0,
        _ => 0.0,
    };
    LinearNeuron {
        order: n,
        flow: (0..n * n).map(|at| flow(at / n, at % n)).collect(),
        drive: vec![0.0; n],
        inject: vec![unit(n - 1)],
        threshold: unit(0),
        theta,
        reset: (0..n).flat_map(unit).collect(),
        kick: unit(0).iter().map(|entry| -theta * entry).collect(),
        start: vec![0.0; n],
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    let number = |v: &Value| v.as_f64().or_else(|| v.as_str()?.parse().ok()).unwrap();
    value.as_array().unwrap().iter().map(number).collect()
}

/// Checks a file, with spike times within `1e-12 tau` and gradients within 1e-8 of the largest.
fn check(name: &str, form: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/data/events/{name}.json"));
    let file: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let (mut worst_time, mut worst_gradient, mut n_spikes) = (0.0f64, 0.0f64, 0);
    for case in file["cases"].as_array().unwrap() {
        let taus = numbers(&case["taus"]);
        let solver = Solver::new(&cascade(&taus, case["theta"].as_f64().unwrap())).unwrap();
        assert!(format!("{:?}", solver.solution()).starts_with(form), "{:?}", solver.solution());
        let input = |v: &Value| InputSpike {
            time: v["time"].as_f64().unwrap(),
            port: 0,
            weight: v["weight"].as_f64().unwrap(),
        };
        let inputs: Vec<InputSpike> = case["inputs"].as_array().unwrap().iter().map(input).collect();
        let response = simulate(&solver, &inputs, case["horizon"].as_f64().unwrap(), 1000);
        let expected = numbers(&case["spikes"]);
        assert_eq!(response.spikes.len(), expected.len(), "{name}: number of spikes");
        n_spikes += expected.len();
        for (spike, time) in response.spikes.iter().zip(&expected) {
            worst_time = worst_time.max((spike.time - time).abs() / taus[0]);
        }
        let gradient = adjoint(&solver, &inputs, &response, &numbers(&case["errors"]), 0.0);
        let kinds = [(&gradient.weights, "weights"), (&gradient.times, "times")];
        for (found, kind) in kinds {
            let expected = numbers(&case["gradient"][kind]);
            let largest = expected.iter().fold(0.0f64, |most, value| most.max(value.abs()));
            assert!(largest > 0.0);
            for (found, expected) in found.iter().zip(&expected) {
                worst_gradient = worst_gradient.max((found - expected).abs() / largest);
            }
        }
    }
    println!("{name}: {n_spikes} spikes, times within {worst_time:.1e} tau, gradients within {worst_gradient:.1e}");
    assert!(worst_time < 1e-12, "{name}: {worst_time:e}");
    assert!(worst_gradient < 1e-8, "{name}: {worst_gradient:e}");
}

#[test]
fn time_constants_of_ratio_two() {
    check("ratio_2", "Quadratic");
}

#[test]
fn equal_time_constants() {
    check("equal", "LambertW");
}

#[test]
fn time_constants_of_another_ratio() {
    check("ratio_3_7", "Search");
}

#[test]
fn three_time_constants() {
    check("order_3", "Search");
}
