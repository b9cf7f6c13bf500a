//! What the backward pass computes a second time is not kept for it, although time loops run again there.

use std::collections::BTreeSet;

use snn_graph::lower::{LowerOptions, Lowered, lower};
use snn_graph::passes::{self, PassContext};
use snn_graph::recompute::{RecomputeError, fit};
use snn_graph::training::{TrainStep, train_step};
use snn_loops::plan::touched;
use snn_loops::{BufferId, ContractionKind, Dtype, Kernel, verify};
use snnc::Model;

const BATCH: usize = 4;

/// Neurons whose states are computed again from what they are driven by: a plain sum, or one behind a norm.
const MODELS: &[(&str, &str)] = &[
    (
        "plain",
        "Linear(24) -> IterativeLIF() -> Linear(20) -> IterativeLIF() -> Linear(16) -> IterativeLIF() -> Linear(10)",
    ),
    (
        "norms",
        "Linear(24) -> TdBN() -> IterativeLIF() -> Linear(20) -> TdBN() -> IterativeLIF() -> Dropout(0.2) -> Linear(10)",
    ),
    (
        "norms, and neurons that need bits alone",
        "Linear(24) -> TdBN() -> IterativeLIF(detach_reset = true) -> Linear(20) -> TdBN() -> IterativeLIF() -> Linear(10)",
    ),
];

fn step(stages: &str) -> TrainStep {
    let text = format!(
        "use std.neurons {{ IterativeLIF }}
use std.layers {{ Linear, Dropout, Flatten }}
use std.norms {{ TdBN }}

model Deep {{
    input image: [1, 8, 8]
    time 6
    image -> Flatten() -> {stages}
}}

train Deep {{
    data      = digits()
    loss      = cross_entropy(mean(out, over = time), label)
    optimizer = sgd(lr = 0.1)
    epochs    = 1
    batch     = {BATCH}
    gradient  = stbp
    seed      = 1
}}
"
    );
    let model = Model::from_text("deep.snn", &text, &[]).unwrap_or_else(|error| panic!("{stages}: {error}"));
    let passed = passes::run(model.graph(), &PassContext::new(model.graph(), true), None).unwrap();
    train_step(&passed, &model.recipe().unwrap().optimizer.rule).unwrap()
}

/// Layers whose forward contraction writes what a kernel of the backward pass reads.
fn kept(lowered: &Lowered) -> BTreeSet<String> {
    let program = &lowered.program;
    let computed = |kernel: usize| lowered.computed.get(kernel).and_then(|all| all.first());
    let is_backward = |kernel: usize| computed(kernel).is_some_and(|first| first.grad);
    let read = |buffer: BufferId| {
        let mut backward = program.kernels.iter().enumerate().filter(|(at, _)| is_backward(*at));
        backward.any(|(_, kernel)| touched(kernel).reads.contains(&buffer))
    };
    let mut kept = BTreeSet::new();
    for (at, kernel) in program.kernels.iter().enumerate() {
        let Kernel::Contraction(contraction) = kernel else { continue };
        let is_forward = contraction.kind == ContractionKind::Forward && !is_backward(at);
        if is_forward && read(contraction.out.buffer) {
            kept.extend(computed(at).and_then(|first| first.name.clone()));
        }
    }
    kept
}

#[test]
fn what_is_computed_twice_is_not_kept() {
    for (name, stages) in MODELS {
        let step = step(stages);
        let options = LowerOptions::new(BATCH, Dtype::F32);
        let lowered = |step: &TrainStep| lower(&step.graph, &step.outputs, options).unwrap();
        assert!(!kept(&lowered(&step)).is_empty(), "{name}: nothing to save proves nothing");
        let Err(RecomputeError::TooMuch { least, .. }) = fit(&step, options, 1) else { panic!("{name}: one byte") };
        let fitted = fit(&step, options, least).unwrap();
        assert!(fitted.bytes <= least && !fitted.recomputed.is_empty(), "{name}");
        let program = lowered(&fitted.step);
        let kept = kept(&program);
        for layer in &fitted.recomputed {
            assert!(!kept.contains(layer), "{name}: `{layer}` is computed twice, and kept: {kept:?}");
        }
        verify::verify(&program.program).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        for kernel in &program.program.kernels {
            assert!(!touched(kernel).writes.is_empty(), "{name}: `{}` computes nothing", kernel.name());
        }
    }
}
