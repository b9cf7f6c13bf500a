//! Sums, means and extrema over axes.
//!
//! Must never know what is reduced.

use snn_graph::ops::reduce::Reducer;
use snn_graph::{Axes, NodeId};

use super::super::*;
use super::Arguments;
use crate::builtins::Action;
use crate::value::Spanned;

impl<'p> Elaborator<'p, '_> {
    /// `sum(x, over = axes, keep = false)` and its like.
    pub(super) fn reduction(&mut self, action: Action, arguments: &Arguments<'p>, span: Span) -> Option<Value<'p>> {
        let (x, over, keep) = (arguments.get(0)?, arguments.get(1), arguments.get(2));
        if let Value::Set(members) = &x.value {
            return self.reduce_set(action, &Rc::clone(members), over, span);
        }
        let keep = match keep.map(|keep| (&keep.value, keep.span)) {
            None => false,
            Some((Value::Truth(keep), _)) => *keep,
            Some((other, span)) => {
                let text = format!("this is {}", other.describe());
                let error = self.error_at(Code::SettingType, "`keep` is `true` or `false`", span, text);
                self.fail(error);
                return None;
            }
        };
        let id = self.as_signal(&x.value, x.span)?;
        let ty = self.graph.ty(id).clone();
        let axes = self.axes(over, &ty)?;
        if axes.time && self.refuse_in_loop("a reduction over time", id, span) {
            return None;
        }
        if action == Action::Count {
            let count = self.node(span, |graph| graph.count(id, &axes))?;
            return Some(self.graph.constant_value(count).map_or(Value::Signal(count), Value::Number));
        }
        let reduced = self.reduce(action, id, &axes, span)?;
        if keep {
            Some(self.signal(span, |graph| graph.keep_axes(reduced, &ty, &axes)))
        } else {
            Some(Value::Signal(reduced))
        }
    }

    fn reduce(&mut self, action: Action, id: NodeId, axes: &Axes, span: Span) -> Option<NodeId> {
        self.node(span, |graph| match action {
            Action::Reduce(Reducer::Sum) => graph.sum(id, axes),
            Action::Reduce(reducer) => graph.extremum(reducer, id, axes),
            _ => graph.mean(id, axes),
        })
    }

    /// A reduction of a set: `sum` adds all members, each summed over its shape; `mean` is the mean of the members' means.
    fn reduce_set(
        &mut self,
        action: Action,
        members: &[NodeId],
        over: Option<&Spanned<'p>>,
        span: Span,
    ) -> Option<Value<'p>> {
        if over.is_some() {
            let mut reduced = Vec::new();
            for member in members {
                let ty = self.graph.ty(*member).clone();
                let axes = self.axes(over, &ty)?;
                reduced.push(self.reduce(action, *member, &axes, span)?);
            }
            return Some(Value::Set(Rc::new(reduced)));
        }
        let mut total: Option<NodeId> = None;
        for member in members {
            let dims = (0..self.graph.ty(*member).dims.len()).collect();
            let part = self.reduce(action, *member, &Axes { dims, ..Axes::default() }, span)?;
            total = Some(match total {
                None => part,
                Some(before) => self.node(span, |graph| match action {
                    Action::Reduce(Reducer::Max) => {
                        graph.pointwise(snn_graph::ops::pointwise::Function::Maximum, &[before, part])
                    }
                    Action::Reduce(Reducer::Min) => {
                        graph.pointwise(snn_graph::ops::pointwise::Function::Minimum, &[before, part])
                    }
                    _ => graph.add(before, part),
                })?,
            });
        }
        let Some(total) = total else { return Some(Value::Number(0.0)) };
        if action == Action::Mean {
            let n = members.len() as f64;
            return Some(self.signal(span, |graph| graph.scale(total, 1.0 / n)));
        }
        Some(Value::Signal(total))
    }
}
