//! A model step by step gives what it gives for a whole sequence, in memory that does not depend on the number of steps.
//!
//! Contractions over one step may sum in another order than over all of them, so that results agree within a tolerance;
//! where a model has none they agree to the bit.

use std::path::Path;

use snn_loops::Kernel;
use snnc::graph::passes::{self, PassContext};
use snnc::graph::streaming::streaming;
use snnc::runtime::checkpoint::{self, TensorData};
use snnc::{Device, Dtype, Model, Session, SessionOptions, Stream};

const BATCH: usize = 2;

/// The examples, small.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    ("models/digits_mlp.snn", &[]),
    ("mnist_tdbn.snn", &[("model.width", "8")]),
    (
        "models/noise_single_step.snn",
        &[("model.steps", "3"), ("model.neuron", "IterativeLIF(decay = 0.25, v_th = 0.1)")],
    ),
    ("models/recurrent_spoken_digits.snn", &[("model.hidden", "32")]),
    ("models/tdbn_resnet19.snn", &[("model.width", "8"), ("model.steps", "2")]),
];

/// Pieces of the library: a name and the stages of a model on `x: frames[4]`, or on `x: frames[2, 4, 4]` where they
/// begin with a convolution or a pool.
const PIECES: &[&str] = &[
    "LIF()",
    "IF()",
    "PLIF()",
    "LI(tau = 20ms)",
    "IterativeLIF(decay = 0.25)",
    "CubaLIF()",
    "DiscreteCubaLIF()",
    "Leaky()",
    "Synaptic()",
    "direct() -> Normalize(mean = 0.5, std = 0.25) -> LIF()",
    "Linear(5) -> LIF() -> Linear(3) -> Rate()",
    "Linear(5) -> LIF() -> Linear(3) -> Last()",
    "Linear(5) -> LIF() -> Linear(3) -> Max()",
    "Linear(6) -> LIF() -> Vote(2)",
    "Recurrent(5)",
    "Delay(2) -> LIF()",
    "poisson() -> Linear(3)",
    "latency(window = 4) -> Linear(3)",
    "Linear(5) -> BatchNorm() -> LIF()",
    "Linear(5) -> TEBN() -> LIF()",
    "Dropout(0.5) -> LIF()",
    "NoisyStep()",
    "Conv2d(4, 3) -> TdBN() -> IterativeLIF() -> AvgPool2d(2) -> Flatten() -> Linear(3)",
    "Conv2d(4, 3, bias = true) -> IterativeLIF() -> NeuNorm() -> MaxPool2d(2)",
    "BasicBlock(4, stride = 2)",
];

const HEAD: &str = "
use std.neurons { LIF, IF, PLIF, LI, IterativeLIF, CubaLIF, DiscreteCubaLIF, Leaky, Synaptic, NoisyStep }
use std.layers { Linear, Conv2d, AvgPool2d, MaxPool2d, Dropout, Flatten, Normalize }
use std.norms { TdBN, BatchNorm, TEBN, NeuNorm }
use std.encoders { direct, poisson, latency }
use std.readouts { Rate, Last, Max, Vote }
use std.blocks { Recurrent, BasicBlock, Delay }
";

fn piece(stages: &str, steps: usize) -> Model {
    let dims = if stages.starts_with("Conv2d") || stages.starts_with("BasicBlock") { "2, 4, 4" } else { "4" };
    let text = format!(
        "{HEAD}\nmodel Piece {{\n    input x: frames[{dims}]\n    time {steps} of 2ms\n    x -> {stages}\n}}\n"
    );
    Model::from_text("piece.snn", &text, &[]).unwrap_or_else(|error| panic!("{stages}: {error}"))
}

fn example(name: &str, overrides: &[(&str, &str)]) -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    Model::from_file(path, overrides).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Numbers in [0, 4) that are the same in every run; spikes where `spikes` is set.
fn numbers(len: usize, spikes: bool) -> Vec<f32> {
    let unit = |at: usize| (at.wrapping_mul(2_654_435_761) >> 7) % 4000;
    (0..len).map(|at| if spikes { f32::from(u8::from(unit(at) > 2400)) } else { unit(at) as f32 / 1000.0 }).collect()
}

fn options(model: &Model, dtype: Dtype) -> SessionOptions {
    SessionOptions { batch: BATCH, dtype, device: Device::cpu(2), ..model.options() }
}

/// Each input's values for all steps, and how many of them belong to one step (all, where the input is static).
fn data(model: &Model) -> Vec<(String, Vec<f32>, usize)> {
    let steps = model.graph().graph.steps;
    let of = |input: &snnc::graph::Input| {
        let len = BATCH * input.dims.iter().product::<usize>();
        let all = if model.graph().graph.ty(input.node).time { steps * len } else { len };
        (input.name.clone(), numbers(all, input.kind == snnc::graph::InputKind::Spikes), len)
    };
    model.graph().inputs.iter().map(of).collect()
}

/// Enlarges all weights, so that no layer of neurons stays silent.
fn enlarge(session: &mut Session) {
    let mut tensors = session.tensors(false).unwrap();
    tensors.retain(|tensor| tensor.name.ends_with("weight"));
    for tensor in &mut tensors {
        tensor.data = TensorData::F64(tensor.data.to_f64().iter().map(|weight| 4.0 * weight).collect());
    }
    session.restore(&tensors).unwrap();
}

/// Feeds one step of the data.
fn feed(stream: &mut Stream, data: &[(String, Vec<f32>, usize)], step: usize) -> (Vec<f64>, Vec<f64>) {
    let at = |all: &'_ Vec<f32>, len: usize| if all.len() == len { 0 } else { step * len };
    let values: Vec<(&str, &[f32])> =
        data.iter().map(|(name, all, len)| (name.as_str(), &all[at(all, *len)..at(all, *len) + len])).collect();
    let result = stream.step(&values).unwrap();
    (result.output.clone(), result.predictions.clone())
}

/// Whether the model has a contraction, whose sums may be in another order.
fn contracts(model: &Model) -> bool {
    let prepared = passes::run(model.graph(), &PassContext::new(model.graph(), false), None).unwrap();
    let plan = streaming(&prepared).unwrap();
    let options = snnc::graph::lower::LowerOptions::new(BATCH, Dtype::F32);
    let program = snnc::graph::lower::lower(&plan.step.graph, &plan.step.outputs, options).unwrap().program;
    program.kernels.iter().any(|kernel| matches!(kernel, Kernel::Contraction(_)))
}

fn check(what: &str, model: &Model, dtype: Dtype) {
    let mut session: Session = model.session(options(model, dtype)).unwrap_or_else(|error| panic!("{what}: {error}"));
    enlarge(&mut session);
    let data = data(model);
    let values: Vec<(&str, &[f32])> = data.iter().map(|(name, all, _)| (name.as_str(), all.as_slice())).collect();
    let whole = session.infer_batch(&values).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(whole.output.data.iter().any(|x| *x != 0.0), "{what}: nothing but zeros proves nothing");
    let mut stream = session.stream().unwrap_or_else(|error| panic!("{what}: {error}"));
    let tolerance = match dtype {
        _ if !contracts(model) => 0.0,
        Dtype::F32 => 1e-6,
        Dtype::F64 => 1e-12,
    };
    let near = |found: &[f64], expected: &[f64], step: usize| {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
            let close = (found - expected).abs() <= tolerance * expected.abs().max(1.0);
            assert!(close, "{what} {dtype:?} step {step} [{at}]: {found} is not {expected}");
        }
    };
    let steps = model.graph().graph.steps;
    let mut last = Vec::new();
    for step in 0..steps {
        let (output, predictions) = feed(&mut stream, &data, step);
        if whole.stepped {
            near(&output, &whole.output.data[step * output.len()..(step + 1) * output.len()], step);
        } else if step + 1 == steps {
            near(&output, &whole.output.data, step);
        }
        last = predictions.into_iter().map(|class| class as usize).collect();
    }
    assert_eq!(last, whole.predictions.clone().unwrap_or_default(), "{what}");
    assert_eq!(stream.steps_done(), steps as u64);
    stream.reset().unwrap();
    let (again, _) = feed(&mut stream, &data, 0);
    if whole.stepped {
        near(&again, &whole.output.data[..again.len()], 0);
    }
}

#[test]
fn examples_give_the_same_step_by_step() {
    for (name, overrides) in EXAMPLES {
        for dtype in [Dtype::F32, Dtype::F64] {
            check(name, &example(name, overrides), dtype);
        }
    }
}

#[test]
fn pieces_of_the_library_give_the_same_step_by_step() {
    for stages in PIECES {
        for dtype in [Dtype::F32, Dtype::F64] {
            check(stages, &piece(stages, 5), dtype);
        }
    }
}

#[test]
fn the_interpreter_streams_as_the_compiler_does() {
    for stages in ["poisson() -> LIF() -> Rate()", "Linear(5) -> LIF() -> Linear(3) -> Max()"] {
        let model = piece(stages, 4);
        let mut outputs = Vec::new();
        for device in [Device::cpu(1), Device::Reference] {
            let options = SessionOptions { device, ..options(&model, Dtype::F64) };
            let mut stream = model.stream(options, None).unwrap();
            outputs.push((0..4).flat_map(|step| feed(&mut stream, &data(&model), step).0).collect::<Vec<f64>>());
        }
        for (a, b) in outputs[0].iter().zip(&outputs[1]) {
            assert!((a - b).abs() < 1e-12, "{stages}: {a} is not {b}");
        }
    }
}

#[test]
fn memory_does_not_depend_on_the_number_of_steps() {
    for stages in PIECES.iter().filter(|stages| !stages.contains("latency")) {
        let bytes = |steps: usize| {
            let model = piece(stages, steps);
            model.stream(options(&model, Dtype::F32), None).unwrap().memory_bytes()
        };
        assert_eq!(bytes(5), bytes(500), "{stages}");
    }
}

#[test]
fn a_stream_goes_on_from_a_saved_state_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    for stages in ["Recurrent(5) -> Delay(2) -> Max()", "poisson() -> Linear(3) -> LIF() -> Rate()"] {
        let model = piece(stages, 6);
        let data = data(&model);
        let mut whole = model.stream(options(&model, Dtype::F32), None).unwrap();
        let expected: Vec<Vec<f64>> = (0..6).map(|step| feed(&mut whole, &data, step).0).collect();

        let mut first = model.stream(options(&model, Dtype::F32), None).unwrap();
        (0..3).for_each(|step| assert_eq!(feed(&mut first, &data, step).0, expected[step]));
        checkpoint::save(&path, &first.state().unwrap(), &std::collections::BTreeMap::new()).unwrap();

        let mut second = model.stream(options(&model, Dtype::F32), None).unwrap();
        let state = checkpoint::load(&path).unwrap().take(&second.state_specs(), &path).unwrap();
        second.restore(&state).unwrap();
        assert_eq!(second.steps_done(), 3);
        (3..6).for_each(|step| assert_eq!(feed(&mut second, &data, step).0, expected[step], "{stages}"));
        assert!(second.restore(&state[1..]).is_err());
    }
}

#[test]
fn what_needs_all_steps_at_once_is_an_error_that_names_the_layer() {
    let cases = [
        ("Centered() -> LIF()", "centered1", "known after the last one"),
        ("LIF() -> Share()", "share1", "known after the last one"),
    ];
    let blocks = "
layer Centered()(x) {
    x - mean(x, over = time)
}
layer Share()(x) {
    exp(x) / sum(exp(x), over = time)
}
";
    for (stages, layer, reason) in cases {
        let text =
            format!("{HEAD}{blocks}\nmodel Piece {{\n    input x: frames[4]\n    time 3\n    x -> {stages}\n}}\n");
        let model = Model::from_text("piece.snn", &text, &[]).unwrap();
        let error = model.stream(model.options(), None).err().map(|error| error.to_string()).unwrap();
        assert!(error.contains(layer) && error.contains(reason), "{error}");
    }
}

#[test]
fn numbers_over_time_end_a_stream_and_wrong_values_are_refused() {
    let model = piece("Linear(5) -> TEBN() -> LIF()", 3);
    let mut stream = model.stream(options(&model, Dtype::F32), None).unwrap();
    let values = numbers(BATCH * 4, false);
    for _ in 0..3 {
        stream.step(&[("x", &values)]).unwrap();
    }
    let error = stream.step(&[("x", &values)]).unwrap_err().to_string();
    assert!(error.contains("each of its 3 steps"), "{error}");
    stream.reset().unwrap();
    for wrong in [&[("y", values.as_slice())][..], &[("x", &values[1..])], &[("x", &values), ("y", &values)], &[]] {
        assert!(stream.step(wrong).is_err());
    }
}
