//! The first values of parameters.
//!
//! Values depend on the run's seed and the parameter's path only, so adding or renaming one parameter leaves the others
//! as they were. Must never know which layer a parameter belongs to.

use snn_graph::Init;

use crate::error::{Result, RuntimeError};
use crate::rng::Stream;

/// The values that a parameter starts with, row-major in `shape`.
///
/// `fan_in` and `fan_out` follow the weight's shape `[out, in / groups, k...]`; see [`Init`]. All arithmetic is in `f64`,
/// so that a run in single precision starts with the rounded values of the run in double precision.
///
/// # Errors
/// If the shape has no fans but the initializer needs them, or a setting of the initializer makes no sense.
pub fn initial_values(init: &Init, shape: &[usize], seed: u64, path: &str) -> Result<Vec<f64>> {
    let len: usize = shape.iter().product();
    let draws = Stream::new(seed, "init", &[]).named(path);
    let fans = || {
        Fans::of(shape).ok_or_else(|| {
            RuntimeError::new(format!("parameter `{path}` of shape {shape:?} cannot start with this initializer"))
                .with_help(
                    "it needs a weight of shape [out, in, ..] to count inputs; use uniform(..) or normal(..) here",
                )
        })
    };
    let uniform = |low: f64, high: f64| -> Result<Vec<f64>> {
        if !(low <= high && low.is_finite() && high.is_finite()) {
            return Err(RuntimeError::new(format!("parameter `{path}`: there is nothing between {low} and {high}")));
        }
        Ok((0..len).map(|index| low + (high - low) * draws.uniform(index as u64)).collect())
    };
    let normal = |mean: f64, std: f64| -> Result<Vec<f64>> {
        if !(std >= 0.0 && std.is_finite() && mean.is_finite()) {
            return Err(RuntimeError::new(format!("parameter `{path}`: no normal distribution has deviation {std}")));
        }
        Ok((0..len).map(|index| mean + std * draws.normal(index as u64)).collect())
    };
    match *init {
        Init::Constant(value) => Ok(vec![value; len]),
        Init::Uniform { low, high } => uniform(low, high),
        Init::Normal { mean, std } => normal(mean, std),
        Init::KaimingNormal => normal(0.0, (2.0 / fans()?.fan_in).sqrt()),
        Init::KaimingUniform { a } => {
            let bound = (6.0 / ((1.0 + a * a) * fans()?.fan_in)).sqrt();
            uniform(-bound, bound)
        }
        Init::XavierNormal => normal(0.0, (2.0 / fans()?.sum()).sqrt()),
        Init::XavierUniform => {
            let bound = (6.0 / fans()?.sum()).sqrt();
            uniform(-bound, bound)
        }
    }
}

/// How many values each output reads, and how many outputs read each value.
#[derive(Debug, PartialEq)]
struct Fans {
    fan_in: f64,
    fan_out: f64,
}

impl Fans {
    fn of(shape: &[usize]) -> Option<Self> {
        let [out, inputs, kernel @ ..] = shape else { return None };
        let receptive: f64 = kernel.iter().map(|&extent| extent as f64).product();
        let fans = Self { fan_in: *inputs as f64 * receptive, fan_out: *out as f64 * receptive };
        (fans.fan_in > 0.0 && fans.fan_out > 0.0).then_some(fans)
    }

    fn sum(&self) -> f64 {
        self.fan_in + self.fan_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONV: [usize; 4] = [64, 32, 3, 3];

    fn moments(init: &Init) -> (f64, f64, f64) {
        let values = initial_values(init, &CONV, 1, "conv.weight").unwrap();
        let n = values.len() as f64;
        assert_eq!(values.len(), 64 * 32 * 9);
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / n;
        let extreme = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        (mean, variance.sqrt(), extreme)
    }

    #[test]
    fn distributions_have_the_documented_width() {
        let (fan_in, fan_out) = (288.0_f64, 576.0_f64);
        let third = 3.0_f64.sqrt();
        let bound_a = (6.0 / (5.0 * fan_in)).sqrt();
        let cases = [
            (Init::KaimingNormal, (2.0 / fan_in).sqrt(), None),
            (Init::KaimingUniform { a: 2.0 }, bound_a / third, Some(bound_a)),
            (Init::XavierNormal, (2.0 / (fan_in + fan_out)).sqrt(), None),
            (Init::XavierUniform, (2.0 / (fan_in + fan_out)).sqrt(), Some((6.0 / (fan_in + fan_out)).sqrt())),
            (Init::Uniform { low: -1.0, high: 1.0 }, 1.0 / third, Some(1.0)),
            (Init::Normal { mean: 0.0, std: 0.5 }, 0.5, None),
        ];
        for (init, std, bound) in cases {
            let (mean, found, extreme) = moments(&init);
            assert!(mean.abs() < 0.04 * std, "{init:?}: mean {mean}");
            assert!((found / std - 1.0).abs() < 0.02, "{init:?}: deviation {found}, expected {std}");
            if let Some(bound) = bound {
                assert!(extreme <= bound && extreme > 0.99 * bound, "{init:?}: extreme {extreme}, bound {bound}");
            }
        }
        assert_eq!(initial_values(&Init::Constant(0.25), &[3], 0, "b").unwrap(), [0.25; 3]);
        let shifted = initial_values(&Init::Normal { mean: 5.0, std: 0.0 }, &[2], 0, "b").unwrap();
        assert_eq!(shifted, [5.0; 2]);
    }

    #[test]
    fn values_depend_on_seed_and_path() {
        let values = |seed, path| initial_values(&Init::KaimingNormal, &[4, 4], seed, path).unwrap();
        assert_eq!(values(1, "a.weight"), values(1, "a.weight"));
        assert_ne!(values(1, "a.weight"), values(1, "b.weight"));
        assert_ne!(values(1, "a.weight"), values(2, "a.weight"));
    }

    #[test]
    fn what_cannot_be_drawn_is_explained() {
        for (init, shape, what) in [
            (Init::KaimingNormal, &[8][..], "cannot start with this initializer"),
            (Init::XavierUniform, &[8, 0], "cannot start with this initializer"),
            (Init::Uniform { low: 1.0, high: -1.0 }, &[8], "nothing between 1 and -1"),
            (Init::Normal { mean: 0.0, std: -1.0 }, &[8], "deviation -1"),
        ] {
            let error = initial_values(&init, shape, 0, "layer.bias").unwrap_err();
            assert!(error.message().contains(what) && error.message().contains("layer.bias"), "{error}");
        }
    }
}
