//! How the learning rate changes during training: a closed list of formulas.
//!
//! Must never know optimizers: a schedule is a factor on whatever learning rate the optimizer has.

use crate::error::{Result, RuntimeError};

/// A schedule of the learning rate.
///
/// In the formulas `e` is the time since training began in epochs (2.5 is the middle of the third epoch) and `E` the
/// number of epochs in all.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// `constant()`: 1.
    Constant,
    /// `step(every, factor)`: `factor^floor(e / every)`.
    Step {
        /// Epochs between two changes, above 0.
        every: f64,
        /// What each change multiplies by, above 0.
        factor: f64,
    },
    /// `cosine(min = 0)`: `min + (1 - min) (1 + cos(pi e / E)) / 2` (Loshchilov and Hutter 2017, one cycle).
    Cosine {
        /// The factor reached at the end, 0 to 1.
        min: f64,
    },
    /// `warmup(epochs, then = constant())`: for `e < epochs` grows in a straight line from 0 to where `then` begins; after
    /// that it is `then`, with `e` and `E` counted from the end of the warm-up.
    Warmup {
        /// Length of the warm-up, at least 0.
        epochs: f64,
        /// What follows.
        then: Box<Schedule>,
    },
}

impl Schedule {
    /// The factor on the learning rate, `epoch` epochs after the beginning of a training of `n_epochs`.
    ///
    /// Meant to be asked before every update, with the fraction of the epoch that is done. The first update of a warm-up
    /// has factor 0. Times before the beginning and after the end count as these.
    pub fn factor(&self, epoch: f64, n_epochs: f64) -> f64 {
        let epoch = epoch.min(n_epochs).max(0.0);
        match self {
            Self::Constant => 1.0,
            Self::Step { every, factor } => libm::pow(*factor, (epoch / every).floor()),
            Self::Cosine { min } => {
                let progress = if n_epochs > 0.0 { epoch / n_epochs } else { 1.0 };
                min + (1.0 - min) * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress))
            }
            Self::Warmup { epochs, then } if epoch < *epochs => epoch / epochs * then.factor(0.0, n_epochs - epochs),
            Self::Warmup { epochs, then } => then.factor(epoch - epochs, n_epochs - epochs),
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// If one is out of the range that its documentation names, or a warm-up follows a warm-up.
    pub fn check(&self) -> Result<()> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        match self {
            Self::Constant => Ok(()),
            Self::Step { every, .. } if !positive(*every) => {
                Err(RuntimeError::new(format!("`step(every = {every})`: the number of epochs must be above 0")))
            }
            Self::Step { factor, .. } if !positive(*factor) => {
                Err(RuntimeError::new(format!("`step(factor = {factor})`: the factor must be above 0")))
            }
            Self::Cosine { min } if !(0.0..=1.0).contains(min) => Err(RuntimeError::new(format!(
                "`cosine(min = {min})`: the minimum is a fraction of the learning rate, between 0 and 1"
            ))),
            Self::Warmup { epochs, .. } if !(*epochs >= 0.0 && epochs.is_finite()) => {
                Err(RuntimeError::new(format!("`warmup({epochs})`: the number of epochs must be at least 0")))
            }
            Self::Warmup { then, .. } if matches!(**then, Self::Warmup { .. }) => {
                Err(RuntimeError::new("a warm-up cannot be followed by a warm-up"))
            }
            Self::Warmup { then, .. } => then.check(),
            Self::Step { .. } | Self::Cosine { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warmup(epochs: f64, then: Schedule) -> Schedule {
        Schedule::Warmup { epochs, then: Box::new(then) }
    }

    #[test]
    fn factors_follow_the_formulas() {
        let step = Schedule::Step { every: 35.0, factor: 0.1 };
        let cosine = Schedule::Cosine { min: 0.2 };
        let cases = [
            (Schedule::Constant, 3.0, 1.0),
            (step.clone(), 0.0, 1.0),
            (step.clone(), 34.99, 1.0),
            (step.clone(), 35.0, 0.1),
            (step, 105.5, 0.001),
            (cosine.clone(), 0.0, 1.0),
            (cosine.clone(), 60.0, 0.6),
            (cosine.clone(), 30.0, 0.2 + 0.8 * 0.5 * (1.0 + 0.5_f64.sqrt())),
            (cosine.clone(), 120.0, 0.2),
            (cosine.clone(), 1e9, 0.2),
            (cosine.clone(), -1.0, 1.0),
            (warmup(5.0, Schedule::Constant), 0.0, 0.0),
            (warmup(5.0, Schedule::Constant), 2.5, 0.5),
            (warmup(5.0, Schedule::Constant), 5.0, 1.0),
            (warmup(20.0, cosine.clone()), 70.0, 0.6),
            (warmup(20.0, cosine), 120.0, 0.2),
            (warmup(0.0, Schedule::Constant), 0.0, 1.0),
        ];
        for (schedule, epoch, expected) in cases {
            let found = schedule.factor(epoch, 120.0);
            assert!((found - expected).abs() < 1e-12, "{schedule:?} at {epoch}: {found}, expected {expected}");
        }
    }

    #[test]
    fn odd_lengths_give_finite_factors() {
        for schedule in [Schedule::Cosine { min: 0.0 }, warmup(5.0, Schedule::Cosine { min: 0.0 })] {
            for (epoch, n_epochs) in [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (3.0, 5.0)] {
                let factor = schedule.factor(epoch, n_epochs);
                assert!((0.0..=1.0).contains(&factor), "{schedule:?} at {epoch} of {n_epochs}: {factor}");
            }
        }
    }

    #[test]
    fn settings_out_of_range_are_explained() {
        for (schedule, what) in [
            (Schedule::Step { every: 0.0, factor: 0.1 }, "every = 0"),
            (Schedule::Step { every: 1.0, factor: -0.1 }, "factor = -0.1"),
            (Schedule::Cosine { min: 2.0 }, "min = 2"),
            (warmup(f64::NAN, Schedule::Constant), "warmup(NaN)"),
            (warmup(1.0, Schedule::Cosine { min: -1.0 }), "min = -1"),
            (warmup(1.0, warmup(1.0, Schedule::Constant)), "followed by a warm-up"),
        ] {
            let error = schedule.check().unwrap_err();
            assert!(error.message().contains(what), "{error}");
        }
        warmup(1.0, Schedule::Cosine { min: 0.0 }).check().unwrap();
    }
}
