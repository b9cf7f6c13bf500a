//! The gradients of layers on events are derivatives: finite differences through resets, feedback and delays.

use snn_loops::event_sweep::{Sample, Source, Synapses, adjoint, forward};
use snn_loops::events::LinearNeuron;
use snn_loops::{ConvShape, Dtype, EventLayer};

/// A small generator of repeatable numbers in -1..1.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1u64 << 30) as f64 - 1.0
    }
}

fn neuron(tau_s: f64, reset: f64) -> LinearNeuron {
    LinearNeuron {
        order: 2,
        flow: vec![-4.0, 1.0, 0.0, -1.0 / tau_s],
        drive: vec![0.1, 0.0],
        inject: vec![vec![0.0, 1.0]],
        threshold: vec![1.0, 0.0],
        theta: 0.15,
        reset: vec![reset, 0.0, 0.0, 1.0],
        kick: vec![if reset == 1.0 { -0.15 } else { 0.0 }, 0.0],
        start: vec![0.02, 0.0],
    }
}

fn layer(neuron: LinearNeuron, own: Source) -> EventLayer {
    let own = Synapses::new(ConvShape::linear(5, 5), 0, own);
    let synapses = vec![Synapses::new(ConvShape::linear(8, 5), 0, Source::Train(2)), own];
    EventLayer { neuron, synapses, slots: 9, budget: 9, duration: 0.6, slope_min: 0.0 }
}

fn sample(seed: u64) -> Sample {
    let mut numbers = Numbers(seed);
    let mut times: Vec<f64> = (0..16).map(|_| 0.2 + 0.2 * numbers.next()).collect();
    for sender in 0..8 {
        if times[sender] > times[8 + sender] {
            times.swap(sender, 8 + sender);
        }
    }
    let weights = |n: usize, mean: f64, numbers: &mut Numbers| (0..n).map(|_| mean + numbers.next()).collect();
    let weights = vec![weights(40, 0.5, &mut numbers), weights(25, 0.0, &mut numbers)];
    Sample { trains: vec![times, Vec::new()], weights, delays: vec![0.0, 0.013], ..Sample::new(Dtype::F64) }
}

/// A smooth function of all spike times, with its derivatives.
fn loss(times: &[f64]) -> (f64, Vec<f64>) {
    let factor = |at: usize| 1.0 + (at % 7) as f64;
    let fired = |time: f64| if time.is_finite() { time } else { 0.0 };
    let value = times.iter().enumerate().map(|(at, time)| factor(at) * fired(*time) * fired(*time)).sum();
    (value, times.iter().enumerate().map(|(at, time)| 2.0 * factor(at) * fired(*time)).collect())
}

/// The place of one number in a sample.
fn number(sample: &mut Sample, which: usize) -> &mut f64 {
    let (n_times, n_first) = (sample.trains[0].len(), sample.weights[0].len());
    match which {
        at if at < n_times => &mut sample.trains[0][at],
        at if at < n_times + n_first => &mut sample.weights[0][at - n_times],
        at if at < n_times + n_first + 25 => &mut sample.weights[1][at - n_times - n_first],
        _ => &mut sample.delays[1],
    }
}

fn check(what: &str, layer: &EventLayer, sample: &Sample) -> usize {
    let at = |sample: &Sample| loss(&forward(layer, sample).unwrap().times).0;
    let count = |sample: &Sample| forward(layer, sample).unwrap().times.iter().filter(|t| t.is_finite()).count();
    let spikes = forward(layer, sample).unwrap();
    let found = adjoint(layer, sample, &spikes.times, &spikes.memory, &loss(&spikes.times).1).unwrap();
    let mut gradients =
        Sample { trains: found.trains, weights: found.weights, delays: found.delays, ..Sample::new(Dtype::F64) };
    let mut checked = 0;
    // The delay comes last, where there is one.
    let numbers = if layer.synapses[1].source == Source::Own(true) { 82 } else { 81 };
    for which in 0..numbers {
        let step = 1e-6;
        let (mut up, mut down) = (sample.clone(), sample.clone());
        *number(&mut up, which) += step;
        *number(&mut down, which) -= step;
        if count(&up) != count(&down) {
            // A spike appears or vanishes: there is no derivative here.
            continue;
        }
        let slope = (at(&up) - at(&down)) / (2.0 * step);
        let gradient = *number(&mut gradients, which);
        let error = (slope - gradient).abs();
        assert!(error <= 1e-6 * (1.0 + slope.abs()), "{what}, number {which}: {gradient} instead of {slope}");
        checked += 1;
    }
    checked
}

#[test]
fn gradients_are_derivatives() {
    for (tau_s, reset) in [(0.125, 1.0), (0.25, 1.0), (0.07, 1.0), (0.1, 0.0), (0.1, 0.4)] {
        for own in [Source::Own(false), Source::Own(true)] {
            for seed in 0..4 {
                let what = format!("tau_s {tau_s}, reset {reset}, {own:?}, seed {seed}");
                let checked = check(&what, &layer(neuron(tau_s, reset), own), &sample(seed));
                assert!(checked > 70, "{what}: only {checked}");
            }
        }
    }
}

#[test]
fn what_is_left_of_a_cut_layer_has_its_own_derivatives() {
    for budget in [1, 3] {
        for own in [Source::Own(false), Source::Own(true)] {
            let cut = EventLayer { budget, ..layer(neuron(0.125, 1.0), own) };
            let spikes = forward(&cut, &sample(1)).unwrap();
            assert!(spikes.counters[0] > 0.0 && spikes.times.iter().skip(budget * 5).all(|time| time.is_infinite()));
            assert!(check(&format!("at most {budget} spikes, {own:?}"), &cut, &sample(1)) > 70);
        }
    }
}

#[test]
fn what_does_not_fit_is_counted() {
    let mut layer = layer(neuron(0.125, 1.0), Source::Own(false));
    let all = forward(&layer, &sample(1)).unwrap();
    assert_eq!(all.counters[0], 0.0);
    layer.budget = 2;
    let few = forward(&layer, &sample(1)).unwrap();
    assert!(few.counters[0] > 0.0);
    layer.slope_min = 1e9;
    assert!(forward(&layer, &sample(1)).unwrap().counters[1] > 0.0);
}
