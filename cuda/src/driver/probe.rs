//! What this machine has of CUDA, found out once a process and only when somebody asks.
//!
//! Must never know programs.

#![allow(unsafe_code, reason = "asks the driver")]

use std::env;
use std::ffi::{CStr, c_char, c_int};
use std::path::PathBuf;
use std::sync::OnceLock;

use cudarc::driver::sys::{CUdevice, CUdevice_attribute};

use super::accelerators;
use super::api::{Answer, AnswerText, DriverFunctions};
use super::cache::Cache;
use super::libraries::{self, Problem, Wanted};
use super::nvrtc;
use crate::availability::{Availability, DeviceInfo, FailedDevice, LibraryReport, Reason, Report, Version};
use crate::error::CudaError;

/// Drivers of older CUDA lack functions and refuse the code of every NVRTC that is looked for.
const OLDEST_DRIVER: Version = (12, 0);
/// Kernels use instructions of this compute capability.
const OLDEST_DEVICE: Version = (8, 0);

const NO_DEVICE: Answer = 100;
const STUB_LIBRARY: Answer = 34;

/// The driver, loaded and started.
pub(super) struct Driver {
    pub functions: DriverFunctions,
    pub version: Version,
    path: PathBuf,
    text: Option<AnswerText>,
}

impl Driver {
    /// An answer as a result.
    pub fn check(&self, call: &'static str, answer: Answer) -> Result<(), CudaError> {
        match answer {
            0 => Ok(()),
            code => Err(CudaError::Driver { call, code, message: self.describe(code) }),
        }
    }

    fn describe(&self, answer: Answer) -> String {
        describe(self.text, answer)
    }
}

fn describe(text: Option<AnswerText>, answer: Answer) -> String {
    text.and_then(|text| text.describe(answer)).unwrap_or_else(|| "which it does not explain".to_owned())
}

/// All that was found out.
struct Probe {
    driver: Result<Driver, Reason>,
    /// Every device, also such as are too old.
    devices: Vec<DeviceInfo>,
    failed: Vec<FailedDevice>,
    availability: Availability,
}

fn probe() -> &'static Probe {
    static PROBE: OnceLock<Probe> = OnceLock::new();
    PROBE.get_or_init(|| {
        let driver = start();
        let listed = driver.as_ref().map_err(Reason::clone).and_then(|driver| Ok((driver.version, list(driver)?)));
        match listed {
            Ok((version, (devices, failed))) => {
                let availability = judge(version, devices.clone(), &failed);
                Probe { driver, devices, failed, availability }
            }
            Err(reason) => {
                let availability = Availability::Absent(reason);
                Probe { driver, devices: Vec::new(), failed: Vec::new(), availability }
            }
        }
    })
}

/// Whether programs can run on a device of this machine. The first call looks, which takes milliseconds without a driver and
/// as long as the driver starts with one; it never panics.
pub fn availability() -> &'static Availability {
    &probe().availability
}

/// The driver, if programs can run on one of its devices.
pub(super) fn driver() -> Result<&'static Driver, CudaError> {
    match (&probe().driver, &probe().availability) {
        (Ok(driver), Availability::Ready(_)) => Ok(driver),
        (Err(reason), _) | (_, Availability::Absent(reason)) => Err(CudaError::Absent(reason.clone())),
    }
}

/// The newest CUDA whose code the driver takes; nothing if there is no driver to say.
pub(super) fn newest_code() -> Option<Version> {
    probe().driver.as_ref().ok().map(|driver| driver.version)
}

/// Everything about CUDA on this machine, for people who want to know why it is used or not.
pub fn report() -> Report {
    let probe = probe();
    let compiler = nvrtc::compiler();
    let mut libraries = vec![LibraryReport {
        purpose: "driver",
        found: probe.driver.as_ref().map(|driver| driver.path.clone()).map_err(Reason::to_string),
        version: probe.driver.as_ref().ok().map(|driver| driver.version),
    }];
    libraries.extend(nvrtc::library_reports(compiler));
    libraries.extend(accelerators::reports());
    let mut advice = Vec::new();
    if let Availability::Absent(reason) = &probe.availability {
        advice.push(reason.help());
    }
    for help in probe.failed.iter().map(FailedDevice::help) {
        // It may be why none can be used.
        if !advice.contains(&help) {
            advice.push(help);
        }
    }
    if compiler.is_err() {
        advice.push(nvrtc::HOW_TO_GET.to_owned());
    }
    Report {
        availability: probe.availability.clone(),
        libraries,
        searched: libraries::directories(),
        devices: probe.devices.clone(),
        failed: probe.failed.clone(),
        cache: Cache::of_the_user().directory().map(PathBuf::from),
        advice,
    }
}

fn is_switched_off() -> bool {
    env::var_os("SNNC_NO_GPU").is_some_and(|value| !value.is_empty() && value != "0")
}

/// Loads and starts the driver.
fn start() -> Result<Driver, Reason> {
    if is_switched_off() {
        return Err(Reason::SwitchedOff);
    }
    let names = &["libcuda.so.1", "libcuda.so"];
    let wanted = Wanted { names, companion: None, in_wheels: false, title: "the CUDA driver" };
    let found = libraries::find(&wanted).map_err(|problem| match problem {
        Problem::Missing => Reason::NoDriver,
        Problem::Unusable(problem) => Reason::UnusableDriver { problem },
    })?;
    let functions = DriverFunctions::of(&found.library)
        .map_err(|function| Reason::IncompleteDriver { library: found.path.clone(), function })?;
    let text = AnswerText::of(&found.library);
    // The functions are used to the end of the process.
    std::mem::forget(found.library);
    // SAFETY: may be called at any time; 0 is the only argument that there is.
    match unsafe { (functions.cuInit)(0) } {
        0 => {}
        NO_DEVICE => return Err(Reason::NoDevice),
        STUB_LIBRARY => return Err(Reason::StubDriver { library: found.path }),
        answer => return Err(failed("cuInit", text, answer)),
    }
    let mut version = 0;
    // SAFETY: writes to `version` alone.
    let answer = unsafe { (functions.cuDriverGetVersion)(&mut version) };
    if answer != 0 {
        return Err(failed("cuDriverGetVersion", text, answer));
    }
    let version = version.unsigned_abs();
    Ok(Driver { functions, version: (version / 1000, version % 1000 / 10), path: found.path, text })
}

fn failed(call: &'static str, text: Option<AnswerText>, answer: Answer) -> Reason {
    Reason::DriverFailed { call, answer: format!("{answer}, {}", describe(text, answer)) }
}

/// All devices of the driver, and those that it fails with.
fn list(driver: &Driver) -> Result<(Vec<DeviceInfo>, Vec<FailedDevice>), Reason> {
    let answer_of = |error: CudaError| match error {
        CudaError::Driver { call, code, message } => (call, format!("{code}, {message}")),
        other => ("cuDeviceGet", other.to_string()),
    };
    let mut count = 0;
    // SAFETY: writes to `count` alone.
    let answer = unsafe { (driver.functions.cuDeviceGetCount)(&mut count) };
    driver.check("cuDeviceGetCount", answer).map_err(|error| {
        let (call, answer) = answer_of(error);
        Reason::DriverFailed { call, answer }
    })?;
    let (mut devices, mut failed) = (Vec::new(), Vec::new());
    for ordinal in 0..count {
        match describe_device(driver, ordinal) {
            Ok(device) => devices.push(device),
            Err(error) => {
                let (call, answer) = answer_of(error);
                failed.push(FailedDevice { ordinal: ordinal.unsigned_abs() as usize, call, answer });
            }
        }
    }
    Ok((devices, failed))
}

fn describe_device(driver: &Driver, ordinal: c_int) -> Result<DeviceInfo, CudaError> {
    use CUdevice_attribute as Attribute;
    let device = device(driver, ordinal)?;
    let mut name: [c_char; 256] = [0; 256];
    // SAFETY: at most as many bytes are written as the array has, the last of which stays 0.
    let answer = unsafe { (driver.functions.cuDeviceGetName)(name.as_mut_ptr(), 255, device) };
    driver.check("cuDeviceGetName", answer)?;
    // SAFETY: the array ends with a 0.
    let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
    let mut memory_bytes = 0;
    // SAFETY: writes to `memory_bytes` alone.
    let answer = unsafe { (driver.functions.cuDeviceTotalMem_v2)(&mut memory_bytes, device) };
    driver.check("cuDeviceTotalMem", answer)?;
    let ask = |attribute| -> Result<u32, CudaError> {
        let mut value = 0;
        // SAFETY: writes to `value` alone.
        let answer = unsafe { (driver.functions.cuDeviceGetAttribute)(&mut value, attribute, device) };
        driver.check("cuDeviceGetAttribute", answer)?;
        Ok(value.unsigned_abs())
    };
    Ok(DeviceInfo {
        ordinal: ordinal.unsigned_abs() as usize,
        name,
        capability: (
            ask(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            ask(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        ),
        memory_bytes,
        multiprocessors: ask(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        shared_bytes: ask(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?,
        driver: driver.version,
    })
}

/// The driver's handle of a device.
pub(super) fn device(driver: &Driver, ordinal: c_int) -> Result<CUdevice, CudaError> {
    let mut device = 0;
    // SAFETY: writes to `device` alone.
    let answer = unsafe { (driver.functions.cuDeviceGet)(&mut device, ordinal) };
    driver.check("cuDeviceGet", answer)?;
    Ok(device)
}

/// Which devices can be used.
fn judge(driver: Version, devices: Vec<DeviceInfo>, failed: &[FailedDevice]) -> Availability {
    if driver < OLDEST_DRIVER {
        return Availability::Absent(Reason::OldDriver { found: driver, needed: OLDEST_DRIVER });
    }
    let Some(best) = devices.iter().max_by_key(|device| device.capability) else {
        return Availability::Absent(failed.first().cloned().map_or(Reason::NoDevice, Reason::DeviceFailed));
    };
    if best.capability < OLDEST_DEVICE {
        let (name, found) = (best.name.clone(), best.capability);
        return Availability::Absent(Reason::OldDevice { name, found, needed: OLDEST_DEVICE });
    }
    Availability::Ready(devices.into_iter().filter(|device| device.capability >= OLDEST_DEVICE).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(ordinal: usize, capability: Version) -> DeviceInfo {
        DeviceInfo {
            ordinal,
            name: format!("device {ordinal}"),
            capability,
            memory_bytes: 1 << 30,
            multiprocessors: 1,
            shared_bytes: 1 << 16,
            driver: OLDEST_DRIVER,
        }
    }

    #[test]
    fn old_drivers_and_devices_are_told_from_good_ones() {
        let both = || vec![device(0, (7, 5)), device(1, (9, 0))];
        assert_eq!(judge((12, 0), both(), &[]), Availability::Ready(vec![device(1, (9, 0))]));
        let old = Reason::OldDriver { found: (11, 8), needed: (12, 0) };
        assert_eq!(judge((11, 8), both(), &[]), Availability::Absent(old));
        let old = Reason::OldDevice { name: "device 0".into(), found: (7, 5), needed: (8, 0) };
        assert_eq!(judge((13, 0), vec![device(0, (7, 5))], &[]), Availability::Absent(old));
        assert_eq!(judge((13, 0), vec![], &[]), Availability::Absent(Reason::NoDevice));
        let failed = FailedDevice { ordinal: 0, call: "cuDeviceGetName", answer: "999, unknown".into() };
        let good = Availability::Ready(vec![device(1, (9, 0))]);
        assert_eq!(judge((13, 0), vec![device(1, (9, 0))], std::slice::from_ref(&failed)), good);
        let none = judge((13, 0), vec![], std::slice::from_ref(&failed));
        assert_eq!(none, Availability::Absent(Reason::DeviceFailed(failed)));
    }
}
