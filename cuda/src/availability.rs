//! What a machine has of CUDA, as plain data, and in words why it cannot be used and what to do.
//!
//! Must never know how any of it is found out.

use std::fmt;
use std::path::PathBuf;

use crate::target::Arch;

/// A version: major and minor.
pub type Version = (u32, u32);

/// Whether programs can run on a device here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// They can, on any of these; at least one.
    Ready(Vec<DeviceInfo>),
    /// They cannot.
    Absent(Reason),
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its number, from 0.
    pub ordinal: usize,
    /// Its name for people.
    pub name: String,
    /// Its compute capability.
    pub capability: Version,
    /// Bytes of its memory.
    pub memory_bytes: usize,
    /// Its multiprocessors.
    pub multiprocessors: u32,
    /// Bytes of shared memory that a block may have if it asks.
    pub shared_bytes: u32,
    /// The version of CUDA that its driver supports.
    pub driver: Version,
}

/// A device that the driver counts and about which it does not say what must be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedDevice {
    /// Its number, from 0.
    pub ordinal: usize,
    /// What the driver was asked.
    pub call: &'static str,
    /// What it answered.
    pub answer: String,
}

impl FailedDevice {
    /// What the user can do about it.
    pub fn help(&self) -> String {
        format!(
            "look whether `nvidia-smi` reports errors of device {}; CUDA_VISIBLE_DEVICES can leave it out",
            self.ordinal
        )
    }
}

impl fmt::Display for FailedDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device {} cannot be used: {} says {}", self.ordinal, self.call, self.answer)
    }
}

impl DeviceInfo {
    /// What text for it may use.
    pub fn arch(&self) -> Arch {
        match self.capability {
            (9, 0) => Arch::Sm90a,
            (major, _) if major >= 9 => Arch::Sm90,
            _ => Arch::Sm80,
        }
    }
}

/// Why no device can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The program was built without CUDA.
    NotBuilt,
    /// The user said so, by the environment variable `SNNC_NO_GPU`.
    SwitchedOff,
    /// There is no `libcuda.so.1`.
    NoDriver,
    /// The driver's library is there but cannot be loaded.
    UnusableDriver {
        /// The library, and what the system says about it.
        problem: String,
    },
    /// The driver's library lacks a function.
    IncompleteDriver {
        /// The library.
        library: PathBuf,
        /// The first function that is missing.
        function: &'static str,
    },
    /// The driver's library only stands in for the driver, so that programs can be linked.
    StubDriver {
        /// The library.
        library: PathBuf,
    },
    /// There is a driver but no device that it may use.
    NoDevice,
    /// The driver supports only an older CUDA.
    OldDriver {
        /// What it supports.
        found: Version,
        /// What is needed.
        needed: Version,
    },
    /// All devices are older than those that kernels are written for.
    OldDevice {
        /// The name of the best one.
        name: String,
        /// Its compute capability.
        found: Version,
        /// What is needed.
        needed: Version,
    },
    /// There are devices, and the driver fails with all of them; the first.
    DeviceFailed(FailedDevice),
    /// The driver refuses to start.
    DriverFailed {
        /// What it was asked.
        call: &'static str,
        /// What it answered.
        answer: String,
    },
}

impl Reason {
    /// What the user can do about it.
    pub fn help(&self) -> String {
        match self {
            Reason::NotBuilt => "build snnc with the feature `cuda`".to_owned(),
            Reason::SwitchedOff => "unset SNNC_NO_GPU to use a device".to_owned(),
            Reason::NoDriver => {
                "install NVIDIA's driver, or name the directory of libcuda.so.1 in SNNC_CUDA_LIBS; in a container, start it \
                 with access to the devices (`--gpus all`)"
                    .to_owned()
            }
            Reason::UnusableDriver { .. } | Reason::IncompleteDriver { .. } => {
                "update NVIDIA's driver, or take the directory of this library out of the search path".to_owned()
            }
            Reason::StubDriver { .. } => {
                "take the directory `stubs` out of LD_LIBRARY_PATH and SNNC_CUDA_LIBS, so that the library of the driver is \
                 found"
                    .to_owned()
            }
            Reason::NoDevice => {
                "look whether `nvidia-smi` lists a device and whether CUDA_VISIBLE_DEVICES hides it".to_owned()
            }
            Reason::OldDriver { .. } => "update NVIDIA's driver".to_owned(),
            Reason::DeviceFailed(failed) => failed.help(),
            Reason::OldDevice { .. } => "use the processor, `--device cpu`".to_owned(),
            Reason::DriverFailed { .. } => {
                "look whether `nvidia-smi` works; after an update of the driver, start the machine anew".to_owned()
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NotBuilt => f.write_str("this build has no CUDA"),
            Reason::SwitchedOff => f.write_str("CUDA is switched off by SNNC_NO_GPU"),
            Reason::NoDriver => f.write_str("there is no CUDA driver (libcuda.so.1 was not found)"),
            Reason::UnusableDriver { problem } => write!(f, "the CUDA driver cannot be used: {problem}"),
            Reason::IncompleteDriver { library, function } => {
                write!(f, "the CUDA driver {} is incomplete: it lacks `{function}`", library.display())
            }
            Reason::StubDriver { library } => {
                write!(f, "{} is a stub to link with, not a CUDA driver", library.display())
            }
            Reason::NoDevice => f.write_str("the CUDA driver finds no device"),
            Reason::OldDriver { found, needed } => write!(
                f,
                "the CUDA driver is too old: it supports CUDA {}.{}, and {}.{} is needed",
                found.0, found.1, needed.0, needed.1
            ),
            Reason::OldDevice { name, found, needed } => write!(
                f,
                "the device {name} is too old: its compute capability is {}.{}, and {}.{} is needed",
                found.0, found.1, needed.0, needed.1
            ),
            Reason::DeviceFailed(failed) => failed.fmt(f),
            Reason::DriverFailed { call, answer } => write!(f, "the CUDA driver does not start: {call} says {answer}"),
        }
    }
}

/// A library that was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryReport {
    /// What it is for: `driver`, `NVRTC`, `NVRTC builtins`.
    pub purpose: &'static str,
    /// The file that is used, or why there is none.
    pub found: Result<PathBuf, String>,
    /// Its version, if it says one.
    pub version: Option<Version>,
}

/// All that was found out about CUDA on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether programs can run on a device.
    pub availability: Availability,
    /// The libraries, found or not.
    pub libraries: Vec<LibraryReport>,
    /// The directories that were searched besides those of the system, in order.
    pub searched: Vec<PathBuf>,
    /// All devices that the driver lists, also such as cannot be used.
    pub devices: Vec<DeviceInfo>,
    /// Devices that it counts and fails with; the others can be used.
    pub failed: Vec<FailedDevice>,
    /// Where compiled kernels are kept; `None` if they are not.
    pub cache: Option<PathBuf>,
    /// What the user should do, most important first; empty if all is well.
    pub advice: Vec<String>,
}
