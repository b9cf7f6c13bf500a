//! Networks of neurons in continuous time: spike times and exact gradients, solved neuron by neuron, against values of 50
//! digits.

use snn_loops::events::{InputSpike, LinearNeuron, Response, Solver, adjoint, simulate};

use crate::files::{Golden, Values, open};

/// The largest deviation of a spike time, in time constants.
const TIME: f64 = 1e-12;
/// The largest deviation of a gradient, relative to the largest element.
const GRADIENT: f64 = 1e-9;

/// A constant that the file holds as a decimal text.
fn decimal(golden: &Golden, key: &str) -> f64 {
    let value = &golden.config[key];
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("no number `{key}`"))
}

/// The neuron of the paper with a kernel `e^(-s/tau) - e^(-s/tau_s)`; time is in units of the file.
fn neuron(golden: &Golden) -> LinearNeuron {
    let (tau, tau_s) = (decimal(golden, "tau"), decimal(golden, "tau_s"));
    LinearNeuron {
        order: 2,
        flow: vec![-1.0 / tau, 1.0, 0.0, -1.0 / tau_s],
        drive: vec![0.0; 2],
        inject: vec![vec![0.0, (tau - tau_s) / (tau * tau_s)]],
        threshold: vec![1.0, 0.0],
        theta: decimal(golden, "theta"),
        reset: vec![1.0, 0.0, 0.0, 1.0],
        kick: vec![-decimal(golden, "delta"), 0.0],
        start: vec![0.0; 2],
    }
}

/// The finite entries of every row.
fn trains(values: &Values) -> Vec<Vec<f64>> {
    let rows = values.data.chunks_exact(values.dims[1]);
    rows.map(|row| row.iter().copied().filter(|time| time.is_finite()).collect()).collect()
}

/// A layer, solved: for each neuron the source and place of each of its inputs, the inputs, and what it does.
struct Layer {
    origins: Vec<(usize, usize)>,
    neurons: Vec<(Vec<InputSpike>, Response)>,
}

impl Layer {
    fn run(solver: &Solver, from: &[Vec<f64>], weights: &Values, horizon: f64, budget: usize) -> Layer {
        let mut origins: Vec<(usize, usize)> =
            from.iter().enumerate().flat_map(|(i, train)| (0..train.len()).map(move |k| (i, k))).collect();
        origins.sort_by(|a, b| from[a.0][a.1].total_cmp(&from[b.0][b.1]).then(a.cmp(b)));
        let neurons = weights.data.chunks_exact(weights.dims[1]).map(|row| {
            let input = |(i, k): &(usize, usize)| InputSpike { time: from[*i][*k], port: 0, weight: row[*i] };
            let inputs: Vec<InputSpike> = origins.iter().map(input).collect();
            let response = simulate(solver, &inputs, horizon, budget);
            (inputs, response)
        });
        let neurons = neurons.collect();
        Layer { origins, neurons }
    }

    fn trains(&self) -> Vec<Vec<f64>> {
        self.neurons.iter().map(|(_, response)| response.spikes.iter().map(|spike| spike.time).collect()).collect()
    }

    /// From the derivatives by the layer's spike times to those by its weights and by the spike times before it.
    fn gradient(&self, solver: &Solver, from: &[Vec<f64>], errors: &[Vec<f64>]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let mut weights = Vec::new();
        let mut times: Vec<Vec<f64>> = from.iter().map(|train| vec![0.0; train.len()]).collect();
        for ((inputs, response), errors) in self.neurons.iter().zip(errors) {
            let gradient = adjoint(solver, inputs, response, errors, 0.0);
            let mut row = vec![0.0; from.len()];
            for (at, (i, k)) in self.origins.iter().enumerate() {
                row[*i] += gradient.weights[at];
                times[*i][*k] += gradient.times[at];
            }
            weights.extend(row);
        }
        (weights, times)
    }
}

/// The largest deviation from the finite elements of a tensor, relative to the largest of them.
fn deviation(found: impl IntoIterator<Item = f64>, expected: &[f64]) -> f64 {
    let largest = expected.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    found.into_iter().zip(expected).map(|(found, expected)| (found - expected).abs() / largest).fold(0.0, f64::max)
}

/// Rows of different length, with zeros behind them.
fn padded(rows: &[Vec<f64>], width: usize) -> Vec<f64> {
    rows.iter().flat_map(|row| row.iter().copied().chain(std::iter::repeat(0.0)).take(width)).collect()
}

#[test]
fn event_networks() {
    for golden in open("event_") {
        let solver = Solver::new(&neuron(&golden)).unwrap();
        let (horizon, budget) = (decimal(&golden, "tmax"), decimal(&golden, "max_spikes") as usize);
        let tau = decimal(&golden, "tau");
        let depth = (1..).take_while(|l| golden.tensors.contains_key(&format!("W{l}"))).count();
        let mut trains_of = vec![trains(golden.tensor("in.times"))];
        let mut layers = Vec::new();
        let mut worst = (0.0f64, 0.0f64);
        for l in 1..=depth {
            let weights = golden.tensor(&format!("W{l}"));
            let layer = Layer::run(&solver, &trains_of[l - 1], weights, horizon, budget);
            let expected = trains(golden.tensor(&format!("layer{l}.times")));
            for (found, expected) in layer.trains().iter().zip(&expected) {
                assert_eq!(found.len(), expected.len(), "{} layer {l}: number of spikes", golden.name);
                for (found, expected) in found.iter().zip(expected) {
                    worst.0 = worst.0.max((found - expected).abs() / tau);
                }
            }
            trains_of.push(layer.trains());
            layers.push(layer);
        }
        for loss in ["quad", "ttfs"] {
            let out = golden.tensor(&format!("{loss}.g_out_times"));
            let mut errors: Vec<Vec<f64>> = out.data.chunks_exact(out.dims[1]).map(<[f64]>::to_vec).collect();
            for l in (1..=depth).rev() {
                let (weights, times) = layers[l - 1].gradient(&solver, &trains_of[l - 1], &errors);
                worst.1 = worst.1.max(deviation(weights, golden.data(&format!("{loss}.gW{l}"))));
                errors = times;
            }
            let inputs = golden.tensor(&format!("{loss}.g_in_times"));
            let expected: Vec<f64> =
                inputs.data.iter().map(|value| if value.is_finite() { *value } else { 0.0 }).collect();
            worst.1 = worst.1.max(deviation(padded(&errors, inputs.dims[1]), &expected));
        }
        println!("{}: times within {:.1e} tau, gradients within {:.1e}", golden.name, worst.0, worst.1);
        assert!(worst.0 < TIME && worst.1 < GRADIENT, "{}: {worst:?}", golden.name);
    }
}
