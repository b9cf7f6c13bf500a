//! Products in tiles: a small launch puts the weights in the order of slices, the products follow, parts of sums are added.
//!
//! Must never know single elements.

mod operands;
pub(super) mod plan;

use snn_loops::{Contraction, ContractionKind, Dtype};

use super::constants::{Constants, Kernel, launch};
use super::element;
use super::geometry::Geometry;
use crate::emit::Storage;
use crate::launch::{Argument, Call, Emitted, Function, Template};
use crate::target::Target;

use operands::Operands;
use plan::{Gather, Plan};

pub(super) static TILE: Template = Template { file: "tile.cu", text: include_str!("tile.cu") };
static STAGE: Template = Template { file: "stage.cu", text: include_str!("stage.cu") };
static COLUMNS: Template = Template { file: "columns.cu", text: include_str!("columns.cu") };
static PRODUCT: Template = Template { file: "product.cu", text: include_str!("product.cu") };
static CONTRACT: Template = Template { file: "contract.cu", text: include_str!("contract.cu") };

/// What every tiled product needs.
pub(super) static NEEDS: [&Template; 5] = [&TILE, &STAGE, &COLUMNS, &PRODUCT, &CONTRACT];

/// Threads of a block of the small launches.
const SMALL_BLOCK: usize = 256;
/// Threads of a warp.
const WARP: usize = 32;

/// The launches.
pub(super) fn emit(c: &Contraction, geometry: &Geometry, storage: [Storage; 3], target: &Target) -> Emitted {
    let plan = Plan::of(c, geometry, storage, target);
    let constants = constants(c, geometry, &plan, storage, target);
    let needs = &NEEDS;
    let small = SMALL_BLOCK.to_string();
    let sum_bytes = if target.dtype == Dtype::F64 { 8 } else { 4 };
    let weights = c.kind != ContractionKind::WeightGradient;
    let workspace = if plan.parts > 1 { plan.parts * c.lengths()[2] * sum_bytes } else { 0 };
    let [a, b, out] = [&c.a, &c.b, &c.out].map(|operand| Argument::Operand(operand.clone()));
    let (mut functions, mut prepare, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    if weights {
        (functions, prepare) = pack(c, &plan, &constants);
    }
    let products = constants.function(&Kernel {
        kind: plan.name(c.kind),
        template: "sn_contract",
        parameters: &[("const G::A*", "a"), ("const G::B*", "b"), ("G::Out*", "out"), ("G::Sum*", "parts")],
        arguments: None,
        bounds: &format!("{}, {}", plan.tile.threads, plan.tile.blocks),
        needs,
    });
    let b = if weights { Argument::Prepared(0) } else { b };
    calls.push(Call {
        function: products.name.clone(),
        grid: [u32::try_from(plan.blocks()).unwrap_or(u32::MAX), 1],
        block: plan.tile.threads as u32,
        shared: plan.shared_bytes() as u32,
        arguments: vec![a, b, out.clone(), Argument::Workspace(0)],
    });
    functions.push(products);
    if plan.parts > 1 {
        let add = constants.function(&Kernel {
            kind: "add_parts",
            template: "sn_add_parts",
            parameters: &[("const G::Sum*", "parts"), ("G::Out*", "out")],
            arguments: None,
            bounds: &small,
            needs,
        });
        calls.push(launch(&add, c.lengths()[2], SMALL_BLOCK, vec![Argument::Workspace(0), out]));
        functions.push(add);
    }
    let prepared = if weights { plan.packed_bytes().next_multiple_of(256) } else { 0 };
    Emitted { functions, prepare, prepared, calls, workspace: workspace.next_multiple_of(256) }
}

/// What puts the weights in the order of slices, once for all calls as long as they stay as they are; behind them their scales,
/// which come first where there are any.
pub(super) fn pack(c: &Contraction, plan: &Plan, constants: &Constants) -> (Vec<Function>, Vec<Call>) {
    let (mut functions, mut calls) = (Vec::new(), Vec::new());
    if plan.scales() > 0 {
        let scales = constants.function(&Kernel {
            kind: "scales",
            template: "sn_find_scales",
            parameters: &[("const G::Weight*", "weights"), ("G::S*", "to")],
            arguments: None,
            bounds: &SMALL_BLOCK.to_string(),
            needs: &NEEDS,
        });
        let arguments = vec![Argument::Operand(c.b.clone()), Argument::Prepared(0)];
        calls.push(launch(&scales, plan.scales() * WARP, SMALL_BLOCK, arguments));
        functions.push(scales);
    }
    let pack = constants.function(&Kernel {
        kind: "pack",
        template: "sn_pack",
        parameters: &[("const G::Weight*", "weights"), ("G::S*", "to")],
        arguments: None,
        bounds: &SMALL_BLOCK.to_string(),
        needs: &NEEDS,
    });
    let arguments = vec![Argument::Operand(c.b.clone()), Argument::Prepared(0)];
    calls.push(launch(&pack, plan.packed_chunks(), SMALL_BLOCK, arguments));
    functions.push(pack);
    (functions, calls)
}

/// What templates call a kind.
pub(super) fn kind_name(kind: ContractionKind) -> &'static str {
    match kind {
        ContractionKind::Forward => "SN_FORWARD",
        ContractionKind::InputGradient => "SN_INPUT_GRADIENT",
        ContractionKind::WeightGradient => "SN_WEIGHT_GRADIENT",
    }
}

/// What the templates are instantiated with.
pub(super) fn constants(
    c: &Contraction,
    geometry: &Geometry,
    plan: &Plan,
    storage: [Storage; 3],
    target: &Target,
) -> Constants {
    let s = &c.shape;
    let mut g = Constants::default();
    let [a, b, out] = storage.map(|storage| element(storage, target));
    let slices = plan.operand.type_name();
    let second = if c.kind == ContractionKind::WeightGradient { b } else { slices };
    let index = if geometry.pixels < 1 << 30 { "u32" } else { "u64" };
    for (name, of) in [("A", a), ("B", second), ("Weight", b), ("Out", out), ("S", slices), ("Index", index)] {
        g.alias(name, of);
    }
    g.alias("Sum", crate::nest::type_name(target.dtype));
    g.value("i32", "KIND", kind_name(c.kind));
    g.large("SCALES_AT", plan.scales_at());
    g.value("double", "SCALE", format_args!("{:?}", plan.scale()));
    for (name, value) in [
        ("PACKED", c.packed),
        ("TENSOR", plan.operand.is_tensor()),
        ("WORDS", plan.gather == Gather::Words),
        ("INT8", plan.operand == Operands::Int8),
        ("WARPGROUPS", plan.tile.warpgroups),
        ("IS_LARGE", plan.shared_bytes() > 0),
        ("BY_TAP", plan.gather != Gather::Any),
        ("ASYNC", plan.gather == Gather::Async),
        ("IS_WHOLE", c.shape.groups == 1 || geometry.gathered.is_multiple_of(32)),
        ("PAIRS", plan.pairs),
        ("POINTWISE", geometry.taps == 1 && s.stride == [1, 1] && s.pad == [0, 0] && s.input == s.output),
    ] {
        g.flag(name, value);
    }
    for (name, value) in
        [("PIXELS", geometry.pixels / plan.steps), ("IMAGES", c.rows / plan.steps), ("RESULT_LEN", c.lengths()[2])]
    {
        g.large(name, value);
    }
    for (name, value) in plan.numbers().into_iter().chain([
        ("STEPS", plan.steps),
        ("C", geometry.gathered),
        ("M", if c.kind == ContractionKind::WeightGradient { geometry.m } else { 0 }),
        ("N", geometry.n),
        ("SOURCE_H", geometry.source[0]),
        ("SOURCE_W", geometry.source[1]),
        ("SOURCE_PITCH", geometry.source_pitch),
        ("RESULT_H", geometry.result[0]),
        ("RESULT_W", geometry.result[1]),
        ("RESULT_PITCH", geometry.result_pitch),
        ("PHASES_H", geometry.phases[0]),
        ("PHASES_W", geometry.phases[1]),
        ("KERNEL_H", s.kernel[0]),
        ("KERNEL_W", s.kernel[1]),
        ("STRIDE_H", s.stride[0]),
        ("STRIDE_W", s.stride[1]),
        ("PAD_H", s.pad[0]),
        ("PAD_W", s.pad[1]),
        ("DILATION_H", s.dilation[0]),
        ("DILATION_W", s.dilation[1]),
    ]) {
        g.small(name, value);
    }
    g
}
