//! An optimizer with its learning rate and the ranges of its settings.
//!
//! The formulas are the graph's ([`UpdateRule`]), so that an update is compiled with the gradient. Must never know how a
//! model writes it down.

pub use snn_graph::training::Optimizer as UpdateRule;

use crate::error::{Result, RuntimeError};

/// An update rule and the learning rate that a schedule may change from update to update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Optimizer {
    /// Learning rate before any schedule.
    pub lr: f64,
    /// The formulas with all other settings.
    pub rule: UpdateRule,
}

impl Optimizer {
    /// How models call it.
    pub fn name(&self) -> &'static str {
        match self.rule {
            UpdateRule::Sgd { .. } => "sgd",
            UpdateRule::Adam { .. } => "adam",
            UpdateRule::AdamW { .. } => "adamw",
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// Names the first setting out of range.
    pub fn check(&self) -> Result<()> {
        let non_negative = |value: f64| value >= 0.0 && value.is_finite();
        let fraction = |value: f64| (0.0..1.0).contains(&value);
        let mut settings = vec![("lr", self.lr, non_negative(self.lr), "at least 0")];
        match self.rule {
            UpdateRule::Sgd { momentum, nesterov, weight_decay } => {
                if nesterov && momentum == 0.0 {
                    return Err(RuntimeError::new("`sgd(nesterov = true)` needs a momentum")
                        .with_help("set momentum = 0.9, or leave nesterov out"));
                }
                settings.push(("momentum", momentum, fraction(momentum), "at least 0 and below 1"));
                settings.push(("weight_decay", weight_decay, non_negative(weight_decay), "at least 0"));
            }
            UpdateRule::Adam { beta1, beta2, eps, weight_decay }
            | UpdateRule::AdamW { beta1, beta2, eps, weight_decay } => {
                settings.push(("beta1", beta1, fraction(beta1), "at least 0 and below 1"));
                settings.push(("beta2", beta2, fraction(beta2), "at least 0 and below 1"));
                settings.push(("eps", eps, non_negative(eps), "at least 0"));
                settings.push(("weight_decay", weight_decay, non_negative(weight_decay), "at least 0"));
            }
        }
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

    fn sgd(momentum: f64, nesterov: bool) -> Optimizer {
        Optimizer { lr: 0.1, rule: UpdateRule::Sgd { momentum, nesterov, weight_decay: 0.0 } }
    }

    fn adam(lr: f64, beta1: f64, eps: f64) -> Optimizer {
        Optimizer { lr, rule: UpdateRule::Adam { beta1, beta2: 0.999, eps, weight_decay: 0.0 } }
    }

    #[test]
    fn settings_out_of_range_are_explained() {
        let adamw = UpdateRule::AdamW { beta1: 0.9, beta2: 0.9, eps: 0.0, weight_decay: -1.0 };
        for (optimizer, what) in [
            (adam(-1.0, 0.9, 1e-8), "adam(lr = -1)"),
            (adam(f64::NAN, 0.9, 1e-8), "lr = NaN"),
            (adam(0.1, 1.0, 1e-8), "beta1 = 1"),
            (adam(0.1, 0.9, f64::INFINITY), "eps = inf"),
            (sgd(1.5, false), "momentum = 1.5"),
            (sgd(0.0, true), "needs a momentum"),
            (Optimizer { lr: 0.1, rule: adamw }, "adamw(weight_decay"),
        ] {
            let error = optimizer.check().unwrap_err();
            assert!(error.message().contains(what), "{error}");
        }
        sgd(0.9, true).check().unwrap();
        adam(0.1, 0.9, 0.0).check().unwrap();
    }
}
