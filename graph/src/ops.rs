//! The registry: every op, one word each.

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{GradientKind, Lowering, OpRule, Sample, ShapeContext, ShapeError};
use crate::tensor::Tensor;
use crate::ty::Ty;

mod operands;
mod placeholder;

macro_rules! registry {
    ($($(#[$doc:meta])* $module:ident :: $name:ident,)*) => {
        $(pub mod $module;)*
        $(pub use $module::$name;)*

        /// An op with its attributes.
        #[derive(Clone, Debug)]
        pub enum Op { $($(#[$doc])* $name($name),)* }

        $(impl From<$name> for Op {
            fn from(op: $name) -> Op { Op::$name(op) }
        })*

        impl Op {
            /// Samples of every op, for tests that loop over the registry.
            pub fn all_samples() -> Vec<Sample> {
                let mut samples = Vec::new();
                $(samples.extend($name::samples());)*
                samples
            }

            /// Names of the registry's entries.
            pub const REGISTRY: &'static [&'static str] = &[$(stringify!($name),)*];
        }

        impl OpRule for Op {
            fn name(&self) -> &'static str {
                match self { $(Op::$name(op) => op.name(),)* }
            }
            fn attributes(&self) -> String {
                match self { $(Op::$name(op) => op.attributes(),)* }
            }
            fn gradient_kind(&self) -> GradientKind {
                match self { $(Op::$name(op) => op.gradient_kind(),)* }
            }
            fn shape(&self, context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
                match self { $(Op::$name(op) => op.shape(context, inputs),)* }
            }
            fn gradient(&self, backward: &mut Backward<'_>, node: NodeId, upstream: NodeId)
                -> Result<Vec<Option<NodeId>>, ShapeError> {
                match self { $(Op::$name(op) => op.gradient(backward, node, upstream),)* }
            }
            fn lower(&self) -> Lowering<'_> {
                match self { $(Op::$name(op) => op.lower(),)* }
            }
            fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], ty: &Ty) -> Tensor {
                match self { $(Op::$name(op) => op.eval(context, inputs, ty),)* }
            }
            fn samples() -> Vec<Sample> { Op::all_samples() }
        }
    };
}

impl Op {
    /// The type of one of the results of an op that has several; `None` if it has fewer.
    pub fn result_ty(&self, index: usize) -> Option<Ty> {
        match self {
            Op::Scan(scan) => scan.result_ty(index),
            Op::SpikeTimes(layer) => layer.result_ty(index),
            Op::SpikeTimesGradient(gradient) => gradient.result_ty(index),
            _ => None,
        }
    }
}

registry! {
    /// A named value that the host supplies: a sample, a label, a learning rate, a state of a scan's body.
    input::InputOp,
    /// A learned tensor.
    param::ParamOp,
    /// A moving average that training updates and evaluation reads.
    average::AverageOp,
    /// A number.
    constant::Constant,
    /// 0, 1, 2, ... along an axis or along time.
    index::IndexOp,
    /// How many elements a reduction covers, batch included.
    count::Count,
    /// A scalar function of its operands, element by element.
    pointwise::Pointwise,
    /// A value repeated along new axes.
    broadcast::Broadcast,
    /// A sum or extremum over axes.
    reduce::Reduce,
    /// The same elements under another shape.
    reshape::Reshape,
    /// Patches of an image.
    windows::Windows,
    /// The adjoint of `Windows`: patches summed back into an image.
    fold::Fold,
    /// Counts as bits.
    planes::Planes,
    /// A linear map, convolution, or one of their gradients.
    contract::Contract,
    /// Position of the largest element.
    argmax::ArgMax,
    /// Random numbers.
    random::Random,
    /// A value with a declared derivative.
    with_gradient::WithGradient,
    /// A value without gradient.
    detach::Detach,
    /// Whether the graph is for training.
    training::Training,
    /// The value itself in training, its moving average in evaluation.
    running::Running,
    /// A time loop with state.
    scan::Scan,
    /// One of a scan's results.
    project::Project,
    /// A neuron given by equations, neither discretised nor solved yet.
    dynamics::Dynamics,
    /// Neurons that spike once, at given times.
    spike_at::SpikeAt,
    /// The times of spikes.
    times_of::TimesOf,
    /// A layer of neurons on events.
    spike_times::SpikeTimes,
    /// The gradient of a layer of neurons on events.
    spike_times_gradient::SpikeTimesGradient,
}
