//! What lowering makes of a training step: every `tests/loops/NAME.snn` is lowered, and an outline of the layer that its first
//! line names is compared with `tests/loops/NAME.txt`, so that what is kept in memory and what shares a nest changes only on
//! purpose. The program's results are those of the graph's reference evaluation.
//!
//! `SNNC_UPDATE=1 cargo test -p snn-tests --test loops` rewrites the outlines; read the difference before committing it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use snn_graph::eval::{EvalContext, evaluate};
use snn_graph::lower::storage::rearrange;
use snn_graph::lower::{LowerOptions, Lowered, Port, lower};
use snn_graph::passes::{self, PassContext};
use snn_graph::training::{TrainStep, train_step};
use snn_graph::{Kind, NodeId, Tensor};
use snn_loops::{Dtype, Expr, Kernel, Program, RandomKey, Role, Stmt, draw, interp, verify};
use snnc::Model;

const KEY: RandomKey = RandomKey { seed: 3, run: 0 };

/// Every model of the folder.
fn models() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("loops");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "snn"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 4, "only {} models", paths.len());
    paths
}

/// A model's training step, and its program in double precision for the batch that it is trained with.
fn training(path: &Path) -> (TrainStep, Lowered, usize) {
    let text = std::fs::read_to_string(path).unwrap();
    let model = Model::from_text("net.snn", &text, &[]).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let passed = passes::run(model.graph(), &PassContext::new(model.graph(), true), None).unwrap();
    let step = train_step(&passed, &model.recipe().unwrap().optimizer.rule).unwrap();
    let batch = model.options().batch;
    let lowered = lower(&step.graph, &step.outputs, LowerOptions::new(batch, Dtype::F64)).unwrap();
    verify::verify(&lowered.program).unwrap_or_else(|errors| panic!("{}: {errors:?}", path.display()));
    (step, lowered, batch)
}

/// What a program writes for a layer, and of each of the layer's nests the loops with the buffers that are loaded and stored
/// there.
fn outline(program: &Program, layer: &str) -> String {
    let mut text = String::new();
    let is_written = |role: &Role| !matches!(role, Role::Input | Role::Constant(_));
    for buffer in program.buffers.iter().filter(|buffer| is_written(&buffer.role) && buffer.name.contains(layer)) {
        writeln!(text, "{buffer}").unwrap();
    }
    for kernel in program.kernels.iter().filter(|kernel| kernel.name().contains(layer)) {
        match kernel {
            Kernel::Nest(nest) => {
                writeln!(text, "\nnest {:?}", nest.name).unwrap();
                outline_of_block(program, &nest.body, 1, &mut text);
            }
            Kernel::Contraction(contraction) => {
                writeln!(text, "\ncontraction {:?}", contraction.name).unwrap();
                let operands = [("load", &contraction.a), ("load", &contraction.b), ("store", &contraction.out)];
                for (what, operand) in operands {
                    writeln!(text, "  {what} {:?}", program.buffers[operand.buffer.0 as usize].name).unwrap();
                }
            }
            Kernel::Draw(draw) => writeln!(text, "\ndraw {:?}", draw.name).unwrap(),
            Kernel::EventSweep(sweep) => writeln!(text, "\nevent sweep {:?}", sweep.name).unwrap(),
        }
    }
    text
}

fn outline_of_block(program: &Program, body: &[Stmt], depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let mut loaded = BTreeSet::new();
    for stmt in body {
        let line = match stmt {
            Stmt::For { extent, kind, body, .. } => {
                writeln!(text, "{indent}{kind} {}", extent.limit()).unwrap();
                outline_of_block(program, body, depth + 1, text);
                continue;
            }
            Stmt::Let(_, Expr::Load(access)) if loaded.insert(access.buffer) => ("load", access),
            Stmt::Let(..) | Stmt::Set(..) => continue,
            Stmt::Store(access, _) => ("store", access),
        };
        let (what, access) = line;
        writeln!(text, "{indent}{what} {:?}", program.buffers[access.buffer.0 as usize].name).unwrap();
    }
}

#[test]
fn outlines() {
    let update = std::env::var_os("SNNC_UPDATE").is_some();
    let mut wrong = Vec::new();
    for path in models() {
        let text = std::fs::read_to_string(&path).unwrap();
        let layer = text.lines().next().and_then(|line| line.strip_prefix("// outline: "));
        let layer = layer.unwrap_or_else(|| panic!("{} names no layer", path.display()));
        let found = outline(&training(&path).1.program, layer);
        assert!(!found.is_empty(), "{} has no layer {layer}", path.display());
        let expected = path.with_extension("txt");
        if update {
            std::fs::write(&expected, &found).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{} is now lowered to:\n{found}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Values for a port: labels count classes, spikes are 0 or 1, everything else is anything from -1 to 1.
fn values(port: &Port, dims: Vec<usize>) -> Tensor {
    let unit = |at: usize| draw::element(draw::Distribution::Uniform, KEY, u64::from(port.buffer.0), at as u64);
    let value = |at: usize| match port.ty.kind {
        _ if port.name.ends_with(":label") => (10.0 * unit(at)).floor(),
        Kind::Spikes => f64::from(unit(at) < 0.2),
        _ => 2.0 * unit(at) - 1.0,
    };
    let len: usize = dims.iter().product();
    Tensor { dims, data: (0..len).map(value).collect() }
}

/// A port's samples from the order of the graph to that of memory, or back.
fn each_sample(port: &Port, from: &[f64], to_memory: bool) -> Vec<f64> {
    let mut to = vec![0.0; from.len()];
    let n = port.ty.elements().max(1);
    for (from, to) in from.chunks(n).zip(to.chunks_mut(n)) {
        rearrange(port.layout, &port.ty.dims, from, to, to_memory);
    }
    to
}

#[test]
fn programs_compute_what_their_graphs_mean() {
    for path in models() {
        let (step, lowered, batch) = training(&path);
        let steps = step.graph.steps;
        let mut bindings = BTreeMap::new();
        let mut memory = interp::Memory::new(&lowered.program);
        for port in &lowered.inputs {
            let (_, name) = port.name.split_once(':').unwrap();
            let tensor = values(port, port.ty.extents(steps, batch));
            memory.write(port.buffer, &each_sample(port, &tensor.data, true)).unwrap();
            bindings.insert(name.to_owned(), tensor);
        }
        let wanted: Vec<NodeId> = step.outputs.iter().map(|(_, node)| *node).collect();
        let mut context = EvalContext::new(steps, batch, &bindings);
        context.training = true;
        context.key = KEY;
        let expected = evaluate(&step.graph, &wanted, &mut context).unwrap();
        interp::run(&lowered.program, &mut memory, KEY).unwrap();
        for ((name, _), expected) in step.outputs.iter().zip(&expected) {
            let port = lowered.output(name).unwrap();
            let found = each_sample(port, memory.buffer(port.buffer), false);
            assert_eq!(found.len(), expected.data.len(), "{}: {name}", path.display());
            for (found, expected) in found.iter().zip(&expected.data) {
                let is_close = (found - expected).abs() <= 1e-10 * expected.abs().max(1.0);
                assert!(is_close, "{}: {name} is {found}, not {expected}", path.display());
            }
        }
    }
}
