//! A forward contraction and the neurons that hear it, in one launch.
//!
//! Every thread holds the sums of all time steps for some pixels and channels in registers; an [`Epilogue`] takes them
//! through the neuron's time loop there, and only spikes are stored. What the contraction computes never reaches memory.
//!
//! Must never know neurons.

use snn_loops::{Contraction, ContractionKind, Operand};

use super::constants::Kernel;
use super::direct;
use super::geometry::Geometry;
use super::tiled::{self, plan::Plan};
use crate::emit::Storage;
use crate::launch::{Argument, Call, Emitted, Template};
use crate::names;
use crate::target::Target;

static FUSED: Template = Template { file: "fused.cu", text: include_str!("fused.cu") };

/// Spikes that fit into what an epilogue gives back.
const PLANES: usize = 32;

/// What becomes of the sums of a pixel and a channel.
///
/// `body` is the body of
///
/// ```cuda
/// u32 run(const float (&sums)[STEPS], i64 pixel, i32 channel) const
/// ```
///
/// (`double` in `F64` programs), which runs once for every pixel of a step, `(sample * height + y) * width + x`, and every
/// channel that exists, by one thread. `sums[t]` is the result of the contraction at step `t`, before anything is added to
/// it. The value is the spikes, that of step `t` in bit `t`. It may read and write memory by the parameters `p0`, `p1`, ... of
/// types as written in `parameters` (`const float*`, `u32*`, ...), at places that no other pixel and channel writes; words of
/// packed buffers are shared by channels, so packed results other than `spikes` are out of its reach. Control flow may
/// diverge, but it must not synchronize.
#[derive(Clone, Debug, PartialEq)]
pub struct Epilogue {
    /// Statements.
    pub body: String,
    /// Types of pointers and what they point to.
    pub parameters: Vec<(String, Operand)>,
    /// Texts that the body needs.
    pub needs: Vec<&'static Template>,
    /// The packed result, `[planes][pixels][channels in whole 64-bit words]`; what is behind the last channel of a pixel is
    /// left as it is or cleared.
    pub spikes: Operand,
    /// Steps that spike, at most 32: as many as the contraction has, or any number where it has one.
    pub planes: usize,
}

/// A contraction whose `rows` are `steps` times as many samples, followed by an epilogue; `storage` is that of its operands.
/// `None` where sums do not fit into registers (more than 16 steps) or tiles do not suit the contraction: emit both by
/// themselves then. The launch reads its operands while it writes spikes and what else the epilogue writes: none of these
/// may share memory, though a contraction and neurons by themselves allow that.
pub fn emit(
    c: &Contraction,
    steps: usize,
    epilogue: &Epilogue,
    storage: [Storage; 2],
    target: &Target,
) -> Option<Emitted> {
    let is_ours = c.kind == ContractionKind::Forward && c.shape.groups == 1 && c.lengths().iter().all(|len| *len > 0);
    if !is_ours || steps == 0 || !c.rows.is_multiple_of(steps) || epilogue.planes > PLANES {
        return None;
    }
    let geometry = Geometry::of(c);
    if direct::needs(c, &geometry) {
        return None;
    }
    let storage = [storage[0], storage[1], Storage::Float];
    let plan = Plan::fused(c, &geometry, storage, target, steps)?;
    let mut g = tiled::constants(c, &geometry, &plan, storage, target);
    let (mut functions, prepare) = tiled::pack(c, &plan, &g);
    for (name, value) in [("PLANES", epilogue.planes), ("SPIKE_PITCH", c.shape.cout.next_multiple_of(64))] {
        g.small(name, value);
    }
    let members: Vec<String> = (0..epilogue.parameters.len()).map(|at| format!("p{at}")).collect();
    g.text(&neuron(epilogue, steps));
    let parameters: Vec<(&str, &str)> = [("const G::A*", "a"), ("const G::B*", "b"), ("u32*", "spikes")]
        .into_iter()
        .chain(epilogue.parameters.iter().zip(&members).map(|((of, _), name)| (of.as_str(), name.as_str())))
        .collect();
    let mut needs = tiled::NEEDS.to_vec();
    needs.push(&FUSED);
    needs.extend(epilogue.needs.iter().filter(|template| !tiled::NEEDS.contains(template)));
    let fused = g.function(&Kernel {
        kind: "fused",
        template: "sn_contract_fused",
        parameters: &parameters,
        arguments: Some(&format!("a, b, spikes, {}_g::Neuron{{{}}}", names::PLACEHOLDER, members.join(", "))),
        bounds: &format!("{}, {}", plan.tile.threads, plan.tile.blocks),
        needs: &needs,
    });
    let of = |operand: &Operand| Argument::Operand(operand.clone());
    let mut arguments = vec![of(&c.a), Argument::Prepared(0), of(&epilogue.spikes)];
    arguments.extend(epilogue.parameters.iter().map(|(_, operand)| of(operand)));
    let call = Call {
        function: fused.name.clone(),
        grid: [u32::try_from(plan.blocks()).unwrap_or(u32::MAX), 1],
        block: plan.tile.threads as u32,
        shared: plan.shared_bytes() as u32,
        arguments,
    };
    functions.push(fused);
    let prepared = plan.packed_bytes().next_multiple_of(256);
    Some(Emitted { functions, prepare, prepared, calls: vec![call], workspace: 0 })
}

fn neuron(epilogue: &Epilogue, steps: usize) -> String {
    let members: String =
        epilogue.parameters.iter().enumerate().map(|(at, (of, _))| format!("        {of} p{at};\n")).collect();
    let body: String = epilogue.body.lines().map(|line| format!("            {line}\n")).collect();
    format!(
        "    struct Neuron {{\n{members}        SN_DEV u32 run(const Sum (&sums)[{steps}], i64 pixel, i32 channel) const {{\n\
         {body}        }}\n    }};\n"
    )
}
