//! Layers on events: close to the interpreter, and the same bits for any number of threads and set of instructions.

mod common;

use common::{Numbers, all_options, assert_same, execute, interpret};
use snn_jit::{Footprint, Options};
use snn_loops::event_sweep::{COUNTERS, Source, SynapseGradients, SynapseOperands, Synapses};
use snn_loops::events::LinearNeuron;
use snn_loops::{
    BufferId, ConvShape, Dtype, EventLayer, EventSweep, Kernel, Launch, Operand, Program, Role, SweepPass,
};

const BATCH: usize = 3;
const SLOTS: usize = 6;

/// Current-based neurons; the potential is driven, and a second port lifts it at once.
fn neuron(tau: f64, tau_s: f64, reset: f64, drive: f64) -> LinearNeuron {
    LinearNeuron {
        order: 2,
        flow: vec![-1.0 / tau, 1.0, 0.0, -1.0 / tau_s],
        drive: vec![drive, 0.0],
        inject: vec![vec![0.0, 1.0], vec![0.05, 0.0]],
        threshold: vec![1.0, 0.0],
        theta: 0.2,
        reset: vec![reset, 0.0, 0.0, 1.0],
        kick: vec![if reset == 1.0 { -0.2 } else { 0.0 }, 0.0],
        start: vec![0.0, 0.0],
    }
}

/// Three states: a current that drives a current that drives a potential, all of which oscillate together.
fn resonator() -> LinearNeuron {
    LinearNeuron {
        order: 3,
        flow: vec![-4.0, 30.0, 1.0, -30.0, -4.0, 0.0, 0.0, 0.0, -9.0],
        drive: vec![0.0; 3],
        inject: vec![vec![0.0, 0.0, 3.0], vec![0.0, 0.1, 0.0]],
        threshold: vec![1.0, 0.0, 0.0],
        theta: 0.2,
        reset: vec![1.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 1.0],
        kick: vec![-0.2, 0.0, 0.0],
        start: vec![0.0; 3],
    }
}

fn conv(
    cin: usize,
    cout: usize,
    groups: usize,
    input: [usize; 2],
    kernel: usize,
    stride: usize,
    pad: usize,
) -> ConvShape {
    let output = input.map(|len| (len + 2 * pad - kernel) / stride + 1);
    let (kernel, stride, pad) = ([kernel; 2], [stride; 2], [pad; 2]);
    ConvShape { cin, cout, groups, input, kernel, stride, pad, dilation: [1, 1], output }
}

fn layers() -> Vec<(&'static str, EventLayer)> {
    let layer =
        |neuron, synapses| EventLayer { neuron, synapses, slots: SLOTS, budget: SLOTS, duration: 0.5, slope_min: 0.0 };
    let train = |shape, port| Synapses::new(shape, port, Source::Train(SLOTS));
    let pooled = Synapses { image: [7, 6], pool: [2, 2], ..train(conv(3, 20, 1, [3, 3], 3, 1, 1), 0) };
    let own = |delayed, port| Synapses::new(ConvShape::linear(9, 9), port, Source::Own(delayed));
    let outer = |n| train(ConvShape::linear(30, n), 0);
    let wide = Synapses::new(ConvShape::linear(37, 37), 0, Source::Own(true));
    let image = Synapses::new(conv(20, 20, 2, [4, 3], 3, 1, 1), 0, Source::Own(true));
    let idle = LinearNeuron { kick: vec![0.0; 2], ..neuron(0.26, 0.13, 1.0, 0.0) };
    let recurrent = Synapses::new(ConvShape::linear(29, 29), 0, Source::Own(false));
    let single = Synapses::new(ConvShape::linear(40, 21), 0, Source::Train(1));
    vec![
        ("linear, one slot", layer(neuron(0.26, 0.13, 1.0, 0.0), vec![single])),
        ("narrow, equal time constants", layer(neuron(0.13, 0.13, 1.0, 0.0), vec![train(ConvShape::linear(60, 3), 0)])),
        ("a search, driven, hard reset", layer(neuron(0.3, 0.11, 0.0, 0.4), vec![train(ConvShape::linear(30, 18), 0)])),
        ("a reset by half", layer(neuron(0.3, 0.11, 0.5, 0.0), vec![train(ConvShape::linear(30, 18), 0)])),
        ("oscillating", layer(resonator(), vec![train(ConvShape::linear(30, 5), 0)])),
        (
            "convolution with stride",
            layer(neuron(0.26, 0.13, 1.0, 0.0), vec![train(conv(4, 6, 2, [6, 7], 3, 2, 1), 0)]),
        ),
        (
            "depthwise and dense",
            layer(
                neuron(0.26, 0.13, 1.0, 0.0),
                vec![train(conv(4, 4, 4, [4, 4], 1, 1, 0), 0), train(conv(4, 4, 1, [4, 4], 3, 1, 1), 0)],
            ),
        ),
        ("merged trains", layer(neuron(0.26, 0.13, 1.0, 0.0), vec![pooled])),
        (
            "lifted at once",
            layer(
                neuron(0.26, 0.13, 1.0, 0.0),
                vec![train(ConvShape::linear(30, 18), 0), train(ConvShape::linear(12, 18), 1)],
            ),
        ),
        ("no reset", layer(idle, vec![outer(18)])),
        ("feedback", layer(neuron(0.26, 0.13, 1.0, 0.0), vec![outer(9), own(false, 0)])),
        ("delayed feedback", layer(neuron(0.26, 0.13, 1.0, 0.0), vec![outer(9), own(true, 0)])),
        ("feedback that lifts", layer(neuron(0.26, 0.13, 1.0, 0.0), vec![outer(9), own(false, 1)])),
        ("delayed feedback that lifts", layer(neuron(0.26, 0.13, 1.0, 0.0), vec![outer(9), own(true, 1)])),
        ("feedback of both kinds", layer(neuron(0.3, 0.11, 0.5, 0.4), vec![own(true, 0), outer(9), own(false, 0)])),
        ("oscillating feedback", layer(resonator(), vec![outer(9), own(false, 0)])),
        ("wide feedback", layer(neuron(0.26, 0.13, 1.0, 0.0), vec![outer(37), wide])),
        (
            "convolutional feedback",
            layer(neuron(0.26, 0.13, 1.0, 0.0), vec![train(conv(4, 20, 1, [4, 3], 3, 1, 1), 0), image]),
        ),
        (
            "cut at two spikes",
            EventLayer { budget: 2, ..layer(neuron(0.26, 0.13, 1.0, 0.0), vec![train(ConvShape::linear(60, 21), 0)]) },
        ),
        (
            "feedback, cut at one spike",
            EventLayer {
                budget: 1,
                ..layer(neuron(0.26, 0.13, 1.0, 0.0), vec![train(ConvShape::linear(30, 29), 0), recurrent])
            },
        ),
        (
            "feedback with different delays",
            layer(neuron(0.26, 0.13, 1.0, 0.0), vec![own(false, 0), outer(9), own(true, 0), own(true, 0)]),
        ),
    ]
}

/// Ascending times of random numbers of spikes.
fn train(numbers: &mut Numbers, slots: usize, senders: usize) -> Vec<f64> {
    let mut times = vec![f64::INFINITY; slots * BATCH * senders];
    for row in 0..BATCH * senders {
        let mut own: Vec<f64> = (0..numbers.below(slots.min(3) + 1)).map(|_| (numbers.float() + 2.0) / 8.0).collect();
        own.sort_by(f64::total_cmp);
        own.iter().enumerate().for_each(|(slot, time)| times[slot * BATCH * senders + row] = f64::from(*time as f32));
    }
    times
}

/// A forward pass and its gradients as a program, with inputs.
fn program(layer: &EventLayer, dtype: Dtype, numbers: &mut Numbers) -> (Program, Vec<(BufferId, Vec<f64>)>) {
    let mut program = Program::new(dtype);
    let mut inputs = Vec::new();
    let (mut synapses, mut gradients) = (Vec::new(), Vec::new());
    let mut delays = (1..).map(|at| 0.0078125 * f64::from(at));
    for group in &layer.synapses {
        let mut input = |program: &mut Program, values: Vec<f64>| {
            let id = program.add_buffer("in", values.len(), Role::Input);
            inputs.push((id, values));
            Operand::whole(id)
        };
        let output = |program: &mut Program, len: usize| Operand::whole(program.add_buffer("out", len, Role::Output));
        let mut operands = SynapseOperands { train: None, weight: Operand::whole(BufferId(0)), delay: None };
        let mut wanted = SynapseGradients::default();
        if let Source::Train(slots) = group.source {
            let times = train(numbers, slots, group.senders());
            wanted.train = Some(output(&mut program, times.len()));
            operands.train = Some(input(&mut program, times));
        }
        let len = group.shape.weight_len();
        let scale = if group.port == 0 { 0.6 } else { 1.5 };
        operands.weight =
            input(&mut program, (0..len).map(|_| f64::from((scale * (numbers.float() + 0.4)) as f32)).collect());
        wanted.weight = Some(output(&mut program, len));
        if group.source == Source::Own(true) {
            operands.delay = Some(input(&mut program, delays.next().into_iter().collect()));
            wanted.delay = Some(output(&mut program, 1));
        }
        synapses.push(operands);
        gradients.push(wanted);
    }
    let n = SLOTS * BATCH * layer.neurons();
    let errors = program.add_buffer("errors", n, Role::Input);
    inputs.push((errors, numbers.floats(n)));
    let [times, memory, counters] =
        [n, n * layer.memory_width(), COUNTERS].map(|len| Operand::whole(program.add_buffer("own", len, Role::Output)));
    let forward = SweepPass::Forward { times: times.clone(), memory: Some(memory.clone()), counters: Some(counters) };
    let adjoint = SweepPass::Adjoint { times, memory, errors: Operand::whole(errors), gradients };
    for pass in [forward, adjoint] {
        let name = "layer".to_owned();
        let sweep = EventSweep { name, layer: layer.clone(), batch: BATCH, synapses: synapses.clone(), pass };
        let kernel = program.add_kernel(Kernel::EventSweep(sweep));
        program.launches.push(Launch::Run(kernel));
    }
    (program, inputs)
}

fn assert_close(found: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64, context: &str) {
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let finite = expected.iter().filter(|value| value.is_finite());
        let scale = finite.fold(1e-9f64, |most, value| most.max(value.abs()));
        for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
            let same = found == expected || (found - expected).abs() <= tolerance * scale;
            assert!(same, "{context}: output {at} element {place} is {found:e}, expected {expected:e}");
        }
    }
}

#[test]
fn layers_do_what_the_interpreter_does() {
    for (at, (what, layer)) in layers().into_iter().enumerate() {
        for (dtype, tolerance) in [(Dtype::F64, 1e-9), (Dtype::F32, 2e-3)] {
            let (program, inputs) = program(&layer, dtype, &mut Numbers(at as u64));
            snn_loops::verify::verify(&program).unwrap();
            let expected = interpret(&program, &inputs);
            let times = &expected[expected.len() - 3];
            let n_spikes = times.iter().filter(|time| time.is_finite()).count();
            assert!(n_spikes > 20 && n_spikes < times.len(), "{what}: {n_spikes} spikes of {}", times.len());
            let found = execute(&program, &inputs, &Options::native(2));
            assert_close(&found, &expected, tolerance, &format!("{what} in {}", dtype.name()));
            for options in all_options() {
                let other = execute(&program, &inputs, &options);
                assert_same(&other, &found, |_| false, &format!("{what} with {options:?}"));
            }
        }
    }
}

/// So many senders that the lists of two samples would not be there together; most of them are silent.
#[test]
fn samples_with_long_lists_are_taken_one_after_the_other() {
    const SENDERS: usize = 60_000;
    let group = Synapses::new(ConvShape::linear(SENDERS, 9), 0, Source::Train(SLOTS));
    let neuron = neuron(0.26, 0.13, 1.0, 0.0);
    let layer =
        EventLayer { neuron, synapses: vec![group], slots: SLOTS, budget: SLOTS, duration: 0.5, slope_min: 0.0 };
    let (program, mut inputs) = program(&layer, Dtype::F64, &mut Numbers(5));
    for (at, time) in inputs[0].1.iter_mut().enumerate() {
        *time = if at % 1501 == 0 { *time } else { f64::INFINITY };
    }
    let needs = Footprint::of(&program, &[]).unwrap().sweep;
    assert_eq!(needs.abreast, BATCH);
    let expected = interpret(&program, &inputs);
    let times = &expected[expected.len() - 3];
    let n_spikes = times.iter().filter(|time| time.is_finite()).count();
    assert!(n_spikes > 20 && n_spikes < times.len(), "{n_spikes} spikes");
    let found = execute(&program, &inputs, &Options::native(2));
    assert_close(&found, &expected, 1e-9, "long lists");
    for options in all_options() {
        assert_same(&execute(&program, &inputs, &options), &found, |_| false, &format!("{options:?}"));
    }
}

/// Trains as no layer makes them: empty slots before full ones, times that descend, times that are none.
#[test]
fn trains_from_outside_may_be_anything() {
    let wild = [f64::INFINITY, 0.25, f64::NAN, -0.125, 0.0625, 0.75, f64::NEG_INFINITY, 0.5, 0.0];
    for (at, (what, layer)) in layers().into_iter().enumerate() {
        let (program, mut inputs) = program(&layer, Dtype::F64, &mut Numbers(at as u64));
        let n_trains = layer.synapses.iter().filter(|synapses| matches!(synapses.source, Source::Train(_))).count();
        let mut numbers = Numbers(at as u64);
        let is_train = |values: &&mut (BufferId, Vec<f64>)| values.1.iter().any(|time| !time.is_finite());
        let trains: Vec<&mut (BufferId, Vec<f64>)> = inputs.iter_mut().filter(is_train).collect();
        assert_eq!(trains.len(), n_trains, "{what}");
        for (_, times) in trains {
            times.iter_mut().for_each(|time| *time = wild[numbers.below(wild.len())]);
        }
        let found = execute(&program, &inputs, &Options::native(2));
        assert_close(&found, &interpret(&program, &inputs), 1e-9, what);
    }
}

#[test]
fn layers_without_neurons_or_senders_do_nothing() {
    for (senders, neurons) in [(4, 0), (0, 4)] {
        for own in [None, Some(false), Some(true)] {
            let mut synapses = vec![Synapses::new(ConvShape::linear(senders, neurons), 0, Source::Train(SLOTS))];
            synapses.extend(own.map(|own| Synapses::new(ConvShape::linear(neurons, neurons), 0, Source::Own(own))));
            let neuron = neuron(0.26, 0.13, 1.0, 0.0);
            let layer = EventLayer { neuron, synapses, slots: SLOTS, budget: SLOTS, duration: 0.5, slope_min: 0.0 };
            let (program, inputs) = program(&layer, Dtype::F32, &mut Numbers(1));
            snn_loops::verify::verify(&program).unwrap();
            assert_eq!(execute(&program, &inputs, &Options::native(2)), interpret(&program, &inputs));
        }
    }
}

#[test]
fn what_sweeps_need_is_forecast() {
    for (what, layer) in layers() {
        let (program, _) = program(&layer, Dtype::F32, &mut Numbers(1));
        let needs = Footprint::of(&program, &[]).unwrap().sweep;
        let weights: usize = layer.synapses.iter().map(|synapses| synapses.shape.weight_len()).sum();
        let pieces = needs.all_pieces(2);
        assert!(pieces > weights * size_of::<f64>() && needs.sums >= weights * size_of::<f64>(), "{what}: {needs:?}");
        assert!(pieces + needs.sums < 2 << 20, "{what}: {needs:?}");
    }
}
