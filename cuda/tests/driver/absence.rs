//! Every way in which CUDA can be missing is an answer that says what to do.

use std::ffi::OsStr;

use snn_cuda::{Arch, Availability, CudaError, Device, Reason, availability, report};

use crate::support::{alone, altered_fakes, cxx, fakes, is_alone, library};

fn reason() -> Reason {
    match availability() {
        Availability::Absent(reason) => reason.clone(),
        Availability::Ready(devices) => panic!("{devices:?}"),
    }
}

/// The reason, and that everything else agrees with it.
fn checked_reason() -> Reason {
    let reason = reason();
    assert_eq!(Device::open(0).unwrap_err(), CudaError::Absent(reason.clone()));
    let report = report();
    assert_eq!(report.availability, Availability::Absent(reason.clone()));
    assert!(report.advice.contains(&reason.help()), "{report:?}");
    reason
}

#[test]
fn it_can_be_switched_off() {
    if alone("absence::it_can_be_switched_off", &[("SNNC_NO_GPU", OsStr::new("1"))]) {
        assert_eq!(checked_reason(), Reason::SwitchedOff);
    }
}

#[test]
fn there_may_be_no_driver() {
    if alone("absence::there_may_be_no_driver", &[]) {
        if !matches!(availability(), Availability::Absent(Reason::NoDriver)) {
            println!("skipped: this machine has a driver");
            return;
        }
        assert_eq!(checked_reason(), Reason::NoDriver);
        assert!(report().libraries.iter().any(|library| library.purpose == "driver" && library.found.is_err()));
    }
}

#[test]
fn a_file_may_be_no_library() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("libcuda.so.1"), "no library").unwrap();
    if alone("absence::a_file_may_be_no_library", &[("SNNC_CUDA_LIBS", directory.path().as_os_str())]) {
        if !matches!(availability(), Availability::Absent(Reason::UnusableDriver { .. })) {
            println!("skipped: this machine has a driver");
            return;
        }
        let Reason::UnusableDriver { problem } = checked_reason() else { panic!("{:?}", reason()) };
        assert!(problem.contains("libcuda.so.1 cannot be loaded"), "{problem}");
    }
}

#[test]
fn a_driver_may_lack_functions() {
    if !is_alone() && cxx().is_none() {
        println!("skipped: there is no g++ to build a library with");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    if !is_alone() {
        library(directory.path(), "libcuda.so.1", "extern \"C\" int cuInit(unsigned) { return 0; }", None);
    }
    if alone("absence::a_driver_may_lack_functions", &[("SNNC_CUDA_LIBS", directory.path().as_os_str())]) {
        let Reason::IncompleteDriver { library, function } = checked_reason() else { panic!("{:?}", reason()) };
        assert!(library.ends_with("libcuda.so.1"));
        assert_eq!(function, "cuDriverGetVersion");
    }
}

/// Runs a test with the fake driver, some functions of which are replaced.
fn altered(test: &str, functions: &str, check: impl Fn()) {
    if fakes().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let libraries = if !is_alone() { altered_fakes(directory.path(), functions) } else { Default::default() };
    if alone(test, &[("SNNC_CUDA_LIBS", &libraries)]) {
        check();
    }
}

#[test]
fn there_may_be_no_device() {
    let functions = "extern \"C\" int cuInit(unsigned) { return 100; }";
    altered("absence::there_may_be_no_device", functions, || assert_eq!(checked_reason(), Reason::NoDevice));
}

#[test]
fn the_driver_may_list_no_device() {
    let functions = "extern \"C\" int cuDeviceGetCount(int *n) { *n = 0; return 0; }";
    altered("absence::the_driver_may_list_no_device", functions, || assert_eq!(checked_reason(), Reason::NoDevice));
}

#[test]
fn the_driver_may_be_a_stub() {
    let functions = "extern \"C\" int cuInit(unsigned) { return 34; }";
    altered("absence::the_driver_may_be_a_stub", functions, || {
        assert!(matches!(checked_reason(), Reason::StubDriver { .. }), "{:?}", reason());
    });
}

#[test]
fn the_driver_may_not_start() {
    let functions = "extern \"C\" int cuInit(unsigned) { return 803; }\n\
                     extern \"C\" int cuGetErrorString(int e, const char **s) { *s = \"a mismatch\"; return e != 803; }";
    altered("absence::the_driver_may_not_start", functions, || {
        let answer = "803, a mismatch".to_owned();
        assert_eq!(checked_reason(), Reason::DriverFailed { call: "cuInit", answer });
    });
}

#[test]
fn the_driver_may_be_old() {
    let functions = "extern \"C\" int cuDriverGetVersion(int *v) { *v = 11080; return 0; }";
    altered("absence::the_driver_may_be_old", functions, || {
        assert_eq!(checked_reason(), Reason::OldDriver { found: (11, 8), needed: (12, 0) });
    });
}

#[test]
fn the_device_may_be_old() {
    let functions =
        "extern \"C\" int cuDeviceGetAttribute(int *v, int a, int) { *v = a == 75 ? 7 : a == 76 ? 5 : 0; return 0; }";
    altered("absence::the_device_may_be_old", functions, || {
        let Reason::OldDevice { found, needed, .. } = checked_reason() else { panic!("{:?}", reason()) };
        assert_eq!((found, needed), ((7, 5), (8, 0)));
        assert_eq!(report().devices.len(), 1, "but it is listed");
    });
}

/// Three devices, of which the driver fails with some: as bits of `FAILING`.
const THREE_DEVICES: &str = "
extern \"C\" int cuDeviceGetCount(int *n) { *n = 3; return 0; }
extern \"C\" int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return FAILING >> ordinal & 1 && ordinal == 2 ? 101 : 0; }
extern \"C\" int cuDeviceTotalMem_v2(unsigned long *bytes, int device) {
    *bytes = 1 << 30;
    return FAILING >> device & 1 ? 999 : 0;
}";

#[test]
fn a_device_that_fails_does_not_hide_the_others() {
    let functions = format!("#define FAILING 6\n{THREE_DEVICES}");
    altered("absence::a_device_that_fails_does_not_hide_the_others", &functions, || {
        let Availability::Ready(devices) = availability() else { panic!("{:?}", availability()) };
        assert_eq!(devices.iter().map(|device| device.ordinal).collect::<Vec<_>>(), [0]);
        Device::open(0).unwrap();
        assert_eq!(Device::open(1).unwrap_err(), CudaError::NoSuchDevice { ordinal: 1, usable: vec![0] });
        let report = report();
        let failed: Vec<String> = report.failed.iter().map(ToString::to_string).collect();
        assert_eq!(
            failed,
            [
                "device 1 cannot be used: cuDeviceTotalMem says 999, which it does not explain",
                "device 2 cannot be used: cuDeviceGet says 101, invalid device ordinal"
            ]
        );
        assert_eq!(report.advice.len(), 2, "{report:?}");
        assert!(report.advice[0].contains("device 1"), "{report:?}");
    });
}

#[test]
fn all_devices_may_fail() {
    let functions = format!("#define FAILING 7\n{THREE_DEVICES}");
    altered("absence::all_devices_may_fail", &functions, || {
        let Reason::DeviceFailed(failed) = checked_reason() else { panic!("{:?}", reason()) };
        assert_eq!((failed.ordinal, failed.call), (0, "cuDeviceTotalMem"));
        assert_eq!((report().failed.len(), report().advice.len()), (3, 3), "and nothing is said twice");
    });
}

#[test]
fn a_device_is_described() {
    let Some(fakes) = fakes() else { return };
    if alone("absence::a_device_is_described", &[("SNNC_CUDA_LIBS", fakes.as_os_str())]) {
        let Availability::Ready(devices) = availability() else { panic!("{:?}", availability()) };
        assert_eq!(devices.len(), 1);
        let device = Device::open(0).unwrap();
        assert_eq!(device.info(), &devices[0]);
        assert_eq!(device.info().capability, (8, 0));
        assert_eq!(device.arch(), Arch::Sm80);
        assert!(device.free_bytes().unwrap() > 0 && device.info().multiprocessors > 0);
        let error = Device::open(7).unwrap_err();
        assert_eq!(error, CudaError::NoSuchDevice { ordinal: 7, usable: vec![0] });
        let report = report();
        let [driver, compiler, ..] = &report.libraries[..] else { panic!("{report:?}") };
        assert_eq!(driver.found.as_deref(), Ok(fakes.join("libcuda.so.1").as_path()));
        assert_eq!(compiler.found.as_deref(), Ok(fakes.join("libnvrtc.so.13").as_path()));
        assert!(report.advice.is_empty(), "{report:?}");
    }
}
