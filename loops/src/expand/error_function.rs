//! `erf`.
//!
//! Below 1 an odd polynomial; above, `erf x = 1 - e^-p(x)` with a polynomial for `p = -log(1 - erf x)`, because there only
//! the absolute error of the exponential counts. Must never know who uses it.

use super::Emit;
use super::exponential::moderate_exp;
use crate::nest::Val;
use crate::scalar::Scalar;

/// `p` with `erf x = x + x p(x^2)` for `x <= 1`.
const SMALL_F32: &[f64] = &[
    0.1283791659138099,
    -0.3761262713635606,
    0.11283600180177573,
    -0.02685444474015885,
    0.005189535599703805,
    -0.0008020843415500898,
    7.889126139285002e-5,
];
const SMALL_F64: &[f64] = &[
    0.1283791670955126,
    -0.3761263890318375,
    0.11283791670954885,
    -0.02686617064507787,
    0.005223977624828409,
    -0.0008548326981424627,
    0.00012055331132933385,
    -1.492559577188549e-5,
    1.64610084765996e-6,
    -1.6350396243478588e-7,
    1.4660329059064364e-8,
    -1.1374957704183202e-9,
    5.960689651240831e-11,
];

/// `p(t) = -log(1 - erf(1 + t))` for `t` in `[0, 3]`; expanded at its lower end, where its error matters most.
const LARGE_F32: &[f64] = &[
    1.849605515652035,
    2.638966879778487,
    0.8431176094630448,
    0.041503486521346354,
    -0.009895437450330278,
    0.0018293643648022628,
    -0.00018637396551674656,
];
/// The same for `t` in `[0, 5]`.
const LARGE_F64: &[f64] = &[
    1.8496055099332482,
    2.6389675142347775,
    0.8431072563593299,
    0.04156109802668619,
    -0.010033825195146225,
    0.001977901310624815,
    -0.00023731679672334754,
    -2.629538677492431e-5,
    2.719725181089518e-5,
    -9.669106616737454e-6,
    2.1297526501720196e-6,
    -2.0326626811313222e-7,
    -5.880968312924584e-8,
    3.368805645668662e-8,
    -8.59598340133252e-9,
    1.3324078146224142e-9,
    -1.2068745544509897e-10,
    4.92755145854836e-12,
];

/// The error function.
pub(super) fn erf(e: &mut Emit, x: Val) -> Val {
    let magnitude = e.unary(Scalar::Abs, x);
    let small = small(e, x);
    let large = large(e, magnitude);
    let flipped = e.unary(Scalar::Neg, large);
    let is_negative = e.is_below(x, 0.0);
    let large = e.select(is_negative, flipped, large);
    let is_small = e.is_below(magnitude, 1.0);
    e.select(is_small, small, large)
}

fn small(e: &mut Emit, x: Val) -> Val {
    let square = e.mul(x, x);
    let p = e.polynomial(e.pick(SMALL_F32, SMALL_F64), square);
    let tail = e.mul(x, p);
    e.add(x, tail)
}

fn large(e: &mut Emit, magnitude: Val) -> Val {
    // From the upper end on the result is 1 to the last bit.
    let t = e.offset(magnitude, -1.0);
    let t = e.clamp(t, 0.0, e.pick(3.0, 5.0));
    let p = e.polynomial(e.pick(LARGE_F32, LARGE_F64), t);
    let p = e.unary(Scalar::Neg, p);
    let complement = moderate_exp(e, p);
    let one = e.constant(1.0);
    e.sub(one, complement)
}
