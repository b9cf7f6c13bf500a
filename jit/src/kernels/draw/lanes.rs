//! Random numbers side by side, so that the compiler computes them in vectors: the same operations on the same numbers as
//! `snn_loops::draw::element` does one by one, and so the same bits.
//!
//! Logarithm and cosine are those of `libm` (fdlibm's polynomials) for the arguments that there are, (0, 1] and [0, 2 pi),
//! with choices in the place of branches. This file must never know where numbers go.

#![allow(unsafe_code, reason = "functions are compiled for instructions that a machine may lack")]

use snn_loops::RandomKey;

use crate::kernels::vector::{Kernel, Vector};

/// Blocks of the generator that are computed together.
pub(super) const BLOCKS: usize = 32;
/// Numbers in [0, 1) of so many blocks.
pub(super) const NUMBERS: usize = 4 * BLOCKS;
/// Normal numbers of so many blocks.
pub(super) const NORMALS: usize = 2 * BLOCKS;

/// Random words of neighboring blocks, word `w` of block `b` in `[w][b]`.
type Words = [[u32; BLOCKS]; 4];

/// The numbers in [0, 1) of [`BLOCKS`] blocks, in their order.
pub(super) struct Uniforms<'a> {
    /// Seed and run.
    pub key: RandomKey,
    /// The stream.
    pub stream: u64,
    /// The first block.
    pub first: u64,
    /// Where they go.
    pub out: &'a mut [f64; NUMBERS],
}

/// The normal numbers of [`BLOCKS`] blocks, in their order.
pub(super) struct Normals<'a> {
    /// Seed and run.
    pub key: RandomKey,
    /// The stream.
    pub stream: u64,
    /// The first block.
    pub first: u64,
    /// Where they go.
    pub out: &'a mut [f64; NORMALS],
}

impl Kernel for Uniforms<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let words = words(self.key, self.stream, self.first);
        for (block, out) in self.out.chunks_exact_mut(4).enumerate() {
            for (out, words) in out.iter_mut().zip(&words) {
                *out = unit(words[block]);
            }
        }
    }
}

impl Kernel for Normals<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let [a, b, c, d] = words(self.key, self.stream, self.first);
        let (even, odd) = (normals(&a, &b), normals(&c, &d));
        for (out, pair) in self.out.chunks_exact_mut(2).zip(even.into_iter().zip(odd)) {
            (out[0], out[1]) = pair;
        }
    }
}

/// The random words of neighboring blocks, as `snn_loops::draw::block` gives them.
#[inline(always)]
fn words(key: RandomKey, stream: u64, first: u64) -> Words {
    const M0: u64 = 0xD251_1F53;
    const M1: u64 = 0xCD9E_8D57;
    let seed = key.seed ^ stream.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let high = ((key.run >> 32) as u32).rotate_left(16);
    let (mut k0, mut k1) = (seed as u32, (seed >> 32) as u32);
    let mut c: Words = [[0; BLOCKS], [high; BLOCKS], [key.run as u32; BLOCKS], [stream as u32; BLOCKS]];
    let [c0, c1, c2, c3] = &mut c;
    for (i, (c0, c1)) in c0.iter_mut().zip(&mut *c1).enumerate() {
        let block = first.wrapping_add(i as u64);
        *c0 = block as u32;
        *c1 ^= (block >> 32) as u32;
    }
    for _ in 0..10 {
        for ((c0, c1), (c2, c3)) in c0.iter_mut().zip(&mut *c1).zip(c2.iter_mut().zip(&mut *c3)) {
            let (p0, p1) = (M0 * u64::from(*c0), M1 * u64::from(*c2));
            *c0 = (p1 >> 32) as u32 ^ *c1 ^ k0;
            *c1 = p1 as u32;
            *c2 = (p0 >> 32) as u32 ^ *c3 ^ k1;
            *c3 = p0 as u32;
        }
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    c
}

/// A number in [0, 1) with 24 random bits.
#[inline(always)]
fn unit(word: u32) -> f64 {
    f64::from((word >> 8) as i32) / 16_777_216.0
}

/// Box-Muller.
#[inline(always)]
fn normals(radius: &[u32; BLOCKS], angle: &[u32; BLOCKS]) -> [f64; BLOCKS] {
    let mut out = [0.0; BLOCKS];
    for (out, word) in out.iter_mut().zip(radius) {
        *out = (-2.0 * log(1.0 - unit(*word))).sqrt();
    }
    for (out, word) in out.iter_mut().zip(angle) {
        *out *= cos(std::f64::consts::TAU * unit(*word));
    }
    out
}

/// The upper half of a number's bits.
#[inline(always)]
fn high(x: f64) -> u64 {
    x.to_bits() >> 32
}

/// Natural logarithm in (0, 1], for numbers that are not subnormal: the argument is brought between the roots of 1/2 and 2,
/// then a polynomial in `f / (2 + f)`.
#[inline(always)]
pub(super) fn log(x: f64) -> f64 {
    let bits = x.to_bits();
    let upper = (bits >> 32) + (0x3ff0_0000 - 0x3fe6_a09e);
    // A small whole number as a float, without a conversion that few machines have for vectors.
    let k =
        f64::from_bits((upper >> 20).wrapping_sub(0x3ff).wrapping_add(0x4338_0000_0000_0000)) - 6_755_399_441_055_744.0;
    let f = f64::from_bits((((upper & 0x000f_ffff) + 0x3fe6_a09e) << 32) | (bits & 0xffff_ffff)) - 1.0;
    let half_square = 0.5 * f * f;
    let q = f / (2.0 + f);
    let z = q * q;
    let w = z * z;
    let even = w * (0.399_999_999_994_094_2 + w * (0.222_221_984_321_497_84 + w * 0.153_138_376_992_093_73));
    let odd = z
        * (0.666_666_666_666_673_5
            + w * (0.285_714_287_436_623_9 + w * (0.181_835_721_616_180_5 + w * 0.147_981_986_051_165_86)));
    let r = odd + even;
    q * (half_square + r) + k * 1.908_214_929_270_587_7e-10 - half_square + f + k * 0.693_147_180_369_123_8
}

/// Cosine in [0, 2 pi): the nearest multiple of half of pi is taken off in two parts, three where they cancel.
#[inline(always)]
pub(super) fn cos(x: f64) -> f64 {
    let upper = high(x);
    let at_least = |limit: u64| if upper > limit { 1.0 } else { 0.0 };
    let n = at_least(0x3fe9_21fb) + at_least(0x4002_d97c) + at_least(0x400f_6a7a) + at_least(0x4015_fdbc);
    let r = x - n * 1.570_796_326_734_125_6;
    let w = n * 6.077_100_506_506_192e-11;
    let y = r - w;
    let is_near = (upper & 0xf_ffff) == 0x9_21fb || upper == 0x4012_d97c;
    let cancels = is_near & ((upper >> 20) > (high(y) >> 20 & 0x7ff) + 16) & (n > 0.0);
    let closer = {
        let w = n * 6.077_100_506_303_966e-11;
        let rest = r - w;
        (rest, n * 2.022_266_248_795_950_6e-21 - ((r - rest) - w))
    };
    let (r, w) = (if cancels { closer.0 } else { r }, if cancels { closer.1 } else { w });
    let y = r - w;
    let tail = (r - y) - w;
    let is_sine = n == 1.0 || n == 3.0;
    let size = if is_sine { sin_kernel(y, tail) } else { cos_kernel(y, tail) };
    if n == 1.0 || n == 2.0 { -size } else { size }
}

/// Cosine of `x + y` for |x| up to a quarter of pi, `y` being the tail of `x`.
#[inline(always)]
fn cos_kernel(x: f64, y: f64) -> f64 {
    let z = x * x;
    let w2 = z * z;
    let r = z * (0.041_666_666_666_666_6 + z * (-0.001_388_888_888_887_411 + z * 2.480_158_728_947_673e-05))
        + w2 * w2 * (-2.755_731_435_139_066_3e-07 + z * (2.087_572_321_298_175e-09 + z * -1.135_964_755_778_819_5e-11));
    let half = 0.5 * z;
    let w = 1.0 - half;
    w + (((1.0 - w) - half) + (z * r - x * y))
}

/// Sine of `x + y`, likewise.
#[inline(always)]
fn sin_kernel(x: f64, y: f64) -> f64 {
    let z = x * x;
    let w = z * z;
    let r = 0.008_333_333_333_322_49
        + z * (-0.000_198_412_698_298_579_5 + z * 2.755_731_370_707_006_8e-06)
        + z * w * (-2.505_076_025_340_686_3e-08 + z * 1.589_690_995_211_55e-10);
    let v = z * x;
    x - ((z * (0.5 * y - v * r) - y) - v * -0.166_666_666_666_666_32)
}
