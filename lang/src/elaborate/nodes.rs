//! Nodes of the graph with their origins, and errors of shape in the user's words.
//!
//! Must never know what a node is for.

use std::collections::BTreeSet;
use std::rc::Rc;

use snn_graph::graph::Origin;
use snn_graph::op::ShapeError;
use snn_graph::ops::pointwise::Function;
use snn_graph::ops::{Constant, InputOp};
use snn_graph::{NodeId, Ty};

use super::*;
use crate::elaborate::frame::BodyKind;

impl<'p> Elaborator<'p, '_> {
    /// Nodes from now on belong to this place.
    pub(super) fn mark(&mut self, span: Span) -> Origin {
        let parent = Origin::default();
        let (frame, parent) = match self.frames.last() {
            Some(frame) => (frame.id, frame_origin(&self.frames, &mut self.origins)),
            None => (0, parent),
        };
        let origin = self.origins.intern(span, frame, parent);
        std::mem::replace(&mut self.graph.current_origin, origin)
    }

    /// Appends nodes that belong to a place; an error of shape is reported.
    pub(super) fn node(
        &mut self,
        span: Span,
        make: impl FnOnce(&mut Graph) -> Result<NodeId, ShapeError>,
    ) -> Option<NodeId> {
        let before = self.mark(span);
        let made = make(&mut self.graph);
        self.graph.current_origin = before;
        match made {
            Ok(id) => self.within_limits(id, span).then_some(id),
            Err(error) => {
                let error = self.shape_error(&error, span);
                self.report.add(error);
                None
            }
        }
    }

    /// The same as a value.
    pub(super) fn signal(
        &mut self,
        span: Span,
        make: impl FnOnce(&mut Graph) -> Result<NodeId, ShapeError>,
    ) -> Value<'p> {
        self.node(span, make).map_or(Value::Poison, Value::Signal)
    }

    fn within_limits(&mut self, id: NodeId, span: Span) -> bool {
        let ty = self.graph.ty(id);
        if ty.elements() > MAX_ELEMENTS {
            let (dims, elements) = (ty.dims.clone(), ty.elements());
            let text = format!("{dims:?} has {elements} elements for each sample and step");
            let error = self.error_at(Code::TooLarge, "a value of the model is too large", span, text);
            self.report.add(error);
            return false;
        }
        !self.out_of_limits(span)
    }

    /// A number as a signal.
    pub(super) fn constant(&mut self, value: f64, span: Span) -> Option<NodeId> {
        self.node(span, |graph| graph.constant(value))
    }

    /// A tensor of numbers as a signal.
    pub(super) fn tensor(&mut self, time: bool, dims: Vec<usize>, values: &[f64], span: Span) -> Option<NodeId> {
        self.node(span, |graph| graph.push(Constant { time, dims, values: Rc::from(values) }, &[]))
    }

    /// Something that the host, or a loop, supplies.
    pub(super) fn input(&mut self, name: &str, ty: Ty, span: Span) -> Option<NodeId> {
        self.node(span, |graph| graph.push(InputOp { name: name.to_string(), ty }, &[]))
    }

    /// A scalar function, element by element.
    pub(super) fn pointwise(&mut self, function: Function, inputs: &[NodeId], span: Span) -> Option<NodeId> {
        self.node(span, |graph| graph.pointwise(function, inputs))
    }

    /// The diagnostic for operands that do not fit: where, and what made each of them.
    pub(super) fn shape_error(&self, error: &ShapeError, span: Span) -> Diagnostic {
        let (place, above) = self.user_place(span);
        let mut diagnostic = Diagnostic::error(Code::ShapeMismatch, error.message.clone()).at(place, "here");
        let frames: BTreeSet<u32> =
            self.frames.iter().take(self.frames.len() - above.min(self.frames.len())).map(|frame| frame.id).collect();
        let mut shown = BTreeSet::from([place]);
        for input in &error.inputs {
            let node = self.graph.node(*input);
            let Some(span) = self.origins.seen_from(node.origin, &frames) else { continue };
            if shown.insert(span) {
                diagnostic = diagnostic.because(span, format!("this is {}", describe(&node.ty)));
            }
        }
        if place != span {
            diagnostic = diagnostic.because(span, "in the library, here");
        }
        match &error.help {
            Some(help) => diagnostic.help(help.clone()),
            None => diagnostic,
        }
    }

    /// The body that is being elaborated.
    pub(super) fn body_kind(&self) -> BodyKind {
        self.frames.last().map_or(BodyKind::Train, |frame| frame.kind)
    }
}

/// The origin of the use that the innermost body belongs to.
fn frame_origin(frames: &[Frame<'_>], origins: &mut Origins) -> Origin {
    let mut parent = Origin::default();
    let mut around = 0;
    for frame in frames {
        parent = origins.intern(frame.site, around, parent);
        around = frame.id;
    }
    parent
}

/// A type for people: `[128, 16, 16], spikes, new at each step`.
pub(crate) fn describe(ty: &Ty) -> String {
    let when = if ty.time { "new at each step" } else { "the same at all steps" };
    format!("{:?}, {}, {when}", ty.dims, ty.kind.name())
}
