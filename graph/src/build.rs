//! Building graphs: one method for each thing that a front end or a gradient rule wants to say.
//!
//! Methods simplify where that costs nothing (a sum over an absent axis, a broadcast to the same shape) and return the
//! shape rule's error otherwise. They must never know syntax.

use std::rc::Rc;

use crate::graph::{Graph, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::pointwise::Function;
use crate::ops::reduce::Reducer;
use crate::ops::{Broadcast, Constant, Count, Detach, Pointwise, Project, Reduce, Reshape};
use crate::ty::{Axes, Ty};

/// The result of appending a node.
pub type Built = Result<NodeId, ShapeError>;

impl Graph {
    /// A number.
    pub fn constant(&mut self, value: f64) -> Built {
        self.push(Constant::scalar(value), &[])
    }

    /// The value of a node that is a single constant number.
    pub fn constant_value(&self, id: NodeId) -> Option<f64> {
        match &self.node(id).op {
            Op::Constant(constant) => constant.as_scalar(),
            _ => None,
        }
    }

    /// A scalar function, element by element, operands broadcast.
    pub fn pointwise(&mut self, function: Function, inputs: &[NodeId]) -> Built {
        self.push(Pointwise { function }, inputs)
    }

    /// `a + b`
    pub fn add(&mut self, a: NodeId, b: NodeId) -> Built {
        self.pointwise(Function::Add, &[a, b])
    }

    /// `a - b`
    pub fn sub(&mut self, a: NodeId, b: NodeId) -> Built {
        self.pointwise(Function::Sub, &[a, b])
    }

    /// `a * b`
    pub fn mul(&mut self, a: NodeId, b: NodeId) -> Built {
        self.pointwise(Function::Mul, &[a, b])
    }

    /// `a / b`
    pub fn div(&mut self, a: NodeId, b: NodeId) -> Built {
        self.pointwise(Function::Div, &[a, b])
    }

    /// `-a`
    pub fn neg(&mut self, a: NodeId) -> Built {
        self.pointwise(Function::Neg, &[a])
    }

    /// `if condition { a } else { b }`, element by element.
    pub fn select(&mut self, condition: NodeId, a: NodeId, b: NodeId) -> Built {
        self.pointwise(Function::Where, &[condition, a, b])
    }

    /// `a ^ b`; an integral constant exponent becomes multiplications.
    pub fn pow(&mut self, a: NodeId, b: NodeId) -> Built {
        match self.constant_value(b) {
            Some(0.5) => self.pointwise(Function::Sqrt, &[a]),
            Some(n) if n == n.trunc() && n.abs() <= 32.0 => self.pointwise(Function::Powi(n as i32), &[a]),
            _ => self.pointwise(Function::Pow, &[a, b]),
        }
    }

    /// `a * number`
    pub fn scale(&mut self, a: NodeId, by: f64) -> Built {
        let by = self.constant(by)?;
        self.mul(a, by)
    }

    /// The value without gradient.
    pub fn detach(&mut self, a: NodeId) -> Built {
        self.push(Detach {}, &[a])
    }

    /// The value repeated to a type that its own broadcasts to.
    pub fn broadcast(&mut self, a: NodeId, ty: &Ty) -> Built {
        if self.ty(a).same_shape(ty) {
            return Ok(a);
        }
        let ty = ty.with_kind(self.ty(a).kind);
        self.push(Broadcast { ty }, &[a])
    }

    /// The same elements under another shape.
    pub fn reshape(&mut self, a: NodeId, dims: &[usize]) -> Built {
        if self.ty(a).dims == dims {
            return Ok(a);
        }
        self.push(Reshape { dims: dims.to_vec() }, &[a])
    }

    /// The part of `axes` that a node has.
    fn present(&self, a: NodeId, axes: &Axes) -> Axes {
        let ty = self.ty(a);
        Axes { time: axes.time && ty.time, batch: axes.batch && ty.batch, dims: axes.dims.clone() }
    }

    /// How many elements a reduction of `a` over `axes` covers, counting all steps and samples even where `a` does not
    /// change over them. A constant where the batch is not among the axes.
    pub fn count(&mut self, a: NodeId, axes: &Axes) -> Built {
        let mut factor = 1.0;
        for axis in &axes.dims {
            factor *= self.ty(a).dims.get(*axis).copied().unwrap_or(1) as f64;
        }
        if axes.time && !self.is_step {
            factor *= self.steps as f64;
        }
        if axes.batch { self.push(Count { factor }, &[]) } else { self.constant(factor) }
    }

    /// The sum over axes. Axes that the value does not change along multiply it: a static value counts every step.
    pub fn sum(&mut self, a: NodeId, axes: &Axes) -> Built {
        let present = self.present(a, axes);
        let missing = Axes { time: axes.time && !present.time, batch: axes.batch && !present.batch, dims: Vec::new() };
        let sum = self.reduce(Reducer::Sum, a, &present)?;
        if !missing.time && !missing.batch {
            return Ok(sum);
        }
        let times = self.count(a, &missing)?;
        self.mul(sum, times)
    }

    /// The mean over axes.
    pub fn mean(&mut self, a: NodeId, axes: &Axes) -> Built {
        let present = self.present(a, axes);
        let sum = self.reduce(Reducer::Sum, a, &present)?;
        let count = self.count(a, &present)?;
        match self.constant_value(count) {
            Some(1.0) => Ok(sum),
            _ => self.div(sum, count),
        }
    }

    /// The largest (or smallest) element over axes.
    pub fn extremum(&mut self, reducer: Reducer, a: NodeId, axes: &Axes) -> Built {
        let present = self.present(a, axes);
        self.reduce(reducer, a, &present)
    }

    fn reduce(&mut self, reducer: Reducer, a: NodeId, axes: &Axes) -> Built {
        if *axes == Axes::default() {
            return Ok(a);
        }
        self.push(Reduce { reducer, axes: axes.clone() }, &[a])
    }

    /// Puts reduced axes back with extent 1, so that the result broadcasts against the operand.
    pub fn keep_axes(&mut self, reduced: NodeId, original: &Ty, axes: &Axes) -> Built {
        let dims: Vec<usize> =
            original.dims.iter().enumerate().map(|(i, n)| if axes.dims.contains(&i) { 1 } else { *n }).collect();
        self.reshape(reduced, &dims)
    }

    /// Sums a value down to a type that broadcasts to the value's: the adjoint of broadcasting.
    pub fn sum_to(&mut self, a: NodeId, ty: &Ty) -> Built {
        let from = self.ty(a).clone();
        if from.same_shape(ty) {
            return Ok(a);
        }
        let dims = (0..from.dims.len())
            .filter(|axis| *axis >= ty.dims.len() || (ty.dims[*axis] == 1 && from.dims[*axis] != 1))
            .collect();
        let axes = Axes { time: from.time && !ty.time, batch: from.batch && !ty.batch, dims };
        let sum = self.reduce(Reducer::Sum, a, &axes)?;
        let sum = self.reshape(sum, &ty.dims)?;
        self.broadcast(sum, ty)
    }

    /// One of a scan's results.
    pub fn project(&mut self, scan: NodeId, index: usize) -> Built {
        self.push(Project { index }, &[scan])
    }

    /// Appends everything in `other` that `wanted` needs; nodes of `other` that `map` already holds are not copied.
    /// Types are inferred anew, so the mapped nodes may have other types than those they stand for.
    pub fn import(&mut self, other: &Graph, map: &mut [Option<NodeId>], wanted: &[NodeId]) -> Result<(), ShapeError> {
        let mut needed = vec![false; other.len()];
        for id in wanted {
            needed[id.index()] = true;
        }
        for id in other.ids().rev() {
            if needed[id.index()] && map[id.index()].is_none() {
                for input in &other.node(id).inputs {
                    needed[input.index()] = true;
                }
            }
        }
        let saved = (self.current_name.clone(), self.current_origin, self.current_grad);
        for id in other.ids() {
            if !needed[id.index()] || map[id.index()].is_some() {
                continue;
            }
            let node = other.node(id);
            let inputs: Vec<NodeId> = node.inputs.iter().filter_map(|input| map[input.index()]).collect();
            self.current_name = node.name.clone().or_else(|| saved.0.clone());
            self.current_origin = node.origin;
            self.current_grad = node.grad || saved.2;
            map[id.index()] = Some(self.push(node.op.clone(), &inputs)?);
        }
        (self.current_name, self.current_origin, self.current_grad) = saved;
        Ok(())
    }

    /// Names a node for people.
    pub fn name(&mut self, id: NodeId, name: &str) {
        self.node_mut(id).name = Some(Rc::from(name));
    }
}
