//! Layers of neurons on events: each is one call of the kernel for it.

use std::collections::BTreeMap;

use snn_loops::event_sweep::{Source, SynapseGradients, SynapseOperands};
use snn_loops::{EventLayer, EventSweep, Kernel, Launch, Operand, Program, Role, SweepPass};

use crate::graph::NodeId;
use crate::lower::LowerError;
use crate::lower::heavy::operand;
use crate::lower::region::Region;
use crate::lower::storage::Storage;
use crate::lower::time_loop::wanted_results;
use crate::ops::{SpikeTimes, SpikeTimesGradient};

/// The spikes of a layer.
pub(super) fn forward(
    region: &mut Region<'_>,
    program: &mut Program,
    id: NodeId,
    op: &SpikeTimes,
) -> Result<Launch, LowerError> {
    let name = region.label(id);
    let inputs = region.graph.node(id).inputs.clone();
    let synapses = synapses(region, &op.layer, &mut inputs.into_iter())?;
    let mut results = results(region, program, id)?;
    let times = match results.remove(&SpikeTimes::TIMES) {
        Some(times) => times,
        None => {
            let len = op.layer.slots * region.batch * op.layer.neurons();
            Operand::whole(program.add_buffer(&name, len, Role::Temporary))
        }
    };
    let memory = results.remove(&SpikeTimes::MEMORY);
    let counters = results.remove(&SpikeTimes::COUNTERS);
    let pass = SweepPass::Forward { times, memory, counters };
    Ok(launch(region, program, name, &op.layer, synapses, pass))
}

/// The gradients of a layer.
pub(super) fn adjoint(
    region: &mut Region<'_>,
    program: &mut Program,
    id: NodeId,
    op: &SpikeTimesGradient,
) -> Result<Launch, LowerError> {
    let name = region.label(id);
    let inputs = region.graph.node(id).inputs.clone();
    let mut inputs = inputs.into_iter();
    let synapses = synapses(region, &op.layer, &mut inputs)?;
    let times = place(region, inputs.next())?;
    let memory = place(region, inputs.next())?;
    let errors = place(region, inputs.next())?;
    let mut results = results(region, program, id)?;
    let mut next = 0..;
    let mut take = || next.next().and_then(|at: usize| results.remove(&at));
    let mut gradients = Vec::with_capacity(synapses.len());
    for group in &op.layer.synapses {
        let train = if matches!(group.source, Source::Train(_)) { take() } else { None };
        let weight = take();
        let delay = if group.source == Source::Own(true) { take() } else { None };
        gradients.push(SynapseGradients { train, weight, delay });
    }
    let pass = SweepPass::Adjoint { times, memory, errors, gradients };
    Ok(launch(region, program, name, &op.layer, synapses, pass))
}

fn launch(
    region: &Region<'_>,
    program: &mut Program,
    name: String,
    layer: &EventLayer,
    synapses: Vec<SynapseOperands>,
    pass: SweepPass,
) -> Launch {
    let sweep = EventSweep { name, layer: layer.clone(), batch: region.batch, synapses, pass };
    Launch::Run(program.add_kernel(Kernel::EventSweep(sweep)))
}

/// Where the results that something reads go, by number.
fn results(region: &mut Region<'_>, program: &mut Program, id: NodeId) -> Result<BTreeMap<usize, Operand>, LowerError> {
    let single = |(index, places): (usize, Vec<Storage>)| match places.as_slice() {
        [one] => Ok((index, operand(one))),
        _ => Err(LowerError::new(format!("result {index} of a layer is asked for twice"))),
    };
    wanted_results(region, program, id).into_iter().map(single).collect()
}

fn place(region: &Region<'_>, id: Option<NodeId>) -> Result<Operand, LowerError> {
    let id = id.ok_or_else(|| LowerError::new("a layer on events with too few operands"))?;
    region.storage(id).map(operand).ok_or_else(|| LowerError::new(format!("{} is not in memory", region.label(id))))
}

/// The operands of a layer's synapses; takes them off the list.
fn synapses(
    region: &Region<'_>,
    layer: &EventLayer,
    inputs: &mut impl Iterator<Item = NodeId>,
) -> Result<Vec<SynapseOperands>, LowerError> {
    let mut all = Vec::with_capacity(layer.synapses.len());
    for group in &layer.synapses {
        let is_own = !matches!(group.source, Source::Train(_));
        let train = if is_own { None } else { Some(place(region, inputs.next())?) };
        let weight = place(region, inputs.next())?;
        let delay = if group.source == Source::Own(true) { Some(place(region, inputs.next())?) } else { None };
        all.push(SynapseOperands { train, weight, delay });
    }
    Ok(all)
}
