//! Time loops.
//!
//! An element-wise body becomes one fused kernel: neurons in lanes and over threads, time innermost, states in registers,
//! the signals computed on the spot from whatever the partition keeps. A body with tensor ops (a feedback loop) becomes a
//! repeat: one step's kernels, launched T times, each reading and writing its own step of the stepped buffers.

use std::collections::BTreeMap;

use snn_loops::{Access, Extent, Ix, Launch, LoopKind, Program, Reg, Role, Val};

use crate::graph::NodeId;
use crate::lower::emit::Emission;
use crate::lower::region::{self, Region};
use crate::lower::replay::Replay;
use crate::lower::storage::Storage;
use crate::lower::sums::{self, Sums};
use crate::lower::{LowerError, map, space};
use crate::op::{Emitter, Lowering, OpRule, Point};
use crate::ops::scan::{Body, Scan};
use crate::ty::{Kind, Ty};

/// The launches of a scan; a fused one takes sums along.
pub(super) fn lower_scan(
    region: &mut Region<'_>,
    program: &mut Program,
    id: NodeId,
    scan: &Scan,
    sums: &[NodeId],
) -> Result<Vec<Launch>, LowerError> {
    let results = wanted_results(region, program, id);
    match scan.body.fused_ty() {
        Some(full) => {
            let sums = Sums::plan(region, program, sums, &full);
            fused(region, program, id, scan, &full, &results, sums)
        }
        None => repeated(region, program, id, scan, &results),
    }
}

/// Where the results that something reads go, by number.
pub(super) fn wanted_results(
    region: &mut Region<'_>,
    program: &mut Program,
    id: NodeId,
) -> BTreeMap<usize, Vec<Storage>> {
    let mut wanted: BTreeMap<usize, Vec<Storage>> = BTreeMap::new();
    for node in region.graph.ids() {
        let is_wanted = region.needed[node.index()] && !region.is_replayed(node);
        if !is_wanted || region.graph.node(node).inputs.first() != Some(&id) {
            continue;
        }
        let Lowering::Project(index) = region.graph.node(node).op.lower() else { continue };
        let storage = match wanted.get(&index).and_then(|all| all.first()).filter(|_| !region.is_assigned(node)) {
            Some(storage) => {
                region.store_at(node, storage.clone());
                continue;
            }
            None => region.materialize(program, node),
        };
        wanted.entry(index).or_default().push(storage);
    }
    wanted
}

/// A scan's operands: initial states, signals, constants.
pub(super) struct Operands {
    pub inits: Vec<NodeId>,
    pub xs: Vec<NodeId>,
    pub consts: Vec<NodeId>,
}

pub(super) fn operands(region: &Region<'_>, id: NodeId, body: &Body) -> Result<Operands, LowerError> {
    let inputs = &region.graph.node(id).inputs;
    let (n_states, n_xs) = (body.states.len(), body.xs.len());
    if inputs.len() != n_states + n_xs + body.consts.len() {
        return Err(LowerError::new("a scan with too few operands"));
    }
    Ok(Operands {
        inits: inputs[..n_states].to_vec(),
        xs: inputs[n_states..n_states + n_xs].to_vec(),
        consts: inputs[n_states + n_xs..].to_vec(),
    })
}

/// A point of the full space as a point of a narrower operand.
pub(super) fn narrow(ty: &Ty, at: &Point) -> Point {
    Point { time: at.time.clone(), batch: at.batch.clone(), dims: at.dims[..ty.dims.len().min(at.dims.len())].to_vec() }
}

fn fused(
    region: &Region<'_>,
    program: &mut Program,
    id: NodeId,
    scan: &Scan,
    full: &Ty,
    results: &BTreeMap<usize, Vec<Storage>>,
    mut sums: Sums,
) -> Result<Vec<Launch>, LowerError> {
    let body = &*scan.body;
    let Operands { inits, xs, consts } = operands(region, id, body)?;
    let replay = Replay::plan(region, program, &xs);
    let mut emission = Emission::new(region, program.dtype, region.label(id));
    let steps = region.graph.steps;
    let (axes, at) = space::sample_axes(&mut emission, full, region.batch, Ix::constant(0));
    replay.emit(region, &mut emission, &at)?;
    let mut inner: BTreeMap<NodeId, Val> = BTreeMap::new();
    for (own, outer) in body.consts.iter().zip(&consts) {
        let val = emission.value(*outer, &narrow(region.graph.ty(*outer), &at));
        inner.insert(*own, val);
    }
    let regs: Vec<Reg> = body.states.iter().map(|_| emission.builder.fresh_reg()).collect();
    for (reg, init) in regs.iter().zip(&inits) {
        let start = emission.value(*init, &narrow(region.graph.ty(*init), &at));
        emission.builder.set(*reg, start);
    }
    sums.start(&mut emission);
    let time = emission.var(steps);
    let kind = if scan.reverse { LoopKind::Reverse } else { LoopKind::Serial };
    emission.builder.open(time, Extent::Fixed(steps), kind);
    emission.enter();
    let now = Point { time: Ix::var(time), ..at.clone() };
    for (i, (state, reg)) in body.states.iter().zip(&regs).enumerate() {
        let val = emission.builder.get(*reg);
        inner.insert(*state, val);
        store_result(&mut emission, results.get(&scan.states_before(i)), body.graph.ty(*state), &now, val);
    }
    for (own, outer) in body.xs.iter().zip(&xs) {
        let val = match replay.scratch.get(outer) {
            Some(scratch) => emission.builder.load(Access::new(*scratch, Ix::var(time))),
            None => emission.value(*outer, &narrow(region.graph.ty(*outer), &now)),
        };
        inner.insert(*own, val);
    }
    let wanted: Vec<NodeId> = body.next.iter().chain(&body.ys).copied().collect();
    let mut step = StepEmission { emission: &mut emission, body, values: inner };
    let values = step.compute(&wanted)?;
    for (i, y) in body.ys.iter().enumerate() {
        let ty = body.graph.ty(*y);
        let val = emission.as_float(ty.kind, values[body.next.len() + i]);
        store_result(&mut emission, results.get(&i), ty, &now, val);
        if ty.kind != Kind::Truth {
            let is_result =
                |node: &NodeId| sums::maker(region.graph, *node).is_some_and(|(of, at, _)| (of, at) == (id, i));
            region.graph.ids().filter(is_result).for_each(|node| emission.remember(node, &now, val));
        }
    }
    sums.step(&mut emission, &now);
    for (reg, val) in regs.iter().zip(&values) {
        emission.builder.set(*reg, *val);
    }
    emission.leave();
    emission.builder.close();
    for (i, (state, reg)) in body.states.iter().zip(&regs).enumerate() {
        if let Some(places) = results.get(&scan.final_state(i)) {
            let val = emission.builder.get(*reg);
            store_result(&mut emission, Some(places), body.graph.ty(*state), &at, val);
        }
    }
    sums.end(&mut emission, &at);
    let (mut nest, _) = emission.finish()?;
    let mut statements = std::mem::take(&mut nest.body);
    let axes = space::collapse(&mut statements, axes);
    nest.body = space::parallel_loops(&mut nest, statements, axes);
    Ok(sums.kernels(program, nest))
}

fn store_result(emission: &mut Emission<'_, '_>, places: Option<&Vec<Storage>>, ty: &Ty, at: &Point, val: Val) {
    for storage in places.into_iter().flatten() {
        emission.builder.store(Access::new(storage.buffer, storage.index(&narrow(ty, at))), val);
    }
}

/// The emission of one step of an element-wise body: every node once, at the point the kernel is at.
pub(super) struct StepEmission<'e, 'r, 'g, 'b> {
    pub emission: &'e mut Emission<'r, 'g>,
    pub body: &'b Body,
    pub values: BTreeMap<NodeId, Val>,
}

impl StepEmission<'_, '_, '_, '_> {
    pub fn compute(&mut self, wanted: &[NodeId]) -> Result<Vec<Val>, LowerError> {
        let graph = &self.body.graph;
        let needed = graph.reachable(wanted);
        for id in graph.ids().filter(|id| needed[id.index()]) {
            if self.values.contains_key(&id) {
                continue;
            }
            let node = graph.node(id);
            let operands: Option<Vec<Val>> = node.inputs.iter().map(|input| self.values.get(input).copied()).collect();
            let Some(operands) = operands else {
                return Err(LowerError::new("a step reads a value before it is made"));
            };
            let val = match node.op.lower() {
                Lowering::Point(rule) => {
                    let tys: Vec<&Ty> = node.inputs.iter().map(|input| graph.ty(*input)).collect();
                    let mut emitter = KnownOperands { emission: self.emission, operands: &operands, tys: &tys };
                    let nowhere = Point {
                        time: Ix::constant(0),
                        batch: Ix::constant(0),
                        dims: vec![Ix::constant(0); node.ty.dims.len()],
                    };
                    rule.emit(&mut emitter, &node.ty, &nowhere)
                }
                _ => return Err(LowerError::new(format!("`{}` is not element-wise", node.op.name()))),
            };
            self.values.insert(id, val);
        }
        wanted
            .iter()
            .map(|id| self.values.get(id).copied().ok_or_else(|| LowerError::new("a step without a value")))
            .collect()
    }
}

/// An emitter whose operands are values at hand: element-wise ops never look at the point.
struct KnownOperands<'e, 'r, 'g, 'o> {
    emission: &'e mut Emission<'r, 'g>,
    operands: &'o [Val],
    tys: &'o [&'o Ty],
}

impl Emitter for KnownOperands<'_, '_, '_, '_> {
    fn builder(&mut self) -> &mut snn_loops::NestBuilder {
        self.emission.builder()
    }
    fn dtype(&self) -> snn_loops::Dtype {
        self.emission.dtype()
    }
    fn operand(&mut self, input: usize, _at: &Point) -> Val {
        self.operands[input]
    }
    fn operand_within(&mut self, input: usize, _at: &Point, _bounds: Vec<(Ix, i64)>, _otherwise: f64) -> Val {
        self.operands[input]
    }
    fn operand_ty(&self, input: usize) -> &Ty {
        self.tys[input]
    }
    fn batch(&self) -> usize {
        self.emission.batch()
    }
    fn steps(&self) -> usize {
        self.emission.steps()
    }
    fn extent(&self, var: snn_loops::Var) -> Option<usize> {
        self.emission.extent(var)
    }
    fn fresh_var(&mut self, extent: usize) -> snn_loops::Var {
        self.emission.var(extent)
    }
}

/// A loop with tensor ops: a repeat of one step's launches.
fn repeated(
    region: &mut Region<'_>,
    program: &mut Program,
    id: NodeId,
    scan: &Scan,
    results: &BTreeMap<usize, Vec<Storage>>,
) -> Result<Vec<Launch>, LowerError> {
    let body = &*scan.body;
    let Operands { inits, xs, consts } = operands(region, id, body)?;
    let wanted: Vec<NodeId> = body.next.iter().chain(&body.ys).chain(&body.states).copied().collect();
    let needed = body.graph.reachable(&wanted);
    let mut step = Region::new(&body.graph, region.batch, needed);
    if region.packs {
        step = step.with_packed_spikes();
    }
    let mut launches = Vec::new();

    // States live in buffers of their own; the next ones are made beside them and copied at the end of a step.
    let mut states = Vec::new();
    for (state, init) in body.states.iter().zip(&inits) {
        let ty = body.graph.ty(*state);
        let buffer = program.add_buffer("state", step.len(ty), Role::Temporary);
        let storage = Storage::new(buffer, ty, region.batch);
        launches.push(map::copy_to(region, program, *init, storage.clone())?);
        step.store_at(*state, storage.clone());
        states.push(storage);
    }
    for (own, outer) in body.xs.iter().zip(&xs) {
        let storage = memory(region, *outer)?;
        step.store_at(*own, one_step(&storage));
    }
    for (own, outer) in body.consts.iter().zip(&consts) {
        let storage = memory(region, *outer)?;
        step.store_at(*own, storage);
    }
    // Values that are next states or results are read once more at the end of the step, so they must be in memory.
    for id in body.next.iter().chain(&body.ys) {
        if !step.is_stored(*id) && !step.is_assigned(*id) {
            let buffer = program.add_buffer("step", step.len(step.graph.ty(*id)), Role::Temporary);
            step.assign(*id, buffer);
        }
    }
    let mut inside = Vec::new();
    for (i, state) in body.states.iter().enumerate() {
        for storage in results.get(&scan.states_before(i)).into_iter().flatten() {
            inside.push(map::copy_to(&step, program, *state, one_step(storage))?);
        }
    }
    inside.extend(region::lower_region(&mut step, program)?);
    region.computed.append(&mut step.computed);
    for (i, y) in body.ys.iter().enumerate() {
        for storage in results.get(&i).into_iter().flatten() {
            inside.push(map::copy_to(&step, program, *y, one_step(storage))?);
        }
    }
    // A next state may be another state as it was: copy such through a buffer of its own first.
    let mut next = Vec::new();
    for id in &body.next {
        let storage = memory(&step, *id)?;
        if states.iter().any(|state| state.buffer == storage.buffer) {
            let buffer = program.add_buffer("next", step.len(step.graph.ty(*id)), Role::Temporary);
            let aside = Storage::new(buffer, step.graph.ty(*id), region.batch);
            inside.push(map::copy_to(&step, program, *id, aside.clone())?);
            next.push(aside);
        } else {
            next.push(storage);
        }
    }
    for ((id, storage), from) in body.next.iter().zip(&states).zip(next) {
        let mut source = Region::new(&body.graph, region.batch, Vec::new());
        source.store_at(*id, from);
        inside.push(map::copy_to(&source, program, *id, storage.clone())?);
    }
    launches.push(Launch::Repeat { steps: region.graph.steps, reverse: scan.reverse, body: inside });
    for (i, state) in body.states.iter().enumerate() {
        for storage in results.get(&scan.final_state(i)).into_iter().flatten() {
            launches.push(map::copy_to(&step, program, *state, storage.clone())?);
        }
    }
    Ok(launches)
}

fn memory(region: &Region<'_>, id: NodeId) -> Result<Storage, LowerError> {
    region.storage(id).cloned().ok_or_else(|| LowerError::new(format!("{} is not in memory", region.label(id))))
}

/// A stepped value as the current step of a repeat sees it.
fn one_step(storage: &Storage) -> Storage {
    let stride = storage.time.unwrap_or(0);
    Storage { time: None, offset: storage.offset.plus(&Ix::step().times(stride)), ..storage.clone() }
}
