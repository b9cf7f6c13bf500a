//! What the emulation computes, and which mistakes of kernels and hosts it finds.
//!
//! Mistakes are planted: a test of an emulation that finds nothing would pass for ever.

use std::ffi::OsStr;
use std::process::Command;

use snn_cuda::check::instructions::{INPUT, OUTPUT};
use snn_cuda::check::{InstructionCheck, instructions};
use snn_cuda::launch::Template;
use snn_cuda::{Arch, CudaError, Device, Executable, Instance};
use snn_loops::RandomKey;

use crate::support::{alone, cxx, fakes, is_alone, process, search_path};

static SM80: Template = Template { file: "mistakes.cu", text: include_str!("mistakes.cu") };
static SM90: Template = Template { file: "mistakes_sm90.cu", text: include_str!("mistakes_sm90.cu") };
static SM90A: Template = Template { file: "mistakes_sm90a.cu", text: include_str!("mistakes_sm90a.cu") };

/// Whether this is a test's own process, on an emulated device of this compute capability with these schedules.
fn emulated(test: &str, capability: &str, seeds: &str) -> bool {
    let Some(fakes) = fakes() else { return false };
    alone(
        &format!("emulation::{test}"),
        &[
            ("SNNC_CUDA_LIBS", fakes.as_os_str()),
            ("PATH", &search_path()),
            ("SNN_EMULATION_CAPABILITY", OsStr::new(capability)),
            ("SNN_EMULATION_SEED", OsStr::new(seeds)),
        ],
    )
}

/// Runs a text on the device.
fn run(check: &InstructionCheck) -> Result<Vec<f32>, CudaError> {
    let device = Device::open(0).unwrap();
    assert!(device.info().name.starts_with("CPU emulation"), "{}", device.info().name);
    let emission = check.emission(device.arch());
    let mut instance = Instance::new(&Executable::compile(&check.program(), emission, &device)?)?;
    instance.write_f32(INPUT, &check.input)?;
    instance.run(RandomKey { seed: 0, run: 0 })?;
    instance.read_f32(OUTPUT)
}

fn all_instructions_of(arch: Arch) {
    for check in instructions(arch) {
        assert_eq!(run(&check).unwrap(), check.expected, "{}", check.name);
    }
}

#[test]
fn functions_of_the_prelude_do_what_they_say() {
    if emulated("functions_of_the_prelude_do_what_they_say", "8.0", "0,1,2,3") {
        assert_eq!(Device::open(0).unwrap().arch(), Arch::Sm80);
        all_instructions_of(Arch::Sm80);
    }
}

#[test]
fn functions_of_hopper_do_what_they_say() {
    if emulated("functions_of_hopper_do_what_they_say", "9.0", "0,1,2,3") {
        assert_eq!(Device::open(0).unwrap().arch(), Arch::Sm90a);
        all_instructions_of(Arch::Sm90a);
    }
}

/// A kernel with a mistake, 64 numbers in and out.
fn mistake(name: &'static str, text: &'static Template, threads: u32) -> InstructionCheck {
    let input: Vec<f32> = (0..64).map(|at| at as f32 + 1.0).collect();
    let expected = vec![0.0; if threads == 64 { 64 } else { 128 }];
    let shared = if threads == 64 { 256 } else { 2048 };
    InstructionCheck { name, arch: Arch::Sm80, text, threads, shared, input, expected }
}

/// What the driver says of a kernel.
fn complaint(name: &'static str, text: &'static Template, threads: u32) -> String {
    match run(&mistake(name, text, threads)) {
        Ok(result) => panic!("nothing was found in `{name}`: {result:?}"),
        Err(error) => error.to_string(),
    }
}

/// The line of a text that holds a phrase behind the beginning of a kernel.
fn line(text: &Template, kernel: &str, phrase: &str) -> usize {
    let begin = text.text.lines().position(|line| line.contains(&format!("void {kernel}("))).unwrap();
    let mut behind = text.text.lines().enumerate().skip(begin);
    behind.find(|(_, line)| line.contains(phrase)).map(|(at, _)| at + 1).unwrap()
}

/// A failure makes the context useless, so every mistake is made in a process of its own; `check` is done in it.
macro_rules! mistakes {
    ($($(#[$doc:meta])* $name:ident on $capability:literal with $seeds:literal: $check:expr;)*) => {
        $(
            #[test]
            fn $name() {
                if emulated(stringify!($name), $capability, $seeds) {
                    let check: fn(&'static str) = $check;
                    check(stringify!($name));
                }
            }
        )*
    };
}

/// The complaint names the line that holds `phrase` and says `what`.
fn names_line(name: &'static str, text: &'static Template, phrase: &str, what: &str) {
    let said = complaint(name, text, 64);
    let place = format!("{}:{}: in `{name}`", text.file, line(text, name, phrase));
    assert!(said.contains(&place) && said.contains(what), "{said}\nshould name {place} and say: {what}");
}

/// Some results are not numbers.
fn gives_no_numbers(name: &'static str, text: &'static Template) {
    let result = run(&mistake(name, text, 64)).unwrap();
    assert!(result.iter().any(|x| x.is_nan()), "{result:?}");
}

mistakes! {
    missing_barrier on "8.0" with "0,1": |name| {
        let said = complaint(name, &SM80, 64);
        assert!(said.contains("`missing_barrier` gives different results with the schedules 0 and 1"), "{said}");
    };
    wait_without_barrier on "8.0" with "0,1": |name| {
        let said = complaint(name, &SM80, 64);
        assert!(said.contains("gives different results"), "{said}");
    };
    unwritten_shared_memory on "8.0" with "0": |name| gives_no_numbers(name, &SM80);
    unwritten_dynamic_memory on "8.0" with "0": |name| gives_no_numbers(name, &SM80);
    divergent_shuffle on "8.0" with "0": |name| {
        names_line(name, &SM80, "else x =", "lanes of a warp do different things together");
    };
    barrier_at_two_places on "8.0" with "0": |name| {
        names_line(name, &SM80, "        __syncthreads();", "wait at different __syncthreads");
    };
    exited_lane on "8.0" with "0": |name| {
        names_line(name, &SM80, "__shfl_sync", "a lane that is named in the mask has exited");
    };
    shuffle_from_outside_of_the_mask on "8.0" with "0": |name| {
        names_line(name, &SM80, "__shfl_sync", "reads a lane that does not take part");
    };
    lane_outside_of_the_mask on "8.0" with "0": |name| {
        names_line(name, &SM80, "__shfl_sync", "a lane takes part that the mask does not name");
    };
    barrier_against_shuffle on "8.0" with "0": |name| {
        names_line(name, &SM80, "__syncthreads", "deadlock: thread 0 waits for __syncthreads, thread 16 for other lanes");
    };
    copy_without_wait on "8.0" with "0": |name| gives_no_numbers(name, &SM80);
    wait_one_group_late on "8.0" with "0": |name| gives_no_numbers(name, &SM80);
    wait_before_commit on "8.0" with "0": |name| gives_no_numbers(name, &SM80);
    copy_to_global_memory on "8.0" with "0": |name| {
        names_line(name, &SM80, "sn_cp_async_4", "an asynchronous copy writes outside of shared memory");
    };
    barrier_without_initialization on "9.0" with "0": |name| {
        names_line(name, &SM90, "sn_mbarrier_wait", "is used before it is initialized");
    };
    bulk_copy_without_wait on "9.0" with "0": |name| gives_no_numbers(name, &SM90);
    bytes_that_never_come on "9.0" with "0": |name| {
        let said = complaint(name, &SM90, 64);
        assert!(said.contains("deadlock") && said.contains("waits for a barrier in shared memory"), "{said}");
    };
    bulk_copy_that_nobody_waits_for on "9.0" with "0": |name| {
        names_line(name, &SM90, "sn_bulk_load", "a bulk copy is under way when its block ends");
    };
    product_without_fence on "9.0" with "0": |name| {
        let said = complaint(name, &SM90A, 128);
        assert!(said.contains("wgmma without a fence since the last commit"), "{said}");
    };
    product_without_wait on "9.0" with "0": |name| {
        assert_eq!(run(&mistake(name, &SM90A, 128)).unwrap(), [0.0; 128]);
    };
    tile_overwritten_before_the_wait on "9.0" with "0": |name| {
        assert_ne!(run(&mistake(name, &SM90A, 128)).unwrap(), [32.0; 128]);
    };
    product_without_mistake on "9.0" with "0,1,2": |name| {
        assert_eq!(run(&mistake(name, &SM90A, 128)).unwrap(), [32.0; 128]);
    };
}

/// Runs a kernel in a process of its own under a sanitizer, which must end it; what the sanitizer says.
fn sanitized(test: &str, name: &'static str, sanitizer: &str, library: Option<&str>) -> Option<String> {
    let fakes = fakes()?;
    if is_alone() {
        let result = run(&mistake(name, &SM80, 64));
        panic!("nothing ended `{name}`: {result:?}");
    }
    let mut process = process(&format!("emulation::{test}"));
    process.env("SNNC_CUDA_LIBS", fakes).env("PATH", search_path()).env("SNN_EMULATION_SANITIZE", sanitizer);
    if let Some(library) = library {
        let path = Command::new(cxx()?).arg(format!("-print-file-name={library}")).output().unwrap();
        process.env("LD_PRELOAD", String::from_utf8(path.stdout).unwrap().trim());
        process.env("ASAN_OPTIONS", "detect_leaks=0").env("TSAN_OPTIONS", "halt_on_error=1");
    }
    let output = process.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("nothing ended"), "{said}");
    if said.contains("cannot be preloaded") || said.contains("unexpected memory mapping") {
        println!("skipped: the sanitizer does not work here");
        return None;
    }
    assert!(!output.status.success(), "{said}");
    Some(said)
}

#[test]
fn address_sanitizer_names_a_store_outside_of_dynamic_memory() {
    let (test, kernel) =
        ("address_sanitizer_names_a_store_outside_of_dynamic_memory", "store_outside_of_dynamic_memory");
    let Some(said) = sanitized(test, kernel, "address", Some("libasan.so")) else { return };
    let place = format!("mistakes.cu:{}", line(&SM80, kernel, "held[threadIdx.x + 1]"));
    assert!(said.contains("heap-buffer-overflow") && said.contains(&place), "{said}");
}

#[test]
fn address_sanitizer_names_a_store_outside_of_static_memory() {
    let (test, kernel) = ("address_sanitizer_names_a_store_outside_of_static_memory", "store_outside_of_static_memory");
    let Some(said) = sanitized(test, kernel, "address", Some("libasan.so")) else { return };
    let place = format!("mistakes.cu:{}", line(&SM80, kernel, "held[threadIdx.x] ="));
    assert!(said.contains("global-buffer-overflow") && said.contains(&place), "{said}");
}

#[test]
fn undefined_behavior_sanitizer_names_a_misaligned_vector() {
    let (test, kernel) = ("undefined_behavior_sanitizer_names_a_misaligned_vector", "misaligned_vector");
    let Some(said) = sanitized(test, kernel, "undefined", None) else { return };
    let place = format!("mistakes.cu:{}", line(&SM80, kernel, "float4 four"));
    assert!(said.contains("misaligned address") && said.contains(&place), "{said}");
}

#[test]
fn thread_sanitizer_names_a_missing_barrier() {
    let (test, kernel) = ("thread_sanitizer_names_a_missing_barrier", "missing_barrier");
    let Some(said) = sanitized(test, kernel, "thread", Some("libtsan.so")) else { return };
    let place = format!("mistakes.cu:{}", line(&SM80, kernel, "sums[threadIdx.x] +="));
    assert!(said.contains("data race") && said.contains(&place), "{said}");
}

/// A program in C++, since only it can make mistakes with the driver.
#[test]
fn mistakes_of_hosts_are_found() {
    let Some(fakes) = fakes() else { return };
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("host");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/driver/host_mistakes.cpp");
    let mut compiler = Command::new(cxx().unwrap());
    compiler.args(["-std=c++17", "-O1", source, "-o"]).arg(&program);
    compiler.arg(fakes.join("libcuda.so.1")).arg(fakes.join("libnvrtc.so.13"));
    compiler.arg(format!("-Wl,-rpath,{}", fakes.display()));
    let built = compiler.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let output = Command::new(&program).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("all found"), "{said}");
    assert!(said.contains("1 allocations of 40 bytes are not freed"), "{said}");
}
