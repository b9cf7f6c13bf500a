//! What the rules of several ops share: counting and checking operands, types of sources, points of broadcast operands.
//!
//! It must never know a particular op.

use snn_loops::Ix;

use crate::op::{Point, ShapeContext, ShapeError};
use crate::ty::{Kind, Ty};

/// Elements that one sample at one step may have. Far above any model, far below where sizes overflow.
const MAX_ELEMENTS: usize = 1 << 40;

/// The operands as an array, or an error that counts them.
pub(crate) fn exactly<'t, const N: usize>(op: &str, inputs: &[&'t Ty]) -> Result<[&'t Ty; N], ShapeError> {
    <[&Ty; N]>::try_from(inputs).map_err(|_| {
        let word = if N == 1 { "operand" } else { "operands" };
        ShapeError::new(format!("{op} takes {N} {word}, not {}", inputs.len()))
    })
}

/// Checks a type that does not follow from operands: it has elements, and no time axis inside a step.
pub(crate) fn source(context: &ShapeContext, ty: &Ty) -> Result<Ty, ShapeError> {
    if ty.time && context.is_step {
        return Err(ShapeError::new("inside one step of a time loop nothing has a time axis"));
    }
    elements(&ty.dims)?;
    Ok(ty.clone())
}

/// Checks that a shape has elements, and not absurdly many.
pub(crate) fn elements(dims: &[usize]) -> Result<(), ShapeError> {
    match dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)) {
        Some(0) => Err(ShapeError::new(format!("the shape {dims:?} has no elements"))),
        Some(n) if n <= MAX_ELEMENTS => Ok(()),
        _ => Err(ShapeError::new(format!("the shape {dims:?} has too many elements"))),
    }
}

/// Refuses truth values where numbers are needed.
pub(crate) fn number(op: &str, ty: &Ty) -> Result<(), ShapeError> {
    match ty.kind {
        Kind::Truth => Err(ShapeError::new(format!("{op} works on numbers, but this is a truth value"))
            .help("use where(condition, 1, 0) to make a number of it")),
        _ => Ok(()),
    }
}

/// The shape that all operands broadcast to, or an error that shows the two shapes that do not match.
pub(crate) fn broadcast_all(inputs: &[&Ty]) -> Result<Ty, ShapeError> {
    let mut joined = Ty::scalar();
    for (position, ty) in inputs.iter().enumerate() {
        joined = joined.broadcast(ty).ok_or_else(|| {
            let partner = inputs[..position].iter().find(|other| ty.broadcast(other).is_none());
            mismatch(partner.map_or(&joined, |other| *other), ty)
        })?;
    }
    Ok(joined)
}

/// The error of two shapes that do not broadcast.
fn mismatch(a: &Ty, b: &Ty) -> ShapeError {
    let differs = |(x, y): (&usize, &usize)| x != y && *x != 1 && *y != 1;
    let axis = a.dims.iter().zip(&b.dims).position(differs).unwrap_or(0);
    let extent = |ty: &Ty| ty.dims.get(axis).copied().unwrap_or(1);
    ShapeError::new(format!(
        "{:?} and {:?} do not match at axis {axis}: {} against {}",
        a.dims,
        b.dims,
        extent(a),
        extent(b)
    ))
    .help("shapes are aligned at their first axis; extents must be equal, or one of them 1")
}

/// The point of an operand that broadcasting brings to the point `at` of the result.
pub(crate) fn broadcast_point(operand: &Ty, at: &Point) -> Point {
    let dims = operand.dims.iter().zip(&at.dims).map(|(extent, index)| match extent {
        1 => Ix::constant(0),
        _ => index.clone(),
    });
    Point { time: at.time.clone(), batch: at.batch.clone(), dims: dims.collect() }
}

/// Row-major strides of a shape.
pub(crate) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis];
    }
    strides
}
