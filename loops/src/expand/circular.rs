//! `sin` and `cos`.
//!
//! Cody-Waite reduction: `x = n pi/2 + r` with pi/2 in parts so short that their products with `n < 2^16` are exact.
//! The quarter `n mod 4` then says which of `sin r` and `cos r` is taken, and its sign. Must never know who uses it.

use super::Emit;
use crate::nest::Val;
use crate::scalar::Scalar;

/// Parts of pi/2, largest first.
const HALF_PI_F32: &[f64] = &[1.5703125, 0.0004825592041015625, 1.2665987014770508e-6, 9.920935796805404e-10];
const HALF_PI_F64: &[f64] = &[1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21];

/// `p` with `sin r = r + r z p(z)` for `z = r^2 < 0.632`.
const SIN_F32: &[f64] = &[-0.16666654060913946, 0.008332120929040083, -0.00019509393187398694];
const SIN_F64: &[f64] = &[
    -0.16666666666666627,
    0.008333333333321017,
    -0.00019841269828650007,
    2.755731327811311e-6,
    -2.5050691649752447e-8,
    1.58928569029734e-10,
];
/// `p` with `cos r = 1 - z / 2 + z^2 p(z)` for `z = r^2 < 0.632`.
const COS_F32: &[f64] = &[0.041666645377316784, -0.0013887292253065846, 2.4429597401882198e-5];
const COS_F64: &[f64] = &[
    0.04166666666666659,
    -0.0013888888888872236,
    2.480158728825947e-5,
    -2.755731398792311e-7,
    2.0875672386391954e-9,
    -1.1356950381351551e-11,
];

/// The sine.
pub(super) fn sin(e: &mut Emit, x: Val) -> Val {
    let (n, r) = reduce(e, x);
    at_quarter(e, n, r)
}

/// The cosine: the sine one quarter later.
pub(super) fn cos(e: &mut Emit, x: Val) -> Val {
    let (n, r) = reduce(e, x);
    let n = e.offset(n, 1.0);
    at_quarter(e, n, r)
}

/// `(n, r)` with `x = n pi/2 + r` and `|r|` at most a little above pi/4.
fn reduce(e: &mut Emit, x: Val) -> (Val, Val) {
    let n = e.scale(x, std::f64::consts::FRAC_2_PI);
    let n = e.round(n);
    let mut r = x;
    for part in e.pick(HALF_PI_F32, HALF_PI_F64) {
        let product = e.scale(n, *part);
        r = e.sub(r, product);
    }
    // Far beyond the documented domain the parts are too few: keep the polynomials bounded all the same.
    (n, e.clamp(r, -1.0, 1.0))
}

/// `sin(r + n pi/2)`
fn at_quarter(e: &mut Emit, n: Val, r: Val) -> Val {
    let z = e.mul(r, r);
    let (sin, cos) = (reduced_sin(e, r, z), reduced_cos(e, z));
    let half = e.scale(n, 0.5);
    let pairs = e.unary(Scalar::Floor, half);
    let is_even = e.binary(Scalar::Eq, half, pairs);
    let magnitude = e.select(is_even, sin, cos);
    let half_pairs = e.scale(pairs, 0.5);
    let turns = e.unary(Scalar::Floor, half_pairs);
    let is_upright = e.binary(Scalar::Eq, half_pairs, turns);
    let flipped = e.unary(Scalar::Neg, magnitude);
    e.select(is_upright, magnitude, flipped)
}

fn reduced_sin(e: &mut Emit, r: Val, z: Val) -> Val {
    let p = e.polynomial(e.pick(SIN_F32, SIN_F64), z);
    let zp = e.mul(z, p);
    let tail = e.mul(r, zp);
    e.add(r, tail)
}

fn reduced_cos(e: &mut Emit, z: Val) -> Val {
    let p = e.polynomial(e.pick(COS_F32, COS_F64), z);
    let square = e.mul(z, z);
    let tail = e.mul(square, p);
    let half = e.scale(z, -0.5);
    let head = e.offset(half, 1.0);
    e.add(head, tail)
}
