//! Copies of weights that stay in an instance: they save time and change nothing. What a run gives is always what a new
//! instance with the same contents gives, to the bit.

mod common;

use common::{DTYPES, KEY, Numbers, outputs, read, write};
use snn_jit::{Executable, Footprint, Instance, Options, compile};
use snn_loops::{
    Access, BufferId, Contraction, ContractionKind, ConvShape, Dtype, Extent, Ix, Kernel, Launch, LoopKind,
    NestBuilder, Operand, Program, Role, Scalar, WeightValues,
};

/// A square image with padding of half a kernel.
fn conv([cin, cout]: [usize; 2], size: usize, kernel: usize, stride: usize, groups: usize) -> ConvShape {
    ConvShape {
        cin,
        cout,
        groups,
        input: [size; 2],
        kernel: [kernel; 2],
        stride: [stride; 2],
        pad: [kernel / 2; 2],
        dilation: [1; 2],
        output: [size.div_ceil(stride); 2],
    }
}

/// Every kernel that packs weights, and two that do not: shapes with the number of images.
fn shapes() -> Vec<(ConvShape, usize)> {
    vec![
        (conv([16, 70], 17, 3, 1, 1), 6),
        (conv([20, 200], 8, 3, 1, 1), 2),
        (conv([20, 70], 9, 3, 2, 1), 2),
        (conv([3, 20], 9, 3, 1, 1), 2),
        (conv([8, 12], 6, 3, 1, 2), 2),
        (conv([12, 12], 6, 3, 1, 12), 2),
        (ConvShape::linear(30, 20), 3),
        (ConvShape::linear(30, 20), 2000),
    ]
}

const KINDS: [ContractionKind; 2] = [ContractionKind::Forward, ContractionKind::InputGradient];

struct Case {
    program: Program,
    a: BufferId,
    b: BufferId,
    lens: [usize; 3],
}

impl Case {
    /// A contraction of two inputs.
    fn new(kind: ContractionKind, shape: ConvShape, rows: usize, dtype: Dtype) -> Case {
        let mut program = Program::new(dtype);
        let none = Operand::whole(BufferId(0));
        let name = "product".to_owned();
        let (a, b, out) = (none.clone(), none.clone(), none);
        let mut contraction =
            Contraction { packed: false, planes: 1, weights: WeightValues::Any, name, kind, shape, rows, a, b, out };
        let lens = contraction.lengths();
        let a = program.add_buffer("a", lens[0], Role::Input);
        let b = program.add_buffer("b", lens[1], Role::Input);
        let out = program.add_buffer("out", lens[2], Role::Output);
        for (operand, buffer) in [(&mut contraction.a, a), (&mut contraction.b, b), (&mut contraction.out, out)] {
            *operand = Operand::whole(buffer);
        }
        let kernel = program.add_kernel(Kernel::Contraction(contraction));
        program.launches.push(Launch::Run(kernel));
        Case { program, a, b, lens }
    }

    fn executable(&self) -> Executable {
        compile(&self.program, &Options::native(2)).expect("compiled")
    }
}

/// All outputs after a run.
fn run(program: &Program, instance: &mut Instance) -> Vec<Vec<f64>> {
    instance.run(KEY).expect("run");
    outputs(program).map(|id| read(instance, program.dtype, id)).collect()
}

/// All outputs of a new instance with these inputs.
fn fresh(executable: &Executable, inputs: &[(BufferId, &[f64])]) -> Vec<Vec<f64>> {
    let mut instance = Instance::new(executable).expect("memory");
    let program = executable.program();
    inputs.iter().for_each(|(id, values)| write(&mut instance, program.dtype, *id, values));
    run(program, &mut instance)
}

#[test]
fn results_follow_the_weights_however_they_are_written() {
    let mut numbers = Numbers(21);
    for (shape, rows) in shapes() {
        for (kind, dtype) in KINDS.into_iter().flat_map(|kind| DTYPES.map(|dtype| (kind, dtype))) {
            let mut case = Case::new(kind, shape, rows, dtype);
            let other = case.program.add_buffer("other", case.lens[1], Role::Input);
            let executable = case.executable();
            let a = numbers.floats(case.lens[0]);
            let [first, second, third] = [(); 3].map(|()| numbers.floats(case.lens[1]));
            let expect = |weights: &[f64]| fresh(&executable, &[(case.a, &a), (case.b, weights)]);
            let mut instance = Instance::new(&executable).expect("memory");
            write(&mut instance, dtype, case.a, &a);
            write(&mut instance, dtype, case.b, &first);
            let context = format!("{kind:?} {shape:?} {dtype:?}");
            for _ in 0..3 {
                assert!(run(&case.program, &mut instance) == expect(&first), "{context}: the same weights");
            }
            write(&mut instance, dtype, case.b, &second);
            for _ in 0..2 {
                assert!(run(&case.program, &mut instance) == expect(&second), "{context}: written weights");
            }
            write(&mut instance, dtype, other, &third);
            for weights in [&third, &second, &third] {
                instance.swap(case.b, other).expect("swapped");
                assert!(run(&case.program, &mut instance) == expect(weights), "{context}: swapped weights");
            }
            instance.copy(other, case.b).expect("copied");
            assert!(run(&case.program, &mut instance) == expect(&second), "{context}: copied weights");
            // One element, through a slice.
            let mut changed = second.clone();
            changed[case.lens[1] / 2] = 7.0;
            match dtype {
                Dtype::F32 => instance.slice_f32_mut(case.b).expect("written")[case.lens[1] / 2] = 7.0,
                Dtype::F64 => instance.slice_f64_mut(case.b).expect("written")[case.lens[1] / 2] = 7.0,
            }
            assert!(run(&case.program, &mut instance) == expect(&changed), "{context}: one weight");
        }
    }
}

/// A convolution of what spikes of an input there are.
fn spiking(shape: ConvShape, rows: usize) -> (Program, [BufferId; 2]) {
    let mut program = Program::new(Dtype::F32);
    let pitch = shape.cin.next_multiple_of(64);
    let pixels = rows * shape.input[0] * shape.input[1];
    let x = program.add_buffer("x", pixels * shape.cin, Role::Input);
    let w = program.add_buffer("w", shape.weight_len(), Role::Input);
    let bits = program.add_packed_buffer("bits", pixels * pitch);
    let y = program.add_buffer("y", rows * shape.output_len(), Role::Output);
    let mut b = NestBuilder::new("pack");
    let (pixel, lane) = (b.fresh_var(), b.fresh_var());
    b.open(pixel, Extent::Fixed(pixels), LoopKind::Parallel);
    b.open(lane, Extent::Fixed(shape.cin), LoopKind::Lanes);
    let at = |pitch: usize| Ix::var(pixel).times(pitch as i64).plus(&Ix::var(lane));
    let value = b.load(Access::new(x, at(shape.cin)));
    b.store(Access::new(bits, at(pitch)), value);
    let pack = program.add_kernel(Kernel::Nest(b.finish()));
    let convolution = program.add_kernel(Kernel::Contraction(Contraction {
        packed: true,
        planes: 1,
        weights: WeightValues::Any,
        name: "convolution".to_owned(),
        kind: ContractionKind::Forward,
        shape,
        rows,
        a: Operand::whole(bits),
        b: Operand::whole(w),
        out: Operand::whole(y),
    }));
    program.launches.extend([Launch::Run(pack), Launch::Run(convolution)]);
    (program, [x, w])
}

/// The density of spikes says which kernel computes, and so in which form it wants the weights.
#[test]
fn kernels_that_take_turns_do_not_take_each_others_copies() {
    let mut numbers = Numbers(22);
    for (shape, rows) in [
        (conv([70, 100], 9, 3, 1, 1), 8),
        (conv([20, 200], 8, 3, 1, 1), 2),
        (conv([70, 40], 9, 3, 2, 1), 12),
        (conv([64, 40], 9, 1, 1, 1), 8),
        (conv([8, 12], 6, 3, 1, 2), 2),
    ] {
        let (program, [x, w]) = spiking(shape, rows);
        let executable = compile(&program, &Options::native(2)).expect("compiled");
        let mut instance = Instance::new(&executable).expect("memory");
        let len = program.buffers[x.0 as usize].len;
        let mut spikes = |percent: usize| (0..len).map(|_| f64::from(numbers.below(100) < percent)).collect::<Vec<_>>();
        let images = [3, 3, 60, 100, 60, 3, 28, 28, 3].map(&mut spikes);
        for weights in [(); 2].map(|()| Numbers(images.len() as u64).floats(shape.weight_len())) {
            write(&mut instance, Dtype::F32, w, &weights);
            for image in &images {
                write(&mut instance, Dtype::F32, x, image);
                let want = fresh(&executable, &[(x, image), (w, &weights)]);
                assert!(run(&program, &mut instance) == want, "{shape:?}");
            }
        }
    }
}

#[test]
fn copies_are_foreseen_and_there_is_one_a_kernel() {
    let of_spikes = |shape, rows| spiking(shape, rows).0;
    let of_floats = |kind, shape, rows| Case::new(kind, shape, rows, Dtype::F32).program;
    for program in [
        of_spikes(conv([70, 96], 9, 3, 1, 1), 8),
        of_floats(KINDS[0], conv([64, 128], 17, 3, 1, 1), 6),
        of_floats(KINDS[0], conv([64, 256], 8, 3, 1, 1), 2),
        of_floats(KINDS[1], conv([64, 128], 17, 3, 2, 1), 6),
        of_floats(KINDS[0], conv([3, 20], 9, 3, 1, 1), 2),
        of_floats(KINDS[0], ConvShape::linear(30, 20), 3),
    ] {
        let executable = compile(&program, &Options::native(1)).expect("compiled");
        let mut instance = Instance::new(&executable).expect("memory");
        let before = instance.memory_bytes();
        run(&program, &mut instance);
        let copies = instance.memory_bytes() - before;
        let foreseen = Footprint::of(&program, &[]).expect("sizes").copies;
        let tolerance = foreseen / 20;
        assert!(copies.abs_diff(foreseen) <= tolerance, "{copies} and not {foreseen}: {:?}", program.kernels);
        run(&program, &mut instance);
        assert_eq!(instance.memory_bytes() - before, copies);
    }
}

/// Weights that every run replaces, as training does, or that a kernel computes, are not worth a copy.
#[test]
fn weights_that_runs_change_are_not_kept() {
    let shape = conv([20, 70], 9, 3, 2, 1);
    let mut numbers = Numbers(23);
    let mut case = Case::new(ContractionKind::Forward, shape, 2, Dtype::F32);
    let len = case.lens[1];
    let new = case.program.add_buffer("new", len, Role::Output);
    let mut b = NestBuilder::new("update");
    let lane = b.fresh_var();
    b.open(lane, Extent::Fixed(len), LoopKind::Lanes);
    let (old, half) = (b.load(Access::new(case.b, Ix::var(lane))), b.constant(0.5));
    let value = b.scalar(Scalar::Mul, &[old, half]);
    b.store(Access::new(new, Ix::var(lane)), value);
    let update = case.program.add_kernel(Kernel::Nest(b.finish()));
    case.program.launches.push(Launch::Run(update));
    let executable = case.executable();
    let pairs = [(new, case.b)];
    assert_eq!(Footprint::of(&case.program, &pairs).expect("sizes").copies, 0);
    assert!(Footprint::of(&case.program, &[]).expect("sizes").copies > 0);
    let (a, mut weights) = (numbers.floats(case.lens[0]), numbers.floats(len));
    let mut instance = Instance::replacing(&executable, &pairs).expect("memory");
    write(&mut instance, Dtype::F32, case.a, &a);
    write(&mut instance, Dtype::F32, case.b, &weights);
    let before = instance.memory_bytes();
    // The same host on an instance that was not told.
    let mut untold = Instance::new(&executable).expect("memory");
    write(&mut untold, Dtype::F32, case.a, &a);
    write(&mut untold, Dtype::F32, case.b, &weights);
    for _ in 0..3 {
        let want = fresh(&executable, &[(case.a, &a), (case.b, &weights)]);
        for instance in [&mut instance, &mut untold] {
            assert!(run(&case.program, instance) == want);
            instance.swap(new, case.b).expect("swapped");
        }
        weights.iter_mut().for_each(|weight| *weight *= 0.5);
    }
    assert_eq!(instance.memory_bytes(), before);
}

/// The weights of a step of a time loop are those of that step.
#[test]
fn weights_of_steps_are_not_kept() {
    const STEPS: usize = 3;
    let shape = conv([20, 70], 5, 3, 2, 1);
    let mut numbers = Numbers(24);
    let one = Case::new(ContractionKind::Forward, shape, 2, Dtype::F32);
    let [x_len, w_len, y_len] = one.lens;
    let mut program = Program::new(Dtype::F32);
    let x = program.add_buffer("x", x_len, Role::Input);
    let w = program.add_buffer("w", STEPS * w_len, Role::Input);
    let y = program.add_buffer("y", STEPS * y_len, Role::Output);
    let at_step = |buffer, len: usize| Operand { buffer, offset: Ix::step().times(len as i64) };
    let kernel = program.add_kernel(Kernel::Contraction(Contraction {
        packed: false,
        planes: 1,
        weights: WeightValues::Any,
        name: "of steps".to_owned(),
        kind: ContractionKind::Forward,
        shape,
        rows: 2,
        a: Operand::whole(x),
        b: at_step(w, w_len),
        out: at_step(y, y_len),
    }));
    program.launches.push(Launch::Repeat { steps: STEPS, reverse: false, body: vec![Launch::Run(kernel)] });
    let executable = compile(&program, &Options::native(1)).expect("compiled");
    let (input, weights) = (numbers.floats(x_len), numbers.floats(STEPS * w_len));
    let got = fresh(&executable, &[(x, &input), (w, &weights)]);
    let of_one = one.executable();
    for (step, weights) in weights.chunks_exact(w_len).enumerate() {
        let want = fresh(&of_one, &[(one.a, &input), (one.b, weights)]);
        assert!(got[0][step * y_len..(step + 1) * y_len] == want[0][..], "step {step}");
    }
}
