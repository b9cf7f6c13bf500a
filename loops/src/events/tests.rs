//! Crossings that are hard to find, and neurons for the tests of this module.

use super::*;

/// `u' = i - u / tau_m`, `i' = -i / tau_s`, a subtractive reset at a threshold of 1.
pub(super) fn cuba(tau_m: f64, tau_s: f64) -> LinearNeuron {
    LinearNeuron {
        order: 2,
        flow: vec![-1.0 / tau_m, 1.0, 0.0, -1.0 / tau_s],
        drive: vec![0.0; 2],
        inject: vec![vec![0.0, 1.0]],
        threshold: vec![1.0, 0.0],
        theta: 1.0,
        reset: vec![1.0, 0.0, 0.0, 1.0],
        kick: vec![-1.0, 0.0],
        start: vec![0.0; 2],
    }
}

/// The same with equal time constants.
pub(super) fn alpha(tau: f64) -> LinearNeuron {
    cuba(tau, tau)
}

/// A resonating neuron: `u' = v`, `v' = -(r^2 + w^2) u + 2 r v`, so that its eigenvalues are `r +- i w`.
fn resonator(rate: f64, frequency: f64) -> LinearNeuron {
    let flow = vec![0.0, 1.0, -(rate * rate + frequency * frequency), 2.0 * rate];
    LinearNeuron { flow, ..cuba(1.0, 1.0) }
}

/// Three states in a row.
fn cascade(rates: [f64; 3]) -> LinearNeuron {
    let [a, b, c] = rates;
    LinearNeuron {
        order: 3,
        flow: vec![-a, 1.0, 0.0, 0.0, -b, 1.0, 0.0, 0.0, -c],
        drive: vec![0.0; 3],
        inject: vec![vec![0.0, 0.0, 1.0]],
        threshold: vec![1.0, 0.0, 0.0],
        theta: 1.0,
        reset: vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        kick: vec![-1.0, 0.0, 0.0],
        start: vec![0.0; 3],
    }
}

/// Neurons of every kind of solution, with states of a size at which their potential may cross.
fn zoo() -> Vec<LinearNeuron> {
    let mut driven = cuba(3.0, 1.0);
    driven.drive = vec![0.3, 0.0];
    let mut driven_pair = cuba(2.0, 1.0);
    driven_pair.drive = vec![0.25, -0.125];
    let mut ramp = cuba(2.0, 1.0);
    ramp.flow = vec![0.0; 4];
    ramp.drive = vec![0.5, 0.0];
    let mut single = cuba(2.0, 1.0);
    single.flow = vec![-0.5, 0.0, 0.0, -1.0];
    single.drive = vec![0.8, 0.0];
    let mut unstable = cuba(2.0, 1.0);
    unstable.flow = vec![0.4, 1.0, 0.0, -1.0];
    let mut ring = cascade([1.0, 0.7, 0.9]);
    ring.flow = vec![-1.0, 2.0, 0.0, 0.0, -0.7, 2.0, -3.0, 0.0, -0.9];
    vec![
        cuba(2.0, 1.0),
        cuba(1.0, 2.0),
        driven_pair,
        alpha(1.0),
        cuba(1.0 + 1e-9, 1.0),
        cuba(3.7, 1.0),
        driven,
        ramp,
        single,
        unstable,
        cascade([1.0, 0.5, 0.3]),
        cascade([1.0, 1.0, 1.0]),
        cascade([2.0, 2.0, 0.7]),
        resonator(-0.2, 3.0),
        resonator(-1.0, 1e-4),
        resonator(0.1, 2.0),
        ring,
    ]
}

/// Numbers from -1 to 1 that look random, always the same.
fn noise(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// The first crossing by brute force: a grid of steps, then bisection.
fn by_grid(solver: &Solver, x: &[f64], limit: f64, steps: usize) -> Option<f64> {
    let excess = |s: f64| {
        let mut at = x.to_vec();
        solver.propagator(s).advance(&mut at);
        solver.excess(&at)
    };
    let at = |k: usize| limit * k as f64 / steps as f64;
    let k = (1..=steps).find(|k| excess(at(k - 1)) < 0.0 && excess(at(*k)) >= 0.0)?;
    let (mut low, mut high) = (at(k - 1), at(k));
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if excess(middle) < 0.0 { low = middle } else { high = middle }
    }
    Some(high)
}

#[test]
fn crossings_are_those_of_a_fine_grid() {
    let mut seed = 7;
    for (kind, neuron) in zoo().iter().enumerate() {
        let solver = Solver::new(neuron).unwrap();
        let mut crossings = 0;
        for case in 0..60 {
            let mut x: Vec<f64> = (0..neuron.order).map(|_| 12.0 * noise(&mut seed)).collect();
            x[0] = 0.9 * noise(&mut seed);
            let found = solver.first_crossing(&x, 8.0);
            let expected = by_grid(&solver, &x, 8.0, 800);
            let slope = found.map(|s| {
                solver.propagator(s).advance(&mut x);
                neuron.slope(&x)
            });
            crossings += usize::from(found.is_some());
            match (found, expected) {
                (Some(a), Some(b)) => {
                    assert!((a - b).abs() < 1e-13 / slope.unwrap().min(1.0), "{kind}.{case}: {a} {b}")
                }
                (None, None) => {}
                // Less than a step of the grid apart from the tangent.
                (Some(_), None) => assert!(slope.unwrap() < 0.3, "{kind}.{case}: {found:?} {expected:?}"),
                (None, Some(_)) => panic!("{kind}.{case}: missed {expected:?}"),
            }
        }
        assert!(crossings > 5, "{kind}: {crossings} crossings");
    }
}

#[test]
fn the_kinds_of_solutions() {
    let names: Vec<String> = zoo()
        .iter()
        .map(|neuron| {
            let text = format!("{:?}", Solver::new(neuron).unwrap().solution());
            text.split([' ', '{']).next().unwrap_or_default().to_owned()
        })
        .collect();
    let (q, w, s) = ("Quadratic", "LambertW", "Search");
    assert_eq!(names, [q, q, q, w, s, s, s, "Line", "Logarithm", s, s, s, s, s, s, s, s]);
}

#[test]
fn closed_forms_and_the_search_agree() {
    let mut seed = 3;
    for neuron in zoo().iter().take(10) {
        let solver = Solver::new(neuron).unwrap();
        let chain = chain::Chain::new(neuron);
        for _ in 0..200 {
            let x = [0.99 * noise(&mut seed), 5.0 * noise(&mut seed)];
            let closed = solver.first_crossing(&x, 6.0);
            let searched = search::first_crossing(&chain, &chain.of(&x), 6.0, true);
            match (closed, searched) {
                (Some(a), Some(b)) => assert!((a - b).abs() < 1e-11, "{neuron:?} {x:?}: {a} {b}"),
                (a, b) => assert_eq!(a, b, "{neuron:?} {x:?}"),
            }
        }
    }
}

#[test]
fn a_bump_that_just_reaches_the_threshold_is_found_and_one_that_does_not_is_not() {
    // The potential of a single input is largest at a known time; scale it to 1 +- a little.
    for (neuron, top) in [
        (cuba(2.0, 1.0), 2.0 * libm::log(2.0)),
        (alpha(1.0), 1.0),
        (cuba(3.7, 1.0), 3.7 / 2.7 * libm::log(3.7)),
        (cascade([1.0, 1.0, 1.0]), 2.0),
    ] {
        let solver = Solver::new(&neuron).unwrap();
        let mut unit = vec![0.0; neuron.order];
        unit[neuron.order - 1] = 1.0;
        let mut at_top = unit.clone();
        solver.propagator(top).advance(&mut at_top);
        let height = neuron.potential(&at_top);
        for gap in [1e-3, 1e-6, 1e-9, 1e-12] {
            let scaled = |by: f64| unit.iter().map(|x| x * by / height).collect::<Vec<f64>>();
            assert_eq!(solver.first_crossing(&scaled(1.0 - gap), 10.0), None, "{neuron:?} {gap:e}");
            let found = solver.first_crossing(&scaled(1.0 + gap), 10.0).unwrap();
            assert!(found < top && top - found < 4.0 * top * gap.sqrt() + 1e-12, "{neuron:?} {gap:e}: {found} {top}");
        }
    }
}

#[test]
fn the_first_of_two_crossings_between_events() {
    // A potential that oscillates crosses many times; one that begins high, too, after it has fallen.
    let solver = Solver::new(&resonator(-0.05, 2.0)).unwrap();
    let first = solver.first_crossing(&[0.0, 4.0], 50.0).unwrap();
    assert!(first < std::f64::consts::FRAC_PI_4, "{first}");
    let mut x = vec![0.0, 4.0];
    solver.propagator(first).advance(&mut x);
    let again = solver.first_return(&x, 50.0).unwrap();
    assert!((again - std::f64::consts::PI).abs() < 0.5, "{again}");
    // Three time constants: down through the threshold, up again.
    let mut neuron = cascade([1.0, 0.5, 0.3]);
    neuron.theta = -1.0;
    let solver = Solver::new(&neuron).unwrap();
    let x = [-0.5, -6.0, 3.0];
    let rise = solver.first_return(&x, 30.0).unwrap();
    assert_eq!(by_grid(&solver, &x, 30.0, 4000).map(|s| (s - rise).abs() < 1e-12), Some(true), "{rise}");
}

#[test]
fn a_crossing_at_an_event_happens_once() {
    // The second input arrives exactly when the potential reaches the threshold.
    for neuron in [cuba(2.0, 1.0), alpha(1.0), cuba(3.7, 1.0)] {
        let solver = Solver::new(&neuron).unwrap();
        let first = InputSpike { time: 0.0, port: 0, weight: 6.0 };
        let alone = simulate(&solver, &[first], 20.0, 50);
        for nudge in [-1i64, 0, 1] {
            let time = f64::from_bits((alone.spikes[0].time.to_bits() as i64 + nudge) as u64);
            let tie = InputSpike { time, port: 0, weight: 0.0 };
            let both = simulate(&solver, &[first, tie], 20.0, 50);
            assert_eq!(both.spikes.len(), alone.spikes.len(), "{nudge}: {both:?}");
            for (a, b) in both.spikes.iter().zip(&alone.spikes) {
                assert!((a.time - b.time).abs() < 1e-14, "{nudge}: {} {}", a.time, b.time);
            }
        }
    }
}

#[test]
fn a_reset_to_the_threshold_does_not_spike_again_at_once() {
    for mut neuron in [cuba(2.0, 1.0), alpha(1.0), cuba(3.7, 1.0), resonator(-0.1, 3.0)] {
        neuron.kick = vec![0.0; 2];
        let solver = Solver::new(&neuron).unwrap();
        let input = InputSpike { time: 0.0, port: 0, weight: 6.0 };
        let response = simulate(&solver, &[input], 20.0, 50);
        let expected = if solver.frequency() > 0.0 { 2..20 } else { 1..2 };
        assert!(expected.contains(&response.spikes.len()), "{response:?}");
        // An input while the potential is still above does not make it spike, either.
        let later = InputSpike { time: response.spikes[0].time + 1e-3, ..input };
        assert_eq!(simulate(&solver, &[input, later], 0.5, 50).spikes.len(), 1);
    }
}

#[test]
fn an_input_that_lifts_the_potential_makes_it_spike_at_its_own_time() {
    let mut neuron = cuba(2.0, 1.0);
    neuron.inject = vec![vec![1.0, 0.0]];
    let solver = Solver::new(&neuron).unwrap();
    let inputs = [0.5, 1.25, 1.5].map(|time| InputSpike { time, port: 0, weight: 0.7 });
    let response = simulate(&solver, &inputs, 5.0, 50);
    assert_eq!(response.spikes.len(), 1);
    assert_eq!((response.spikes[0].time, response.spikes[0].lifted), (1.25, true));
    let gradient = adjoint(&solver, &inputs, &response, &[3.0], 0.0);
    assert_eq!(gradient.times, [0.0, 3.0, 0.0]);
    assert_eq!(gradient.weights, [0.0; 3]);
}

#[test]
fn negative_weights_delay_and_silence() {
    for neuron in [cuba(2.0, 1.0), alpha(1.0), cuba(3.7, 1.0)] {
        let solver = Solver::new(&neuron).unwrap();
        let run = |weights: [f64; 3]| {
            let inputs = [0.0, 0.25, 0.5].into_iter().zip(weights);
            let inputs: Vec<_> = inputs.map(|(time, weight)| InputSpike { time, port: 0, weight }).collect();
            simulate(&solver, &inputs, 10.0, 50).spikes.first().map(|spike| spike.time)
        };
        let plain = run([2.0, 0.0, 2.0]).unwrap();
        assert!(run([2.0, -0.5, 2.0]).unwrap() > plain);
        assert_eq!(run([2.0, -4.0, 2.0]), None);
        assert_eq!(run([-1.0, -4.0, -2.0]), None);
    }
}

#[test]
fn the_budget_ends_a_run_and_is_reported() {
    let solver = Solver::new(&cuba(2.0, 1.0)).unwrap();
    let input = [InputSpike { time: 0.0, port: 0, weight: 60.0 }];
    let whole = simulate(&solver, &input, 20.0, 500);
    assert!(!whole.overflow && whole.spikes.len() > 10);
    let cut = simulate(&solver, &input, 20.0, 5);
    assert!(cut.overflow);
    assert_eq!(cut.spikes, whole.spikes[..5]);
    assert!(!simulate(&solver, &input, 20.0, whole.spikes.len()).overflow);
}

#[test]
fn the_adjoint_is_the_derivative() {
    let mut seed = 11;
    for (kind, mut neuron) in zoo().into_iter().enumerate() {
        // A reset that is neither the identity nor a subtraction alone.
        neuron.reset[0] = 0.3;
        let last = neuron.reset.len() - 1;
        neuron.reset[last] = 0.8;
        neuron.kick[0] = -0.4;
        let solver = Solver::new(&neuron).unwrap();
        let inputs: Vec<InputSpike> = (0..8)
            .map(|k| InputSpike {
                time: 0.4 * f64::from(k) + 0.1 * noise(&mut seed),
                port: 0,
                weight: 2.0 + 3.0 * noise(&mut seed),
            })
            .collect();
        let inputs: Vec<InputSpike> = inputs.into_iter().filter(|input| input.time >= 0.0).collect();
        let response = simulate(&solver, &inputs, 6.0, 100);
        let errors: Vec<f64> = response.spikes.iter().map(|_| noise(&mut seed)).collect();
        let loss = |inputs: &[InputSpike]| {
            let found = simulate(&solver, inputs, 6.0, 100);
            assert_eq!(found.spikes.len(), errors.len(), "{kind}: a spike appeared or vanished");
            found.spikes.iter().zip(&errors).map(|(spike, error)| spike.time * error).sum::<f64>()
        };
        let gradient = adjoint(&solver, &inputs, &response, &errors, 0.0);
        let step = 1e-6;
        for at in 0..inputs.len() {
            let moved = |weight: f64, time: f64| {
                let mut inputs = inputs.clone();
                inputs[at].weight += weight;
                inputs[at].time += time;
                loss(&inputs)
            };
            let by_weight = (moved(step, 0.0) - moved(-step, 0.0)) / (2.0 * step);
            let by_time = (moved(0.0, step) - moved(0.0, -step)) / (2.0 * step);
            let close = |a: f64, b: f64| (a - b).abs() < 1e-7 * (1.0 + a.abs() + b.abs());
            assert!(close(gradient.weights[at], by_weight), "{kind}.{at}: {} {by_weight}", gradient.weights[at]);
            assert!(close(gradient.times[at], by_time), "{kind}.{at}: {} {by_time}", gradient.times[at]);
        }
    }
}

#[test]
fn a_slope_below_the_floor_is_counted() {
    let solver = Solver::new(&cuba(2.0, 1.0)).unwrap();
    let inputs = [InputSpike { time: 0.0, port: 0, weight: 3.0 }];
    let response = simulate(&solver, &inputs, 20.0, 50);
    let free = adjoint(&solver, &inputs, &response, &[1.0], 0.0);
    let held = adjoint(&solver, &inputs, &response, &[1.0], 1e6);
    assert_eq!((free.floored, held.floored), (0, response.spikes.len()));
    assert!(held.weights[0].abs() < free.weights[0].abs() && held.weights[0] != 0.0);
}

#[test]
fn neurons_that_cannot_be_solved_say_why() {
    let changed = |change: fn(&mut LinearNeuron)| {
        let mut neuron = cuba(2.0, 1.0);
        change(&mut neuron);
        Solver::new(&neuron).unwrap_err().to_string()
    };
    assert_eq!(changed(|n| n.order = 0), "the neuron has no state");
    assert_eq!(changed(|n| n.order = 9), "the neuron has 9 states; at most 8 can be solved");
    assert_eq!(changed(|n| n.drive.clear()), "the neuron's drive does not fit its number of states");
    assert_eq!(changed(|n| n.theta = f64::NAN), "the neuron's theta is not a finite number");
}

#[test]
fn states_that_are_not_finite_end() {
    for neuron in zoo() {
        let solver = Solver::new(&neuron).unwrap();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            let x = vec![value; neuron.order];
            let _ = solver.first_crossing(&x, 5.0);
            let _ = solver.first_return(&x, 5.0);
            let _ = solver.first_crossing(&vec![0.5; neuron.order], f64::NAN);
        }
    }
}
