//! Event sweeps on an emulated device against the interpreter, and under the real compiler. Skipped, saying so, where there is
//! no C++ compiler or no NVRTC.

#[path = "../../../gpu-check/tests/common/emulation.rs"]
mod emulation;
mod layers;
mod processes;
mod programs;
mod shipped;

use processes::{BITS, in_all_schedules};
use programs::{Case, KEY, Layers};
use snn_cuda::{Device, Executable, Instance, Precision, Target};
use snn_loops::event_sweep::{Source, Synapses};
use snn_loops::{ConvShape, Dtype, EventLayer};

/// A program on a device.
fn instance(layers: &Layers) -> Instance {
    let device = Device::open(0).unwrap();
    let target = Target { arch: device.arch(), dtype: layers.program.dtype, precision: Precision::F32 };
    let emission = snn_cuda::emit(&layers.program, &target);
    Instance::new(&Executable::compile(&layers.program, emission, &device).unwrap()).unwrap()
}

/// Runs it and compares everything with the interpreter, relative to the largest number of each buffer. Says what the bits
/// are, which must not depend on the schedule.
fn check(layers: &Layers, instance: &mut Instance, tolerance: f64) {
    let is_single = layers.program.dtype == Dtype::F32;
    for (id, values) in &layers.inputs {
        match is_single {
            true => instance.write_f32(*id, &values.iter().map(|value| *value as f32).collect::<Vec<f32>>()).unwrap(),
            false => instance.write_f64(*id, values).unwrap(),
        }
    }
    instance.run(KEY).unwrap();
    let expected = layers.interpreted();
    let mut bits = 0u64;
    for Case { what, outputs, .. } in &layers.cases {
        for id in outputs {
            let found: Vec<f64> = match is_single {
                true => instance.read_f32(*id).unwrap().into_iter().map(f64::from).collect(),
                false => instance.read_f64(*id).unwrap(),
            };
            let expected = expected.buffer(*id);
            let finite = expected.iter().filter(|value| value.is_finite());
            let scale = finite.fold(1e-9f64, |most, value| most.max(value.abs()));
            for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
                let same = found == expected || (found - expected).abs() <= tolerance * scale;
                assert!(same, "{what}: element {at} of b{} is {found:e}, expected {expected:e}", id.0);
                bits = (bits.rotate_left(5) ^ found.to_bits()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            }
        }
    }
    println!("{BITS}{bits:016x}");
}

#[test]
fn layers_do_what_the_interpreter_does() {
    if !in_all_schedules("layers_do_what_the_interpreter_does") {
        return;
    }
    let mut layers = Layers::of(&layers::all(), Dtype::F64);
    let expected = layers.interpreted();
    for Case { what, times, .. } in &layers.cases {
        let n = expected.buffer(*times).iter().filter(|time| time.is_finite()).count();
        assert!((n > 8) != (*what == "silent"), "{what}: {n} spikes");
    }
    let mut instance = instance(&layers);
    check(&layers, &mut instance, 1e-9);
    layers.make_wild();
    check(&layers, &mut instance, 1e-9);
}

#[test]
fn layers_in_single_precision_do_what_the_interpreter_does() {
    if !in_all_schedules("layers_in_single_precision_do_what_the_interpreter_does") {
        return;
    }
    let some: Vec<(&str, EventLayer)> = layers::all().into_iter().step_by(2).collect();
    let layers = Layers::of(&some, Dtype::F32);
    check(&layers, &mut instance(&layers), 2e-4);
}

#[test]
fn layers_without_neurons_or_senders_do_nothing() {
    if !in_all_schedules("layers_without_neurons_or_senders_do_nothing") {
        return;
    }
    let mut all = Vec::new();
    for (senders, neurons) in [(4, 0), (0, 4)] {
        for own in [None, Some(false), Some(true)] {
            let outer = Synapses::new(ConvShape::linear(senders, neurons), 0, Source::Train(layers::SLOTS));
            let own = own.map(|own| Synapses::new(ConvShape::linear(neurons, neurons), 0, Source::Own(own)));
            let synapses = [outer].into_iter().chain(own).collect();
            all.push(("nothing", layers::layer(layers::half(), synapses)));
        }
    }
    let layers = Layers::of(&all, Dtype::F32);
    check(&layers, &mut instance(&layers), 0.0);
}
