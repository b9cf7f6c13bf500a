//! How much memory training or inference will take, in all and layer by layer, before anything is compiled or allocated.
//!
//! The graph is lowered and its buffers are placed, which is exact; what the process itself needs is measured once and
//! written down here. Must never know how a forecast is shown.

use std::collections::BTreeMap;

use snn_graph::lower::{Computed, LowerOptions, Lowered, Port, lower};
use snn_graph::passes::{self, PassContext};
use snn_graph::training::{self, Optimizer, TrainStep};
use snn_graph::{InputKind, Model};
use snn_loops::plan::{lifetimes, touched};
use snn_loops::{BufferId, Dtype, Program, Role};

use crate::device::{Footprint, footprint};
use crate::error::{Result, RuntimeError};
use crate::step::pairs;

/// What a process has before it has a model: the program itself, its libraries, the standard library's texts.
const PROCESS: usize = 11 << 20;
/// What a kernel takes on its way to machine code and as such.
const KERNEL: usize = 20 << 10;
/// The most that a thread keeps for the operands of matrix products; less where matrices are smaller.
const PACKED: usize = 5 << 19;
/// The largest piece of scratch memory that is commonly there once more for a second thread: kept, as either may run a
/// kernel, or freed and not given back.
const HOARDED: usize = 32 << 20;
/// Bytes of a first weight while it is drawn.
const DRAWN: usize = size_of::<f64>();

/// What is forecast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase<'a> {
    /// Training with an optimizer.
    Training(&'a Optimizer),
    /// Inference.
    Inference,
}

/// Bytes at the worst moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// The process, its machine code, and what it knows of the program.
    pub process: usize,
    /// Learned values and running averages; old and new where they cannot share memory.
    pub parameters: usize,
    /// What the optimizer keeps, likewise.
    pub slots: usize,
    /// The batch, here and in the program, and the results.
    pub batch: usize,
    /// Constants.
    pub constants: usize,
    /// Everything that lives inside of a step: saved for the backward pass, gradients, temporaries.
    pub arena: usize,
    /// What the hungriest kernel and all threads need beside its buffers.
    pub scratch: usize,
    /// First weights while they are drawn and handed to the program, one after the other; nothing else is there yet but
    /// the process.
    pub drawing: usize,
    /// Layers, in the order of first use.
    pub layers: Vec<LayerMemory>,
}

/// Bytes of one layer. Those of different layers share the arena, so that their sum is more than it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerMemory {
    /// The user's path; empty for what belongs to no layer.
    pub path: String,
    /// Made in the forward pass and read in the backward pass.
    pub saved: usize,
    /// Everything else that its kernels make.
    pub temporary: usize,
    /// Its learned values, running averages and what the optimizer keeps.
    pub parameters: usize,
    /// What of saved and temporary is alive at the moment when most is.
    pub at_peak: usize,
}

impl Forecast {
    /// Bytes of the process at the worst moment.
    pub fn total(&self) -> usize {
        let running = self.parameters + self.slots + self.batch + self.constants + self.arena + self.scratch;
        self.process + running.max(self.drawing)
    }
}

/// What a step will run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The type everything is computed in.
    pub dtype: Dtype,
    /// Number of threads.
    pub threads: usize,
}

/// What training or inference with a batch will take.
///
/// # Errors
/// If the model cannot be trained or lowered.
pub fn forecast(model: &Model, phase: Phase<'_>, batch: usize, target: Target) -> Result<Forecast> {
    Ahead::new(model, phase, target)?.forecast(batch)
}

/// The largest batch with which training or inference stays within a number of bytes; `None` if one sample is too much.
///
/// # Errors
/// If the model cannot be trained or lowered.
pub fn largest_batch(model: &Model, phase: Phase<'_>, limit: usize, target: Target) -> Result<Option<usize>> {
    const MOST: usize = 1 << 20;
    let ahead = Ahead::new(model, phase, target)?;
    let fits = |batch: usize| Ok::<_, RuntimeError>(ahead.forecast(batch)?.total() <= limit);
    if !fits(1)? {
        return Ok(None);
    }
    let (mut fitting, mut beyond) = (1, 2);
    while beyond < MOST && fits(beyond)? {
        (fitting, beyond) = (beyond, 2 * beyond);
    }
    while beyond - fitting > 1 {
        let middle = fitting + (beyond - fitting) / 2;
        match fits(middle)? {
            true => fitting = middle,
            false => beyond = middle,
        }
    }
    Ok(Some(fitting))
}

/// A model up to lowering, which alone depends on the batch.
struct Ahead<'m> {
    model: &'m Model,
    step: TrainStep,
    target: Target,
}

impl<'m> Ahead<'m> {
    fn new(model: &'m Model, phase: Phase<'_>, target: Target) -> Result<Ahead<'m>> {
        let is_training = matches!(phase, Phase::Training(_));
        let passed = passes::run(model, &PassContext::new(model, is_training), None)?;
        let step = match phase {
            Phase::Training(optimizer) => training::train_step(&passed, optimizer)?,
            Phase::Inference => training::eval_step(&passed)?,
        };
        Ok(Ahead { model, step, target })
    }

    fn forecast(&self, batch: usize) -> Result<Forecast> {
        let options = LowerOptions::new(batch, self.target.dtype);
        let lowered =
            lower(&self.step.graph, &self.step.outputs, options).map_err(|error| RuntimeError::new(error.message))?;
        let needs = footprint(&lowered.program, &pairs(&lowered, &carried(&lowered)))?;
        let bytes_of = |port: &Port| needs.of_buffers.get(port.buffer.0 as usize).copied().unwrap_or(0);
        let mut forecast = Forecast {
            process: PROCESS + KERNEL * lowered.program.kernels.len(),
            constants: needs.constants + constants_of(&lowered.program),
            arena: needs.arena,
            scratch: self.scratch(&needs),
            ..Forecast::default()
        };
        for port in lowered.inputs.iter().chain(&lowered.outputs) {
            let bytes = bytes_of(port);
            match Held::of(&port.name) {
                Held::Parameter => forecast.parameters += bytes,
                Held::Slot => forecast.slots += bytes,
                Held::Batch => forecast.batch += bytes,
            }
        }
        forecast.batch += self.host_batch(batch);
        if let Some(output) = lowered.output("output") {
            // The result of an inference, as the host gets it.
            forecast.batch +=
                output.ty.extents(self.model.graph.steps, batch).iter().product::<usize>() * size_of::<f64>();
        }
        forecast.drawing = self.drawing();
        forecast.layers = layers(&lowered, &bytes_of);
        Ok(forecast)
    }

    /// What kernels keep; and of those that give back, what the hungriest takes, what is left of it on another thread, and
    /// what all threads keep.
    fn scratch(&self, needs: &Footprint) -> usize {
        let (threads, passing) = (self.target.threads, needs.passing);
        let [left, kept_twice] =
            [passing, needs.kept].map(|bytes| if threads > 1 && bytes <= HOARDED { bytes } else { 0 });
        let kept = (needs.kept + kept_twice).saturating_add(threads.saturating_mul(needs.kept_by_thread));
        kept.saturating_add(passing + left + threads * passing.min(PACKED))
    }

    /// The worst moment of handing drawn weights to a program: those it has, and those it has not yet.
    fn drawing(&self) -> usize {
        let graph = &self.model.graph;
        let elements = |node| graph.ty(node).extents(graph.steps, 1).iter().product::<usize>();
        let all: Vec<usize> = self.model.parameters.iter().map(|parameter| elements(parameter.node)).collect();
        let (mut drawn, mut given, mut worst) = (all.iter().sum::<usize>() * DRAWN, 0, 0);
        for elements in all {
            given += elements * self.target.dtype.size();
            worst = worst.max(drawn + given);
            drawn -= elements * DRAWN;
        }
        worst
    }

    /// What the host itself keeps of a batch: values of single precision, however the model computes.
    fn host_batch(&self, batch: usize) -> usize {
        let steps = self.model.graph.steps;
        let of = |input: &snn_graph::Input| {
            let steps = if input.kind == InputKind::Static { 1 } else { steps };
            input.dims.iter().product::<usize>().saturating_mul(steps * batch * size_of::<f32>())
        };
        self.model.inputs.iter().chain(&self.model.targets).map(of).sum()
    }
}

/// What a port holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Parameter,
    Slot,
    Batch,
}

impl Held {
    fn of(name: &str) -> Held {
        let starts = |prefix: &str| name.starts_with(prefix);
        match () {
            () if starts("param:") || starts("average:") => Held::Parameter,
            () if starts("slot:") || starts("input:slot:") => Held::Slot,
            () => Held::Batch,
        }
    }
}

/// What replaces what after a step: the names of a result, and of the input that is called after it.
fn carried(lowered: &Lowered) -> Vec<(String, String)> {
    let names = lowered.outputs.iter().map(|port| port.name.clone()).filter(|name| Held::of(name) != Held::Batch);
    let input = |name: &String| if name.starts_with("slot:") { format!("input:{name}") } else { name.clone() };
    names.map(|name| (name.clone(), input(&name))).collect()
}

/// The layer that a learned value, an average or a slot belongs to: its path without the last part.
fn layer_of_port(name: &str) -> Option<&str> {
    let name = name.strip_prefix("input:").unwrap_or(name);
    let path = ["param:", "average:", "slot:"].iter().find_map(|prefix| name.strip_prefix(prefix))?;
    let path = path.split(':').next().unwrap_or(path);
    Some(path.rsplit_once('.').map_or("", |(layer, _)| layer))
}

/// Programs keep their constants in double precision: one copy to compile, one to run, one to ask.
fn constants_of(program: &Program) -> usize {
    let copies = 3 * size_of::<f64>();
    let elements = program.buffers.iter().filter(|buffer| matches!(buffer.role, Role::Constant(_)));
    elements.map(|buffer| buffer.len * copies).sum()
}

fn buffer_bytes(program: &Program, buffer: BufferId) -> usize {
    program.buffers.get(buffer.0 as usize).map_or(0, |buffer| buffer.bytes(program.dtype))
}

/// The memory of each layer, in the order in which kernels compute them.
fn layers(lowered: &Lowered, bytes_of: &dyn Fn(&Port) -> usize) -> Vec<LayerMemory> {
    let program = &lowered.program;
    let mut table = Layers::default();
    let peak = peak(program);
    let readers = readers(program);
    let lives = lifetimes(program);
    let mut makers: BTreeMap<BufferId, usize> = BTreeMap::new();
    for (at, kernel) in program.kernels.iter().enumerate() {
        for buffer in touched(kernel).writes {
            makers.entry(buffer).or_insert(at);
        }
    }
    let first = |kernel: usize| lowered.computed.get(kernel).and_then(|computed| computed.first());
    let is_backward = |kernel: usize| first(kernel).is_some_and(|computed| computed.grad);
    let mut in_order: Vec<(BufferId, usize)> = makers.into_iter().collect();
    in_order.sort_by_key(|(buffer, kernel)| (*kernel, *buffer));
    for (buffer, kernel) in in_order {
        if program.buffers.get(buffer.0 as usize).is_none_or(|buffer| buffer.role != Role::Temporary) {
            continue;
        }
        let bytes = buffer_bytes(program, buffer);
        let layer = table.entry(first(kernel).map_or("", layer_name));
        let read_later = readers.get(&buffer).is_some_and(|all| all.iter().any(|reader| is_backward(*reader)));
        match read_later && !is_backward(kernel) {
            true => layer.saved += bytes,
            false => layer.temporary += bytes,
        }
        if lives.get(&buffer).is_some_and(|(begin, end)| (*begin..=*end).contains(&peak)) {
            layer.at_peak += bytes;
        }
    }
    for port in lowered.inputs.iter().chain(&lowered.outputs) {
        if let Some(path) = layer_of_port(&port.name) {
            table.entry(path).parameters += bytes_of(port);
        }
    }
    table.list
}

/// The layer of a node: nodes of an update are named after the parameter.
fn layer_name(computed: &Computed) -> &str {
    computed.name.as_deref().unwrap_or("")
}

/// Layers by path, in the order of first mention.
#[derive(Default)]
struct Layers {
    list: Vec<LayerMemory>,
    positions: BTreeMap<String, usize>,
}

impl Layers {
    fn entry(&mut self, path: &str) -> &mut LayerMemory {
        let at = match self.positions.get(path) {
            Some(at) => *at,
            None => {
                self.list.push(LayerMemory { path: path.to_owned(), ..LayerMemory::default() });
                self.positions.insert(path.to_owned(), self.list.len() - 1);
                self.list.len() - 1
            }
        };
        &mut self.list[at]
    }
}

/// Kernels that read each buffer.
fn readers(program: &Program) -> BTreeMap<BufferId, Vec<usize>> {
    let mut readers: BTreeMap<BufferId, Vec<usize>> = BTreeMap::new();
    for (at, kernel) in program.kernels.iter().enumerate() {
        for buffer in touched(kernel).reads {
            readers.entry(buffer).or_default().push(at);
        }
    }
    readers
}

/// The launch at which most bytes of temporary buffers are alive.
fn peak(program: &Program) -> usize {
    let mut changes: Vec<i128> = vec![0; program.launches.len() + 1];
    for (buffer, (first, last)) in lifetimes(program) {
        if program.buffers.get(buffer.0 as usize).is_some_and(|buffer| buffer.role == Role::Temporary) {
            let bytes = buffer_bytes(program, buffer) as i128;
            if let Some(begin) = changes.get_mut(first) {
                *begin += bytes;
            }
            if let Some(end) = changes.get_mut(last + 1) {
                *end -= bytes;
            }
        }
    }
    let (mut alive, mut most, mut at) = (0, 0, 0);
    for (launch, change) in changes.into_iter().enumerate() {
        alive += change;
        if alive > most {
            (most, at) = (alive, launch);
        }
    }
    at
}
