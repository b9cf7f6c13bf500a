//! Kinds of numbers that pointwise functions give, and which kinds they refuse.
//!
//! A rule knows types, never values. It says less than could be known rather than anything wrong: `Real` is always right.

use crate::op::ShapeError;
use crate::ops::operands::number;
use crate::ty::{Kind, Ty};

/// Checks the operands' kinds and gives the result's; the first argument names the function.
pub(super) type KindRule = fn(&str, &[&Ty]) -> Result<Kind, ShapeError>;

/// Whether all are spikes or counts of spikes.
fn all_counts(inputs: &[&Ty]) -> bool {
    inputs.iter().all(|ty| matches!(ty.kind, Kind::Spikes | Kind::Counts))
}

/// Whether it is a signal of spikes, scaled or not. A constant that happens to be 0 or 1 is not a signal.
fn is_spike_signal(ty: &Ty) -> bool {
    matches!(ty.kind, Kind::Spikes | Kind::Scaled) && (ty.time || ty.batch)
}

/// Whether it is one number for each channel at most, the same for all samples and steps.
fn is_per_channel(ty: &Ty) -> bool {
    !ty.time && !ty.batch && ty.dims.iter().skip(1).all(|extent| *extent == 1)
}

fn numbers(name: &str, inputs: &[&Ty]) -> Result<(), ShapeError> {
    inputs.iter().try_for_each(|ty| number(name, ty))
}

/// Anything that is a number gives a real one.
pub(super) fn real(name: &str, inputs: &[&Ty]) -> Result<Kind, ShapeError> {
    numbers(name, inputs)?;
    Ok(Kind::Real)
}

/// Sums of spikes are counts.
pub(super) fn sum(name: &str, inputs: &[&Ty]) -> Result<Kind, ShapeError> {
    numbers(name, inputs)?;
    Ok(if all_counts(inputs) { Kind::Counts } else { Kind::Real })
}

/// Spikes times spikes are spikes; times a factor for each channel they are scaled spikes.
pub(super) fn product(name: &str, inputs: &[&Ty]) -> Result<Kind, ShapeError> {
    numbers(name, inputs)?;
    Ok(match inputs {
        [x, y] if x.kind == Kind::Spikes && y.kind == Kind::Spikes => Kind::Spikes,
        [_, _] if all_counts(inputs) => Kind::Counts,
        [x, y] if is_spike_signal(x) && (is_per_channel(y) || y.kind == Kind::Spikes) => Kind::Scaled,
        [x, y] if is_spike_signal(y) && (is_per_channel(x) || x.kind == Kind::Spikes) => Kind::Scaled,
        _ => Kind::Real,
    })
}

/// Spikes divided by a number for each channel are scaled spikes.
pub(super) fn quotient(name: &str, inputs: &[&Ty]) -> Result<Kind, ShapeError> {
    numbers(name, inputs)?;
    Ok(match inputs {
        [x, y] if is_spike_signal(x) && is_per_channel(y) => Kind::Scaled,
        _ => Kind::Real,
    })
}

/// Negative spikes are scaled spikes.
pub(super) fn negative(name: &str, inputs: &[&Ty]) -> Result<Kind, ShapeError> {
    numbers(name, inputs)?;
    Ok(if inputs.iter().all(|ty| is_spike_signal(ty)) { Kind::Scaled } else { Kind::Real })
}

/// The function maps each kind of number to itself, 0 to 0 and 1 to 1.
pub(super) fn kept(name: &str, inputs: &[&Ty]) -> Result<Kind, ShapeError> {
    numbers(name, inputs)?;
    Ok(inputs.first().map_or(Kind::Real, |ty| ty.kind))
}

/// One of the operands, whichever.
pub(super) fn either(name: &str, inputs: &[&Ty]) -> Result<Kind, ShapeError> {
    numbers(name, inputs)?;
    Ok(match inputs {
        _ if inputs.iter().all(|ty| ty.kind == Kind::Spikes) => Kind::Spikes,
        _ if all_counts(inputs) => Kind::Counts,
        _ => Kind::Real,
    })
}

/// Numbers are compared.
pub(super) fn comparison(name: &str, inputs: &[&Ty]) -> Result<Kind, ShapeError> {
    numbers(name, inputs)?;
    Ok(Kind::Truth)
}

/// Truth values are combined.
pub(super) fn logic(name: &str, inputs: &[&Ty]) -> Result<Kind, ShapeError> {
    inputs.iter().try_for_each(|ty| truth(name, ty))?;
    Ok(Kind::Truth)
}

/// A truth value chooses one of two numbers.
pub(super) fn choice(name: &str, inputs: &[&Ty]) -> Result<Kind, ShapeError> {
    let Some((condition, branches)) = inputs.split_first() else { return Ok(Kind::Real) };
    truth(name, condition)?;
    either(name, branches)
}

fn truth(name: &str, ty: &Ty) -> Result<(), ShapeError> {
    match ty.kind {
        Kind::Truth => Ok(()),
        _ => Err(ShapeError::new(format!("{name} needs a truth value, but this is a number"))
            .help("compare it with something, e.g. x > 0")),
    }
}
