//! The heavy kernels as straight loops: their module documentation, executed.
//!
//! Must never know loop nests.

use super::memory::Memory;
use crate::contraction::{Contraction, ContractionKind, ConvShape};
use crate::draw::{Draw, RandomKey, element};
use crate::dtype::Dtype;
use crate::program::Operand;

/// Fills a slice with random numbers.
pub(super) fn draw(draw: &Draw, dtype: Dtype, memory: &mut Memory, key: RandomKey, step: i64) -> Result<(), String> {
    let start = offset(&draw.out, step)?;
    for at in 0..draw.len {
        let counter = (step as u64).wrapping_mul(draw.len as u64).wrapping_add(at as u64);
        let number = element(draw.distribution, key, draw.stream, counter);
        memory.store(draw.out.buffer, start + at as i64, dtype.round(number))?;
    }
    Ok(())
}

/// Computes one factor of the trilinear form: clears `out`, then adds the products in the order of `for_each_product`,
/// each product and each sum rounded to the program's type.
pub(super) fn contract(c: &Contraction, dtype: Dtype, memory: &mut Memory, step: i64) -> Result<(), String> {
    let starts = [offset(&c.a, step)?, offset(&c.b, step)?, offset(&c.out, step)?];
    let [a, b, out] = [&c.a, &c.b, &c.out].map(|operand| operand.buffer);
    for at in 0..c.lengths()[2] {
        memory.store(out, starts[2] + at as i64, 0.0)?;
    }
    for_each_product(&c.shape, c.rows, c.pitch(), &mut |x, w, y| {
        let places = match c.kind {
            ContractionKind::Forward => [x, w, y],
            ContractionKind::InputGradient => [y, w, x],
            ContractionKind::WeightGradient => [x, y, w],
        };
        let [at_a, at_b, at_out] = [0, 1, 2].map(|i: usize| starts[i] + places[i] as i64);
        let mut value = memory.load(a, at_a)?;
        for plane in 1..c.planes {
            value += memory.load(a, at_a + (plane * c.plane_pitch()) as i64)? * (1u64 << plane) as f64;
        }
        let product = dtype.round(value * memory.load(b, at_b)?);
        let sum = dtype.round(memory.load(out, at_out)? + product);
        memory.store(out, at_out, sum)
    })
}

pub(super) fn offset(operand: &Operand, step: i64) -> Result<i64, String> {
    let depends = std::cell::Cell::new(false);
    let offset = operand.offset.evaluate(
        &|_| {
            depends.set(true);
            0
        },
        step,
    );
    if depends.get() {
        return Err(format!("the offset {} into b{} mentions a loop variable", operand.offset, operand.buffer.0));
    }
    Ok(offset)
}

/// Calls `visit` with the places of `x`, `w` and `y` in every product of the convolution.
fn for_each_product(
    s: &ConvShape,
    rows: usize,
    pitch: usize,
    visit: &mut dyn FnMut(usize, usize, usize) -> Result<(), String>,
) -> Result<(), String> {
    if s.groups == 0 || !s.cin.is_multiple_of(s.groups) || !s.cout.is_multiple_of(s.groups) {
        return Err(format!("{} groups do not divide {} and {} channels", s.groups, s.cin, s.cout));
    }
    let (cin, cout) = (s.cin / s.groups, s.cout / s.groups);
    for row in 0..rows {
        for (oh, ow) in pairs(s.output) {
            for o in 0..s.cout {
                let y = ((row * s.output[0] + oh) * s.output[1] + ow) * s.cout + o;
                for within in 0..cin {
                    let i = o / cout * cin + within;
                    for (kh, kw) in pairs(s.kernel) {
                        let Some((ih, iw)) = source(s, [oh, ow], [kh, kw]) else { continue };
                        let x = ((row * s.input[0] + ih) * s.input[1] + iw) * pitch + i;
                        let w = ((o * cin + within) * s.kernel[0] + kh) * s.kernel[1] + kw;
                        visit(x, w, y)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// The input element that an output element meets at a kernel element; none in the padding.
fn source(s: &ConvShape, output: [usize; 2], kernel: [usize; 2]) -> Option<(usize, usize)> {
    let along = |axis: usize| {
        let at = (output[axis] * s.stride[axis] + kernel[axis] * s.dilation[axis]).checked_sub(s.pad[axis])?;
        (at < s.input[axis]).then_some(at)
    };
    Some((along(0)?, along(1)?))
}

fn pairs(extents: [usize; 2]) -> impl Iterator<Item = (usize, usize)> {
    (0..extents[0]).flat_map(move |a| (0..extents[1]).map(move |b| (a, b)))
}
