//! What processes and threads share: a device, an executable, the cache of compiled text.

use std::ffi::OsStr;
use std::thread;

use snn_cuda::{
    Availability, Compiler, CudaError, Device, Executable, Instance, Precision, Target, availability, emit,
};
use snn_loops::Dtype;

use crate::instances::{compiled, read, write};
use crate::programs::{KEY, LEN, Loop, Update};
use crate::support::{alone, altered, altered_fakes, fakes, is_alone, search_path};

#[test]
fn threads_share_an_executable() {
    let Some(fakes) = fakes() else { return };
    let variables = [("SNNC_CUDA_LIBS", fakes.as_os_str()), ("PATH", &*search_path())];
    if !alone("shared_use::threads_share_an_executable", &variables) {
        return;
    }
    let program = Loop::new(Dtype::F32, false);
    let executable = compiled(&program.program);
    let runs = |first: u64| {
        let mut instance = Instance::new(&executable).unwrap();
        for run in first..first + 5 {
            for (id, values) in program.inputs(run) {
                write(&mut instance, Dtype::F32, id, &values);
            }
            instance.run(KEY).unwrap();
            assert_eq!(read(&instance, Dtype::F32, program.y), program.expected(run), "run {run}");
        }
        instance
    };
    let instances: Vec<Instance> = thread::scope(|scope| {
        let threads: Vec<_> = [0, 100].map(|first| scope.spawn(move || runs(first))).into_iter().collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    // An instance goes on in another thread than the one that made it.
    for (instance, last) in instances.iter().zip([4, 104]) {
        assert_eq!(read(instance, Dtype::F32, program.y), program.expected(last));
    }
}

/// Runs a program whose text the process must have, or must not be able to compile.
fn run_update() -> Result<(), CudaError> {
    let update = Update::new();
    let device = Device::open(0)?;
    let target = Target { arch: device.arch(), dtype: Dtype::F32, precision: Precision::F32 };
    let executable = Executable::compile(&update.program, emit(&update.program, &target), &device)?;
    let mut instance = Instance::new(&executable)?;
    instance.write_f32(update.weight, &[1.0; LEN])?;
    instance.run(KEY)?;
    assert_eq!(instance.read_f32(update.next)?, [0.5; LEN]);
    Ok(())
}

#[test]
fn without_nvrtc_text_that_was_compiled_before_runs() {
    const TEST: &str = "shared_use::without_nvrtc_text_that_was_compiled_before_runs";
    let Some(fakes) = fakes() else { return };
    let [cache, other, driver] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    if !is_alone() {
        altered(driver.path(), "libcuda.so.1", "");
    }
    let runs =
        [(driver.path(), other.path(), "no"), (fakes, cache.path(), "yes"), (driver.path(), cache.path(), "yes")];
    for (libraries, cache, expected) in runs {
        let variables = [
            ("SNNC_CUDA_LIBS", libraries.as_os_str()),
            ("SNNC_CACHE", cache.as_os_str()),
            ("SNN_CUDA_TEST_RUNS", OsStr::new(expected)),
            ("PATH", &*search_path()),
        ];
        if !alone(TEST, &variables) {
            continue;
        }
        assert!(matches!(availability(), Availability::Ready(_)));
        match std::env::var("SNN_CUDA_TEST_RUNS").unwrap().as_str() {
            "no" if Compiler::open().is_ok() => println!("skipped: this machine has NVRTC"),
            "no" => {
                let error = run_update().unwrap_err();
                assert!(matches!(error, CudaError::NoCompiler(_)), "{error}");
                assert!(error.to_string().contains("install NVRTC"), "{error}");
            }
            _ => run_update().unwrap(),
        }
        return;
    }
    assert_eq!(std::fs::read_dir(cache.path().join("cubins")).unwrap().count(), 1);
    assert!(!other.path().join("cubins").exists());
}

#[test]
fn nvrtc_may_be_too_new_for_the_driver() {
    if fakes().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let functions = "extern \"C\" int cuDriverGetVersion(int *v) { *v = 12080; return 0; }";
    let libraries = if !is_alone() { altered_fakes(directory.path(), functions) } else { Default::default() };
    if alone("shared_use::nvrtc_may_be_too_new_for_the_driver", &[("SNNC_CUDA_LIBS", &libraries)]) {
        let error = run_update().unwrap_err().to_string();
        assert!(error.contains("the driver supports CUDA 12.8, for which NVRTC 13 is too new"), "{error}");
    }
}

#[test]
fn a_device_that_nvrtc_does_not_know_gets_the_intermediate_form() {
    if fakes().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut libraries = std::ffi::OsString::new();
    if !is_alone() {
        let device = r#"extern "C" int cuDeviceGetAttribute(int *v, int a, int) {
            *v = a == 75 ? 8 : a == 76 ? 9 : a == 97 ? 65536 : 1;
            return 0;
        }"#;
        libraries = altered_fakes(directory.path(), device);
        let compiler = r#"#include <dlfcn.h>
            #include <cstring>
            extern "C" int nvrtcCompileProgram(void *p, int n, const char *const *o) {
                for (int i = 0; i < n; ++i) if (!strcmp(o[i], "--gpu-architecture=sm_89")) return 5;
                return ((int (*)(void *, int, const char *const *))dlsym(RTLD_NEXT, "nvrtcCompileProgram"))(p, n, o);
            }
            extern "C" int nvrtcGetCUBINSize(void *, size_t *n) { *n = 0; return 0; }"#;
        altered(directory.path(), "libnvrtc.so.13", compiler);
    }
    let variables = [("SNNC_CUDA_LIBS", &*libraries), ("PATH", &*search_path())];
    if alone("shared_use::a_device_that_nvrtc_does_not_know_gets_the_intermediate_form", &variables) {
        assert_eq!(Device::open(0).unwrap().info().capability, (8, 9));
        run_update().unwrap();
    }
}
