//! The functions of the prelude one by one: small texts whose results are known to the bit, for a device and for emulations.
//!
//! Whoever runs one takes [`InstructionCheck::program`] and [`InstructionCheck::emission`], writes the input, runs and reads
//! the output. Must never know which device that is.

use snn_loops::{Access, BufferId, Dtype, Extent, Ix, Kernel, Launch, LoopKind, NestBuilder, Operand, Program, Role};

use crate::emit::{Emission, Storage, Unit, beginning};
use crate::launch::{Argument, Call, Template};
use crate::target::{Arch, Precision, Target};

/// One text that is launched once, over one block.
#[derive(Clone, Debug)]
pub struct InstructionCheck {
    /// The function of the text.
    pub name: &'static str,
    /// The least architecture that has the instructions.
    pub arch: Arch,
    /// What follows the prelude.
    pub text: &'static Template,
    /// Threads of the block.
    pub threads: u32,
    /// Bytes of dynamic shared memory.
    pub shared: u32,
    /// What it reads.
    pub input: Vec<f32>,
    /// What it must write.
    pub expected: Vec<f32>,
}

/// The buffer that holds the input.
pub const INPUT: BufferId = BufferId(0);
/// The buffer that the result is written to.
pub const OUTPUT: BufferId = BufferId(1);

static SM80: Template = Template { file: "instructions/sm80.cu", text: include_str!("instructions/sm80.cu") };
static SM90: Template = Template { file: "instructions/sm90.cu", text: include_str!("instructions/sm90.cu") };
static SM90A: Template = Template { file: "instructions/sm90a.cu", text: include_str!("instructions/sm90a.cu") };

/// All checks of an architecture.
pub fn instructions(arch: Arch) -> Vec<InstructionCheck> {
    let all = vec![
        convert(),
        load(),
        lanes(),
        product("check_mma_f16", 2, 40),
        product("check_mma_bf16", 2, 12),
        product("check_mma_tf32", 1, 40),
        product("check_mma_s8", 4, 127),
        rows("check_cp_async_16", Arch::Sm80, &SM80, 3 * 128 * 4, 7 * 128 + 20 * 4),
        cp_async_4(),
        rows("check_bulk", Arch::Sm90, &SM90, 2 * 128 * 4, 8 * 128),
        wide_product("check_wgmma_f16", 2, 30),
        wide_product("check_wgmma_bf16", 2, 12),
        wide_product("check_wgmma_s8", 4, 127),
    ];
    all.into_iter().filter(|check| check.arch <= arch).collect()
}

impl InstructionCheck {
    /// A program with the buffers of the check and a kernel that touches them, in place of which the text is launched.
    pub fn program(&self) -> Program {
        let mut program = Program::new(Dtype::F32);
        let input = program.add_buffer("input", self.input.len(), Role::Input);
        let output = program.add_buffer("output", self.expected.len(), Role::Output);
        let mut nest = NestBuilder::new(self.name);
        let at = nest.fresh_var();
        nest.open(at, Extent::Fixed(self.expected.len()), LoopKind::Parallel);
        let value = nest.load(Access::new(input, Ix::constant(0)));
        nest.store(Access::new(output, Ix::var(at)), value);
        let kernel = program.add_kernel(Kernel::Nest(nest.finish()));
        program.launches.push(Launch::Run(kernel));
        program
    }

    /// The text for an architecture, and its launch.
    pub fn emission(&self, arch: Arch) -> Emission {
        let target = Target { arch, dtype: Dtype::F32, precision: Precision::F32 };
        let operand = |buffer| Argument::Operand(Operand::whole(buffer));
        let call = Call {
            function: self.name.to_owned(),
            grid: [1, 1],
            block: self.threads,
            shared: self.shared,
            arguments: vec![operand(INPUT), operand(OUTPUT)],
        };
        let text = beginning(&[self.text], &target);
        let unit =
            Unit { name: self.text.file.to_owned(), begin: text.len(), text, functions: vec![self.name.to_owned()] };
        Emission {
            units: vec![unit],
            kernels: vec![vec![call]],
            workspace: 0,
            storage: vec![Storage::Float; 2],
            kept: vec![],
            fused: vec![],
        }
    }

    fn of_a_warp(name: &'static str, input: Vec<f32>, expected: Vec<f32>) -> InstructionCheck {
        InstructionCheck { name, arch: Arch::Sm80, text: &SM80, threads: 32, shared: 0, input, expected }
    }
}

/// Integers in `-most..=most` that look like chance, different ones for every `salt`.
fn integers(count: usize, most: i64, salt: u64) -> Vec<f32> {
    let mut state = salt;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as i64 % (2 * most + 1) - most) as f32
    };
    (0..count).map(|_| next()).collect()
}

/// The bits of a number, and those of what it becomes in half precision, as bfloat16 and as tf32.
type Conversion = (u32, u16, u16, u32);

/// Ties, both ends of the range, numbers below the normal ones. Bits from the definitions of the formats.
const CONVERSIONS: [Conversion; 16] = [
    // 0, -0, 1, -2.5.
    (0x0000_0000, 0x0000, 0x0000, 0x0000_0000),
    (0x8000_0000, 0x8000, 0x8000, 0x8000_0000),
    (0x3f80_0000, 0x3c00, 0x3f80, 0x3f80_0000),
    (0xc020_0000, 0xc100, 0xc020, 0xc020_0000),
    // 1 + 2^-11 and 1 + 3 2^-11, ties of half precision and of tf32.
    (0x3f80_1000, 0x3c00, 0x3f80, 0x3f80_2000),
    (0x3f80_3000, 0x3c02, 0x3f80, 0x3f80_4000),
    // 1 + 2^-8 and 1 + 3 2^-8, ties of bfloat16.
    (0x3f80_8000, 0x3c04, 0x3f80, 0x3f80_8000),
    (0x3f81_8000, 0x3c0c, 0x3f82, 0x3f81_8000),
    // 65504, the greatest number of half precision; 65519, which still rounds to it; 65520, which does not.
    (0x477f_e000, 0x7bff, 0x4780, 0x477f_e000),
    (0x477f_ef00, 0x7bff, 0x4780, 0x477f_e000),
    (0x477f_f000, 0x7c00, 0x4780, 0x4780_0000),
    // 2^-24, the least of half precision; 2^-25, a tie; 1.5 2^-25; 3 2^-25, a tie.
    (0x3380_0000, 0x0001, 0x3380, 0x3380_0000),
    (0x3300_0000, 0x0000, 0x3300, 0x3300_0000),
    (0x3340_0000, 0x0001, 0x3340, 0x3340_0000),
    (0x33c0_0000, 0x0002, 0x33c0, 0x33c0_0000),
    // Infinity.
    (0x7f80_0000, 0x7c00, 0x7f80, 0x7f80_0000),
];

fn convert() -> InstructionCheck {
    let mut input = Vec::new();
    let mut expected = Vec::new();
    for (bits, f16, bf16, tf32) in CONVERSIONS.into_iter().chain(CONVERSIONS) {
        input.push(f32::from_bits(bits));
        let [high, low] = [tf32 >> 16, tf32 & 0xffff].map(|half| half as f32);
        expected.extend([f32::from(f16), f32::from(bf16), high, low]);
        expected.extend([half_as_number(f16), f32::from_bits(u32::from(bf16) << 16)]);
    }
    InstructionCheck::of_a_warp("check_convert", input, expected)
}

/// What bits of half precision stand for, except those of what is no number.
fn half_as_number(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, mantissa) = (bits >> 10 & 31, f32::from(bits & 0x3ff));
    // 2^-24, the unit of the numbers below the normal ones.
    let unit = f32::from_bits(0x3380_0000);
    sign * match exponent {
        0 => mantissa * unit,
        31 => f32::INFINITY,
        _ => (1024.0 + mantissa) * unit * (1_u32 << (exponent - 1)) as f32,
    }
}

/// An element, 0 outside.
fn at(values: &[f32], index: usize) -> f32 {
    values.get(index).copied().unwrap_or_default()
}

fn load() -> InstructionCheck {
    let input = integers(160, 1000, 1);
    let expected = (0..32).map(|lane| {
        let part = |i: usize| at(&input, 32 + 4 * lane + i) * (i + 1) as f32;
        at(&input, lane) + part(0) + part(1) + part(2) + part(3)
    });
    let expected = expected.collect();
    InstructionCheck::of_a_warp("check_load", input, expected)
}

fn lanes() -> InstructionCheck {
    let input: Vec<f32> = integers(32, 1000, 2).into_iter().map(f32::abs).collect();
    let odd = (0..32_usize).filter(|lane| at(&input, *lane) as u32 % 2 == 1).fold(0_u32, |bits, lane| bits | 1 << lane);
    let mut expected = Vec::new();
    for lane in 0..32_usize {
        let from = [
            if lane < 3 { lane } else { lane - 3 },
            if lane + 5 > 31 { lane } else { lane + 5 },
            lane ^ 9,
            lane * 7 % 32,
            if lane % 8 + 2 > 7 { lane } else { lane + 2 },
        ];
        expected.extend(from.map(|lane| at(&input, lane)));
        let above = odd >> lane;
        let first = if above == 0 { 0 } else { above.trailing_zeros() + 1 };
        expected.extend([odd.count_ones(), first, (odd << lane).leading_zeros()].map(|count| count as f32));
    }
    InstructionCheck::of_a_warp("check_lanes", input, expected)
}

/// `start + a b^T`, `a` and `b` in rows of `len`. Sums of integers, exact in any order.
fn multiply(a: &[f32], b: &[f32], len: usize, start: impl Fn(usize) -> f32) -> Vec<f32> {
    let mut result = Vec::new();
    for row in a.chunks(len) {
        for column in b.chunks(len) {
            let sum: f32 = row.iter().zip(column).map(|(a, b)| a * b).sum();
            result.push(start(result.len()) + sum);
        }
    }
    result
}

/// A warp's product, `packed` elements in a register.
fn product(name: &'static str, packed: usize, most: i64) -> InstructionCheck {
    let k = 8 * packed;
    let (a, b, c) = (integers(16 * k, most, 3), integers(8 * k, most, 4), integers(16 * 8, 1000, 5));
    let expected = multiply(&a, &b, k, |element| at(&c, element));
    InstructionCheck::of_a_warp(name, [a, b, c].concat(), expected)
}

/// The product of four warps, in two steps.
fn wide_product(name: &'static str, packed: usize, most: i64) -> InstructionCheck {
    let k = 2 * 8 * packed;
    let (a, b) = (integers(64 * k, most, 6), integers(64 * k, most, 7));
    let expected = multiply(&a, &b, k, |_| 0.0);
    let (arch, text, input) = (Arch::Sm90a, &SM90A, [a, b].concat());
    InstructionCheck { name, arch, text, threads: 128, shared: 4096, input, expected }
}

/// 8 rows of 128 numbers, each moved by 5 places; those from `end` on are zeros.
fn rows(name: &'static str, arch: Arch, text: &'static Template, shared: u32, end: usize) -> InstructionCheck {
    let input = integers(8 * 128, 1000, 8);
    let read = |place: usize| if place < end { at(&input, place) } else { 0.0 };
    let expected = (0..8 * 128).map(|place| read(place / 128 * 128 + (place + 5) % 128)).collect();
    InstructionCheck { name, arch, text, threads: 32, shared, input, expected }
}

fn cp_async_4() -> InstructionCheck {
    let input = integers(64, 1000, 9);
    let read = |place: usize| if place < 32 || place.is_multiple_of(2) { at(&input, place) } else { 0.0 };
    let expected = (0..64).map(|place| read(place / 32 * 32 + 31 - place % 32)).collect();
    InstructionCheck::of_a_warp("check_cp_async_4", input, expected)
}
