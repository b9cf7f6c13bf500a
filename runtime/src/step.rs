//! A compiled graph with named values: what sessions, evaluation and checks are made of.
//!
//! Values cross this boundary as the user knows them, row-major `[sample][channels, ...]` or `[step][sample][...]`; how they
//! lie in memory is arranged here. Must never know what a graph computes.

use std::borrow::Cow;

use snn_graph::lower::storage::{Layout, rearrange};
use snn_graph::lower::{LowerOptions, Lowered, Port, lower};
use snn_graph::{Graph, Kind, NodeId, Ty};
use snn_loops::{BufferId, RandomKey};

use crate::cost::{Cost, costs};
use crate::device::{Device, Engine, Moved, Watch};
use crate::error::{Result, RuntimeError};

/// An input or output that was looked up once, to be written or read often.
#[derive(Clone, Debug)]
pub struct Slot {
    port: Port,
    len: usize,
}

impl Slot {
    /// The type of its value.
    pub fn ty(&self) -> &Ty {
        &self.port.ty
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A graph's outputs as a program on a device.
pub struct Step {
    lowered: Lowered,
    engine: Engine,
    batch: usize,
    steps: usize,
    /// Inputs that the outputs of a run replace.
    carried: Vec<(BufferId, BufferId)>,
}

impl Step {
    /// Lowers and compiles what the named outputs need.
    ///
    /// # Errors
    /// If the graph cannot be lowered or compiled.
    pub fn new(graph: &Graph, outputs: &[(String, NodeId)], options: LowerOptions, device: Device) -> Result<Step> {
        Step::carrying(graph, outputs, &[], options, device)
    }

    /// The same, where each of `carried` names an output and the input of the same shape that it replaces after each run.
    /// Where the program lacks one of them there is nothing to do: what it does not read needs no new value.
    ///
    /// # Errors
    /// If the graph cannot be lowered or compiled.
    pub fn carrying(
        graph: &Graph,
        outputs: &[(String, NodeId)],
        carried: &[(String, String)],
        options: LowerOptions,
        device: Device,
    ) -> Result<Step> {
        let lowered = lower(graph, outputs, device.lowering(options)).map_err(|e| RuntimeError::new(e.message))?;
        Step::load(lowered, graph.steps, carried, options.batch, device)
    }

    /// What a graph of so many time steps was lowered to, on a device; the rest as for [`Self::carrying`].
    ///
    /// # Errors
    /// If it cannot be compiled.
    pub fn load(
        lowered: Lowered,
        steps: usize,
        carried: &[(String, String)],
        batch: usize,
        device: Device,
    ) -> Result<Step> {
        let carried = pairs(&lowered, carried);
        let engine = Engine::load(lowered.program.clone(), device, &carried)?;
        Ok(Step { lowered, engine, batch, steps, carried })
    }

    /// Runs once; carried outputs become inputs.
    pub fn run(&mut self, key: RandomKey) -> Result<()> {
        self.run_at(key, 0)
    }

    /// Runs once as step number `step` of a time loop; carried outputs become inputs.
    pub fn run_at(&mut self, key: RandomKey, step: u64) -> Result<()> {
        self.engine.run_at(key, step)?;
        self.carry_over()
    }

    /// Runs once while kernels are watched; carried outputs become inputs.
    ///
    /// # Errors
    /// If the machine does not watch kernels.
    pub fn run_watched(&mut self, key: RandomKey, watch: Watch<'_>) -> Result<()> {
        self.engine.run_watched(key, watch)?;
        self.carry_over()
    }

    /// The program with what is known about it.
    pub fn lowered(&self) -> &Lowered {
        &self.lowered
    }

    /// What a launch of each kernel takes, as its operands lie in memory.
    pub fn costs(&self) -> Vec<Cost> {
        let program = &self.lowered.program;
        costs(program, &|buffer| self.engine.element_bytes(program, buffer))
    }

    /// Kernels that launch nothing, each with the later one in whose launch it runs.
    pub fn moved(&self) -> &[Moved] {
        self.engine.moved()
    }

    fn carry_over(&mut self) -> Result<()> {
        for (from, to) in &self.carried {
            self.engine.swap(*from, *to)?;
        }
        Ok(())
    }

    /// The input of that name, if the program reads it.
    pub fn input_slot(&self, name: &str) -> Option<Slot> {
        self.lowered.input(name).map(|port| self.slot(port))
    }

    /// The output of that name, if there is one.
    pub fn output_slot(&self, name: &str) -> Option<Slot> {
        self.lowered.output(name).map(|port| self.slot(port))
    }

    fn slot(&self, port: &Port) -> Slot {
        Slot { port: port.clone(), len: port.ty.extents(self.steps, self.batch).iter().product() }
    }

    /// Writes an input from single-precision row-major values.
    pub fn write_slot(&mut self, slot: &Slot, values: &[f32]) -> Result<()> {
        if slot.port.layout == Layout::RowMajor && values.len() == slot.len {
            only_spikes(&slot.port, values)?;
            return self.engine.write_f32(slot.port.buffer, values);
        }
        let arranged = self.to_memory(&slot.port, values)?;
        self.engine.write_f32(slot.port.buffer, &arranged)
    }

    /// Writes an input from row-major values.
    pub fn write_slot_f64(&mut self, slot: &Slot, values: &[f64]) -> Result<()> {
        let arranged = self.to_memory(&slot.port, values)?;
        self.engine.write(slot.port.buffer, &arranged)
    }

    /// Reads an input or output, row-major, into a vector that keeps its memory.
    pub fn read_slot(&self, slot: &Slot, values: &mut Vec<f64>) -> Result<()> {
        if slot.port.layout == Layout::RowMajor {
            return self.engine.read_into(slot.port.buffer, values);
        }
        *values = self.read_port(&slot.port)?;
        Ok(())
    }

    /// Bytes of memory that the program takes.
    pub fn memory_bytes(&self) -> usize {
        self.engine.memory_bytes()
    }

    /// Whether something depends on an input of that name.
    pub fn takes(&self, name: &str) -> bool {
        self.lowered.input(name).is_some()
    }

    /// Sets an input from row-major values; an input that nothing depends on is ignored.
    pub fn set(&mut self, name: &str, values: &[f64]) -> Result<()> {
        let Some(port) = self.lowered.input(name).cloned() else { return Ok(()) };
        let arranged = self.to_memory(&port, values)?;
        self.engine.write(port.buffer, &arranged)
    }

    /// Sets an input from single-precision row-major values; an input that nothing depends on is ignored.
    pub fn set_f32(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let Some(port) = self.lowered.input(name).cloned() else { return Ok(()) };
        let arranged = self.to_memory(&port, values)?;
        self.engine.write_f32(port.buffer, &arranged)
    }

    /// An output with its type, row-major.
    pub fn result(&self, name: &str) -> Result<(&Ty, Vec<f64>)> {
        let port = self
            .lowered
            .output(name)
            .ok_or_else(|| RuntimeError::new(format!("the program has no output `{name}`")))?;
        Ok((&port.ty, self.read_port(port)?))
    }

    /// The present value of an input, row-major; `None` if nothing depends on it.
    pub fn get_input(&self, name: &str) -> Result<Option<Vec<f64>>> {
        self.lowered.input(name).map(|port| self.read_port(port)).transpose()
    }

    /// The only element of an output.
    pub fn scalar(&self, name: &str) -> Result<f64> {
        let (_, values) = self.result(name)?;
        values.first().copied().ok_or_else(|| RuntimeError::new(format!("the output `{name}` is empty")))
    }

    /// The only element of an output, or another value where the program has no such output.
    pub fn scalar_or(&self, name: &str, otherwise: f64) -> Result<f64> {
        if self.lowered.output(name).is_none() { Ok(otherwise) } else { self.scalar(name) }
    }

    fn to_memory<'v, T: Copy + Default + Into<f64>>(&self, port: &Port, values: &'v [T]) -> Result<Cow<'v, [T]>> {
        let len: usize = port.ty.extents(self.steps, self.batch).iter().product();
        if values.len() != len {
            return Err(RuntimeError::new(format!(
                "`{}` takes {len} numbers, but {} were given",
                port.name,
                values.len()
            )));
        }
        only_spikes(port, values)?;
        if port.layout == Layout::RowMajor {
            return Ok(Cow::Borrowed(values));
        }
        let mut arranged = vec![T::default(); len];
        each_sample(port, values, &mut arranged, true);
        Ok(Cow::Owned(arranged))
    }

    fn read_port(&self, port: &Port) -> Result<Vec<f64>> {
        let raw = self.engine.read(port.buffer)?;
        if port.layout == Layout::RowMajor {
            return Ok(raw);
        }
        let mut values = vec![0.0; raw.len()];
        each_sample(port, &raw, &mut values, false);
        Ok(values)
    }
}

/// Refuses values of an input of spikes that are none: programs keep them as bits.
fn only_spikes<T: Copy + Into<f64>>(port: &Port, values: &[T]) -> Result<()> {
    if port.ty.kind != Kind::Spikes {
        return Ok(());
    }
    let is_spike = |value: f64| value == 0.0 || value == 1.0;
    match values.iter().position(|value| !is_spike((*value).into())) {
        None => Ok(()),
        Some(at) => {
            let value: f64 = values.get(at).map_or(f64::NAN, |value| (*value).into());
            let name = port.name.strip_prefix("input:").unwrap_or(&port.name);
            Err(RuntimeError::new(format!("`{name}` takes spikes, which are 0 or 1, but element {at} is {value}"))
                .with_help("declare the input as `frames[...]` if its values are not spikes"))
        }
    }
}

/// The buffers of outputs and of the inputs that they replace, where the program has both.
pub(crate) fn pairs(lowered: &Lowered, carried: &[(String, String)]) -> Vec<(BufferId, BufferId)> {
    let pair =
        |(output, input): &(String, String)| Some((lowered.output(output)?.buffer, lowered.input(input)?.buffer));
    carried.iter().filter_map(pair).collect()
}

fn each_sample<T: Copy>(port: &Port, from: &[T], to: &mut [T], to_memory: bool) {
    let sample = port.ty.elements().max(1);
    for (from, to) in from.chunks_exact(sample).zip(to.chunks_exact_mut(sample)) {
        rearrange(port.layout, &port.ty.dims, from, to, to_memory);
    }
}
