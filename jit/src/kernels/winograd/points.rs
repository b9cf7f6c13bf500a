//! The one-dimensional transforms of F(4, 3): four outputs of a three-tap filter from six inputs, with six products.
//!
//! They evaluate polynomials at the points 0, +-[`A`], +-[`B`] and infinity (Toom-Cook, transposed). With points 1 and 2,
//! as in most tables, all constants are small integers, but errors are larger: the points here were chosen by measuring.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use crate::kernels::vector::Vector;

/// Inputs under one tile, along an axis.
pub(crate) const INPUTS: usize = 6;
/// Outputs of one tile, along an axis.
pub(crate) const OUTPUTS: usize = 4;
/// Products of one tile.
pub(crate) const PRODUCTS: usize = INPUTS * INPUTS;

/// The inner pair of points.
const A: f32 = 0.625;
/// The outer pair of points.
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;
/// Normalizations of the points 0, +-A and +-B: 1 over the product of the distances to the other points.
const SCALE_0: f32 = 1.0 / (A2 * B2);
const SCALE_A: f32 = 1.0 / (2.0 * A2 * (A2 - B2));
const SCALE_B: f32 = 1.0 / (2.0 * B2 * (B2 - A2));

/// Six inputs at the points.
///
/// # Safety
/// The machine has the vectors.
#[inline(always)]
pub(crate) unsafe fn input<V: Vector>(d: [V; INPUTS]) -> [V; INPUTS] {
    // SAFETY: the caller vouches for the vectors.
    unsafe {
        let (a, minus_a, b, minus_b) = (V::splat(A), V::splat(-A), V::splat(B), V::splat(-B));
        let (minus_a2, minus_b2, minus_sum, product) =
            (V::splat(-A2), V::splat(-B2), V::splat(-A2 - B2), V::splat(A2 * B2));
        let (even_a, odd_a) = (d[2].mul_add(minus_b2, d[4]), d[1].mul_add(minus_b2, d[3]));
        let (even_b, odd_b) = (d[2].mul_add(minus_a2, d[4]), d[1].mul_add(minus_a2, d[3]));
        [
            d[0].mul_add(product, d[2].mul_add(minus_sum, d[4])),
            odd_a.mul_add(a, even_a),
            odd_a.mul_add(minus_a, even_a),
            odd_b.mul_add(b, even_b),
            odd_b.mul_add(minus_b, even_b),
            d[1].mul_add(product, d[3].mul_add(minus_sum, d[5])),
        ]
    }
}

/// Three filter taps at the points.
///
/// # Safety
/// The machine has the vectors.
#[inline(always)]
pub(crate) unsafe fn weights<V: Vector>(g: [V; 3]) -> [V; INPUTS] {
    // SAFETY: the caller vouches for the vectors.
    unsafe {
        let even_a = g[0].mul(V::splat(SCALE_A)).add(g[2].mul(V::splat(A2 * SCALE_A)));
        let even_b = g[0].mul(V::splat(SCALE_B)).add(g[2].mul(V::splat(B2 * SCALE_B)));
        let odd_a = g[1].mul(V::splat(A * SCALE_A));
        let odd_b = g[1].mul(V::splat(B * SCALE_B));
        [g[0].mul(V::splat(SCALE_0)), even_a.add(odd_a), even_a.sub(odd_a), even_b.add(odd_b), even_b.sub(odd_b), g[2]]
    }
}

/// Four outputs from the products at the points.
///
/// # Safety
/// The machine has the vectors.
#[inline(always)]
pub(crate) unsafe fn output<V: Vector>(m: [V; INPUTS]) -> [V; OUTPUTS] {
    // SAFETY: the caller vouches for the vectors.
    unsafe {
        let (even_a, odd_a) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (even_b, odd_b) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            m[0].add(even_a).add(even_b),
            odd_a.mul_add(V::splat(A), odd_b.mul(V::splat(B))),
            even_a.mul_add(V::splat(A2), even_b.mul(V::splat(B2))),
            odd_a.mul_add(V::splat(A * A2), odd_b.mul_add(V::splat(B * B2), m[5])),
        ]
    }
}

/// The adjoint of [`weights`]: what three taps receive from their values at the points.
///
/// # Safety
/// The machine has the vectors.
#[inline(always)]
pub(crate) unsafe fn weights_adjoint<V: Vector>(u: [V; INPUTS]) -> [V; 3] {
    // SAFETY: the caller vouches for the vectors.
    unsafe {
        let (even_a, odd_a) = (u[1].add(u[2]).mul(V::splat(SCALE_A)), u[1].sub(u[2]).mul(V::splat(A * SCALE_A)));
        let (even_b, odd_b) = (u[3].add(u[4]).mul(V::splat(SCALE_B)), u[3].sub(u[4]));
        [
            u[0].mul_add(V::splat(SCALE_0), even_a.add(even_b)),
            odd_b.mul_add(V::splat(B * SCALE_B), odd_a),
            even_a.mul_add(V::splat(A2), even_b.mul_add(V::splat(B2), u[5])),
        ]
    }
}

/// The adjoint of [`output`]: what the products at the points receive from four outputs.
///
/// # Safety
/// The machine has the vectors.
#[inline(always)]
pub(crate) unsafe fn output_adjoint<V: Vector>(y: [V; OUTPUTS]) -> [V; INPUTS] {
    // SAFETY: the caller vouches for the vectors.
    unsafe {
        let (even_a, odd_a) = (y[2].mul_add(V::splat(A2), y[0]), y[3].mul_add(V::splat(A2), y[1]));
        let (even_b, odd_b) = (y[2].mul_add(V::splat(B2), y[0]), y[3].mul_add(V::splat(B2), y[1]));
        [
            y[0],
            odd_a.mul_add(V::splat(A), even_a),
            odd_a.mul_add(V::splat(-A), even_a),
            odd_b.mul_add(V::splat(B), even_b),
            odd_b.mul_add(V::splat(-B), even_b),
            y[3],
        ]
    }
}
