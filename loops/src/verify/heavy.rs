//! Rules 1, 8 and 10 for the heavy kernels.
//!
//! Must never know loop nests.

use std::collections::BTreeMap;

use super::Report;
use super::nest::check_writable;
use super::range::{Range, Scope, variables};
use crate::contraction::{Contraction, ContractionKind, ConvShape, MAX_PLANES, WeightValues};
use crate::draw::Draw;
use crate::index::Ix;
use crate::program::{Operand, Program, Role, WORD};

/// Checks a contraction that runs in at most `steps` steps.
pub(super) fn check_contraction(program: &Program, c: &Contraction, steps: usize, report: &mut Report) {
    if !is_sound(&c.shape) || !is_countable(c) {
        report.add(10, format!("the shape {:?} is not that of a convolution", c.shape));
        return;
    }
    if c.packed != program.is_packed(c.a.buffer) || program.is_packed(c.b.buffer) || program.is_packed(c.out.buffer) {
        report.add(10, "only the first operand may be packed, and must be where it is said to be".into());
    }
    if c.packed && (c.kind == ContractionKind::InputGradient || !is_aligned(&c.a.offset)) {
        report.add(10, format!("packed spikes at {} cannot be the first operand", c.a));
    }
    if c.weights == WeightValues::Int8 && (c.kind != ContractionKind::Forward || !c.packed) {
        report.add(10, "weights of 8 bits are for packed spikes".into());
    }
    if !(1..=if c.packed { MAX_PLANES } else { 1 }).contains(&c.planes) {
        report.add(10, format!("{} planes of the first operand", c.planes));
    }
    let [a, b, out] = c.lengths();
    for (operand, len) in [(&c.a, a), (&c.b, b), (&c.out, out)] {
        check_operand(program, operand, len, steps, report);
    }
    check_writable(program, c.out.buffer, report);
    for (operand, len) in [(&c.a, a), (&c.b, b)] {
        if overlaps(operand, len, &c.out, out, steps) {
            report.add(10, format!("the result overlaps an operand in b{}", c.out.buffer.0));
        }
    }
}

/// Whether an index is always the first element of a word.
fn is_aligned(index: &Ix) -> bool {
    let word = WORD as i64;
    index.base() % word == 0 && index.terms().iter().all(|(_, coefficient)| coefficient % word == 0)
}

/// Checks a draw that runs in at most `steps` steps.
pub(super) fn check_draw(program: &Program, draw: &Draw, steps: usize, report: &mut Report) {
    if program.is_packed(draw.out.buffer) {
        report.add(10, format!("random numbers go to b{}, which is packed", draw.out.buffer.0));
    }
    check_operand(program, &draw.out, draw.len, steps, report);
    check_writable(program, draw.out.buffer, report);
}

pub(super) fn is_sound(s: &ConvShape) -> bool {
    let is_positive = |pair: [usize; 2]| pair.iter().all(|n| *n > 0);
    s.groups > 0
        && s.cin.is_multiple_of(s.groups)
        && s.cout.is_multiple_of(s.groups)
        && [s.stride, s.dilation, s.kernel].into_iter().all(is_positive)
}

/// Whether the lengths of all operands can be counted.
fn is_countable(c: &Contraction) -> bool {
    let s = &c.shape;
    let count = |factors: &[usize]| factors.iter().try_fold(1usize, |product, factor| product.checked_mul(*factor));
    let counts = [
        count(&[c.rows, c.pitch(), s.input[0], s.input[1]]),
        count(&[c.rows, s.cout, s.output[0], s.output[1]]),
        count(&[s.cout, s.cin / s.groups, s.kernel[0], s.kernel[1]]),
    ];
    counts.iter().all(|count| count.is_some_and(|count| i64::try_from(count).is_ok()))
}

pub(super) fn check_operand(program: &Program, operand: &Operand, len: usize, steps: usize, report: &mut Report) {
    let id = operand.buffer.0;
    let Some(buffer) = program.buffers.get(id as usize) else {
        return report.add(1, format!("b{id} does not exist"));
    };
    if buffer.role == Role::Scratch {
        return report.add(14, format!("b{id} is scratch"));
    }
    if !variables(&operand.offset).is_empty() {
        return report.add(10, format!("the offset {} into b{id} mentions a loop variable", operand.offset));
    }
    if steps == 0 {
        return;
    }
    let range = offsets(operand, steps);
    let end = range.high.saturating_add(len as i64);
    if range.low < 0 || end > buffer.len as i64 {
        let message =
            format!("an operand at {} to {end} does not fit into the {} elements of b{id}", range.low, buffer.len);
        report.add(10, message);
    }
}

fn offsets(operand: &Operand, steps: usize) -> Range {
    Scope { extents: BTreeMap::new(), steps }.range(&operand.offset, &[])
}

/// Whether two operands share elements at the same step, where that is certain.
pub(super) fn overlaps(a: &Operand, a_len: usize, b: &Operand, b_len: usize, steps: usize) -> bool {
    if a.buffer != b.buffer || steps == 0 {
        return false;
    }
    match b.offset.plus(&a.offset.times(-1)).as_constant() {
        Some(distance) => distance < a_len as i64 && -distance < b_len as i64,
        None => false,
    }
}
