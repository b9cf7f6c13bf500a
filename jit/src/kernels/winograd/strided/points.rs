//! The one-dimensional transforms of F(4, 2): four outputs of a two-tap filter from five inputs, with five products.
//!
//! They evaluate polynomials at the points 0, +-[`A`], [`B`] and infinity (Toom-Cook, transposed). All normalizations are
//! part of the inputs' transform, so that a filter of one tap has the same value at all points but infinity, where it has
//! none. The points were chosen by measuring: errors are three quarters of those with points 1 and 2. This file must never
//! know where pixels lie.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use crate::kernels::vector::Vector;
use crate::kernels::winograd::points::OUTPUTS;
use crate::kernels::winograd::weights::VALUES;

/// Inputs under one tile, along an axis: as many as points.
pub(crate) const INPUTS: usize = 5;

/// The points that a filter of one tap needs.
pub(crate) const FINITE: usize = INPUTS - 1;

/// The pair of points.
const A: f32 = 0.75;
/// The single point.
const B: f32 = 2.0;
const A2: f32 = A * A;
const B2: f32 = B * B;
/// Normalizations of the points 0, A, -A and B: 1 over the product of the distances to the other points.
const SCALE_0: f32 = 1.0 / (A2 * B);
const SCALE_A: f32 = 1.0 / (2.0 * A2 * (A - B));
const SCALE_MINUS_A: f32 = 1.0 / (2.0 * A2 * (-A - B));
const SCALE_B: f32 = 1.0 / (B * (B2 - A2));

/// Five inputs at the points.
///
/// # Safety
/// The machine has the vectors.
#[inline(always)]
pub(crate) unsafe fn input<V: Vector>(d: [V; INPUTS]) -> [V; INPUTS] {
    // SAFETY: the caller vouches for the vectors.
    unsafe {
        let minus_b = V::splat(-B);
        let (even, odd) = (d[2].mul_add(minus_b, d[3]), d[1].mul_add(minus_b, d[2]));
        [
            even.mul_add(V::splat(SCALE_0), d[1].mul_add(V::splat(-A2 * SCALE_0), d[0])),
            even.mul_add(V::splat(SCALE_A), odd.mul(V::splat(A * SCALE_A))),
            even.mul_add(V::splat(SCALE_MINUS_A), odd.mul(V::splat(-A * SCALE_MINUS_A))),
            d[3].mul_add(V::splat(SCALE_B), d[1].mul(V::splat(-A2 * SCALE_B))),
            odd.mul_add(V::splat(-A2), d[3].mul_add(minus_b, d[4])),
        ]
    }
}

/// The three taps of a strided kernel: the middle one, a filter by itself, and at the points the filter of the last and the
/// first.
///
/// # Safety
/// The machine has the vectors.
#[inline(always)]
pub(crate) unsafe fn weights<V: Vector>([first, middle, last]: [V; 3]) -> [V; VALUES] {
    // SAFETY: the caller vouches for the vectors.
    unsafe {
        let [a, minus_a, b] = [A, -A, B].map(|point| first.mul_add(V::splat(point), last));
        [middle, last, a, minus_a, b, first]
    }
}

/// Four outputs from the products at the points but infinity.
///
/// # Safety
/// The machine has the vectors.
#[inline(always)]
pub(crate) unsafe fn output_finite<V: Vector>(m: [V; FINITE]) -> [V; OUTPUTS] {
    // SAFETY: the caller vouches for the vectors.
    unsafe {
        let (even, odd) = (m[1].add(m[2]), m[1].sub(m[2]));
        [
            m[0].add(even).add(m[3]),
            odd.mul_add(V::splat(A), m[3].mul(V::splat(B))),
            even.mul_add(V::splat(A2), m[3].mul(V::splat(B2))),
            odd.mul_add(V::splat(A * A2), m[3].mul(V::splat(B * B2))),
        ]
    }
}

/// Four outputs from the products at all points.
///
/// # Safety
/// The machine has the vectors.
#[inline(always)]
pub(crate) unsafe fn output<V: Vector>([zero, a, minus_a, b, infinity]: [V; INPUTS]) -> [V; OUTPUTS] {
    // SAFETY: the caller vouches for the vectors.
    unsafe {
        let [first, second, third, fourth] = output_finite([zero, a, minus_a, b]);
        [first, second, third, fourth.add(infinity)]
    }
}
