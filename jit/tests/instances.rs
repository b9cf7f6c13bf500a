//! What the host does with executables and instances: memory, roles, errors, shared code.

mod common;

use common::KEY;
use snn_jit::{Instance, JitError, Options, asm_text, clif_text, compile};
use snn_loops::{
    Access, BufferId, Contraction, ContractionKind, ConvShape, Densities, Dtype, Extent, Ix, Kernel, Launch, LoopKind,
    NestBuilder, Operand, Program, Role, Scalar, Timings, WeightValues,
};

struct Buffers {
    x: BufferId,
    constant: BufferId,
    temporary: BufferId,
    y: BufferId,
}

/// `t = x + c` and `y = t + c` over `n` elements, by two equal nests.
fn program(dtype: Dtype, n: usize) -> (Program, Buffers) {
    let mut program = Program::new(dtype);
    let buffers = Buffers {
        x: program.add_buffer("x", n, Role::Input),
        constant: program.add_buffer("c", n, Role::Constant((0..n).map(|at| at as f64 + 0.1).collect())),
        temporary: program.add_buffer("t", n, Role::Temporary),
        y: program.add_buffer("y", n, Role::Output),
    };
    for (from, to) in [(buffers.x, buffers.temporary), (buffers.temporary, buffers.y)] {
        let mut b = NestBuilder::new(format!("to b{}", to.0));
        let var = b.fresh_var();
        b.open(var, Extent::Fixed(n), LoopKind::Lanes);
        let values = [from, buffers.constant].map(|buffer| b.load(Access::new(buffer, Ix::var(var))));
        let sum = b.scalar(Scalar::Add, &values);
        b.store(Access::new(to, Ix::var(var)), sum);
        let kernel = program.add_kernel(Kernel::Nest(b.finish()));
        program.launches.push(Launch::Run(kernel));
    }
    (program, buffers)
}

fn instance(dtype: Dtype, n: usize) -> (Instance, Buffers) {
    let (program, buffers) = program(dtype, n);
    let executable = compile(&program, &Options::native(1)).expect("compiled");
    (Instance::new(&executable).expect("memory"), buffers)
}

#[test]
fn inputs_are_kept_and_outputs_are_read() {
    let (mut instance, buffers) = instance(Dtype::F64, 3);
    instance.write_f64(buffers.x, &[1.0, 2.0, 3.0]).expect("written");
    for _ in 0..2 {
        instance.run(KEY).expect("run");
        assert_eq!(instance.read_f64(buffers.y).expect("read"), [1.0 + 0.1 + 0.1, 2.0 + 1.1 + 1.1, 3.0 + 2.1 + 2.1]);
        assert_eq!(instance.slice_f64(buffers.x).expect("read"), [1.0, 2.0, 3.0]);
    }
    instance.slice_f64_mut(buffers.x).expect("written")[1] = 10.0;
    instance.run(KEY).expect("run");
    assert_eq!(instance.read_f64(buffers.y).expect("read")[1], 10.0 + 1.1 + 1.1);
}

#[test]
fn swap_and_copy_move_contents() {
    let (mut instance, buffers) = instance(Dtype::F32, 2);
    instance.write_f32(buffers.x, &[1.0, 2.0]).expect("written");
    instance.run(KEY).expect("run");
    let y = instance.read_f32(buffers.y).expect("read");
    instance.swap(buffers.x, buffers.y).expect("swapped");
    assert_eq!(instance.read_f32(buffers.x).expect("read"), y);
    assert_eq!(instance.read_f32(buffers.y).expect("read"), [1.0, 2.0]);
    // The next run reads what the last one computed.
    instance.run(KEY).expect("run");
    assert_eq!(instance.read_f32(buffers.y).expect("read")[0], y[0] + 0.1 + 0.1);
    instance.copy(buffers.y, buffers.x).expect("copied");
    assert_eq!(instance.read_f32(buffers.x).expect("read"), instance.read_f32(buffers.y).expect("read"));
}

#[test]
fn instances_have_memory_of_their_own() {
    let (program, buffers) = program(Dtype::F32, 4);
    let executable = compile(&program, &Options::native(2)).expect("compiled");
    let [mut one, mut two] = [(); 2].map(|()| Instance::new(&executable).expect("memory"));
    one.write_f32(buffers.x, &[1.0; 4]).expect("written");
    two.write_f32(buffers.x, &[2.0; 4]).expect("written");
    one.run(KEY).expect("run");
    two.run(KEY).expect("run");
    assert_ne!(one.read_f32(buffers.y).expect("read"), two.read_f32(buffers.y).expect("read"));
    assert!(executable.memory_bytes() >= 4 * 4 * 4);
}

#[test]
fn mistakes_of_the_host_are_errors() {
    let (mut instance, buffers) = instance(Dtype::F32, 3);
    let wrong_length = JitError::WrongLength { buffer: "x".into(), expected: 3, found: 2 };
    assert_eq!(instance.write_f32(buffers.x, &[1.0; 2]), Err(wrong_length));
    let wrong_type = JitError::WrongType { program: Dtype::F32, asked: Dtype::F64 };
    assert_eq!(instance.write_f64(buffers.x, &[1.0; 3]), Err(wrong_type.clone()));
    assert_eq!(instance.slice_f64(buffers.y), Err(wrong_type));
    assert_eq!(instance.read_f32(BufferId(99)), Err(JitError::NoBuffer(99)));
    for buffer in [buffers.constant, buffers.temporary] {
        assert!(matches!(instance.write_f32(buffer, &[1.0; 3]), Err(JitError::WrongRole { .. })));
        assert!(matches!(instance.swap(buffers.x, buffer), Err(JitError::WrongRole { .. })));
    }
}

#[test]
fn swapping_different_lengths_is_an_error() {
    let mut program = Program::new(Dtype::F32);
    let (a, b) = (program.add_buffer("a", 3, Role::Input), program.add_buffer("b", 4, Role::Input));
    let executable = compile(&program, &Options::native(1)).expect("compiled");
    let mut instance = Instance::new(&executable).expect("memory");
    assert_eq!(instance.swap(a, b), Err(JitError::WrongLength { buffer: "b".into(), expected: 4, found: 3 }));
    assert!(matches!(instance.copy(a, b), Err(JitError::WrongLength { .. })));
}

#[test]
fn invalid_programs_are_errors() {
    let (mut invalid, _) = program(Dtype::F32, 4);
    invalid.buffers[3].len = 2;
    assert!(matches!(compile(&invalid, &Options::native(1)), Err(JitError::Invalid(_))));
    assert!(matches!(clif_text(&invalid), Err(JitError::Invalid(_))));
    let (mut huge, _) = program(Dtype::F64, 4);
    huge.buffers.push(snn_loops::Buffer { name: "huge".into(), len: usize::MAX / 4, role: Role::Input, packed: false });
    assert!(matches!(compile(&huge, &Options::native(1)), Err(JitError::OutOfMemory { .. })));
}

#[test]
fn equal_nests_share_code() {
    // A length that no other test of this process compiles.
    let (program, _) = program(Dtype::F32, 123);
    let executable = compile(&program, &Options::native(1)).expect("compiled");
    assert_eq!(executable.distinct_codes(), 1, "two equal nests");
    let again = compile(&program, &Options::native(2)).expect("compiled");
    assert!(again.shares_code_with(&executable));
    let other = compile(&self::program(Dtype::F32, 124).0, &Options::native(1)).expect("compiled");
    assert!(!other.shares_code_with(&executable));
    // Code outlives the executable that brought it.
    drop(executable);
    let mut instance = Instance::new(&again).expect("memory");
    drop(again);
    instance.run(KEY).expect("run");
}

#[test]
fn texts_name_every_kernel() {
    let (program, _) = program(Dtype::F32, 8);
    for text in [clif_text(&program).expect("clif"), asm_text(&program).expect("asm")] {
        assert!(text.contains("; k0 \"to b2\"") && text.contains("; k1 \"to b3\""), "{text}");
    }
    assert!(clif_text(&program).expect("clif").contains("fadd"));
    assert!(!asm_text(&program).expect("asm").contains("function"));
}

/// Three launches of a matrix product on the rows of `x`, one after the other.
fn products() -> (Program, BufferId) {
    let mut program = Program::new(Dtype::F32);
    let x = program.add_buffer("x", 12, Role::Input);
    let w = program.add_buffer("w", 8, Role::Constant(vec![1.0; 8]));
    let y = program.add_buffer("y", 2, Role::Output);
    let contraction = Contraction {
        packed: false,
        planes: 1,
        weights: WeightValues::Any,
        name: "product".into(),
        kind: ContractionKind::Forward,
        shape: ConvShape::linear(4, 2),
        rows: 1,
        a: Operand { buffer: x, offset: Ix::step().times(4) },
        b: Operand::whole(w),
        out: Operand::whole(y),
    };
    let kernel = program.add_kernel(Kernel::Contraction(contraction));
    program.launches.push(Launch::Repeat { steps: 3, reverse: false, body: vec![Launch::Run(kernel)] });
    (program, x)
}

#[test]
fn a_watched_run_computes_the_same_and_every_launch_counts() {
    let (mut watched, buffers) = instance(Dtype::F32, 3);
    watched.write_f32(buffers.x, &[1.0, 2.0, 3.0]).expect("written");
    watched.run(KEY).expect("run");
    let expected = watched.read_f32(buffers.y).expect("read");
    let mut timings = Timings::new();
    for runs in 1..=2 {
        watched.write_f32(buffers.y, &[0.0; 3]).expect("written");
        watched.run_timed(KEY, &mut timings).expect("run");
        assert_eq!(watched.read_f32(buffers.y).expect("read"), expected);
        assert!(timings.kernels().iter().all(|kernel| kernel.launches == runs), "{timings:?}");
    }
    let (program, x) = products();
    let executable = compile(&program, &Options::native(1)).expect("compiled");
    let mut instance = Instance::new(&executable).expect("memory");
    let values = [0.0, 1.0, 0.0, -0.0, 0.5, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
    instance.write_f32(x, &values).expect("written");
    let (mut timings, mut densities) = (Timings::new(), Densities::new());
    instance.run_timed(KEY, &mut timings).expect("run");
    instance.run_counted(KEY, &mut densities).expect("run");
    assert_eq!(timings.kernels().iter().map(|kernel| kernel.launches).collect::<Vec<_>>(), [3]);
    assert_eq!(densities.of(0), Some(0.5));
    assert_eq!(densities.of(1), None);
}
