//! Emitting a node's value at a point into a kernel.
//!
//! A value that lies in memory is loaded; any other is computed on the spot by its op, which asks for its operands in turn.
//! Within one block of the kernel the same value at the same point is computed once.

use std::collections::BTreeMap;

use snn_loops::{Access, Dtype, Ix, NestBuilder, Scalar, Stmt, Val, Var};

use crate::graph::NodeId;
use crate::lower::LowerError;
use crate::lower::region::Region;
use crate::op::{Emitter, Lowering, OpRule, Point};
use crate::ty::{Kind, Ty};

type Key = (NodeId, Ix, Ix, Vec<Ix>);

/// A kernel that is being written.
pub(super) struct Emission<'r, 'g> {
    region: &'r Region<'g>,
    pub builder: NestBuilder,
    dtype: Dtype,
    extents: Vec<usize>,
    /// Values known in the open blocks, the outermost first.
    known: Vec<BTreeMap<Key, Val>>,
    /// Nodes whose operands are being asked for, the innermost last.
    stack: Vec<NodeId>,
    error: Option<LowerError>,
}

impl<'r, 'g> Emission<'r, 'g> {
    pub fn new(region: &'r Region<'g>, dtype: Dtype, name: String) -> Emission<'r, 'g> {
        Emission {
            region,
            builder: NestBuilder::new(name),
            dtype,
            extents: Vec::new(),
            known: vec![BTreeMap::new()],
            stack: Vec::new(),
            error: None,
        }
    }

    /// A loop variable with its extent.
    pub fn var(&mut self, extent: usize) -> Var {
        self.extents.push(extent);
        self.builder.fresh_var()
    }

    /// Values found from now on are forgotten at the matching `leave`.
    pub fn enter(&mut self) {
        self.known.push(BTreeMap::new());
    }

    /// See `enter`.
    pub fn leave(&mut self) {
        self.known.pop();
    }

    /// The statements so far, which leave the kernel; what they computed is forgotten.
    pub fn take(&mut self) -> Vec<Stmt> {
        self.known = vec![BTreeMap::new()];
        self.builder.take()
    }

    /// The value of a node at a point, from memory if it lies there.
    pub fn value(&mut self, id: NodeId, at: &Point) -> Val {
        self.lookup(id, at, false)
    }

    /// The value of a node at a point, computed even if it has a place in memory (which is where it is about to go).
    pub fn compute(&mut self, id: NodeId, at: &Point) -> Val {
        self.lookup(id, at, true)
    }

    /// The value of a node at a point as a float.
    pub fn float(&mut self, id: NodeId, at: &Point) -> Val {
        let val = self.value(id, at);
        self.as_float(self.region.graph.ty(id).kind, val)
    }

    /// A value of a kind as a float.
    pub fn as_float(&mut self, kind: Kind, val: Val) -> Val {
        if kind != Kind::Truth {
            return val;
        }
        let one = self.builder.constant(1.0);
        let zero = self.builder.constant(0.0);
        self.builder.scalar(Scalar::Select, &[val, one, zero])
    }

    /// Ends the kernel: the statements, or why they could not be written.
    pub fn finish(self) -> Result<(snn_loops::Nest, Vec<usize>), LowerError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok((self.builder.finish(), self.extents)),
        }
    }

    fn fail(&mut self, message: String) -> Val {
        self.error.get_or_insert(LowerError::new(message));
        self.builder.constant(f64::NAN)
    }

    /// From here to the end of the block a node's value at a point is this one; it need not be read from memory.
    pub fn remember(&mut self, id: NodeId, at: &Point, val: Val) {
        let Point { time, batch, dims } = self.own_point(id, at);
        if let Some(known) = self.known.last_mut() {
            known.insert((id, time, batch, dims), val);
        }
    }

    /// A point without what a node does not change along.
    fn own_point(&self, id: NodeId, at: &Point) -> Point {
        let ty = self.region.graph.ty(id);
        let zero = || Ix::constant(0);
        Point {
            time: if ty.time { at.time.clone() } else { zero() },
            batch: if ty.batch { at.batch.clone() } else { zero() },
            dims: at.dims.iter().zip(&ty.dims).map(|(ix, n)| if *n == 1 { zero() } else { ix.clone() }).collect(),
        }
    }

    fn lookup(&mut self, id: NodeId, at: &Point, anew: bool) -> Val {
        let region = self.region;
        let ty = region.graph.ty(id);
        let at = self.own_point(id, at);
        let key = (id, at.time.clone(), at.batch.clone(), at.dims.clone());
        if let Some(val) = self.known.iter().rev().find_map(|known| known.get(&key)) {
            return *val;
        }
        let val = match (region.storage(id), anew) {
            (Some(storage), false) => {
                let val = self.builder.load(Access::new(storage.buffer, storage.index(&at)));
                self.loaded(ty.kind, val)
            }
            _ => match region.graph.node(id).op.lower() {
                Lowering::Point(rule) | Lowering::Window(rule) => {
                    self.stack.push(id);
                    let val = rule.emit(self, ty, &at);
                    self.stack.pop();
                    val
                }
                Lowering::Stored
                | Lowering::Reduce(_)
                | Lowering::Contract(..)
                | Lowering::Draw(..)
                | Lowering::Scan(_)
                | Lowering::SpikeTimes(_)
                | Lowering::SpikeTimesGradient(_)
                | Lowering::Project(_)
                | Lowering::Unlowered(_) => self.fail(format!("{} is not in memory", region.label(id))),
            },
        };
        if let Some(known) = self.known.last_mut() {
            known.insert(key, val);
        }
        val
    }

    fn loaded(&mut self, kind: Kind, val: Val) -> Val {
        if kind != Kind::Truth {
            return val;
        }
        let zero = self.builder.constant(0.0);
        self.builder.scalar(Scalar::Lt, &[zero, val])
    }

    fn operand_id(&self, input: usize) -> Option<NodeId> {
        let node = self.region.graph.node(*self.stack.last()?);
        node.inputs.get(input).copied()
    }
}

impl Emitter for Emission<'_, '_> {
    fn builder(&mut self) -> &mut NestBuilder {
        &mut self.builder
    }

    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn operand(&mut self, input: usize, at: &Point) -> Val {
        match self.operand_id(input) {
            Some(id) => self.value(id, at),
            None => self.fail(format!("operand {input} does not exist")),
        }
    }

    fn operand_within(&mut self, input: usize, at: &Point, mut bounds: Vec<(Ix, i64)>, otherwise: f64) -> Val {
        // Bounds that always hold, as those of windows side by side, would only hide from back ends that nothing is tested.
        bounds.retain(|(ix, extent)| match ix.range(&|var| self.extent(var)) {
            Some((low, high)) => low < 0 || high >= *extent,
            None => true,
        });
        let region = self.region;
        let Some((id, storage)) = self.operand_id(input).and_then(|id| Some((id, region.storage(id)?))) else {
            return self.fail(format!("operand {input} is not in memory"));
        };
        let access =
            Access { buffer: storage.buffer, index: storage.index(at), bounds, otherwise: otherwise.to_bits() };
        let val = self.builder.load(access);
        self.loaded(region.graph.ty(id).kind, val)
    }

    fn operand_ty(&self, input: usize) -> &Ty {
        let id = self.operand_id(input).unwrap_or(NodeId(0));
        self.region.graph.ty(id)
    }

    fn batch(&self) -> usize {
        self.region.batch
    }

    fn steps(&self) -> usize {
        self.region.graph.steps
    }

    fn extent(&self, var: Var) -> Option<usize> {
        self.extents.get(var.0 as usize).copied()
    }

    fn fresh_var(&mut self, extent: usize) -> Var {
        self.var(extent)
    }
}
