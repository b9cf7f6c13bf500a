//! Linear maps, convolutions and their gradients.
//!
//! All are one implicit matrix product, `out[m][n] = sum_k a[m][k] * b[n][k]` with `m` pixels of the result (or channels of
//! the output's gradient), computed in tiles: [`tiled`]. Operands of few channels a group and products of few terms are
//! added up by a thread a result: [`direct`]. [`fused`] goes on to neurons without a way through memory.
//!
//! Sums of `F32` and `F64` programs are fused multiply-adds of their type, in an order that the shapes alone decide. Under
//! another precision tensor cores multiply operands that are rounded to it and add in single precision.
//!
//! Must never know where the operands come from.

mod constants;
mod direct;
pub mod fused;
mod geometry;
#[cfg(feature = "accelerators")]
pub mod library;
mod tiled;

use snn_loops::{Contraction, Operand};

use crate::emit::Storage;
use crate::launch::Emitted;
use crate::target::Target;

use geometry::Geometry;

/// A contraction as text; `storage` is that of its first operand, its second one and its result.
pub fn emit(c: &Contraction, storage: [Storage; 3], target: &Target) -> Emitted {
    let [_, _, results] = c.lengths();
    if results == 0 {
        return Emitted::default();
    }
    let geometry = Geometry::of(c);
    if direct::suits(c, &geometry) {
        direct::emit(c, storage, target)
    } else {
        tiled::emit(c, &geometry, storage, target)
    }
}

/// The largest power of two, up to `most`, that divides an operand's offset at every step.
fn alignment(operand: &Operand, most: usize) -> usize {
    let offset = &operand.offset;
    let parts = offset.terms().iter().map(|(_, coefficient)| *coefficient).chain([offset.base()]);
    parts.fold(most, |power, part| power.min(1 << part.trailing_zeros().min(63)))
}

/// The type of an element in memory.
fn element(storage: Storage, target: &Target) -> &'static str {
    match storage {
        Storage::Float | Storage::Registers => crate::nest::type_name(target.dtype),
        Storage::Bf16 => "sn_bf16",
        Storage::F16 => "sn_f16",
        Storage::Bits => "u32",
    }
}
