//! Layers of the sizes of published networks under the real compiler: no registers spilled; and the largest neurons fit.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use snn_cuda::{Arch, Compiler, Precision, Resources, Target};
use snn_loops::event_sweep::{Source, Synapses};
use snn_loops::events::LinearNeuron;
use snn_loops::{ConvShape, Dtype, EventLayer};

use crate::layers::{conv, half, neuron};
use crate::programs::Layers;

/// Says to a process that it finds NVRTC.
const ALONE: &str = "SNN_EVENTS_TEST_NVRTC";

/// 784-800-10 and the convolutional network of the same paper, with 30 slots; equal time constants; feedback.
fn layers() -> Vec<(&'static str, EventLayer)> {
    let layer =
        |neuron, synapses| EventLayer { neuron, synapses, slots: 30, budget: 30, duration: 0.2, slope_min: 0.0 };
    let from = |slots, shape| Synapses::new(shape, 0, Source::Train(slots));
    let paper = || {
        let mut paper = half();
        paper.inject.truncate(1);
        paper
    };
    let pooled = Synapses { image: [24, 24], pool: [2, 2], ..from(30, conv([15, 40, 1], [12, 12], [5, 1, 0])) };
    let recurrent = Synapses::new(ConvShape::linear(128, 128), 0, Source::Own(true));
    vec![
        ("784-800", layer(paper(), vec![from(1, ConvShape::linear(784, 800))])),
        ("800-10", layer(paper(), vec![from(30, ConvShape::linear(800, 10))])),
        ("28x28 to 15 channels", layer(paper(), vec![from(1, conv([1, 15, 1], [28, 28], [5, 1, 0]))])),
        ("15 to 40 channels", layer(paper(), vec![pooled])),
        ("equal time constants", layer(neuron(0.01, 0.01, 0.0, 0.0), vec![from(1, ConvShape::linear(784, 350))])),
        ("feedback", layer(paper(), vec![from(1, ConvShape::linear(784, 128)), recurrent])),
    ]
}

/// As many states as a neuron may have, each driven by all others at nearly equal rates: the most that a way from an event
/// to the next takes of shared memory.
fn eight_states() -> LinearNeuron {
    let flow = |at: usize| if at.is_multiple_of(9) { -10.0 - at as f64 * 1e-5 } else { 0.125 };
    LinearNeuron {
        order: 8,
        flow: (0..64).map(flow).collect(),
        drive: vec![0.1; 8],
        inject: vec![(0..8).map(|at| if at == 7 { 1.0 } else { 0.0 }).collect()],
        threshold: (0..8).map(|at| if at == 0 { 1.0 } else { 0.0 }).collect(),
        theta: 0.2,
        reset: (0..64_usize).map(|at| if at > 0 && at.is_multiple_of(9) { 1.0 } else { 0.0 }).collect(),
        kick: vec![0.0; 8],
        start: vec![0.0; 8],
    }
}

/// NVRTC of this repository or of the user.
fn nvrtc() -> Option<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/nvrtc/nvidia/cu13/lib");
    let named = env::var_os("SNNC_NVRTC").map(PathBuf::from);
    named.into_iter().chain([ours]).find(|folder| folder.join("libnvrtc.so.13").exists())
}

/// What the functions of layers take on every architecture; `None`, saying so, where there is no NVRTC. The test of this name
/// runs once more, in a process that finds it.
fn resources(test: &str, layers: &[(&'static str, EventLayer)]) -> Option<Vec<Resources>> {
    if env::var_os(ALONE).is_none() {
        let Some(libraries) = nvrtc() else {
            eprintln!("skipped: there is no NVRTC in .cache/nvrtc, so no text is compiled by the real compiler");
            return None;
        };
        let mut process = Command::new(env::current_exe().unwrap());
        process.args([&format!("shipped::{test}"), "--exact", "--nocapture"]).env(ALONE, "1");
        process.env("SNNC_CUDA_LIBS", libraries).env("SNNC_CACHE", "off").env_remove("SNNC_NO_GPU");
        let output = process.output().unwrap();
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.contains("1 passed"), "{said}\n{complained}");
        return None;
    }
    let compiler = Compiler::open().unwrap();
    let mut resources = Vec::new();
    for dtype in [Dtype::F32, Dtype::F64] {
        let program = Layers::of(layers, dtype).program;
        for arch in Arch::ALL {
            let emission = snn_cuda::emit(&program, &Target { arch, dtype, precision: Precision::F32 });
            for unit in &emission.units {
                let compiled = compiler.compile(&unit.name, &unit.text, arch.name()).unwrap();
                assert_eq!(compiled.resources.len(), unit.functions.len());
                resources.extend(compiled.resources);
            }
        }
    }
    assert!(!resources.is_empty());
    Some(resources)
}

#[test]
fn layers_of_published_sizes_spill_nothing() {
    let test = "layers_of_published_sizes_spill_nothing";
    for function in resources(test, &layers()).into_iter().flatten() {
        assert_eq!(function.spill_stores + function.spill_loads, 0, "{function:?}");
        assert!(function.registers <= 128, "{function:?}");
    }
}

#[test]
fn neurons_of_eight_states_fit() {
    let synapses = vec![Synapses::new(ConvShape::linear(784, 130), 0, Source::Train(1))];
    let layer = EventLayer { neuron: eight_states(), synapses, slots: 30, budget: 30, duration: 0.2, slope_min: 0.0 };
    let Some(functions) = resources("neurons_of_eight_states_fit", &[("eight states", layer)]) else { return };
    // Whatever does not fit is no program at all. Their states alone are more than registers hold.
    let most = functions.iter().map(|function| function.shared_bytes).max();
    assert!(most.is_some_and(|most| most > 32 << 10 && most <= 48 << 10), "{functions:?}");
}
