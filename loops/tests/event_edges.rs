//! Layers on events where events coincide or are no proper events: ties, spikes that set each other off, empty slots in the
//! middle of a train, times and delays that are negative or no numbers, weights that are not finite.

use snn_loops::event_sweep::{Sample, SampleGradients, Source, Spikes, Synapses, adjoint, forward};
use snn_loops::events::{InputSpike, LinearNeuron, Solver, simulate};
use snn_loops::{ConvShape, Dtype, EventLayer};

const NEVER: f64 = f64::INFINITY;

/// A current-based neuron; what arrives at the second port lifts the potential at once.
fn neuron() -> LinearNeuron {
    LinearNeuron {
        order: 2,
        flow: vec![-4.0, 1.0, 0.0, -8.0],
        drive: vec![0.0; 2],
        inject: vec![vec![0.0, 1.0], vec![1.0, 0.0]],
        threshold: vec![1.0, 0.0],
        theta: 0.1,
        reset: vec![1.0, 0.0, 0.0, 1.0],
        kick: vec![-0.1, 0.0],
        start: vec![0.0; 2],
    }
}

/// Neurons that listen to as many senders each with trains of so many slots, and perhaps to each other.
fn layer(senders: usize, neurons: usize, slots: usize, own: Option<(Source, usize)>) -> EventLayer {
    let mut synapses = vec![Synapses::new(ConvShape::linear(senders, neurons), 0, Source::Train(slots))];
    synapses.extend(own.map(|(source, port)| Synapses::new(ConvShape::linear(neurons, neurons), port, source)));
    EventLayer { neuron: neuron(), synapses, slots: 4, budget: 4, duration: 0.5, slope_min: 0.0 }
}

fn sample(train: &[f64], weights: &[f64], own: &[f64], delay: f64) -> Sample {
    Sample {
        trains: vec![train.to_vec(), Vec::new()],
        weights: vec![weights.to_vec(), own.to_vec()],
        delays: vec![0.0, delay],
        ..Sample::new(Dtype::F64)
    }
}

fn gradients(layer: &EventLayer, sample: &Sample, spikes: &Spikes, errors: &[f64]) -> SampleGradients {
    adjoint(layer, sample, &spikes.times, &spikes.memory, errors).unwrap()
}

#[test]
fn only_what_happens_within_the_sample_is_heard_in_whatever_slot_it_stands() {
    let layer = layer(1, 1, 6, None);
    let plain = forward(&layer, &sample(&[0.05, 0.1, NEVER, NEVER, NEVER, NEVER], &[2.0], &[], 0.0)).unwrap();
    let mixed = [f64::NAN, 0.1, -0.01, 0.6, 0.05, f64::NEG_INFINITY];
    assert!(plain.times[0].is_finite());
    let sample = sample(&mixed, &[2.0], &[], 0.0);
    let spikes = forward(&layer, &sample).unwrap();
    assert_eq!(spikes, plain);
    let found = gradients(&layer, &sample, &spikes, &[1.0; 4]);
    for (time, gradient) in mixed.iter().zip(&found.trains[0]) {
        assert_eq!(*gradient != 0.0, (0.0..=0.5).contains(time), "{time} {gradient}");
    }
}

#[test]
fn a_neuron_alone_does_not_hear_what_comes_before_the_beginning() {
    let solver = Solver::new(&LinearNeuron { drive: vec![0.3, 0.0], ..neuron() }).unwrap();
    let input = |time| InputSpike { time, port: 0, weight: 2.0 };
    let plain = simulate(&solver, &[input(0.1)], 0.5, 10);
    let early = simulate(&solver, &[input(-0.3), input(0.1)], 0.5, 10);
    let times = |response: &snn_loops::events::Response| response.spikes.iter().map(|s| s.time).collect::<Vec<f64>>();
    assert_eq!(times(&plain), times(&early));
    let gradient = snn_loops::events::adjoint(&solver, &[input(-0.3), input(0.1)], &early, &[1.0; 10], 0.0);
    assert_eq!((gradient.weights[0], gradient.times[0]), (0.0, 0.0));
    assert!(gradient.weights[1] < 0.0);
}

#[test]
fn a_negative_delay_counts_as_none_and_one_that_is_no_number_as_forever() {
    let of = |own, delay| {
        let layer = layer(1, 2, 1, Some((own, 0)));
        let sample = sample(&[0.05], &[2.0, 0.0], &[0.0, 0.0, 4.0, 0.0], delay);
        let spikes = forward(&layer, &sample).unwrap();
        let found = gradients(&layer, &sample, &spikes, &[1.0; 8]);
        (spikes, found)
    };
    let (at_once, negative) = (of(Source::Own(false), 0.0), of(Source::Own(true), -0.02));
    assert!(at_once.0.times[1].is_finite());
    assert_eq!(at_once.0, negative.0);
    assert_eq!(at_once.1.weights, negative.1.weights);
    assert!(of(Source::Own(true), 0.0).1.delays[1] != 0.0 && negative.1.delays[1] == 0.0);
    let never = of(Source::Own(true), f64::NAN).0;
    assert!(never.times[0].is_finite() && never.times[1] == NEVER);
}

#[test]
fn spikes_that_set_each_other_off_pass_the_gradient_on_in_that_order() {
    // The third neuron lifts the first, which lifts the second; a delay makes no difference in principle.
    let own = [0.0, 0.0, 0.3, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0];
    for (source, dtype) in [
        (Source::Own(false), Dtype::F64),
        (Source::Own(false), Dtype::F32),
        (Source::Own(true), Dtype::F64),
        (Source::Own(true), Dtype::F32),
    ] {
        let layer = layer(1, 3, 1, Some((source, 1)));
        let mut sample = sample(&[0.05], &[0.0, 0.0, 2.0], &own, 0.013);
        sample.dtype = dtype;
        let spikes = forward(&layer, &sample).unwrap();
        let stored = |values: &[f64]| values.iter().map(|value| dtype.round(*value)).collect::<Vec<f64>>();
        let spikes = Spikes { times: stored(&spikes.times), memory: stored(&spikes.memory), ..spikes };
        let first = [0, 1, 2].map(|neuron| spikes.times[neuron]);
        let later = if source == Source::Own(true) { 0.013 } else { 0.0 };
        assert!((first[0] - first[2] - later).abs() < 1e-7 && (first[1] - first[0] - later).abs() < 1e-7, "{first:?}");
        // Of the second neuron's first spike, which moves with the third's.
        let mut errors = [[0.0; 12], [0.0; 12]];
        (errors[0][1], errors[1][2]) = (1.0, 1.0);
        let [chained, direct] = errors.map(|errors| gradients(&layer, &sample, &spikes, &errors));
        assert!(direct.weights[0][2] < 0.0);
        assert_eq!(chained.weights[0], direct.weights[0], "{source:?} {dtype:?}");
        assert_eq!(chained.trains[0], direct.trains[0], "{source:?} {dtype:?}");
    }
}

#[test]
fn neurons_that_stand_at_the_threshold_together_have_finite_gradients() {
    // Equal neurons: the spike of the first reaches the second at the moment at which that would spike as well.
    for weight in [-30.0, -1.0, 0.0, 1.0] {
        let layer = layer(1, 2, 1, Some((Source::Own(false), 0)));
        let sample = sample(&[0.05], &[2.0, 2.0], &[0.0, weight, weight, 0.0], 0.0);
        let spikes = forward(&layer, &sample).unwrap();
        assert_eq!(spikes.times[0], spikes.times[1]);
        assert!(spikes.memory.iter().all(|rise| *rise >= 0.0), "current lifts nobody at once: {:?}", spikes.memory);
        let mut errors = [0.0; 8];
        errors[1] = 1.0;
        let found = gradients(&layer, &sample, &spikes, &errors);
        let all = found.weights.iter().chain(&found.trains).flatten();
        assert!(all.clone().all(|value| value.is_finite()), "{found:?}");
        assert!(weight < 0.0 || found.weights[0][1] < 0.0, "{found:?}");
    }
}

#[test]
fn a_neuron_that_is_not_reset_spikes_once() {
    let mut layer = layer(1, 1, 1, None);
    layer.neuron.kick = vec![0.0; 2];
    for weight in 0..40 {
        let sample = sample(&[0.05], &[2.0 + 0.1 * f64::from(weight)], &[], 0.0);
        let count = forward(&layer, &sample).unwrap().times.iter().filter(|time| time.is_finite()).count();
        assert_eq!(count, 1, "{weight}");
    }
}

#[test]
fn what_arrives_together_acts_before_the_threshold_is_tested() {
    let mut layer = layer(2, 1, 1, None);
    layer.synapses[0].port = 1;
    for (weights, n_spikes) in [([0.3, -0.3], 0), ([-0.3, 0.35], 0), ([0.3, 0.0], 1), ([0.06, 0.06], 1)] {
        let sample = sample(&[0.05, 0.05], &weights, &[], 0.0);
        let spikes = forward(&layer, &sample).unwrap();
        assert_eq!(spikes.times.iter().filter(|time| time.is_finite()).count(), n_spikes, "{weights:?}");
        let inputs = weights.map(|weight| InputSpike { time: 0.05, port: 1, weight });
        let response = simulate(&Solver::new(&layer.neuron).unwrap(), &inputs, 0.5, 4);
        assert_eq!(response.spikes.len(), n_spikes, "{weights:?}");
    }
}

#[test]
fn weights_that_are_not_finite_end() {
    for weight in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MAX] {
        for (port, source) in [(0, Source::Own(false)), (1, Source::Own(false)), (1, Source::Own(true))] {
            let layer = layer(2, 2, 1, Some((source, port)));
            let sample = sample(&[0.05, 0.07], &[weight, 2.0, 2.0, 2.0], &[weight; 4], 0.01);
            let spikes = forward(&layer, &sample).unwrap();
            assert!(spikes.times.iter().all(|time| !time.is_nan()), "{:?}", spikes.times);
            gradients(&layer, &sample, &spikes, &[1.0; 8]);
        }
    }
}
