//! Programs on the fake device give the interpreter's bits, launch by launch and as graphs.

use std::collections::BTreeMap;

use snn_cuda::{
    Argument, Call, CudaError, Device, Emission, Executable, Footprint, Instance, Precision, Storage, Target, Unit,
    emit,
};
use snn_loops::interp::{self, Memory};
use snn_loops::{BufferId, Dtype, Ix, Kernel, Launch, Operand, Program, RandomKey, Role, Timings};

use crate::programs::{KEY, LEN, Loop, STEPS, Update, draws};
use crate::support::{alone, fakes, search_path};

/// Whether this is the process of a test, with the fake driver.
pub fn with_fakes(test: &str) -> bool {
    let Some(fakes) = fakes() else { return false };
    alone(test, &[("SNNC_CUDA_LIBS", fakes.as_os_str()), ("PATH", &search_path())])
}

pub fn compiled(program: &Program) -> Executable {
    let device = Device::open(0).unwrap();
    assert!(device.info().name.starts_with("CPU emulation"), "a fake device, not {}", device.info().name);
    let target = Target { arch: device.arch(), dtype: program.dtype, precision: Precision::F32 };
    Executable::compile(program, emit(program, &target), &device).unwrap()
}

pub fn write(instance: &mut Instance, dtype: Dtype, id: BufferId, values: &[f64]) {
    match dtype {
        Dtype::F32 => instance.write_f32(id, &values.iter().map(|value| *value as f32).collect::<Vec<_>>()).unwrap(),
        Dtype::F64 => instance.write_f64(id, values).unwrap(),
    }
}

pub fn read(instance: &Instance, dtype: Dtype, id: BufferId) -> Vec<f64> {
    match dtype {
        Dtype::F32 => instance.read_f32(id).unwrap().into_iter().map(f64::from).collect(),
        Dtype::F64 => instance.read_f64(id).unwrap(),
    }
}

#[test]
fn runs_give_the_bits_of_the_interpreter_every_time() {
    if !with_fakes("instances::runs_give_the_bits_of_the_interpreter_every_time") {
        return;
    }
    for (dtype, reverse) in [(Dtype::F32, false), (Dtype::F64, true)] {
        let program = Loop::new(dtype, reverse);
        let mut instance = Instance::new(&compiled(&program.program)).unwrap();
        // The first launch by launch, the second captured, the others replayed.
        for run in 0..4 {
            for (id, values) in program.inputs(run) {
                write(&mut instance, dtype, id, &values);
            }
            instance.run(KEY).unwrap();
            assert_eq!(read(&instance, dtype, program.y), program.expected(run), "{dtype:?}, run {run}");
        }
    }
}

#[test]
fn runs_that_nobody_waits_for_come_one_after_the_other() {
    if !with_fakes("instances::runs_that_nobody_waits_for_come_one_after_the_other") {
        return;
    }
    let update = Update::new();
    let executable = compiled(&update.program);
    let x: Vec<f32> = (0..LEN).map(|at| at as f32 * 0.25).collect();
    // More than the ring of pinned memory has slots.
    for runs in [1, 2, 3, 25] {
        for pairs in [&[][..], &[(update.next, update.weight)]] {
            let mut instance = Instance::replacing(&executable, pairs).unwrap();
            instance.write_f32(update.weight, &[1.0; LEN]).unwrap();
            for _ in 0..runs {
                instance.write_f32(update.x, &[-1.0; LEN]).unwrap();
                instance.write_f32(update.x, &x).unwrap();
                instance.run(KEY).unwrap();
                instance.swap(update.next, update.weight).unwrap();
            }
            assert_eq!(
                instance.read_f32(update.weight).unwrap(),
                Update::expected(runs, 0.25),
                "{runs} runs, {pairs:?}"
            );
        }
    }
}

#[test]
fn weights_that_are_replaced_share_memory() {
    if !with_fakes("instances::weights_that_are_replaced_share_memory") {
        return;
    }
    let update = Update::new();
    let executable = compiled(&update.program);
    let bytes = |pairs: &[_]| Instance::replacing(&executable, pairs).unwrap().memory_bytes();
    assert_eq!(bytes(&[]) - bytes(&[(update.next, update.weight)]), LEN * 4);
}

#[test]
fn draws_follow_the_key_and_the_step() {
    if !with_fakes("instances::draws_follow_the_key_and_the_step") {
        return;
    }
    let (program, buffers) = draws();
    let mut instance = Instance::new(&compiled(&program)).unwrap();
    for (run, step) in [(0, 0), (0, 0), (1, 0), (u64::MAX, 0), (1, 0)] {
        let key = RandomKey { seed: 99, run };
        instance.run_at(key, step).unwrap();
        let mut memory = Memory::new(&program);
        interp::run_at(&program, &mut memory, key, step).unwrap();
        for id in buffers {
            assert_eq!(read(&instance, Dtype::F32, id), memory.buffer(id), "run {run}, step {step}, b{}", id.0);
        }
    }
}

#[test]
fn a_step_of_a_program_draws_what_the_loop_would_draw() {
    if !with_fakes("instances::a_step_of_a_program_draws_what_the_loop_would_draw") {
        return;
    }
    let (mut program, [once, _]) = draws();
    program.launches.truncate(1);
    let mut instance = Instance::new(&compiled(&program)).unwrap();
    for step in [0, 1, 7, 1 << 33] {
        instance.run_at(KEY, step).unwrap();
        let mut memory = Memory::new(&program);
        interp::run_at(&program, &mut memory, KEY, step).unwrap();
        assert_eq!(read(&instance, Dtype::F32, once), memory.buffer(once), "step {step}");
    }
}

#[test]
fn instances_have_memory_of_their_own_and_constants_together() {
    if !with_fakes("instances::instances_have_memory_of_their_own_and_constants_together") {
        return;
    }
    let program = Loop::new(Dtype::F32, false);
    let executable = compiled(&program.program);
    let mut instances = [0, 1].map(|_| Instance::new(&executable).unwrap());
    drop(executable);
    for round in 0..3 {
        for (at, instance) in instances.iter_mut().enumerate() {
            for (id, values) in program.inputs(round + 10 * at as u64) {
                write(instance, Dtype::F32, id, &values);
            }
            instance.run(KEY).unwrap();
        }
        for (at, instance) in instances.iter().enumerate() {
            assert_eq!(read(instance, Dtype::F32, program.y), program.expected(round + 10 * at as u64));
        }
    }
}

#[test]
fn a_timed_run_computes_the_same_and_every_launch_counts() {
    if !with_fakes("instances::a_timed_run_computes_the_same_and_every_launch_counts") {
        return;
    }
    let program = Loop::new(Dtype::F32, false);
    let mut instance = Instance::new(&compiled(&program.program)).unwrap();
    let mut timings = Timings::new();
    for runs in 1..=2 {
        for (id, values) in program.inputs(runs) {
            write(&mut instance, Dtype::F32, id, &values);
        }
        instance.run_timed(KEY, &mut timings).unwrap();
        assert_eq!(read(&instance, Dtype::F32, program.y), program.expected(runs));
        let launches: Vec<u64> = timings.kernels().iter().map(|kernel| kernel.launches).collect();
        assert_eq!(launches, [runs, runs * STEPS as u64, runs]);
    }
    instance.run(KEY).unwrap();
    assert_eq!(read(&instance, Dtype::F32, program.y), program.expected(2));
}

#[test]
fn memory_starts_as_zeros_and_inputs_are_kept() {
    if !with_fakes("instances::memory_starts_as_zeros_and_inputs_are_kept") {
        return;
    }
    let program = Loop::new(Dtype::F64, false);
    let mut instance = Instance::new(&compiled(&program.program)).unwrap();
    assert_eq!(instance.read_f64(program.y).unwrap(), [0.0; LEN]);
    assert_eq!(instance.read_f64(program.x).unwrap(), [0.0; LEN]);
    instance.write_f64(program.x, &[2.5; LEN]).unwrap();
    instance.run(KEY).unwrap();
    instance.run(KEY).unwrap();
    assert_eq!(instance.read_f64(program.x).unwrap(), [2.5; LEN]);
}

#[test]
fn mistakes_of_the_host_are_errors() {
    if !with_fakes("instances::mistakes_of_the_host_are_errors") {
        return;
    }
    let program = Loop::new(Dtype::F32, false);
    let Loop { x, y, z, .. } = program;
    let [constant, temporary] = ["c", "s"]
        .map(|name| BufferId(program.program.buffers.iter().position(|buffer| buffer.name == name).unwrap() as u32));
    let mut instance = Instance::new(&compiled(&program.program)).unwrap();
    let wrong_length = CudaError::WrongLength { buffer: "x".into(), expected: LEN, found: 2 };
    assert_eq!(instance.write_f32(x, &[1.0; 2]), Err(wrong_length));
    let wrong_type = CudaError::WrongType { program: Dtype::F32, asked: Dtype::F64 };
    assert_eq!(instance.write_f64(x, &[1.0; LEN]), Err(wrong_type.clone()));
    assert_eq!(instance.read_f64(y), Err(wrong_type));
    assert_eq!(instance.read_f32(BufferId(99)), Err(CudaError::NoBuffer(99)));
    for buffer in [constant, temporary] {
        assert!(matches!(instance.write_f32(buffer, &[1.0; LEN]), Err(CudaError::WrongRole { .. })));
        assert!(matches!(instance.swap(x, buffer), Err(CudaError::WrongRole { .. })));
    }
    let lengths = CudaError::WrongLength { buffer: "z".into(), expected: STEPS * LEN, found: LEN };
    assert_eq!(instance.swap(x, z), Err(lengths));
}

#[test]
fn too_much_memory_is_an_error_that_says_how_much() {
    if !with_fakes("instances::too_much_memory_is_an_error_that_says_how_much") {
        return;
    }
    let mut program = Loop::new(Dtype::F32, false).program;
    let len = 1 << 40;
    program.add_buffer("huge", len, Role::Input);
    let error = Instance::new(&compiled(&program)).unwrap_err();
    let CudaError::OutOfMemory { asked, free: Some(free) } = error else { panic!("{error}") };
    assert_eq!(asked, 4 * len);
    assert!(free > 0 && free < asked);
    program.add_buffer("beyond all memory", usize::MAX / 4, Role::Input);
    let device = Device::open(0).unwrap();
    let target = Target { arch: device.arch(), dtype: Dtype::F32, precision: Precision::F32 };
    let error = Executable::compile(&program, emit(&program, &target), &device).unwrap_err();
    assert!(matches!(error, CudaError::OutOfMemory { .. }), "{error}");
}

/// A program whose one kernel is written by hand: it puts numbers of its arguments into `y`.
fn by_hand(text: &str, arguments: Vec<Argument>, storage: Storage) -> (Program, Emission) {
    let mut program = Program::new(Dtype::F32);
    let y = program.add_buffer("y", 4, Role::Output);
    let t = program.add_buffer("t", 256, Role::Temporary);
    let kernel = program.add_kernel(Kernel::Draw(snn_loops::Draw {
        name: "touches t".into(),
        distribution: snn_loops::Distribution::Uniform,
        stream: 0,
        len: 1,
        out: Operand::whole(t),
    }));
    program.launches.push(Launch::Repeat { steps: 2, reverse: false, body: vec![Launch::Run(kernel)] });
    let call = Call { function: "by_hand".into(), grid: [1, 1], block: 32, shared: 64 << 10, arguments };
    let unit = Unit {
        name: "by_hand.cu".into(),
        text: text.into(),
        begin: 0,
        functions: vec!["by_hand".into()],
        local_bytes: BTreeMap::new(),
    };
    let storage = vec![Storage::Float, storage];
    let _ = y;
    (
        program,
        Emission {
            units: vec![unit],
            kernels: vec![vec![call]],
            prepare: vec![vec![]],
            prepared: 0,
            workspace: 512,
            storage,
            moved: vec![],
        },
    )
}

const BY_HAND: &str = r#"SN_KERNEL void by_hand(float *y, char *t, char *workspace, long long step, void *run) {
    if (threadIdx.x == 0) {
        y[0] = (float)((unsigned long long)t % 256);
        y[1] = (float)((unsigned long long)workspace % 256);
        y[2] = y[2] * 10 + (float)(step + 1);
        y[3] = (float)((unsigned long long *)run)[1];
    }
}
"#;

#[test]
fn arguments_are_what_the_call_says() {
    if !with_fakes("instances::arguments_are_what_the_call_says") {
        return;
    }
    let operand = |buffer, offset| Argument::Operand(Operand { buffer: BufferId(buffer), offset });
    let arguments = || {
        let t = operand(1, Ix::step().times(64));
        vec![operand(0, Ix::constant(0)), t, Argument::Workspace(48), Argument::Step, Argument::Run]
    };
    // At the last step: 64 elements of 4 bytes, of 2 bytes, of a bit.
    for (storage, offset) in
        [(Storage::Float, 0.0), (Storage::F16, 128.0), (Storage::Bf16, 128.0), (Storage::Bits, 8.0)]
    {
        let (program, emission) = by_hand(BY_HAND, arguments(), storage);
        let executable = Executable::compile(&program, emission, &Device::open(0).unwrap()).unwrap();
        let mut instance = Instance::new(&executable).unwrap();
        for _ in 0..3 {
            instance.write_f32(BufferId(0), &[0.0; 4]).unwrap();
            instance.run(KEY).unwrap();
            assert_eq!(instance.read_f32(BufferId(0)).unwrap(), [offset, 48.0, 12.0, KEY.run as f32], "{storage:?}");
        }
        let is_floats = storage == Storage::Float;
        assert_eq!(instance.read_f32(BufferId(1)).is_ok(), is_floats, "{storage:?} are not floats");
    }
}

#[test]
fn emissions_that_do_not_fit_are_errors() {
    if !with_fakes("instances::emissions_that_do_not_fit_are_errors") {
        return;
    }
    let device = Device::open(0).unwrap();
    let refused = |change: &dyn Fn(&mut Emission)| {
        let (program, mut emission) = by_hand(BY_HAND, vec![Argument::Step; 5], Storage::Float);
        change(&mut emission);
        Executable::compile(&program, emission, &device).map(|_| ()).unwrap_err()
    };
    let wrong: [&dyn Fn(&mut Emission); 9] = [
        &|emission| emission.kernels.clear(),
        &|emission| emission.storage.truncate(1),
        &|emission| emission.storage[0] = Storage::Bits,
        &|emission| emission.kernels[0][0].block = 1025,
        &|emission| emission.kernels[0][0].grid = [0, 1],
        &|emission| emission.kernels[0][0].grid = [u32::MAX, 1],
        &|emission| emission.kernels[0][0].grid = [1, 1 << 16],
        &|emission| emission.kernels[0][0].shared = 1 << 20,
        &|emission| emission.kernels[0][0].function = "nobody's".into(),
    ];
    for (at, change) in wrong.into_iter().enumerate() {
        let error = refused(change);
        assert!(matches!(error, CudaError::Emission(_)), "{at}: {error}");
    }
    let missing = refused(&|emission| emission.units[0].functions[0] = "missing".into());
    assert!(matches!(missing, CudaError::Driver { call: "cuModuleGetFunction", .. }), "{missing}");
    let broken = refused(&|emission| emission.units[0].text.push_str("\nint broken = no_such_name;\n"));
    let CudaError::Compile { unit, log, .. } = &broken else { panic!("{broken}") };
    assert_eq!(unit, "by_hand.cu");
    assert!(log.contains("no_such_name"), "{log}");
}

#[test]
fn shared_memory_of_the_text_counts_with_what_a_call_asks_for() {
    if !with_fakes("instances::shared_memory_of_the_text_counts_with_what_a_call_asks_for") {
        return;
    }
    let device = Device::open(0).unwrap();
    let text = "SN_KERNEL void by_hand(float *y, long long, long long, long long, long long) {\n    \
                __shared__ float own[2048];\n    SN_DYN_SHARED(float, asked);\n    \
                own[threadIdx.x] = asked[threadIdx.x] = (float)threadIdx.x;\n    __syncthreads();\n    \
                if (threadIdx.x < 4) y[threadIdx.x] = own[31 - threadIdx.x] + asked[threadIdx.x];\n}\n";
    let run = |asked: u32| {
        let mut arguments = vec![Argument::Step; 5];
        arguments[0] = Argument::Operand(Operand::whole(BufferId(0)));
        let (program, mut emission) = by_hand(text, arguments, Storage::Float);
        emission.kernels[0][0].shared = asked;
        let mut instance = Instance::new(&Executable::compile(&program, emission, &device)?)?;
        instance.run(KEY)?;
        instance.read_f32(BufferId(0))
    };
    // Less than 48 KiB together, less than that each, and as much as a block may have.
    let most = device.info().shared_bytes - (8 << 10);
    for asked in [1 << 10, 40 << 10, 41 << 10, 48 << 10, most - 256] {
        assert_eq!(run(asked).unwrap(), [31.0; 4], "{asked}");
    }
    let error = run(most + 256).unwrap_err();
    assert!(matches!(&error, CudaError::Emission(message) if message.contains("bytes of its text")), "{error}");
}

#[test]
fn a_program_takes_the_bytes_that_are_forecast_without_a_driver() {
    if !with_fakes("instances::a_program_takes_the_bytes_that_are_forecast_without_a_driver") {
        return;
    }
    let device = Device::open(0).unwrap();
    let update = Update::new();
    let pair = [(update.next, update.weight)];
    let cases = [(&update.program, &pair[..]), (&update.program, &[]), (&Loop::new(Dtype::F64, false).program, &[])];
    for (program, pairs) in cases {
        let target = Target { arch: device.arch(), dtype: program.dtype, precision: Precision::F32 };
        let forecast = Footprint::of(program, &emit(program, &target), pairs).unwrap();
        let before = device.free_bytes().unwrap();
        let executable = compiled(program);
        let instance = Instance::replacing(&executable, pairs).unwrap();
        assert_eq!(forecast.device_bytes(), before - device.free_bytes().unwrap(), "{forecast:?}");
        assert_eq!(forecast.device_bytes(), instance.memory_bytes());
        drop((instance, executable));
        assert_eq!(device.free_bytes().unwrap(), before);
    }
    let bytes = |pairs| {
        let target = Target { arch: device.arch(), dtype: Dtype::F32, precision: Precision::F32 };
        Footprint::of(&update.program, &emit(&update.program, &target), pairs).unwrap().device_bytes()
    };
    assert_eq!(bytes(&[]), bytes(&pair) + LEN * 4, "new weights lie over old ones");
}

#[test]
fn an_offset_outside_of_its_buffer_is_an_error_and_not_a_launch() {
    if !with_fakes("instances::an_offset_outside_of_its_buffer_is_an_error_and_not_a_launch") {
        return;
    }
    let far = Argument::Operand(Operand { buffer: BufferId(1), offset: Ix::step().times(257) });
    let mut arguments = vec![Argument::Step; 5];
    arguments[1] = far;
    let (program, emission) = by_hand(
        "SN_KERNEL void by_hand(long long, void *, long long, long long, long long) {}",
        arguments,
        Storage::Float,
    );
    let executable = Executable::compile(&program, emission, &Device::open(0).unwrap()).unwrap();
    let mut instance = Instance::new(&executable).unwrap();
    for _ in 0..2 {
        let error = instance.run(KEY).unwrap_err();
        assert!(matches!(error, CudaError::Emission(_)), "{error}");
    }
    assert_eq!(instance.read_f32(BufferId(0)).unwrap(), [0.0; 4], "and it can still be read");
}
