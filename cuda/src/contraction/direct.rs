//! A thread a result.
//!
//! Must never know tiles.

use snn_loops::{Contraction, ContractionKind};

use super::constants::{Constants, Kernel, launch};
use super::element;
use super::geometry::Geometry;
use super::tiled::TILE;
use crate::emit::Storage;
use crate::launch::{Argument, Emitted, Template};
use crate::target::Target;

static DIRECT: Template = Template { file: "direct.cu", text: include_str!("direct.cu") };

/// Channels of a group from which on tiles pay.
const CHANNELS: usize = 8;
/// Products of a call up to which a single launch is worth more than their distribution.
const PRODUCTS: usize = 1 << 15;
/// Terms of a sum that a thread adds up in short time.
const TERMS: usize = 1 << 11;
/// Numbers that tiles count in 32 bits.
const COUNTABLE: usize = 1 << 28;
/// Threads of a block.
const BLOCK: usize = 256;
/// Threads that fill a device; a weight's gradient is split until there are about as many.
const THREADS: usize = 1 << 17;

/// Whether a contraction is computed this way: every contraction can be.
pub(super) fn suits(c: &Contraction, geometry: &Geometry) -> bool {
    let s = &c.shape;
    let (cin, cout) = (s.cin / s.groups, s.cout / s.groups);
    let terms = match c.kind {
        ContractionKind::Forward => cin * geometry.taps,
        ContractionKind::InputGradient => cout * geometry.taps,
        ContractionKind::WeightGradient => geometry.pixels,
    };
    let is_narrow = s.groups > 1 && cin.min(cout) < CHANNELS;
    needs(c, geometry) || is_narrow || (c.rows.saturating_mul(s.macs()) <= PRODUCTS && terms <= TERMS)
}

/// Whether tiles cannot compute it: nothing to add up, or numbers beyond what they count in.
pub(super) fn needs(c: &Contraction, geometry: &Geometry) -> bool {
    let s = &c.shape;
    let extents = [s.input, s.output, s.kernel, s.stride, s.pad, s.dilation].into_iter().flatten();
    let reach = |axis: usize| {
        let input = s.kernel[axis].saturating_mul(s.dilation[axis]);
        input.saturating_add(s.output[axis].saturating_mul(s.stride[axis])).saturating_add(s.pad[axis])
    };
    let terms = geometry.taps.saturating_mul(s.cin.max(s.cout));
    let sizes = [reach(0), reach(1), s.cin, s.cout, terms, geometry.pixels / 8];
    extents.chain(sizes).any(|size| size >= COUNTABLE)
        || geometry.source.contains(&0)
        || geometry.result.contains(&0)
        || s.cin == 0
        || s.cout == 0
}

/// The launches.
pub(super) fn emit(c: &Contraction, storage: [Storage; 3], target: &Target) -> Emitted {
    let [_, _, results] = c.lengths();
    let sum = crate::nest::type_name(target.dtype);
    let images_of_part = match c.kind {
        ContractionKind::WeightGradient => c.rows.div_ceil((THREADS / results).clamp(1, c.rows.max(1))),
        ContractionKind::Forward | ContractionKind::InputGradient => c.rows,
    };
    let parts = c.rows.div_ceil(images_of_part.max(1)).max(1);
    let constants = constants(c, storage, target, images_of_part, parts);
    let needs = &[&TILE, &DIRECT];
    let bounds = &BLOCK.to_string();
    let products = constants.function(&Kernel {
        kind: "direct",
        template: "sn_direct",
        parameters: &[("const G::A*", "a"), ("const G::B*", "b"), ("G::Out*", "out"), ("G::Sum*", "parts")],
        arguments: None,
        bounds,
        needs,
    });
    let operands = [&c.a, &c.b, &c.out].map(|operand| Argument::Operand(operand.clone()));
    let arguments = operands.into_iter().chain([Argument::Workspace(0)]).collect();
    let mut calls = vec![launch(&products, results * parts, BLOCK, arguments)];
    let mut functions = vec![products];
    let mut workspace = 0;
    if c.kind == ContractionKind::WeightGradient {
        let add = constants.function(&Kernel {
            kind: "direct_add",
            template: "sn_direct_add_parts",
            parameters: &[("const G::Sum*", "parts"), ("G::Out*", "out")],
            arguments: None,
            bounds,
            needs,
        });
        let arguments = vec![Argument::Workspace(0), Argument::Operand(c.out.clone())];
        calls.push(launch(&add, results, BLOCK, arguments));
        functions.push(add);
        workspace = (results * parts * if sum == "double" { 8 } else { 4 }).next_multiple_of(256);
    }
    Emitted { functions, calls, workspace, ..Emitted::default() }
}

fn constants(
    c: &Contraction,
    storage: [Storage; 3],
    target: &Target,
    images_of_part: usize,
    parts: usize,
) -> Constants {
    let s = &c.shape;
    let mut g = Constants::default();
    let [a, b, out] = storage.map(|storage| element(storage, target));
    for (name, of) in [("A", a), ("B", b), ("Out", out), ("Sum", crate::nest::type_name(target.dtype))] {
        g.alias(name, of);
    }
    g.value("i32", "KIND", super::tiled::kind_name(c.kind));
    g.flag("PACKED", c.packed);
    let source_pitch = if c.kind == ContractionKind::InputGradient { s.cout } else { c.pitch() };
    for (name, value) in [
        ("IMAGES", c.rows),
        ("IMAGES_OF_PART", images_of_part),
        ("PARTS", parts),
        ("RESULT_LEN", c.lengths()[2]),
        ("SOURCE_PITCH", source_pitch),
        ("CIN", s.cin),
        ("COUT", s.cout),
        ("CIN_OF_GROUP", s.cin / s.groups),
        ("COUT_OF_GROUP", s.cout / s.groups),
        ("IN_H", s.input[0]),
        ("IN_W", s.input[1]),
        ("OUT_H", s.output[0]),
        ("OUT_W", s.output[1]),
        ("KERNEL_H", s.kernel[0]),
        ("KERNEL_W", s.kernel[1]),
        ("STRIDE_H", s.stride[0]),
        ("STRIDE_W", s.stride[1]),
        ("PAD_H", s.pad[0]),
        ("PAD_W", s.pad[1]),
        ("DILATION_H", s.dilation[0]),
        ("DILATION_W", s.dilation[1]),
    ] {
        g.large(name, value);
    }
    g
}
