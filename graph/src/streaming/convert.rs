//! From the graph of all steps to the graph of one.

use std::collections::{BTreeMap, BTreeSet};

use super::{Row, RowSource, STEP, State};
use crate::build::Built;
use crate::graph::{Graph, Node, NodeId};
use crate::op::{Op, OpRule, ShapeError};
use crate::ops::index::IndexAxis;
use crate::ops::pointwise::Function;
use crate::ops::reduce::Reducer;
use crate::ops::{Broadcast, InputOp, Random, Reduce, Scan};
use crate::passes::fold::known_number;
use crate::training::TrainStep;
use crate::ty::{Axes, Kind, Ty};

/// The graph of one step, its results (next states included), and what must be kept for it.
pub(super) struct Converted {
    pub graph: Graph,
    pub outputs: Vec<(String, NodeId)>,
    pub states: Vec<State>,
    pub rows: Vec<Row>,
}

/// Writes out one step.
pub(super) fn convert(whole: &TrainStep) -> Result<Converted, ShapeError> {
    let mut conversion = Conversion::new(&whole.graph);
    let roots: Vec<NodeId> = whole.outputs.iter().map(|(_, id)| *id).collect();
    let needed = whole.graph.reachable(&roots);
    for id in whole.graph.ids().filter(|id| needed[id.index()]) {
        conversion.visit(id).map_err(|error| error.at(&[id]))?;
    }
    let mut outputs = Vec::with_capacity(whole.outputs.len() + conversion.next.len());
    for (name, id) in &whole.outputs {
        outputs.push((name.clone(), conversion.node(*id)?));
    }
    let Conversion { graph, states, next, rows, .. } = conversion;
    outputs.extend(states.iter().map(|state| state.name.clone()).zip(next));
    Ok(Converted { graph, outputs, states, rows })
}

struct Conversion<'g> {
    old: &'g Graph,
    graph: Graph,
    map: Vec<Option<NodeId>>,
    /// Flags for values that are only known after the last step.
    at_end: Vec<bool>,
    /// Results of time loops: (old scan, number) to new node.
    results: BTreeMap<(NodeId, usize), NodeId>,
    states: Vec<State>,
    /// The next value of each state.
    next: Vec<NodeId>,
    rows: Vec<Row>,
    names: BTreeSet<String>,
    step: Option<NodeId>,
    is_first: Option<NodeId>,
}

impl<'g> Conversion<'g> {
    fn new(old: &'g Graph) -> Conversion<'g> {
        Conversion {
            old,
            graph: Graph::step_body(1),
            map: vec![None; old.len()],
            at_end: vec![false; old.len()],
            results: BTreeMap::new(),
            states: Vec::new(),
            next: Vec::new(),
            rows: Vec::new(),
            names: BTreeSet::new(),
            step: None,
            is_first: None,
        }
    }

    fn node(&self, old: NodeId) -> Built {
        self.map[old.index()].ok_or_else(|| ShapeError::new("a value is read before it is made"))
    }

    fn visit(&mut self, id: NodeId) -> Result<(), ShapeError> {
        let node = self.old.node(id);
        let waits = node.inputs.iter().any(|input| self.at_end[input.index()]);
        let is_stepped = node.ty.time || matches!(node.op, Op::Scan(_));
        if waits && is_stepped {
            return Err(all_steps(node, "depends at each step on a value that is known after the last one"));
        }
        self.at_end[id.index()] = waits || ends(self.old, node);
        self.graph.current_name = node.name.clone();
        self.graph.current_origin = node.origin;
        let new = match &node.op {
            Op::Scan(scan) => self.scan(id, node, scan)?,
            op => self.one(node, op)?,
        };
        if let Some(new) = new {
            let kind = &mut self.graph.node_mut(new).ty.kind;
            *kind = (*kind).min(node.ty.kind);
            self.map[id.index()] = Some(new);
        }
        Ok(())
    }

    /// The node of one step for anything but a time loop.
    fn one(&mut self, node: &Node, op: &Op) -> Result<Option<NodeId>, ShapeError> {
        if let (Op::Project(project), [scan]) = (op, node.inputs.as_slice()) {
            return Ok(self.results.get(&(*scan, project.index)).copied());
        }
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            inputs.push(self.node(*input)?);
        }
        let ty = at_step(&node.ty);
        let new = match (op, inputs.as_slice()) {
            (Op::InputOp(input), _) => self.graph.push(InputOp { name: input.name.clone(), ty }, &[]),
            (Op::ParamOp(param), _) if node.ty.time => {
                self.row(&param.path, RowSource::Parameter(param.path.clone()), ty)
            }
            (Op::Constant(constant), _) if node.ty.time => {
                self.row(label(node), RowSource::Constant(constant.values.clone()), ty)
            }
            (Op::IndexOp(index), _) if index.axis == IndexAxis::Time => self.step(),
            (Op::Random(random), _) => self.random(node, random),
            (Op::Broadcast(_), [x]) => self.graph.push(Broadcast { ty }, &[*x]),
            (Op::Reduce(reduce), [x]) if reduce.axes.time => self.accumulate(node, reduce, *x),
            (Op::Contract(_), _) if !node.ty.time && node.inputs.iter().any(|input| self.old.ty(*input).time) => {
                Err(all_steps(node, "sums over all steps"))
            }
            _ => self.graph.push(op.clone(), &inputs),
        };
        new.map(Some)
    }

    /// A name that nothing else has.
    fn unique(&mut self, prefix: &str, name: &str) -> String {
        let mut unique = format!("{prefix}:{name}");
        let mut count = 1;
        while !self.names.insert(unique.clone()) {
            count += 1;
            unique = format!("{prefix}:{name}#{count}");
        }
        unique
    }

    fn row(&mut self, name: &str, source: RowSource, ty: Ty) -> Built {
        let name = self.unique("row", name);
        self.rows.push(Row { name: name.clone(), source });
        self.graph.push(InputOp { name, ty }, &[])
    }

    /// The number of the step.
    fn step(&mut self) -> Built {
        match self.step {
            Some(step) => Ok(step),
            None => {
                let ty = Ty::scalar().with_kind(Kind::Counts);
                let step = self.graph.push(InputOp { name: STEP.to_owned(), ty }, &[])?;
                self.step = Some(step);
                Ok(step)
            }
        }
    }

    /// The truth value that is true at the first step alone.
    fn is_first(&mut self) -> Built {
        match self.is_first {
            Some(is_first) => Ok(is_first),
            None => {
                let (step, zero) = (self.step()?, self.graph.constant(0.0)?);
                let is_first = self.graph.pointwise(Function::Eq, &[step, zero])?;
                self.is_first = Some(is_first);
                Ok(is_first)
            }
        }
    }

    /// The input of a new state; its next value is to be pushed by the caller, in the same order.
    fn state(&mut self, name: &str, ty: &Ty) -> Built {
        let name = self.unique("state", name);
        let ty = Ty { time: false, kind: Kind::Real, ..ty.clone() };
        self.states.push(State { name: name.clone(), ty: ty.clone() });
        self.graph.push(InputOp { name, ty }, &[])
    }

    /// Numbers that change from step to step are drawn at each; others once, and remembered.
    fn random(&mut self, node: &Node, random: &Random) -> Built {
        let ty = at_step(&random.ty);
        if random.ty.time && !ty.batch && ty.dims.len() > 1 {
            return Err(all_steps(node, "draws an image for each step that all samples share"));
        }
        let drawn = self.graph.push(Random { ty: ty.clone(), ..random.clone() }, &[])?;
        if random.ty.time {
            return Ok(drawn);
        }
        let before = self.state(&format!("{}.random", label(node)), &ty)?;
        let is_first = self.is_first()?;
        let kept = self.graph.select(is_first, drawn, before)?;
        self.next.push(kept);
        Ok(kept)
    }

    /// A reduction over time: what the steps so far come to.
    fn accumulate(&mut self, node: &Node, reduce: &Reduce, x: NodeId) -> Built {
        let rest = Axes { time: false, ..reduce.axes.clone() };
        let part = match rest == Axes::default() {
            true => x,
            false => self.graph.push(Reduce { reducer: reduce.reducer, axes: rest }, &[x])?,
        };
        let ty = self.graph.ty(part).clone();
        let before = self.state(&format!("{}.{}", label(node), reduce.reducer.name()), &ty)?;
        let so_far = match reduce.reducer {
            Reducer::Sum => self.graph.add(before, part)?,
            Reducer::Max | Reducer::Min => {
                let function = if reduce.reducer == Reducer::Max { Function::Maximum } else { Function::Minimum };
                let both = self.graph.pointwise(function, &[before, part])?;
                let is_first = self.is_first()?;
                self.graph.select(is_first, part, both)?
            }
            Reducer::Deviation => return Err(all_steps(node, "needs the mean of all steps")),
        };
        self.next.push(so_far);
        Ok(so_far)
    }

    /// One step of a time loop, written out; it has results and no value of its own.
    fn scan(&mut self, id: NodeId, node: &Node, scan: &Scan) -> Result<Option<NodeId>, ShapeError> {
        if scan.reverse {
            return Err(all_steps(node, "runs from the last step to the first"));
        }
        let body = &*scan.body;
        let (inits, operands) = node.inputs.split_at(body.states.len());
        let mut map = vec![None; body.graph.len()];
        let mut states = Vec::with_capacity(inits.len());
        for (k, (state, init)) in body.states.iter().zip(inits).enumerate() {
            let name = if inits.len() == 1 { label(node).to_owned() } else { format!("{}.{k}", label(node)) };
            let mut value = self.state(&name, body.graph.ty(*state))?;
            if known_number(self.old, *init) != Some(0.0) {
                let (is_first, init) = (self.is_first()?, self.node(*init)?);
                value = self.graph.select(is_first, init, value)?;
            }
            map[state.index()] = Some(value);
            states.push(value);
        }
        for (own, outer) in body.xs.iter().chain(&body.consts).zip(operands) {
            map[own.index()] = Some(self.node(*outer)?);
        }
        let wanted: Vec<NodeId> = body.next.iter().chain(&body.ys).copied().collect();
        self.graph.import(&body.graph, &mut map, &wanted)?;
        let inner = |own: &NodeId| {
            map[own.index()].ok_or_else(|| ShapeError::new("a time loop reads a value before it is made"))
        };
        for (k, y) in body.ys.iter().enumerate() {
            self.results.insert((id, k), inner(y)?);
        }
        for (k, (state, next)) in states.into_iter().zip(&body.next).enumerate() {
            let next = inner(next)?;
            self.next.push(next);
            self.results.insert((id, scan.final_state(k)), next);
            self.results.insert((id, scan.states_before(k)), state);
        }
        Ok(None)
    }
}

/// Whether a node is what all steps come to: a reduction over time, or the final state of a loop.
fn ends(graph: &Graph, node: &Node) -> bool {
    match (&node.op, node.inputs.as_slice()) {
        (Op::Reduce(reduce), _) => reduce.axes.time,
        (Op::Project(_), [scan]) => !node.ty.time && matches!(graph.node(*scan).op, Op::Scan(_)),
        _ => false,
    }
}

fn at_step(ty: &Ty) -> Ty {
    Ty { time: false, ..ty.clone() }
}

/// The layer that a node belongs to.
fn label(node: &Node) -> &str {
    node.name.as_deref().unwrap_or("value")
}

fn all_steps(node: &Node, what: &str) -> ShapeError {
    let layer = match &node.name {
        Some(name) => format!("`{name}`"),
        None => format!("a value (`{}`)", node.op.name()),
    };
    ShapeError::new(format!("{layer} {what}, so the model cannot run step by step"))
        .help("keep sums, maxima and final values over time behind everything that changes with time")
}
