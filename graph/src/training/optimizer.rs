//! Optimizers: how a parameter follows its gradient, as nodes of the graph.
//!
//! The formulas and the order of their operations are those of PyTorch (`torch.optim`), so that runs can be compared
//! step by step. What changes from step to step comes from the host: the learning rate `lr` and, for Adam, the bias
//! corrections `bias1 = 1 - beta1^t` and `bias2 = 1 - beta2^t` at step t = 1, 2, ...

use crate::build::Built;
use crate::graph::{Graph, NodeId};
use crate::op::ShapeError;
use crate::ops::pointwise::Function;

/// A rule for updating parameters. The set is closed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Stochastic gradient descent. One slot, the velocity, where `momentum` is not 0; else none.
    ///
    /// `g += weight_decay p; velocity = momentum velocity + g; p -= lr velocity` (with Nesterov
    /// `p -= lr (g + momentum velocity)`). The velocity begins at 0, so that after the first step it is `g`.
    Sgd {
        /// Factor of the velocity.
        momentum: f64,
        /// Whether the step looks ahead.
        nesterov: bool,
        /// Factor of the parameter that is added to its gradient.
        weight_decay: f64,
    },
    /// Adam (Kingma and Ba 2015). Two slots: the first and the second moment, which begin at 0.
    ///
    /// `g += weight_decay p; m += (1 - beta1) (g - m); v = beta2 v + (1 - beta2) g^2;
    /// p -= lr / bias1 * m / (sqrt(v) / sqrt(bias2) + eps)`
    Adam {
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the denominator.
        eps: f64,
        /// Factor of the parameter that is added to its gradient.
        weight_decay: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019): `p *= 1 - lr weight_decay` first, and the
    /// gradient is left alone. Two slots as Adam.
    AdamW {
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the denominator.
        eps: f64,
        /// Factor of the parameter that is taken from it, times the learning rate.
        weight_decay: f64,
    },
}

/// The values that the host supplies at each step; each is a scalar input of that name.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The learning rate.
    pub lr: NodeId,
    /// `1 - beta1^t`
    pub bias1: NodeId,
    /// `1 - beta2^t`
    pub bias2: NodeId,
}

impl Optimizer {
    /// Number of tensors of the parameter's shape that are kept from step to step. All begin at 0.
    pub fn slots(&self) -> usize {
        match self {
            Optimizer::Sgd { momentum, .. } => usize::from(*momentum != 0.0),
            Optimizer::Adam { .. } | Optimizer::AdamW { .. } => 2,
        }
    }

    /// `1 - beta1^t` and `1 - beta2^t`, what `bias1` and `bias2` must be at step `t`, which counts from 1; 1 where the
    /// optimizer has no such thing.
    pub fn bias_corrections(&self, t: u64) -> (f64, f64) {
        match self {
            Optimizer::Sgd { .. } => (1.0, 1.0),
            Optimizer::Adam { beta1, beta2, .. } | Optimizer::AdamW { beta1, beta2, .. } => {
                (1.0 - power(*beta1, t), 1.0 - power(*beta2, t))
            }
        }
    }

    /// Appends an update: the new parameter and the new slots.
    pub fn update(
        &self,
        graph: &mut Graph,
        schedule: &Schedule,
        parameter: NodeId,
        gradient: NodeId,
        slots: &[NodeId],
    ) -> Result<(NodeId, Vec<NodeId>), ShapeError> {
        match (*self, slots) {
            (Optimizer::Sgd { weight_decay, .. }, []) => {
                let step = decayed(graph, gradient, parameter, weight_decay)?;
                Ok((descend(graph, parameter, schedule.lr, step)?, Vec::new()))
            }
            (Optimizer::Sgd { momentum, nesterov, weight_decay }, [velocity]) => {
                let gradient = decayed(graph, gradient, parameter, weight_decay)?;
                let kept = graph.scale(*velocity, momentum)?;
                let velocity = graph.add(kept, gradient)?;
                let step = if nesterov {
                    let ahead = graph.scale(velocity, momentum)?;
                    graph.add(gradient, ahead)?
                } else {
                    velocity
                };
                Ok((descend(graph, parameter, schedule.lr, step)?, vec![velocity]))
            }
            (Optimizer::Adam { beta1, beta2, eps, weight_decay }, [first, second]) => {
                let gradient = decayed(graph, gradient, parameter, weight_decay)?;
                adam(graph, schedule, [beta1, beta2, eps], parameter, gradient, [*first, *second])
            }
            (Optimizer::AdamW { beta1, beta2, eps, weight_decay }, [first, second]) => {
                let shrunk = shrunk(graph, parameter, schedule.lr, weight_decay)?;
                adam(graph, schedule, [beta1, beta2, eps], shrunk, gradient, [*first, *second])
            }
            (optimizer, slots) => Err(ShapeError::new(format!(
                "the optimizer keeps {} tensors a parameter, not {}",
                optimizer.slots(),
                slots.len()
            ))),
        }
    }
}

/// `base^t` by repeated squaring.
fn power(base: f64, mut t: u64) -> f64 {
    let (mut result, mut square) = (1.0, base);
    while t > 0 {
        if t % 2 == 1 {
            result *= square;
        }
        square *= square;
        t /= 2;
    }
    result
}

/// `g + weight_decay p`
fn decayed(graph: &mut Graph, gradient: NodeId, parameter: NodeId, weight_decay: f64) -> Built {
    if weight_decay == 0.0 {
        return Ok(gradient);
    }
    let decay = graph.scale(parameter, weight_decay)?;
    graph.add(gradient, decay)
}

/// `p (1 - lr weight_decay)`
fn shrunk(graph: &mut Graph, parameter: NodeId, lr: NodeId, weight_decay: f64) -> Built {
    if weight_decay == 0.0 {
        return Ok(parameter);
    }
    let decay = graph.scale(lr, weight_decay)?;
    let one = graph.constant(1.0)?;
    let factor = graph.sub(one, decay)?;
    graph.mul(parameter, factor)
}

/// `p - lr step`
fn descend(graph: &mut Graph, parameter: NodeId, lr: NodeId, step: NodeId) -> Built {
    let change = graph.mul(step, lr)?;
    graph.sub(parameter, change)
}

fn adam(
    graph: &mut Graph,
    schedule: &Schedule,
    [beta1, beta2, eps]: [f64; 3],
    parameter: NodeId,
    gradient: NodeId,
    [first, second]: [NodeId; 2],
) -> Result<(NodeId, Vec<NodeId>), ShapeError> {
    let difference = graph.sub(gradient, first)?;
    let change = graph.scale(difference, 1.0 - beta1)?;
    let first = graph.add(first, change)?;

    let kept = graph.scale(second, beta2)?;
    let square = graph.mul(gradient, gradient)?;
    let fresh = graph.scale(square, 1.0 - beta2)?;
    let second = graph.add(kept, fresh)?;

    let root = graph.pointwise(Function::Sqrt, &[second])?;
    let correction = graph.pointwise(Function::Sqrt, &[schedule.bias2])?;
    let root = graph.div(root, correction)?;
    let eps = graph.constant(eps)?;
    let denominator = graph.add(root, eps)?;
    let direction = graph.div(first, denominator)?;
    let rate = graph.div(schedule.lr, schedule.bias1)?;
    Ok((descend(graph, parameter, rate, direction)?, vec![first, second]))
}
