//! Events as columns of numbers `t`, `x`, `y`, `p`, however they are stored.
//!
//! Must never know a file.

use super::{Clock, Recorded};

/// The columns, in this order; the last two may be missing, which is the same as zeros.
pub(super) const NAMES: [&str; 4] = ["t", "x", "y", "p"];

/// Columns that cannot be left out.
pub(super) const REQUIRED: usize = 2;

/// An event from its numbers, in the order of [`NAMES`]; what is wrong with it otherwise.
pub(super) fn event([t, x, y, p]: [f64; 4], clock: &Clock) -> Result<Recorded, String> {
    let time = (t * clock.unit).round();
    if !time.is_finite() || time.abs() >= i64::MAX as f64 {
        return Err(format!("has t = {t}"));
    }
    let place = |name: &str, value: f64| match value.fract() == 0.0 && (0.0..f64::from(u32::MAX)).contains(&value) {
        true => Ok(value as u32),
        false => Err(format!("has {name} = {value}, which is no place")),
    };
    Ok(Recorded { time: time as i64, x: place("x", x)?, y: place("y", y)?, on: p > 0.0 })
}
