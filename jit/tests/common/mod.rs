//! What the differential tests share: one comparison of compiled code with the interpreter, and repeatable numbers.

#![allow(dead_code, reason = "every test binary uses another part")]

use snn_jit::{Instance, Isa, Kernels, Options, compile};
use snn_loops::interp::{self, Memory};
use snn_loops::{BufferId, Dtype, Program, RandomKey, Role};

/// The key of all runs.
pub const KEY: RandomKey = RandomKey { seed: 0x5eed, run: 3 };

/// The floating types of programs.
pub const DTYPES: [Dtype; 2] = [Dtype::F32, Dtype::F64];

/// A small generator of repeatable numbers (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// A float in -2..2 that f32 represents.
    pub fn float(&mut self) -> f64 {
        (self.next() >> 44) as f64 / (1 << 18) as f64 - 2.0
    }

    pub fn floats(&mut self, len: usize) -> Vec<f64> {
        (0..len).map(|_| self.float()).collect()
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Contents of all outputs after one run of the interpreter.
pub fn interpret(program: &Program, inputs: &[(BufferId, Vec<f64>)]) -> Vec<Vec<f64>> {
    let mut memory = Memory::new(program);
    for (id, values) in inputs {
        memory.write(*id, values).expect("input");
    }
    interp::run(program, &mut memory, KEY).expect("interpreted");
    outputs(program).map(|id| memory.buffer(id).to_vec()).collect()
}

/// Contents of all outputs after one run of compiled code.
pub fn execute(program: &Program, inputs: &[(BufferId, Vec<f64>)], options: &Options) -> Vec<Vec<f64>> {
    let executable = compile(program, options).expect("compiled");
    let mut instance = Instance::new(&executable).expect("memory");
    for (id, values) in inputs {
        write(&mut instance, program.dtype, *id, values);
    }
    instance.run(KEY).expect("run");
    outputs(program).map(|id| read(&instance, program.dtype, id)).collect()
}

pub fn outputs(program: &Program) -> impl Iterator<Item = BufferId> + '_ {
    let roles = program.buffers.iter().enumerate();
    roles.filter(|(_, buffer)| buffer.role == Role::Output).map(|(at, _)| BufferId(at as u32))
}

pub fn write(instance: &mut Instance, dtype: Dtype, id: BufferId, values: &[f64]) {
    match dtype {
        Dtype::F32 => instance.write_f32(id, &values.iter().map(|x| *x as f32).collect::<Vec<_>>()).expect("written"),
        Dtype::F64 => instance.write_f64(id, values).expect("written"),
    }
}

pub fn read(instance: &Instance, dtype: Dtype, id: BufferId) -> Vec<f64> {
    match dtype {
        Dtype::F32 => instance.read_f32(id).expect("read").into_iter().map(f64::from).collect(),
        Dtype::F64 => instance.read_f64(id).expect("read"),
    }
}

/// All ways to compile that must not matter.
pub fn all_options() -> Vec<Options> {
    let options = |(threads, isa)| Options { threads, kernels: Kernels { isa, ..Kernels::NATIVE } };
    let ways = [(1, Isa::Native), (3, Isa::Native), (1, Isa::Avx2), (2, Isa::Baseline)];
    ways.into_iter().filter(|(_, isa)| isa.vectors().is_ok()).map(options).collect()
}

/// Bit for bit, except that a NaN equals a NaN, and where `skip` says so.
pub fn assert_same(found: &[Vec<f64>], expected: &[Vec<f64>], skip: impl Fn(f64) -> bool, context: &str) {
    assert_eq!(found.len(), expected.len(), "{context}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.len(), expected.len(), "{context}");
        for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
            let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
            assert!(same || skip(*expected), "{context}: element {at} is {found:e}, expected {expected:e}");
        }
    }
}

/// Compiled code, in all ways, gives the bits of the interpreter.
pub fn assert_equals_interpreter(program: &Program, inputs: &[(BufferId, Vec<f64>)], context: &str) {
    let expected = interpret(program, inputs);
    for options in all_options() {
        let found = execute(program, inputs, &options);
        assert_same(&found, &expected, |_| false, &format!("{context} with {options:?}"));
    }
}
