//! The loss and the prediction of a `train`.
//!
//! Must never know the losses of the library by name.

use snn_graph::{NodeId, Ty};

use super::*;
use crate::ast::{DeclKind, FnDecl};
use crate::value::{FunctionTarget, FunctionValue, Spanned};

/// A call, in a loss, of a function that has a prediction of its own.
#[derive(Clone, Debug)]
pub(super) struct LossCall<'p> {
    /// The function.
    pub decl: &'p FnDecl,
    /// Its companion `NAME_prediction`.
    pub prediction: (DeclId, &'p FnDecl),
    /// Its arguments by parameter.
    pub arguments: Vec<Option<Spanned<'p>>>,
    /// Where it is called.
    pub span: Span,
}

impl<'p> Elaborator<'p, '_> {
    /// Notes a call that stands in a loss itself, if the function has a prediction.
    pub(super) fn record_loss(&mut self, id: DeclId, decl: &'p FnDecl, arguments: &[Option<Spanned<'p>>], span: Span) {
        if self.body_kind() != frame::BodyKind::Train {
            return;
        }
        let companion = self.program.lookup(id.module, &format!("{}_prediction", decl.name.text));
        let Some(named) = companion else { return };
        let Some(DeclKind::Fn(prediction)) = self.program.decl(named.decl).map(|decl| &decl.kind) else { return };
        let arguments = arguments.to_vec();
        self.recorded.losses.push(LossCall { decl, prediction: (named.decl, prediction), arguments, span });
    }

    /// The loss as one number a sample.
    pub(super) fn checked_loss(&mut self, value: &Value<'p>, span: Span) -> Option<NodeId> {
        let id = self.as_signal(value, span)?;
        let ty = self.graph.ty(id).clone();
        let error = Diagnostic::error(Code::BadLoss, "the loss is not one number a sample");
        if ty.time {
            let error = error
                .at(span, "it has a value at each step")
                .help("take `mean(..., over = time)` of it, or of the signal before");
            self.fail(error);
            return None;
        }
        if !ty.dims.is_empty() {
            let error =
                error.at(span, format!("it has the shape {:?}", ty.dims)).help("take `sum(...)` or `mean(...)` of it");
            self.fail(error);
            return None;
        }
        self.node(span, |graph| graph.broadcast(id, &Ty::signal(false, &[])))
    }

    /// The class of each sample.
    pub(super) fn checked_prediction(&mut self, value: &Value<'p>, span: Span) -> Option<NodeId> {
        let id = self.as_signal(value, span)?;
        let ty = self.graph.ty(id).clone();
        if ty.time || !ty.dims.is_empty() || !ty.batch {
            let text = format!("this is {}", nodes::describe(&ty));
            let error =
                Diagnostic::error(Code::BadPrediction, "the prediction is not one class a sample").at(span, text);
            let help = if ty.time {
                "take `mean(out, over = time)` first"
            } else {
                "write `argmax(...)` of one value a class"
            };
            self.fail(error.help(help));
            return None;
        }
        Some(id)
    }

    /// The prediction that the one library loss declares. `None` where there is none, or where it is not clear which.
    pub(super) fn implied_prediction(&mut self) -> Option<(Value<'p>, Span)> {
        let losses = std::mem::take(&mut self.recorded.losses);
        let [LossCall { decl, prediction, arguments, span }] = losses.as_slice() else { return None };
        let positional: Vec<Spanned<'p>> = prediction
            .1
            .params
            .iter()
            .filter_map(|param| {
                let at = decl.params.iter().position(|own| own.name.text == param.name.text)?;
                arguments.get(at).cloned().flatten()
            })
            .collect();
        let target = FunctionTarget::Declared(prediction.0, prediction.1);
        let function = FunctionValue { target, positional: Vec::new(), named: Vec::new() };
        Some((self.call_with(&function, positional, Vec::new(), *span), *span))
    }
}
