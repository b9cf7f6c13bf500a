//! Layers of every kind.

use snn_loops::event_sweep::{Source, Synapses};
use snn_loops::events::LinearNeuron;
use snn_loops::{ConvShape, EventLayer};

/// Slots of all trains.
pub const SLOTS: usize = 6;

/// Current-based neurons; the potential is driven, and a second port lifts it at once.
pub fn neuron(tau: f64, tau_s: f64, reset: f64, drive: f64) -> LinearNeuron {
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

/// One time constant: every arrival lifts the potential.
pub fn leaky() -> LinearNeuron {
    LinearNeuron {
        order: 1,
        flow: vec![-4.0],
        drive: vec![0.0],
        inject: vec![vec![0.08]],
        threshold: vec![1.0],
        theta: 0.2,
        reset: vec![1.0],
        kick: vec![-0.2],
        start: vec![0.0],
    }
}

/// Three states: a current that drives a current that drives a potential, all of which oscillate together.
pub fn resonator() -> LinearNeuron {
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

/// Three time constants, in a row; two of them may be nearly equal.
pub fn cascade(rates: [f64; 3]) -> LinearNeuron {
    LinearNeuron {
        flow: vec![rates[0], 1.0, 0.0, 0.0, rates[1], 8.0, 0.0, 0.0, rates[2]],
        inject: vec![vec![0.0, 0.0, 2.0]],
        reset: vec![0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        kick: vec![0.0; 3],
        ..resonator()
    }
}

/// A convolution with square kernels.
pub fn conv([cin, cout, groups]: [usize; 3], input: [usize; 2], [kernel, stride, pad]: [usize; 3]) -> ConvShape {
    let output = input.map(|len| (len + 2 * pad - kernel) / stride + 1);
    let (kernel, stride, pad) = ([kernel; 2], [stride; 2], [pad; 2]);
    ConvShape { cin, cout, groups, input, kernel, stride, pad, dilation: [1, 1], output }
}

/// The neuron whose time constants are in the ratio 2.
pub fn half() -> LinearNeuron {
    neuron(0.26, 0.13, 1.0, 0.0)
}

/// A layer of neurons with these synapses.
pub fn layer(neuron: LinearNeuron, synapses: Vec<Synapses>) -> EventLayer {
    EventLayer { neuron, synapses, slots: SLOTS, budget: SLOTS, duration: 0.5, slope_min: 0.0 }
}

/// Layers of every kind.
pub fn all() -> Vec<(&'static str, EventLayer)> {
    let train = |shape, port| Synapses::new(shape, port, Source::Train(SLOTS));
    let pooled = Synapses { image: [7, 6], pool: [2, 2], ..train(conv([3, 20, 1], [3, 3], [3, 1, 1]), 0) };
    let own = |delayed, port| Synapses::new(ConvShape::linear(9, 9), port, Source::Own(delayed));
    let outer = |n| train(ConvShape::linear(30, n), 0);
    let wide = Synapses::new(ConvShape::linear(37, 37), 0, Source::Own(true));
    let image = Synapses::new(conv([20, 20, 2], [4, 3], [3, 1, 1]), 0, Source::Own(true));
    let one_port = |neuron: LinearNeuron| LinearNeuron { inject: vec![vec![0.0, 1.0]], ..neuron };
    let idle = LinearNeuron { kick: vec![0.0; 2], ..half() };
    let recurrent = Synapses::new(ConvShape::linear(29, 29), 0, Source::Own(false));
    let single = Synapses::new(ConvShape::linear(40, 21), 0, Source::Train(1));
    let silent = LinearNeuron { theta: 1e6, ..half() };
    vec![
        ("linear, one slot", layer(half(), vec![single])),
        ("more neurons than a block has threads", layer(half(), vec![train(ConvShape::linear(20, 150), 0)])),
        ("few neurons, many arrivals", layer(one_port(half()), vec![train(ConvShape::linear(70, 3), 0)])),
        (
            "few neurons, two ports",
            layer(
                LinearNeuron { inject: vec![vec![0.0, 1.0], vec![0.0, 0.5]], ..half() },
                vec![train(ConvShape::linear(50, 3), 0), train(ConvShape::linear(20, 3), 1)],
            ),
        ),
        (
            "few neurons, other rates",
            layer(one_port(neuron(0.3, 0.11, 0.5, 0.0)), vec![train(ConvShape::linear(70, 3), 0)]),
        ),
        ("few neurons, three rates", layer(cascade([-2.0, -5.0, -9.0]), vec![train(ConvShape::linear(60, 3), 0)])),
        (
            "few neurons, fast",
            layer(
                LinearNeuron {
                    theta: 0.0003,
                    kick: vec![-0.0003, 0.0],
                    inject: vec![vec![0.0, 1.0]],
                    ..neuron(0.001, 0.0005, 1.0, 0.0)
                },
                vec![train(ConvShape::linear(70, 3), 0)],
            ),
        ),
        ("few neurons, no reset", layer(one_port(idle.clone()), vec![train(ConvShape::linear(70, 3), 0)])),
        (
            "few neurons, cut",
            EventLayer { budget: 2, ..layer(one_port(half()), vec![train(ConvShape::linear(70, 3), 0)]) },
        ),
        ("narrow, equal time constants", layer(neuron(0.13, 0.13, 1.0, 0.0), vec![train(ConvShape::linear(60, 3), 0)])),
        ("a search, driven, hard reset", layer(neuron(0.3, 0.11, 0.0, 0.4), vec![train(ConvShape::linear(30, 18), 0)])),
        ("a reset by half", layer(neuron(0.3, 0.11, 0.5, 0.0), vec![train(ConvShape::linear(30, 18), 0)])),
        ("nearly equal", layer(neuron(0.13, 0.13001, 1.0, 0.2), vec![train(ConvShape::linear(30, 5), 0)])),
        ("oscillating", layer(resonator(), vec![train(ConvShape::linear(30, 5), 0)])),
        ("three rates", layer(cascade([-2.0, -5.0, -9.0]), vec![train(ConvShape::linear(30, 5), 0)])),
        ("three rates, two equal", layer(cascade([-4.0, -4.0, -9.0]), vec![train(ConvShape::linear(30, 5), 0)])),
        (
            "three rates, two nearly equal",
            layer(cascade([-4.0, -4.001, -9.0]), vec![train(ConvShape::linear(30, 5), 0)]),
        ),
        ("one rate", layer(leaky(), vec![train(ConvShape::linear(30, 12), 0)])),
        (
            "nothing decays",
            layer(
                LinearNeuron { flow: vec![0.0], drive: vec![0.3], ..leaky() },
                vec![train(ConvShape::linear(30, 12), 0)],
            ),
        ),
        ("convolution with stride", layer(half(), vec![train(conv([4, 6, 2], [6, 7], [3, 2, 1]), 0)])),
        (
            "depthwise and dense",
            layer(
                half(),
                vec![train(conv([4, 4, 4], [4, 4], [1, 1, 0]), 0), train(conv([4, 4, 1], [4, 4], [3, 1, 1]), 0)],
            ),
        ),
        ("merged trains", layer(half(), vec![pooled])),
        (
            "lifted at once",
            layer(half(), vec![train(ConvShape::linear(30, 18), 0), train(ConvShape::linear(12, 18), 1)]),
        ),
        ("no reset", layer(idle, vec![outer(18)])),
        (
            "a pixel that reaches nothing but padding",
            layer(half(), vec![train(conv([3, 20, 1], [1, 1], [1, 3, 1]), 0), train(ConvShape::linear(30, 20), 0)]),
        ),
        ("silent", layer(silent, vec![outer(18)])),
        ("flat slopes count as more", EventLayer { slope_min: 0.5, ..layer(half(), vec![outer(18)]) }),
        ("feedback", layer(half(), vec![outer(9), own(false, 0)])),
        ("delayed feedback", layer(half(), vec![outer(9), own(true, 0)])),
        ("feedback that lifts", layer(half(), vec![outer(9), own(false, 1)])),
        ("delayed feedback that lifts", layer(half(), vec![outer(9), own(true, 1)])),
        ("feedback of both kinds", layer(neuron(0.3, 0.11, 0.5, 0.4), vec![own(true, 0), outer(9), own(false, 0)])),
        ("feedback with different delays", layer(half(), vec![own(false, 0), outer(9), own(true, 0), own(true, 0)])),
        ("oscillating feedback", layer(resonator(), vec![outer(9), own(false, 0)])),
        ("wide feedback", layer(half(), vec![outer(37), wide])),
        ("convolutional feedback", layer(half(), vec![train(conv([4, 20, 1], [4, 3], [3, 1, 1]), 0), image])),
        ("cut at two spikes", EventLayer { budget: 2, ..layer(half(), vec![train(ConvShape::linear(60, 21), 0)]) }),
        (
            "feedback, cut at one spike",
            EventLayer { budget: 1, ..layer(half(), vec![train(ConvShape::linear(30, 29), 0), recurrent]) },
        ),
    ]
}
