//! Contractions as what libraries compute: products of matrices and convolutions, with what has to be done to weights.
//!
//! Activations are read and written where they lie, which is channels last, as libraries have them. Weights are ours in
//! another order, `[cout][cin][kh][kw]` where libraries want `[cout][kh][kw][cin]`, and in single precision where products
//! have 16 bits: they are put in order in the workspace, which moves little beside the activations.
//!
//! What stays ours: packed spikes; activations that do not lie in memory in the type of the products; convolutions of double
//! precision; weight gradients of convolutions in 16 bits, which libraries would round to 16 bits; uneven padding.
//!
//! Must never know how a library is called.

use snn_loops::{Contraction, ContractionKind, ConvShape, Dtype};

use super::alignment;
use super::constants::{Constants, Kernel, launch};
use super::tiled::TILE;
use crate::emit::Storage;
use crate::launch::{Argument, Call, Function, Template};
use crate::target::{Precision, Target};

static FILTER: Template = Template { file: "filter.cu", text: include_str!("filter.cu") };

/// Threads of a block.
const BLOCK: usize = 256;
/// Multiples of bytes that libraries can make use of.
const ALIGNMENT: usize = 256;
/// Sizes that libraries count in 32 bits with a sign.
const COUNTABLE: usize = i32::MAX as usize;

/// The type of a number in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Double precision.
    F64,
    /// Single precision.
    F32,
    /// bfloat16.
    Bf16,
    /// Half precision.
    F16,
}

impl Number {
    /// Its bytes.
    pub fn bytes(self) -> usize {
        match self {
            Number::F64 => 8,
            Number::F32 => 4,
            Number::Bf16 | Number::F16 => 2,
        }
    }
}

/// What a library is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Which factor is computed.
    pub kind: ContractionKind,
    /// The geometry.
    pub shape: ConvShape,
    /// Images.
    pub rows: usize,
    /// The type of both factors.
    pub factors: Number,
    /// The type of the result.
    pub result: Number,
    /// Whether factors of single precision are rounded to 10 bits of mantissa.
    pub tf32: bool,
    /// What the addresses of both factors and of the result are multiples of, in bytes.
    pub alignment: [usize; 3],
}

impl Product {
    /// Whether every pixel is mapped by itself, so that the whole is one product of matrices.
    pub fn is_linear(&self) -> bool {
        let s = &self.shape;
        s.groups == 1 && s.kernel == [1, 1] && s.stride == [1, 1] && s.pad == [0, 0] && s.input == s.output
    }

    /// Pixels of all images.
    pub fn pixels(&self) -> usize {
        self.rows * self.shape.input[0] * self.shape.input[1]
    }

    /// All that time and rounding depend on, in words.
    pub fn describe(&self) -> String {
        let s = &self.shape;
        let pair = |[h, w]: [usize; 2]| format!("{h}x{w}");
        format!(
            "{:?} of {:?} into {:?}{}, {} images of {}, {} to {} channels in {} groups, kernel {}, stride {}, padding {}, \
             dilation {}, aligned to {:?}",
            self.kind,
            self.factors,
            self.result,
            if self.tf32 { " by tf32" } else { "" },
            self.rows,
            pair(s.input),
            s.cin,
            s.cout,
            s.groups,
            pair(s.kernel),
            pair(s.stride),
            pair(s.pad),
            pair(s.dilation),
            self.alignment,
        )
    }
}

/// A contraction by a library.
#[derive(Clone, Debug)]
pub struct Alternative {
    /// What the library is asked for.
    pub product: Product,
    /// Functions of the calls.
    pub functions: Vec<Function>,
    /// What runs before the library.
    pub before: Vec<Call>,
    /// What runs behind it.
    pub after: Vec<Call>,
    /// Where both factors and the result lie for the library.
    pub operands: [Argument; 3],
    /// Bytes of the workspace that the calls take, 256-aligned; the library's own begins behind.
    pub workspace: usize,
}

/// A contraction by a library, if one is to be asked; `storage` is as for [`emit`](super::emit).
pub fn alternative(c: &Contraction, storage: [Storage; 3], target: &Target) -> Option<Alternative> {
    if c.packed || !is_countable(c) {
        return None;
    }
    let s = &c.shape;
    let factors = match (target.dtype, target.precision) {
        (Dtype::F64, _) => Number::F64,
        (Dtype::F32, Precision::F32 | Precision::Tf32) => Number::F32,
        (Dtype::F32, Precision::Bf16) => Number::Bf16,
        (Dtype::F32, Precision::F16) => Number::F16,
    };
    let [a, b, out] = [number(storage[0], target)?, number(storage[1], target)?, number(storage[2], target)?];
    let product = Product {
        kind: c.kind,
        shape: *s,
        rows: c.rows,
        factors,
        result: out,
        tf32: target.precision == Precision::Tf32 && factors == Number::F32,
        alignment: [(&c.a, a), (&c.b, b), (&c.out, out)]
            .map(|(operand, number)| number.bytes() * alignment(operand, ALIGNMENT / number.bytes())),
    };
    let is_weight_gradient = c.kind == ContractionKind::WeightGradient;
    let is_linear = product.is_linear();
    let is_wide = matches!(factors, Number::F32 | Number::F64);
    // Of a weight's gradient both factors are activations, else the second one is the weight.
    let factors_fit = a == factors && (b == factors || (!is_weight_gradient && b == Number::F32));
    let is_known = if is_linear {
        factors_fit && (out == factors || out == Number::F32)
    } else {
        let result_fits = out == factors && factors != Number::F64 && (is_wide || !is_weight_gradient);
        factors_fit && result_fits && is_evenly_padded(s)
    };
    if !is_known {
        return None;
    }
    let taps = s.kernel[0] * s.kernel[1];
    let weight = s.weight_len();
    let operands = [&c.a, &c.b, &c.out].map(|operand| Argument::Operand(operand.clone()));
    let mut alternative =
        Alternative { product, functions: vec![], before: vec![], after: vec![], operands, workspace: 0 };
    let is_in_order = taps == 1 && b == factors;
    if !is_weight_gradient && !is_in_order {
        alternative.functions.push(filter(s, [b, factors], true));
        let arguments = vec![Argument::Operand(c.b.clone()), Argument::Workspace(0)];
        alternative.before =
            alternative.functions.iter().map(|f| launch(f, weight, BLOCK, arguments.clone())).collect();
        alternative.operands[1] = Argument::Workspace(0);
        alternative.product.alignment[1] = ALIGNMENT;
        alternative.workspace = (weight * factors.bytes()).next_multiple_of(ALIGNMENT);
    } else if is_weight_gradient && taps > 1 {
        alternative.functions.push(filter(s, [out, out], false));
        let arguments = vec![Argument::Workspace(0), Argument::Operand(c.out.clone())];
        alternative.after = alternative.functions.iter().map(|f| launch(f, weight, BLOCK, arguments.clone())).collect();
        alternative.operands[2] = Argument::Workspace(0);
        alternative.product.alignment[2] = ALIGNMENT;
        alternative.workspace = (weight * out.bytes()).next_multiple_of(ALIGNMENT);
    }
    Some(alternative)
}

fn number(storage: Storage, target: &Target) -> Option<Number> {
    match (storage, target.dtype) {
        (Storage::Float, Dtype::F32) => Some(Number::F32),
        (Storage::Float, Dtype::F64) => Some(Number::F64),
        (Storage::Bf16, _) => Some(Number::Bf16),
        (Storage::F16, _) => Some(Number::F16),
        (Storage::Registers | Storage::Bits, _) => None,
    }
}

/// Whether there is something to compute and all sizes can be said to a library.
fn is_countable(c: &Contraction) -> bool {
    let s = &c.shape;
    let extents = [s.input, s.output, s.kernel, s.stride, s.dilation].into_iter().flatten();
    let sizes = extents.chain([s.cin, s.cout, s.groups, c.rows]).chain(c.lengths());
    sizes.chain([1]).all(|size| (1..=COUNTABLE).contains(&size)) && s.pad.iter().all(|pad| *pad <= COUNTABLE)
}

/// Whether there are as many zeros behind an image as before it, which is all that libraries know.
fn is_evenly_padded(s: &ConvShape) -> bool {
    [0, 1].into_iter().all(|axis| {
        let reach = s.dilation[axis] * (s.kernel[axis] - 1) + 1;
        (s.input[axis] + 2 * s.pad[axis]).checked_sub(reach).map(|rest| rest / s.stride[axis] + 1)
            == Some(s.output[axis])
    })
}

/// A function that puts weights in the library's order, or in ours.
fn filter(s: &ConvShape, [from, to]: [Number; 2], to_library: bool) -> Function {
    let mut g = Constants::default();
    for (name, number) in [("From", from), ("To", to)] {
        g.alias(
            name,
            match number {
                Number::F64 => "double",
                Number::F32 => "float",
                Number::Bf16 => "sn_bf16",
                Number::F16 => "sn_f16",
            },
        );
    }
    g.flag("TO_LIBRARY", to_library);
    let numbers = [("LEN", s.weight_len()), ("CIN", s.cin / s.groups), ("TAPS", s.kernel[0] * s.kernel[1])];
    for (name, value) in numbers {
        g.large(name, value);
    }
    g.function(&Kernel {
        kind: "filter",
        template: "sn_filter",
        parameters: &[("const G::From*", "from"), ("G::To*", "to")],
        arguments: None,
        bounds: &BLOCK.to_string(),
        needs: &[&TILE, &FILTER],
    })
}

#[cfg(test)]
mod tests {
    use snn_loops::{BufferId, Operand};

    use super::*;
    use crate::target::Arch;

    fn contraction(kind: ContractionKind, kernel: usize, pad: usize, packed: bool) -> Contraction {
        let output = 9 + 2 * pad - kernel;
        let shape = ConvShape {
            input: [8, 8],
            kernel: [kernel; 2],
            pad: [pad; 2],
            output: [output; 2],
            ..ConvShape::linear(16, 32)
        };
        let [a, b, out] = [0, 1, 2].map(|id| Operand::whole(BufferId(id)));
        Contraction {
            name: "c".into(),
            kind,
            shape,
            rows: 2,
            packed,
            planes: 1,
            weights: snn_loops::WeightValues::Any,
            a,
            b,
            out,
        }
    }

    fn of(c: &Contraction, precision: Precision, storage: [Storage; 3]) -> Option<Alternative> {
        alternative(c, storage, &Target { arch: Arch::Sm80, dtype: Dtype::F32, precision })
    }

    #[test]
    fn weights_alone_are_put_in_order() {
        use ContractionKind::{Forward, InputGradient, WeightGradient};
        let floats = [Storage::Float; 3];
        let half = [Storage::F16, Storage::Float, Storage::F16];
        let calls = |found: Option<Alternative>| found.map(|found| [found.before.len(), found.after.len()]);
        for kind in [Forward, InputGradient] {
            assert_eq!(calls(of(&contraction(kind, 1, 0, false), Precision::F32, floats)), Some([0, 0]));
            assert_eq!(calls(of(&contraction(kind, 3, 1, false), Precision::Tf32, floats)), Some([1, 0]));
            assert_eq!(calls(of(&contraction(kind, 1, 0, false), Precision::F16, half)), Some([1, 0]), "another type");
        }
        assert_eq!(calls(of(&contraction(WeightGradient, 3, 1, false), Precision::F32, floats)), Some([0, 1]));
        let both_half = [Storage::F16, Storage::F16, Storage::Float];
        assert_eq!(calls(of(&contraction(WeightGradient, 1, 0, false), Precision::F16, both_half)), Some([0, 0]));
    }

    #[test]
    fn what_libraries_cannot_do_stays_ours() {
        use ContractionKind::{Forward, WeightGradient};
        let floats = [Storage::Float; 3];
        assert!(of(&contraction(Forward, 3, 1, true), Precision::F32, floats).is_none(), "spikes");
        assert!(of(&contraction(Forward, 3, 1, false), Precision::F16, floats).is_none(), "another type");
        let both_half = [Storage::F16, Storage::F16, Storage::Float];
        let gradient = contraction(WeightGradient, 3, 1, false);
        assert!(of(&gradient, Precision::F16, both_half).is_none(), "a result of 16 bits");
        let mut uneven = contraction(Forward, 3, 1, false);
        uneven.shape.output = [7, 7];
        assert!(of(&uneven, Precision::F32, floats).is_none());
        let double = Target { arch: Arch::Sm80, dtype: Dtype::F64, precision: Precision::F16 };
        assert!(alternative(&contraction(Forward, 3, 1, false), floats, &double).is_none());
        assert!(alternative(&contraction(Forward, 1, 0, false), floats, &double).is_some());
    }
}
