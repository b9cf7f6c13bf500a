//! Libraries in the place of contractions, by fake ones that compute on the processor: their results against the
//! interpreter's, who is chosen, and that nothing depends on their being there.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use snn_cuda::contraction::library::alternative;
use snn_cuda::{
    Accelerators, Arch, Choices, Device, Executable, Instance, Precision, Resources, Target, Winner,
    accelerator_versions, emit, report, units,
};
use snn_loops::interp::{self, Memory};
use snn_loops::{ContractionKind, ConvShape, Dtype, Kernel, Program};

use crate::compiler::compiler;
use crate::contraction_cases::{Case, add, convolution, difference, everything};
use crate::contractions::inputs;
use crate::instances::{read, write};
use crate::programs::KEY;
use crate::support::{alone, altered, fakes, is_alone, search_path};

/// Whether this is the process of a test, with libraries of a directory and a folder to keep things in.
fn with(test: &str, libraries: &OsStr, cache: &OsStr) -> bool {
    let path = search_path();
    let all = [("SNNC_CUDA_LIBS", libraries), ("PATH", &path), ("SNNC_CACHE", cache)];
    alone(&format!("accelerators::{test}"), &all)
}

/// The same with the fake ones, keeping nothing.
fn with_fakes(test: &str) -> bool {
    fakes().is_some_and(|fakes| with(test, fakes.as_os_str(), OsStr::new("off")))
}

/// The same with a driver and a compiler, and beside them what `add` puts there.
fn with_others(test: &str, cache: &OsStr, add: impl FnOnce(&Path)) -> bool {
    let Some(fakes) = fakes() else { return false };
    let directory = tempfile::tempdir().unwrap();
    if !is_alone() {
        for entry in fs::read_dir(fakes).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            if !["libcublasLt.so.13", "libcudnn.so.9"].contains(&name.to_str().unwrap()) {
                std::os::unix::fs::symlink(&path, directory.path().join(name)).unwrap();
            }
        }
        add(directory.path());
    }
    with(test, directory.path().as_os_str(), cache)
}

fn accelerated(program: &Program, precision: Precision, accelerators: Accelerators) -> Executable {
    let device = Device::open(0).unwrap();
    let target = Target { arch: device.arch(), dtype: program.dtype, precision };
    Executable::accelerated(program, emit(program, &target), &target, &device, accelerators).unwrap()
}

/// Compares a program with the interpreter: launched, captured, and captured and launched again.
fn compare(program: &Program, cases: &[Case], executable: &Executable, tolerance: f64) {
    let mut instance = Instance::new(executable).unwrap();
    for run in 0..3 {
        let mut memory = Memory::new(program);
        for (at, case) in cases.iter().enumerate() {
            for (id, values) in inputs(program, case, run * 100 + at as u64, false) {
                memory.write(id, &values).unwrap();
                write(&mut instance, program.dtype, id, &values);
            }
        }
        interp::run(program, &mut memory, KEY).unwrap();
        instance.run(KEY).unwrap();
        for case in cases {
            let off = difference(&read(&instance, program.dtype, case.output), memory.buffer(case.output));
            assert!(off <= tolerance, "{}, run {run}: {off:.3e} of {tolerance:.3e}", case.label);
        }
    }
}

/// All contractions, libraries wherever they can; how many of them that are.
fn compare_everything(dtype: Dtype, precision: Precision, tolerance: f64) -> usize {
    let (program, cases) = everything(dtype);
    let accelerators = Accelerators::always();
    let executable = accelerated(&program, precision, accelerators);
    compare(&program, &cases, &executable, tolerance);
    let choices = accelerators.choices().unwrap();
    assert!(choices.values().all(|winner| *winner == Winner::Library), "{choices:?}");
    assert_eq!(choices.len(), executable.library_products(), "all shapes differ");
    executable.library_products()
}

// 13 shapes, 2 of which are linear; all contractions that read no spikes are 39. Tolerances are those of docs/gpu.md.

#[test]
fn single_precision() {
    if with_fakes("single_precision") {
        assert_eq!(compare_everything(Dtype::F32, Precision::F32, 1e-5), 39);
    }
}

#[test]
fn double_precision() {
    if with_fakes("double_precision") {
        assert_eq!(compare_everything(Dtype::F64, Precision::F32, 1e-13), 6, "linear maps");
    }
}

#[test]
fn tf32() {
    if with_fakes("tf32") {
        assert_eq!(compare_everything(Dtype::F32, Precision::Tf32, 4e-3), 39);
    }
}

#[test]
fn bf16() {
    if with_fakes("bf16") {
        assert_eq!(compare_everything(Dtype::F32, Precision::Bf16, 3e-2), 28, "no weight gradients of convolutions");
    }
}

#[test]
fn f16() {
    if with_fakes("f16") {
        assert_eq!(compare_everything(Dtype::F32, Precision::F16, 4e-3), 28, "no weight gradients of convolutions");
    }
}

/// One linear map and one convolution.
fn small() -> (Program, Vec<Case>) {
    let mut program = Program::new(Dtype::F32);
    let shapes = [(ConvShape::linear(40, 24), 30), (convolution([16, 24], [5, 4], [3, 3]), 2)];
    let cases = shapes.map(|(shape, rows)| add(&mut program, "small", ContractionKind::Forward, false, shape, rows));
    (program, cases.into())
}

/// That the small program gives the interpreter's results, with so many contractions by libraries.
fn small_has(accelerators: Accelerators, expected: usize) {
    let (program, cases) = small();
    let executable = accelerated(&program, Precision::F32, accelerators);
    assert_eq!(executable.library_products(), expected);
    compare(&program, &cases, &executable, 1e-5);
}

fn found(purpose: &str) -> Result<(u32, u32), String> {
    let library = report().libraries.into_iter().find(|library| library.purpose == purpose).unwrap();
    library.found.map(|_| library.version.unwrap())
}

#[test]
fn libraries_may_be_missing() {
    if with_others("libraries_may_be_missing", OsStr::new("off"), |_| {}) {
        if found("cuBLASLt").is_ok() || found("cuDNN").is_ok() {
            println!("skipped: this machine has cuBLASLt or cuDNN");
            return;
        }
        assert_eq!(
            found("cuBLASLt").unwrap_err(),
            "cuBLASLt (libcublasLt.so.13) was not found; it is optional (`pip install nvidia-cublas`)"
        );
        assert!(found("cuDNN").unwrap_err().ends_with("it is optional (`pip install nvidia-cudnn-cu13`)"));
        assert!(report().advice.is_empty(), "{:?}", report().advice);
        assert_eq!(accelerator_versions(), "");
        small_has(Accelerators::always(), 0);
    }
}

#[test]
fn libraries_are_reported() {
    if with_fakes("libraries_are_reported") {
        assert_eq!((found("cuBLASLt"), found("cuDNN")), (Ok((13, 0)), Ok((9, 21))));
        assert_eq!(accelerator_versions(), "cuBLASLt 13.0.2, cuDNN 9.21.0");
        small_has(Accelerators::always(), 2);
        small_has(Accelerators::OFF, 0);
    }
}

#[test]
fn a_library_may_lack_functions() {
    let others = |directory: &Path| {
        let text = "extern \"C\" unsigned long cudnnGetVersion() { return 91000; }";
        crate::support::library(directory, "libcudnn.so.9", text, None);
        altered(directory, "libcublasLt.so.13", "");
    };
    if with_others("a_library_may_lack_functions", OsStr::new("off"), others) {
        assert!(found("cuDNN").unwrap_err().contains("libcudnn.so.9 lacks `cudnnCreate`"), "{:?}", found("cuDNN"));
        small_has(Accelerators::always(), 1);
    }
}

#[test]
fn what_a_library_does_not_support_stays_ours() {
    let others = |directory: &Path| {
        let refuses = "extern \"C\" int cudnnGetConvolutionForwardWorkspaceSize() { return 3000; }";
        altered(directory, "libcudnn.so.9", refuses);
        let finds_nothing = "extern \"C\" int cublasLtMatmulAlgoGetHeuristic(void*, void*, void*, void*, void*, void*, void*, \
                             int, void*, int* n) { *n = 0; return 0; }";
        altered(directory, "libcublasLt.so.13", finds_nothing);
    };
    if with_others("what_a_library_does_not_support_stays_ours", OsStr::new("off"), others) {
        small_has(Accelerators::always(), 0);
    }
}

#[test]
fn a_failing_library_is_an_error_that_says_how_to_do_without() {
    let others = |directory: &Path| {
        altered(directory, "libcublasLt.so.13", "extern \"C\" int cublasLtMatmul() { return 13; }");
        altered(directory, "libcudnn.so.9", "");
    };
    if with_others("a_failing_library_is_an_error_that_says_how_to_do_without", OsStr::new("off"), others) {
        let executable = accelerated(&small().0, Precision::F32, Accelerators::always());
        let error = Instance::new(&executable).unwrap().run(KEY).unwrap_err().to_string();
        assert_eq!(error, "cuBLASLt failed: cublasLtMatmul answers 13; SNNC_ACCELERATORS=off does without it");
        // Who tries it first finds that out.
        let measured = Accelerators::of_the_user();
        accelerated(&small().0, Precision::F32, measured);
        let choices = measured.choices().unwrap();
        let winner = choices.iter().find(|(key, _)| key.contains("cuBLASLt")).unwrap().1;
        assert_eq!(*winner, Winner::Ours, "{choices:?}");
    }
}

/// Products of this cuBLASLt take long, those of this cuDNN no time, since it computes nothing.
fn with_a_slow_and_a_fast_library(directory: &Path) {
    let slow = "#include <unistd.h>\nextern \"C\" int cuLaunchHostFunc(void*, void (*)(void*), void*);\n\
                extern \"C\" int cublasLtMatmul(void*, void*, void*, void*, void*, void*, void*, void*, void*, void*, void*, \
                void*, void*, void*, unsigned long, void* stream) {\n    \
                return cuLaunchHostFunc(stream, [](void*) { usleep(500000); }, nullptr);\n}";
    altered(directory, "libcublasLt.so.13", slow);
    altered(directory, "libcudnn.so.9", "extern \"C\" int cudnnConvolutionForward() { return 0; }");
}

#[test]
fn the_faster_one_is_chosen_once_and_kept() {
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().as_os_str();
    if with_others("the_faster_one_is_chosen_once_and_kept", folder, with_a_slow_and_a_fast_library) {
        let folder = Path::new(&std::env::var_os("SNNC_CACHE").unwrap()).join("products");
        let compile = |accelerators| accelerated(&small().0, Precision::F32, accelerators).library_products();
        let accelerators = Accelerators::of_the_user();
        assert_eq!(compile(accelerators), 1);
        let choices = accelerators.choices().unwrap();
        let winner = |library: &str| *choices.iter().find(|(key, _)| key.contains(library)).unwrap().1;
        assert_eq!((winner("cuBLASLt 13.0.2"), winner("cuDNN 9.21.0")), (Winner::Ours, Winner::Library));
        let entries: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(entries.len(), 2);
        // What was kept is what later runs use.
        for entry in &entries {
            let text = fs::read_to_string(entry).unwrap();
            fs::write(entry, text.replacen("snnc-product-1 library", "snnc-product-1 ours", 1)).unwrap();
        }
        small_has(Accelerators::of_the_user(), 0);
        // A run that goes on keeps to what it knows, whatever is measured or kept.
        assert_eq!(compile(Accelerators::going_on(Some(choices.clone()))), 1);
        let opposite = choices.into_keys().map(|key| (key, Winner::Ours)).collect();
        small_has(Accelerators::going_on(Some(opposite)), 0);
        small_has(Accelerators::going_on(None), 0);
    }
}

#[test]
fn libraries_can_be_switched_off() {
    let Some(fakes) = fakes() else { return };
    let path = search_path();
    let off = ("SNNC_ACCELERATORS", OsStr::new("off"));
    if alone(
        "accelerators::libraries_can_be_switched_off",
        &[("SNNC_CUDA_LIBS", fakes.as_os_str()), ("PATH", &path), off],
    ) {
        assert_eq!(Accelerators::of_the_user(), Accelerators::OFF);
        assert_eq!(Accelerators::going_on(Some(Choices::new())), Accelerators::OFF);
        small_has(Accelerators::of_the_user(), 0);
    }
}

#[test]
fn the_real_compiler_takes_what_puts_weights_in_order() {
    let Some(compiler) = compiler("accelerators::the_real_compiler_takes_what_puts_weights_in_order") else { return };
    let (program, _) = everything(Dtype::F32);
    for arch in Arch::ALL {
        for precision in Precision::ALL {
            let target = Target { arch, dtype: Dtype::F32, precision };
            let storage = emit(&program, &target).storage;
            let alternatives = program.kernels.iter().filter_map(|kernel| {
                let Kernel::Contraction(c) = kernel else { return None };
                alternative(c, [&c.a, &c.b, &c.out].map(|operand| storage[operand.buffer.0 as usize]), &target)
            });
            let functions = alternatives.flat_map(|alternative| alternative.functions);
            let functions: BTreeMap<String, _> = functions.map(|function| (function.name.clone(), function)).collect();
            assert!(functions.len() >= 9, "{precision:?}: {}", functions.len());
            for unit in units(functions.into_values().collect(), &target) {
                let compiled = compiler.compile(&unit.name, &unit.text, arch.name()).unwrap();
                let spills = |of: &&Resources| of.spill_stores + of.spill_loads + of.stack_bytes > 0;
                assert_eq!(compiled.resources.iter().find(spills), None, "{}", compiled.log);
            }
        }
    }
}
