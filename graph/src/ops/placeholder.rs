//! Ops that stand for trains of spikes without a grid until the pass [`events`](crate::passes::events) replaces them: they
//! have a type, and neither value nor derivative nor loops. This file must never know which ops these are.

/// The rules of such an op, all but its type.
macro_rules! replaced_by_events {
    ($name:literal) => {
        fn name(&self) -> &'static str {
            $name
        }

        fn attributes(&self) -> String {
            String::new()
        }

        fn gradient_kind(&self) -> crate::op::GradientKind {
            crate::op::GradientKind::Declared
        }

        fn gradient(
            &self,
            _: &mut crate::autodiff::Backward<'_>,
            _: crate::graph::NodeId,
            _: crate::graph::NodeId,
        ) -> Result<Vec<Option<crate::graph::NodeId>>, ShapeError> {
            Err(ShapeError::new("the pass `events` must run before differentiating"))
        }

        fn lower(&self) -> crate::op::Lowering<'_> {
            crate::op::Lowering::Unlowered("events")
        }

        fn eval(
            &self,
            context: &mut crate::eval::EvalContext<'_>,
            _: &[&crate::tensor::Tensor],
            ty: &Ty,
        ) -> crate::tensor::Tensor {
            context.fail(crate::eval::EvalError::Unlowered("events"));
            context.zeros(ty)
        }

        /// None: the op has neither a value nor loops.
        fn samples() -> Vec<crate::op::Sample> {
            Vec::new()
        }
    };
}

pub(super) use replaced_by_events;
