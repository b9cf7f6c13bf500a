//! Ops that stand for trains of spikes without a grid until the pass [`events`](crate::passes::events) replaces them: they
//! have a type, and neither value nor derivative nor loops. This file must never know which ops these are.

/// Implements the rules of such an op; what differs is its name and its type.
macro_rules! replaced_by_events {
    ($op:ty, $name:literal, $shape:expr) => {
        impl crate::op::OpRule for $op {
            fn name(&self) -> &'static str {
                $name
            }

            fn attributes(&self) -> String {
                String::new()
            }

            fn gradient_kind(&self) -> crate::op::GradientKind {
                crate::op::GradientKind::Declared
            }

            fn shape(
                &self,
                context: &crate::op::ShapeContext,
                inputs: &[&crate::ty::Ty],
            ) -> Result<crate::ty::Ty, crate::op::ShapeError> {
                let [operand] = crate::ops::operands::exactly($name, inputs)?;
                let shape: fn(
                    &crate::op::ShapeContext,
                    &crate::ty::Ty,
                ) -> Result<crate::ty::Ty, crate::op::ShapeError> = $shape;
                shape(context, operand)
            }

            fn gradient(
                &self,
                _: &mut crate::autodiff::Backward<'_>,
                _: crate::graph::NodeId,
                _: crate::graph::NodeId,
            ) -> Result<Vec<Option<crate::graph::NodeId>>, crate::op::ShapeError> {
                Err(crate::op::ShapeError::new("the pass `events` must run before differentiating"))
            }

            fn lower(&self) -> crate::op::Lowering<'_> {
                crate::op::Lowering::Unlowered("events")
            }

            fn eval(
                &self,
                context: &mut crate::eval::EvalContext<'_>,
                _: &[&crate::tensor::Tensor],
                ty: &crate::ty::Ty,
            ) -> crate::tensor::Tensor {
                context.fail(crate::eval::EvalError::Unlowered("events"));
                context.zeros(ty)
            }

            /// None: the op has neither a value nor loops.
            fn samples() -> Vec<crate::op::Sample> {
                Vec::new()
            }
        }
    };
}

pub(super) use replaced_by_events;
