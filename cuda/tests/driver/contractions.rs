//! Contractions on the fake device against the interpreter, under three schedules of their threads, and what the real
//! compiler makes of them.

use snn_cuda::contraction::fused::{self, Epilogue};
use snn_cuda::{Arch, Device, Emission, Executable, Instance, Precision, Storage, Target, emit, units};
use snn_loops::interp::{self, Memory};
use snn_loops::{
    Access, BufferId, Contraction, ContractionKind, ConvShape, Dtype, Extent, Ix, Kernel, LoopKind, NestBuilder,
    Operand, Program, Role, Scalar, WORD, WeightValues,
};

use crate::compiler::compiler;
use crate::contraction_cases::{
    Case, add, convolution, copy, difference, everything, multiples, numbers, run, shapes, some, spikes, with_multiples,
};
use crate::instances::{read, write};
use crate::programs::KEY;
use crate::support::{alone, fakes, search_path};

/// Whether this is the process of a test, with the fake driver of a device.
fn with_fakes(test: &str) -> bool {
    with_fakes_of(test, "8.0")
}

/// The same of a device of a compute capability.
fn with_fakes_of(test: &str, capability: &str) -> bool {
    let Some(fakes) = fakes() else { return false };
    let path = search_path();
    let (schedules, capability) =
        (("SNN_EMULATION_SEED", "1,2,3".as_ref()), ("SNN_EMULATION_CAPABILITY", capability.as_ref()));
    alone(test, &[("SNNC_CUDA_LIBS", fakes.as_os_str()), ("PATH", &path), schedules, capability])
}

fn instance(program: &Program, emission: Emission) -> Instance {
    let executable = Executable::compile(program, emission, &Device::open(0).unwrap()).unwrap();
    Instance::new(&executable).unwrap()
}

/// Compares everything with the interpreter, on numbers that need no rounding and on others, relative to the root mean
/// square of each result.
fn compare(dtype: Dtype, precision: Precision, tolerances: [f64; 2]) {
    let (program, cases) = everything(dtype);
    compare_program(&program, &cases, precision, tolerances);
}

fn compare_program(program: &Program, cases: &[Case], precision: Precision, tolerances: [f64; 2]) {
    let dtype = program.dtype;
    snn_loops::verify::verify(program).unwrap();
    let target = Target { arch: Device::open(0).unwrap().arch(), dtype, precision };
    let emission = emit(program, &target);
    assert!(!emission.storage.contains(&Storage::Registers), "contractions run by themselves here");
    let mut instance = instance(program, emission);
    for (is_exact, tolerance) in [true, false].into_iter().zip(tolerances) {
        let mut memory = Memory::new(program);
        for (at, case) in cases.iter().enumerate() {
            for (id, values) in inputs(program, case, at as u64, is_exact) {
                memory.write(id, &values).unwrap();
                write(&mut instance, dtype, id, &values);
            }
        }
        interp::run(program, &mut memory, KEY).unwrap();
        instance.run(KEY).unwrap();
        for case in cases {
            let off = difference(&read(&instance, dtype, case.output), memory.buffer(case.output));
            assert!(off <= tolerance, "{}: {off:.3e} of {tolerance:.3e}", case.label);
        }
    }
}

/// Numbers for the inputs of a case, spikes where it takes spikes.
pub fn inputs(program: &Program, case: &Case, seed: u64, is_exact: bool) -> [(BufferId, Vec<f64>); 2] {
    let len = |id: BufferId| program.buffers[id.0 as usize].len;
    let [a, b] = case.inputs;
    let first = if case.is_spikes { spikes(len(a), seed) } else { numbers(len(a), 2 * seed + 1, is_exact) };
    [(a, first), (b, numbers(len(b), 2 * seed + 2, is_exact))]
}

#[test]
fn single_precision() {
    if with_fakes("contractions::single_precision") {
        compare(Dtype::F32, Precision::F32, [1e-5, 1e-5]);
    }
}

#[test]
fn double_precision() {
    if with_fakes("contractions::double_precision") {
        compare(Dtype::F64, Precision::F16, [1e-13, 1e-13]);
    }
}

// Where numbers need no rounding, only results are rounded, which lie in memory in 16 bits; the largest of them are four
// times the root mean square or so.

#[test]
fn tf32() {
    if with_fakes("contractions::tf32") {
        compare(Dtype::F32, Precision::Tf32, [1e-5, 0.5_f64.powi(9)]);
    }
}

#[test]
fn bf16() {
    if with_fakes("contractions::bf16") {
        compare(Dtype::F32, Precision::Bf16, [0.5_f64.powi(5); 2]);
    }
}

#[test]
fn f16() {
    if with_fakes("contractions::f16") {
        compare(Dtype::F32, Precision::F16, [0.5_f64.powi(8); 2]);
    }
}

/// A convolution, then leaky integrate and fire neurons with a bias over all steps, then their spikes and what they hold at
/// last.
struct Neurons {
    program: Program,
    contraction: Contraction,
    epilogue: Epilogue,
    inputs: [BufferId; 3],
    outputs: [BufferId; 2],
}

impl Neurons {
    fn new(shape: ConvShape, samples: usize, steps: usize, packed: bool) -> Neurons {
        let mut program = Program::new(Dtype::F32);
        let (cout, pixels) = (shape.cout, samples * shape.output[0] * shape.output[1]);
        let pitch = cout.next_multiple_of(WORD);
        let case = Operand::whole(BufferId(0));
        let mut c = Contraction {
            name: "currents".into(),
            kind: ContractionKind::Forward,
            shape,
            rows: samples * steps,
            packed,
            planes: 1,
            weights: WeightValues::Any,
            a: case.clone(),
            b: case.clone(),
            out: case,
        };
        let [a, b, out] = c.lengths();
        let inputs = [("x", a), ("w", b), ("bias", cout)].map(|(name, len)| program.add_buffer(name, len, Role::Input));
        let x = if packed { program.add_packed_buffer("x.bits", a) } else { inputs[0] };
        if packed {
            copy(&mut program, x, inputs[0], a);
        }
        let currents = program.add_buffer("currents", out, Role::Temporary);
        (c.a, c.b, c.out) = (Operand::whole(x), Operand::whole(inputs[1]), Operand::whole(currents));
        run(&mut program, Kernel::Contraction(c.clone()));
        let bits = program.add_packed_buffer("spikes", steps * pixels * pitch);
        let last = program.add_buffer("last", pixels * cout, Role::Output);
        let spikes = program.add_buffer("spikes.floats", steps * pixels * pitch, Role::Output);
        run(&mut program, neurons([currents, inputs[2], bits, last], [steps, pixels, cout]));
        copy(&mut program, spikes, bits, steps * pixels * pitch);
        if packed {
            // The spikes are read while those of the neurons are written: both must be there at the same time.
            let again = program.add_buffer("x.again", a, Role::Output);
            copy(&mut program, again, x, a);
        }
        let body = format!(
            "float v = 0.0f;\nu32 fired = 0;\n#pragma unroll\nfor (i32 t = 0; t < {steps}; ++t) {{\n    \
             const float u = v * 0.5f + (sums[t] + p0[channel]);\n    const bool fires = 1.0f <= u;\n    \
             fired |= (u32)fires << t;\n    v = fires ? 0.0f : u;\n}}\np1[pixel * {cout} + channel] = v;\nreturn fired;"
        );
        let epilogue = Epilogue {
            body,
            parameters: vec![
                ("const float*".into(), Operand::whole(inputs[2])),
                ("float*".into(), Operand::whole(last)),
            ],
            needs: Vec::new(),
            spikes: Operand::whole(bits),
            planes: steps,
        };
        Neurons { program, contraction: c, epilogue, inputs, outputs: [spikes, last] }
    }

    /// The same, knowing that the weights have 8 bits.
    fn with_multiples(mut self) -> Neurons {
        with_multiples(&mut self.program);
        self.contraction.weights = WeightValues::Int8;
        self
    }
}

/// The neurons' loop as a nest; spikes behind the last channel are cleared.
fn neurons([currents, bias, bits, last]: [BufferId; 4], [steps, pixels, cout]: [usize; 3]) -> Kernel {
    let pitch = cout.next_multiple_of(WORD);
    let mut nest = NestBuilder::new("neurons");
    let (pixel, word, lane) = (nest.fresh_var(), nest.fresh_var(), nest.fresh_var());
    nest.open(word, Extent::Fixed(pitch / WORD), LoopKind::Parallel);
    nest.open(pixel, Extent::Fixed(pixels), LoopKind::Serial);
    nest.open(lane, Extent::Block { block: word, size: WORD, total: cout }, LoopKind::Lanes);
    let channel = Ix::var(word).times(WORD as i64).plus(&Ix::var(lane));
    let at =
        |t: usize, width: usize| Ix::var(pixel).times(width as i64).plus(&channel).offset((t * pixels * width) as i64);
    let [mut v, one, half, zero] = [0.0, 1.0, 0.5, 0.0].map(|value| nest.constant(value));
    let bias = nest.load(Access::new(bias, channel.clone()));
    for t in 0..steps {
        let current = nest.load(Access::new(currents, at(t, cout)));
        let input = nest.scalar(Scalar::Add, &[current, bias]);
        let kept = nest.scalar(Scalar::Mul, &[v, half]);
        let u = nest.scalar(Scalar::Add, &[kept, input]);
        let fires = nest.scalar(Scalar::Le, &[one, u]);
        let spike = nest.scalar(Scalar::Select, &[fires, one, zero]);
        nest.store(Access::new(bits, at(t, pitch)), spike);
        v = nest.scalar(Scalar::Select, &[fires, zero, u]);
    }
    nest.store(Access::new(last, at(0, cout)), v);
    Kernel::Nest(nest.finish())
}

/// The program's text with contraction and neurons in one launch.
fn fuse(neurons: &Neurons, steps: usize, target: &Target) -> Option<Emission> {
    let mut emission = emit(&neurons.program, target);
    let of = |operand: &Operand| emission.storage[operand.buffer.0 as usize];
    let storage = [of(&neurons.contraction.a), Storage::Float];
    let fused = fused::emit(&neurons.contraction, steps, &neurons.epilogue, storage, target)?.unprepared();
    let is_ours = |at: &usize| !matches!(&neurons.program.kernels[*at], Kernel::Nest(nest) if nest.name == "copy");
    let ours: Vec<usize> = (0..neurons.program.kernels.len()).filter(is_ours).collect();
    emission.kernels[ours[0]] = fused.calls;
    emission.kernels[ours[1]] = Vec::new();
    ours.iter().for_each(|at| emission.prepare[*at].clear());
    emission.workspace = emission.workspace.max(fused.workspace);
    emission.units.extend(units(fused.functions, target).into_iter().map(|mut unit| {
        unit.name.insert_str(0, "fused.");
        unit
    }));
    Some(emission)
}

/// Compares neurons with the interpreter, weights being of any number of bits. Sums of the numbers that they hear need no rounding, so that all spikes must be the
/// same.
fn compare_neurons(shape: ConvShape, steps: usize, packed: bool, precision: Precision) {
    compare_fused(&Neurons::new(shape, 3, steps, packed), steps, precision);
}

fn compare_fused(neurons: &Neurons, steps: usize, precision: Precision) {
    let Contraction { shape, packed, weights, .. } = neurons.contraction;
    snn_loops::verify::verify(&neurons.program).unwrap();
    let target = Target { arch: Device::open(0).unwrap().arch(), dtype: Dtype::F32, precision };
    let mut instance = instance(&neurons.program, fuse(neurons, steps, &target).unwrap());
    let mut memory = Memory::new(&neurons.program);
    for (at, id) in neurons.inputs.into_iter().enumerate() {
        let len = neurons.program.buffers[id.0 as usize].len;
        let values = match at {
            0 if packed => spikes(len, 7),
            1 if weights == WeightValues::Int8 => multiples(len, shape.cout, 9, true),
            _ => numbers(len, 8 + at as u64, true),
        };
        memory.write(id, &values).unwrap();
        write(&mut instance, Dtype::F32, id, &values);
    }
    interp::run(&neurons.program, &mut memory, KEY).unwrap();
    instance.run(KEY).unwrap();
    let [bits, last] = neurons.outputs;
    let label = format!("{precision:?}, {steps} steps of {shape:?}");
    assert_eq!(read(&instance, Dtype::F32, last), memory.buffer(last), "{label}");
    let pitch = shape.cout.next_multiple_of(WORD);
    for (got, expected) in read(&instance, Dtype::F32, bits).chunks(pitch).zip(memory.buffer(bits).chunks(pitch)) {
        assert_eq!(got[..shape.cout], expected[..shape.cout], "{label}");
    }
}

#[test]
fn neurons_take_sums_from_registers() {
    if !with_fakes("contractions::neurons_take_sums_from_registers") {
        return;
    }
    let wide = convolution([96, 40], [5, 4], [3, 3]);
    let few = convolution([2, 70], [6, 5], [3, 3]);
    let linear = ConvShape::linear(33, 130);
    for precision in Precision::ALL {
        compare_neurons(wide, 4, true, precision);
    }
    for (shape, steps, packed) in
        [(wide, 1, true), (wide, 5, true), (wide, 3, false), (few, 6, true), (linear, 16, true), (linear, 2, false)]
    {
        for precision in [Precision::F32, Precision::F16] {
            compare_neurons(shape, steps, packed, precision);
        }
    }
}

#[test]
fn weights_of_8_bits_are_added_up_as_integers() {
    if !with_fakes("contractions::weights_of_8_bits_are_added_up_as_integers") {
        return;
    }
    for (shape, steps) in [
        (convolution([96, 40], [5, 4], [3, 3]), 4),
        (convolution([64, 70], [5, 4], [3, 3]), 1),
        (convolution([130, 64], [3, 3], [1, 1]), 3),
        (ConvShape::linear(33, 130), 16),
    ] {
        compare_fused(&Neurons::new(shape, 3, steps, true).with_multiples(), steps, Precision::F32);
    }
    compare_products_of_8_bits(shapes());
}

/// Compares linear maps and convolutions of spikes with the interpreter: a label, a shape and rows of each.
fn compare_products_of_8_bits(shapes: impl IntoIterator<Item = (&'static str, ConvShape, usize)>) {
    let mut program = Program::new(Dtype::F32);
    let mut cases = Vec::new();
    for (label, shape, rows) in shapes {
        let case = add(&mut program, label, ContractionKind::Forward, true, shape, rows);
        cases.push((case, shape.cout));
    }
    with_multiples(&mut program);
    snn_loops::verify::verify(&program).unwrap();
    let target = Target { arch: Device::open(0).unwrap().arch(), dtype: Dtype::F32, precision: Precision::F32 };
    let mut instance = instance(&program, emit(&program, &target));
    // Multiples of powers of two need no rounding; others are rounded by the interpreter, which adds up floats.
    for (is_exact, tolerance) in [(true, 0.0), (false, 1e-5)] {
        let mut memory = Memory::new(&program);
        for (seed, (case, cout)) in cases.iter().enumerate() {
            let [spiking, weights] = case.inputs.map(|id| program.buffers[id.0 as usize].len);
            let values = [spikes(spiking, seed as u64), multiples(weights, *cout, seed as u64 + 1, is_exact)];
            for (id, values) in case.inputs.into_iter().zip(values) {
                memory.write(id, &values).unwrap();
                write(&mut instance, Dtype::F32, id, &values);
            }
        }
        interp::run(&program, &mut memory, KEY).unwrap();
        instance.run(KEY).unwrap();
        for (case, _) in &cases {
            let off = difference(&read(&instance, Dtype::F32, case.output), memory.buffer(case.output));
            assert!(off <= tolerance, "{}: {off:.3e} of {tolerance:.3e}", case.label);
        }
    }
}

#[test]
fn warpgroups_multiply_spikes() {
    if !with_fakes_of("contractions::warpgroups_multiply_spikes", "9.0") {
        return;
    }
    for (steps, precision) in [(1, Precision::F16), (3, Precision::Bf16), (4, Precision::F16)] {
        let shape = convolution([96, 70], [5, 4], [3, 3]);
        compare_neurons(shape, steps, true, precision);
        compare_fused(&Neurons::new(shape, 3, steps, true).with_multiples(), steps, precision);
    }
    let mut program = Program::new(Dtype::F32);
    let shape = ConvShape::linear(40, 36);
    let case = add(&mut program, "many rows", ContractionKind::Forward, true, shape, 66 * 256);
    compare_program(&program, &[case], Precision::F16, [0.5_f64.powi(8); 2]);
    compare_products_of_8_bits([("many rows", ConvShape::linear(40, 36), 66 * 256)]);
}

#[test]
fn warpgroups_multiply_what_is_gathered() {
    if !with_fakes_of("contractions::warpgroups_multiply_what_is_gathered", "9.0") {
        return;
    }
    for (precision, tolerance) in [(Precision::F16, 0.5_f64.powi(8)), (Precision::Bf16, 0.5_f64.powi(5))] {
        let mut program = Program::new(Dtype::F32);
        let case = add(&mut program, "wide", ContractionKind::InputGradient, false, wide(), 22 * 33);
        let target = Target { arch: Arch::Sm90a, dtype: Dtype::F32, precision };
        assert!(emit(&program, &target).kernels.iter().flatten().any(|call| call.shared > 48 << 10));
        compare_program(&program, &[case], precision, [tolerance; 2]);
    }
}

/// A convolution whose input's gradient has more columns than a warpgroup's narrow tile.
fn wide() -> ConvShape {
    ConvShape { kernel: [1, 3], pad: [0, 1], ..convolution([72, 40], [4, 6], [1, 1]) }
}

#[test]
fn too_many_steps_stay_apart() {
    let target = Target { arch: Arch::Sm80, dtype: Dtype::F32, precision: Precision::F16 };
    for (steps, packed, fits) in [(16, true, true), (17, true, false), (40, true, false), (8, false, true)] {
        let neurons = Neurons::new(convolution([64, 64], [8, 8], [3, 3]), 2, steps, packed);
        assert_eq!(fuse(&neurons, steps, &target).is_some(), fits, "{steps} steps");
    }
}

#[test]
fn everything_fits_into_registers() {
    let Some(compiler) = compiler("contractions::everything_fits_into_registers") else { return };
    let mut wrong = Vec::new();
    for precision in Precision::ALL {
        let (program, _) = some(Dtype::F32, &["few channels", "many outputs", "odd"]);
        for arch in [Arch::Sm80, Arch::Sm90a] {
            let target = Target { arch, dtype: Dtype::F32, precision };
            let mut units = emit(&program, &target).units;
            for (steps, packed) in [(4, true), (16, true), (1, false), (6, false)] {
                let neurons = Neurons::new(convolution([64, 64], [8, 8], [3, 3]), 2, steps, packed);
                units.extend(fuse(&neurons, steps, &target).unwrap().units);
            }
            let neurons = |steps| Neurons::new(convolution([64, 64], [8, 8], [3, 3]), 2, steps, true).with_multiples();
            let mut program = program.clone();
            with_multiples(&mut program);
            units.extend(emit(&program, &target).units);
            for steps in [1, 4, 16] {
                units.extend(fuse(&neurons(steps), steps, &target).unwrap().units);
            }
            let mut program = Program::new(Dtype::F32);
            add(&mut program, "wide", ContractionKind::InputGradient, false, wide(), 22 * 33);
            units.extend(emit(&program, &target).units);
            for unit in units {
                let compiled = compiler.compile(&unit.name, &unit.text, arch.name()).unwrap();
                wrong.extend(compiled.resources.iter().filter_map(|of| {
                    let is_good = (of.stack_bytes, of.spill_stores, of.spill_loads) == (0, 0, 0)
                        && of.registers <= 255
                        && of.shared_bytes <= 48 << 10;
                    (!is_good).then(|| format!("{arch:?}, {precision:?}: {of:?}"))
                }));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tensor_cores_multiply_what_is_rounded() {
    let Some(compiler) = compiler("contractions::tensor_cores_multiply_what_is_rounded") else { return };
    let instructions = [
        (Precision::Tf32, "mma.sync.aligned.m16n8k8.row.col.f32.tf32"),
        (Precision::Bf16, "mma.sync.aligned.m16n8k16.row.col.f32.bf16"),
        (Precision::F16, "mma.sync.aligned.m16n8k16.row.col.f32.f16"),
    ];
    for (precision, dtype) in
        Precision::ALL.map(|precision| (precision, Dtype::F32)).into_iter().chain([(Precision::F16, Dtype::F64)])
    {
        let target = Target { arch: Arch::Sm80, dtype, precision };
        let text: String = neurons_text(&target)
            .iter()
            .map(|unit| {
                String::from_utf8_lossy(&compiler.compile(&unit.name, &unit.text, "compute_80").unwrap().image)
                    .into_owned()
            })
            .collect();
        for (of, instruction) in instructions {
            assert_eq!(
                text.contains(instruction),
                of == precision && dtype == Dtype::F32,
                "{precision:?}: {instruction}"
            );
        }
        assert!(text.contains("cp.async.cg.shared.global"), "weights are copied in the background");
    }
    let fused = |arch: Arch, neurons: &Neurons| -> String {
        let units = fuse(neurons, 4, &Target { arch, dtype: Dtype::F32, precision: Precision::F16 }).unwrap().units;
        let text = |unit: &snn_cuda::Unit| {
            let ptx = compiler.compile(&unit.name, &unit.text, &arch.name().replace("sm_", "compute_")).unwrap().image;
            String::from_utf8_lossy(&ptx).into_owned()
        };
        units.iter().filter(|unit| unit.name.starts_with("fused.")).map(text).collect()
    };
    let neurons = || Neurons::new(convolution([64, 64], [8, 8], [3, 3]), 2, 4, true);
    for (arch, neurons, instruction) in [
        (Arch::Sm90, neurons().with_multiples(), "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32"),
        (Arch::Sm90a, neurons().with_multiples(), "wgmma.mma_async.sync.aligned.m64n64k32.s32.s8.s8"),
        (Arch::Sm90a, neurons(), "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16"),
    ] {
        assert!(fused(arch, &neurons).contains(instruction), "{arch:?}: {instruction}");
    }
}

/// Text of a contraction alone.
fn neurons_text(target: &Target) -> Vec<snn_cuda::Unit> {
    let neurons = Neurons::new(convolution([64, 64], [8, 8], [3, 3]), 2, 2, true);
    let of = [Storage::Bits, Storage::Float, Storage::Float];
    units(snn_cuda::contraction::emit(&neurons.contraction, of, target).functions, target)
}
