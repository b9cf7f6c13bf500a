//! Programs that hold weights. A weight lives in the programs that read it, and outside of them only while no program
//! does.
//!
//! Must never know what a program computes.

use std::borrow::Cow;

use crate::error::{Result, RuntimeError};
use crate::step::Step;
use crate::weights::{Kept, Weights};

/// What weights are given to, by [`Kept::port`].
pub trait Holder {
    /// Whether it reads a weight.
    fn takes(&self, port: &str) -> bool;

    /// The present values of a weight, row-major; `None` where it does not read it.
    ///
    /// # Errors
    /// If the memory cannot be read.
    fn held(&self, port: &str) -> Result<Option<Vec<f64>>>;

    /// New values of a weight, row-major; one that it does not read is ignored.
    ///
    /// # Errors
    /// If their number is another.
    fn hold(&mut self, port: &str, values: &[f64]) -> Result<()>;
}

impl Holder for Step {
    fn takes(&self, port: &str) -> bool {
        Step::takes(self, port)
    }

    fn held(&self, port: &str) -> Result<Option<Vec<f64>>> {
        self.get_input(port)
    }

    fn hold(&mut self, port: &str, values: &[f64]) -> Result<()> {
        self.set(port, values)
    }
}

/// Gives a new holder its weights, which it holds from now on; those that are not here come from another holder.
///
/// # Errors
/// If a value cannot be read or does not fit.
pub fn hand_over(weights: &mut Weights, to: &mut dyn Holder, other: Option<&dyn Holder>) -> Result<()> {
    for kept in weights.iter_mut() {
        let port = kept.port();
        let elsewhere = match other {
            Some(other) if !kept.is_here() => other.held(&port)?,
            _ => None,
        };
        to.hold(&port, elsewhere.as_ref().unwrap_or(&kept.values))?;
        if to.takes(&port) {
            kept.release();
        }
    }
    Ok(())
}

/// The present values of a tensor, wherever they are; of several holders the first has the newest.
///
/// # Errors
/// If they cannot be read.
pub fn values<'k>(kept: &'k Kept, holders: &[&dyn Holder]) -> Result<Cow<'k, [f64]>> {
    if kept.is_here() {
        return Ok(Cow::Borrowed(&kept.values));
    }
    for holder in holders {
        if let Some(values) = holder.held(&kept.port())? {
            return Ok(Cow::Owned(values));
        }
    }
    Err(RuntimeError::new(format!("the values of `{}` are lost", kept.name())))
}
