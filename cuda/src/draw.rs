//! Random numbers: a block of the generator a thread.
//!
//! Must never know what the numbers are for.

use snn_loops::{Distribution, Draw, Dtype};

use crate::launch::{Argument, Call, Emitted, Function, Template};
use crate::names;
use crate::nest::{constant, type_name};

/// The generator and its distributions.
static DRAW: Template = Template { file: "draw.cu", text: include_str!("draw.cu") };

/// Threads of a block.
const BLOCK: usize = 256;

/// The function and its launch.
pub(crate) fn emit(draw: &Draw, dtype: Dtype) -> Emitted {
    if draw.len == 0 {
        return Emitted::default();
    }
    let (kind, size, p) = match draw.distribution {
        Distribution::Uniform => ("SN_UNIFORM", 4, 0.0),
        Distribution::Normal => ("SN_NORMAL", 2, 0.0),
        Distribution::Bernoulli(p) => ("SN_BERNOULLI", 4, p),
    };
    let float = type_name(dtype);
    let text = format!(
        "SN_KERNEL void __launch_bounds__({BLOCK}) {}({float}* out, const sn_run* run, i64 step) {{\n    \
         sn_draw<{float}, {kind}>(out, run, {}ull, {}ull, (u64)step, {});\n}}\n",
        names::PLACEHOLDER,
        draw.stream,
        draw.len,
        constant(p, Dtype::F64),
    );
    let name = names::unique("draw", &text);
    // The first number may stand anywhere in its block.
    let blocks_of_generator = draw.len.div_ceil(size) + 1;
    let call = Call {
        function: name.clone(),
        grid: [u32::try_from(blocks_of_generator.div_ceil(BLOCK)).unwrap_or(u32::MAX), 1],
        block: BLOCK as u32,
        shared: 0,
        arguments: vec![Argument::Operand(draw.out.clone()), Argument::Run, Argument::Step],
    };
    let text = text.replace(names::PLACEHOLDER, &name);
    Emitted {
        functions: vec![Function { name, needs: vec![&DRAW], text, local_bytes: 0 }],
        calls: vec![call],
        ..Emitted::default()
    }
}
