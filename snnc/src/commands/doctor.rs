//! `snnc doctor`: what this machine has that snnc can use.

use std::path::Path;

use serde_json::{Value, json};
use snnc::Result;
use snnc::doctor::{Availability, DeviceInfo, Diagnosis, LibraryReport, diagnose};

use super::Status;
use super::table::{Align, Table};
use super::terminal::{say, write};

/// Shows what this machine has that snnc can use.
///
/// Names the processor, the CUDA devices and the libraries behind them, where each was found, and what to do where
/// something is missing. `SNNC_CUDA_LIBS` names directories to look in first, `SNNC_NO_GPU=1` switches CUDA off,
/// `SNNC_CACHE` names the folder of what is kept, and is `off` where nothing shall be; `SNNC_ACCELERATORS=off` keeps cuBLASLt
/// and cuDNN, which builds with the feature `accelerators` use where they are faster, out of it.
#[derive(clap::Args)]
pub struct Args {
    /// The result as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Status> {
    let diagnosis = diagnose();
    match args.json {
        true => say(as_json(&diagnosis)),
        false => write(&as_text(&diagnosis)),
    }
    Ok(Status::Success)
}

fn as_text(diagnosis: &Diagnosis) -> String {
    let cuda = &diagnosis.cuda;
    let mut text = format!(
        "snnc {}\nprocessor: {}, {} threads\ncache: {}\n\n",
        diagnosis.version,
        diagnosis.processor,
        diagnosis.threads,
        shown(diagnosis.cache.as_deref())
    );
    let has_compiler = cuda.libraries.iter().any(|library| library.purpose == "NVRTC" && library.found.is_ok());
    let only = if has_compiler { "" } else { ", with kernels that were compiled before" };
    text.push_str(&match &cuda.availability {
        Availability::Ready(devices) => format!("CUDA can be used, on {}{only}\n", count(devices.len(), "device")),
        Availability::Absent(reason) => format!("CUDA cannot be used: {reason}\n"),
    });
    if !cuda.libraries.is_empty() {
        text.push_str(&format!("\n{}", libraries(&cuda.libraries)));
    }
    if !cuda.devices.is_empty() {
        text.push_str(&format!("\n{}", devices(&cuda.devices)));
    }
    for failed in &cuda.failed {
        text.push_str(&format!("\n{failed}\n"));
    }
    if !cuda.searched.is_empty() {
        let searched: Vec<String> = cuda.searched.iter().map(|path| path.display().to_string()).collect();
        text.push_str(&format!("\nsearched: the system's directories, {}\n", searched.join(", ")));
        text.push_str(&format!("compiled kernels: {}\n", shown(cuda.cache.as_deref())));
    }
    for advice in &cuda.advice {
        text.push_str(&format!("\nto use CUDA: {advice}\n"));
    }
    text
}

fn libraries(libraries: &[LibraryReport]) -> String {
    let mut table = Table::new(&[("library", Align::Left), ("version", Align::Left), ("found", Align::Left)]);
    for library in libraries {
        let version = library.version.map_or_else(String::new, version);
        let found = match &library.found {
            Ok(path) => path.display().to_string(),
            Err(problem) => format!("no: {problem}"),
        };
        table.row(vec![library.purpose.to_owned(), version, found]);
    }
    table.render()
}

fn devices(devices: &[DeviceInfo]) -> String {
    let mut table = Table::new(&[
        ("device", Align::Right),
        ("name", Align::Left),
        ("capability", Align::Left),
        ("memory", Align::Right),
        ("multiprocessors", Align::Right),
    ]);
    for device in devices {
        table.row(vec![
            device.ordinal.to_string(),
            device.name.clone(),
            version(device.capability),
            format!("{:.1} GiB", device.memory_bytes as f64 / f64::from(1 << 30)),
            device.multiprocessors.to_string(),
        ]);
    }
    table.render()
}

fn as_json(diagnosis: &Diagnosis) -> Value {
    let cuda = &diagnosis.cuda;
    let libraries = cuda.libraries.iter().map(|library| {
        json!({
            "purpose": library.purpose,
            "path": library.found.as_ref().ok(),
            "problem": library.found.as_ref().err(),
            "version": library.version.map(version),
        })
    });
    let devices = cuda.devices.iter().map(|device| {
        json!({
            "ordinal": device.ordinal,
            "name": device.name,
            "capability": version(device.capability),
            "memory_bytes": device.memory_bytes,
            "multiprocessors": device.multiprocessors,
            "shared_bytes": device.shared_bytes,
            "driver": version(device.driver),
        })
    });
    let failed = cuda.failed.iter().map(|failed| json!({ "ordinal": failed.ordinal, "problem": failed.to_string() }));
    let (usable, reason) = match &cuda.availability {
        Availability::Ready(devices) => (devices.iter().map(|device| device.ordinal).collect(), None),
        Availability::Absent(reason) => (Vec::new(), Some(reason.to_string())),
    };
    json!({
        "version": diagnosis.version,
        "processor": diagnosis.processor,
        "threads": diagnosis.threads,
        "cache": diagnosis.cache,
        "cuda": {
            "usable": usable,
            "reason": reason,
            "libraries": libraries.collect::<Vec<_>>(),
            "devices": devices.collect::<Vec<_>>(),
            "failed": failed.collect::<Vec<_>>(),
            "searched": cuda.searched,
            "compiled_kernels": cuda.cache,
            "advice": cuda.advice,
        },
    })
}

fn version((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("one {what}") } else { format!("{n} {what}s") }
}

fn shown(path: Option<&Path>) -> String {
    path.map_or_else(|| "off".to_owned(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use snnc::doctor::{CudaReport, FailedDevice};

    use super::*;

    #[test]
    fn devices_that_fail_are_named_beside_those_that_can_be_used() {
        let device = DeviceInfo {
            ordinal: 0,
            name: "One".into(),
            capability: (9, 0),
            memory_bytes: 1 << 30,
            multiprocessors: 132,
            shared_bytes: 227 << 10,
            driver: (13, 0),
        };
        let failed = FailedDevice { ordinal: 1, call: "cuDeviceGetName", answer: "999, unknown error".into() };
        let problem = "device 1 cannot be used: cuDeviceGetName says 999, unknown error";
        let cuda = CudaReport {
            availability: Availability::Ready(vec![device.clone()]),
            libraries: vec![LibraryReport { purpose: "NVRTC", found: Ok("libnvrtc.so.13".into()), version: None }],
            searched: Vec::new(),
            devices: vec![device],
            failed: vec![failed],
            cache: None,
            advice: Vec::new(),
        };
        let mut diagnosis = Diagnosis { version: "0", processor: String::new(), threads: 1, cache: None, cuda };
        let text = as_text(&diagnosis);
        assert!(
            text.contains("CUDA can be used, on one device\n") && text.contains(&format!("\n{problem}\n")),
            "{text}"
        );
        let json = as_json(&diagnosis);
        assert_eq!(json["cuda"]["usable"], json!([0]));
        assert_eq!(json["cuda"]["failed"], json!([{ "ordinal": 1, "problem": problem }]));
        diagnosis.cuda.libraries.clear();
        let without = as_text(&diagnosis);
        assert!(without.contains("on one device, with kernels that were compiled before\n"), "{without}");
    }
}
