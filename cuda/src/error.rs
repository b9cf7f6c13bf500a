//! What can go wrong between a program and a device, explained.
//!
//! Must never know how devices are driven.

use std::fmt;

use snn_loops::Dtype;

use crate::availability::Reason;

/// Why a program was not compiled, or an instance not made, run, read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CudaError {
    /// No device can be used.
    Absent(Reason),
    /// There is no device of that number.
    NoSuchDevice {
        /// The number asked for.
        ordinal: usize,
        /// The numbers that there are.
        usable: Vec<usize>,
    },
    /// NVRTC is not there, and kernels that were compiled before do not suffice.
    NoCompiler(String),
    /// NVRTC refused a text.
    Compile {
        /// The unit's name.
        unit: String,
        /// What it was compiled for.
        target: String,
        /// What NVRTC says, with the lines of the text.
        log: String,
    },
    /// The emission does not go with its program.
    Emission(String),
    /// The device's memory does not suffice.
    OutOfMemory {
        /// How many bytes were asked for.
        asked: usize,
        /// How many are free, if the driver says.
        free: Option<usize>,
    },
    /// The driver refused something.
    Driver {
        /// The function that was called.
        call: &'static str,
        /// Its answer.
        code: u32,
        /// The answer in words.
        message: String,
    },
    /// A library that computes in our place refused something.
    Library {
        /// Its name.
        library: &'static str,
        /// The function that was called.
        call: &'static str,
        /// Its answer.
        code: u32,
    },
    /// The program has no such buffer.
    NoBuffer(u32),
    /// The program computes in another type.
    WrongType {
        /// The program's type.
        program: Dtype,
        /// The type asked for.
        asked: Dtype,
    },
    /// The numbers of elements differ.
    WrongLength {
        /// The buffer's name.
        buffer: String,
        /// Elements of the buffer.
        expected: usize,
        /// Elements given.
        found: usize,
    },
    /// The host may not do this with such a buffer.
    WrongRole {
        /// The buffer's name.
        buffer: String,
        /// What was tried.
        action: &'static str,
    },
}

impl fmt::Display for CudaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CudaError::Absent(reason) => write!(f, "{reason}; {}", reason.help()),
            CudaError::NoSuchDevice { ordinal, usable } => {
                let numbers: Vec<String> = usable.iter().map(usize::to_string).collect();
                write!(f, "there is no CUDA device {ordinal} that can be used; there is {}", numbers.join(", "))
            }
            CudaError::NoCompiler(why) => write!(f, "kernels cannot be compiled: {why}"),
            CudaError::Compile { unit, target, log } => {
                write!(f, "NVRTC cannot compile `{unit}` for {target}:\n{}", log.trim_end())
            }
            CudaError::Emission(message) => write!(f, "the emitted kernels do not fit the program: {message}"),
            CudaError::OutOfMemory { asked, free } => {
                write!(f, "out of memory on the device: {} asked for", mebibytes(*asked))?;
                match free {
                    Some(free) => write!(f, ", {} free; take smaller batches or set a memory limit", mebibytes(*free)),
                    None => f.write_str("; take smaller batches or set a memory limit"),
                }
            }
            CudaError::Driver { call, code, message } => {
                write!(f, "the CUDA driver failed: {call} answers {code}, {message}")?;
                if is_lost(*code) {
                    f.write_str("; the device can no longer be used by this process, start it again")?;
                }
                Ok(())
            }
            CudaError::Library { library, call, code } => {
                write!(f, "{library} failed: {call} answers {code}; SNNC_ACCELERATORS=off does without it")
            }
            CudaError::NoBuffer(id) => write!(f, "the program has no buffer b{id}"),
            CudaError::WrongType { program, asked } => {
                write!(f, "the program computes in {}, not in {}", program.name(), asked.name())
            }
            CudaError::WrongLength { buffer, expected, found } => {
                write!(f, "buffer `{buffer}` has {expected} elements, not {found}")
            }
            CudaError::WrongRole { buffer, action } => write!(f, "buffer `{buffer}` cannot be {action}"),
        }
    }
}

impl std::error::Error for CudaError {}

impl CudaError {
    /// Whether the process can no longer use the device.
    #[cfg_attr(not(feature = "driver"), allow(dead_code, reason = "only a driver fails so"))]
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, CudaError::Driver { code, .. } if is_lost(*code))
    }
}

/// Answers after which a context is of no use: illegal addresses and instructions, failed launches, lost devices.
fn is_lost(code: u32) -> bool {
    matches!(code, 46 | 214 | 700 | 702 | 709..=719)
}

fn mebibytes(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_is_missing_and_what_to_do() {
        let out = CudaError::OutOfMemory { asked: 3 << 20, free: Some(1 << 20) };
        assert_eq!(
            out.to_string(),
            "out of memory on the device: 3.0 MiB asked for, 1.0 MiB free; take smaller batches or set a memory limit"
        );
        let lost = CudaError::Driver { call: "cuStreamSynchronize", code: 700, message: "illegal address".into() };
        assert!(lost.to_string().ends_with("start it again"), "{lost}");
        let refused = CudaError::Driver { call: "cuMemAlloc", code: 1, message: "invalid value".into() };
        assert_eq!(refused.to_string(), "the CUDA driver failed: cuMemAlloc answers 1, invalid value");
        assert_eq!(
            CudaError::Absent(Reason::SwitchedOff).to_string(),
            "CUDA is switched off by SNNC_NO_GPU; unset SNNC_NO_GPU to use a device"
        );
    }
}
