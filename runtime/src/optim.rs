//! Which optimizer a training uses, as plain data.
//!
//! The update itself is graph nodes, so that it is compiled with the gradient. Must never know graphs.

use crate::error::{Result, RuntimeError};

/// An optimizer with its settings, in the semantics of PyTorch.
///
/// In the formulas `w` is a parameter, `g` the gradient of the mean loss of the batch, `t` the number of this update
/// counted from 1 and `lr` the learning rate times the schedule's factor. All states start at 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Optimizer {
    /// `sgd(lr, momentum = 0, nesterov = false, weight_decay = 0)`:
    /// `g += weight_decay w`; with momentum `v = momentum v + g`, `g = g + momentum v` if nesterov, else `g = v`; then
    /// `w -= lr g`. The first update has `v = g`, which is the same as starting from `v = 0` without dampening.
    Sgd {
        /// Learning rate.
        lr: f64,
        /// In 0..1; 0 keeps no state.
        momentum: f64,
        /// Looks ahead along the momentum.
        nesterov: bool,
        /// L2 penalty, added to the gradient.
        weight_decay: f64,
    },
    /// `adam(lr, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0)`:
    /// `g += weight_decay w`; `m = beta1 m + (1 - beta1) g`; `v = beta2 v + (1 - beta2) g^2`;
    /// `w -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)` (Kingma and Ba 2015).
    Adam {
        /// Learning rate.
        lr: f64,
        /// Decay of the mean of gradients, in 0..1.
        beta1: f64,
        /// Decay of the mean of squared gradients, in 0..1.
        beta2: f64,
        /// Added to the root, outside of it.
        eps: f64,
        /// L2 penalty, added to the gradient.
        weight_decay: f64,
    },
    /// `adamw(lr, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.01)`: Adam on the bare gradient, after
    /// `w -= lr weight_decay w` (Loshchilov and Hutter 2019).
    AdamW {
        /// Learning rate.
        lr: f64,
        /// Decay of the mean of gradients, in 0..1.
        beta1: f64,
        /// Decay of the mean of squared gradients, in 0..1.
        beta2: f64,
        /// Added to the root, outside of it.
        eps: f64,
        /// Decoupled decay of the weights.
        weight_decay: f64,
    },
}

impl Optimizer {
    /// How models call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd { .. } => "sgd",
            Self::Adam { .. } => "adam",
            Self::AdamW { .. } => "adamw",
        }
    }

    /// The learning rate before any schedule.
    pub fn learning_rate(&self) -> f64 {
        match *self {
            Self::Sgd { lr, .. } | Self::Adam { lr, .. } | Self::AdamW { lr, .. } => lr,
        }
    }

    /// The names of the states that every parameter has, each a tensor of the parameter's shape.
    pub fn states(&self) -> &'static [&'static str] {
        match *self {
            Self::Sgd { momentum: 0.0, .. } => &[],
            Self::Sgd { .. } => &["v"],
            Self::Adam { .. } | Self::AdamW { .. } => &["m", "v"],
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// Names the first setting out of range.
    pub fn check(&self) -> Result<()> {
        let non_negative = |value: f64| value >= 0.0 && value.is_finite();
        let fraction = |value: f64| (0.0..1.0).contains(&value);
        let settings = match *self {
            Self::Sgd { lr, momentum, nesterov, weight_decay } => {
                if nesterov && momentum == 0.0 {
                    return Err(RuntimeError::new("`sgd(nesterov = true)` needs a momentum")
                        .with_help("set momentum = 0.9, or leave nesterov out"));
                }
                vec![
                    ("lr", lr, non_negative(lr), "at least 0"),
                    ("momentum", momentum, fraction(momentum), "at least 0 and below 1"),
                    ("weight_decay", weight_decay, non_negative(weight_decay), "at least 0"),
                ]
            }
            Self::Adam { lr, beta1, beta2, eps, weight_decay }
            | Self::AdamW { lr, beta1, beta2, eps, weight_decay } => {
                vec![
                    ("lr", lr, non_negative(lr), "at least 0"),
                    ("beta1", beta1, fraction(beta1), "at least 0 and below 1"),
                    ("beta2", beta2, fraction(beta2), "at least 0 and below 1"),
                    ("eps", eps, non_negative(eps), "at least 0"),
                    ("weight_decay", weight_decay, non_negative(weight_decay), "at least 0"),
                ]
            }
        };
        match settings.into_iter().find(|&(_, _, fine, _)| !fine) {
            None => Ok(()),
            Some((setting, value, _, range)) => {
                let name = self.name();
                Err(RuntimeError::new(format!("`{name}({setting} = {value})`: {setting} must be {range}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SGD: Optimizer = Optimizer::Sgd { lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.0 };

    fn adam(lr: f64, beta1: f64, eps: f64) -> Optimizer {
        Optimizer::Adam { lr, beta1, beta2: 0.999, eps, weight_decay: 0.0 }
    }

    #[test]
    fn settings_out_of_range_are_explained() {
        for (optimizer, what) in [
            (adam(-1.0, 0.9, 1e-8), "adam(lr = -1)"),
            (adam(f64::NAN, 0.9, 1e-8), "lr = NaN"),
            (adam(0.1, 1.0, 1e-8), "beta1 = 1"),
            (adam(0.1, 0.9, f64::INFINITY), "eps = inf"),
            (Optimizer::Sgd { lr: 0.1, momentum: 1.5, nesterov: false, weight_decay: 0.0 }, "momentum = 1.5"),
            (Optimizer::Sgd { lr: 0.1, momentum: 0.0, nesterov: true, weight_decay: 0.0 }, "needs a momentum"),
            (Optimizer::AdamW { lr: 0.1, beta1: 0.9, beta2: 0.9, eps: 0.0, weight_decay: -1.0 }, "adamw(weight_decay"),
        ] {
            let error = optimizer.check().unwrap_err();
            assert!(error.message().contains(what), "{error}");
        }
        SGD.check().unwrap();
    }

    #[test]
    fn states_are_those_of_the_formulas() {
        assert_eq!(SGD.states(), ["v"]);
        assert_eq!(adam(0.1, 0.9, 0.0).states(), ["m", "v"]);
        let plain = Optimizer::Sgd { lr: 0.1, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        assert!(plain.states().is_empty());
        assert_eq!(plain.learning_rate(), 0.1);
    }
}
