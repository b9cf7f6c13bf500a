//! The instructions that C++ has no operator for, each by itself: if one of these fails, look no further.
//!
//! Must never know what the instructions are.

use snn_cuda::check::instructions::{INPUT, OUTPUT};
use snn_cuda::check::{InstructionCheck, instructions};
use snn_cuda::{CudaError, Device, Executable, Instance};
use snn_loops::RandomKey;

use crate::outcome::Outcome;

/// All that the device has, with names.
pub fn all(device: &Device) -> Vec<(String, InstructionCheck)> {
    instructions(device.arch()).into_iter().map(|check| (format!("instructions.{}", check.name), check)).collect()
}

/// Checks one.
pub fn check(name: String, check: &InstructionCheck, device: &Device) -> Outcome {
    let found = match run(check, device) {
        Ok(found) => found,
        Err(error) => return Outcome::failed(name, error.to_string()),
    };
    let differs = |(_, (found, expected)): &(usize, (&f32, &f32))| found.to_bits() != expected.to_bits();
    match found.iter().zip(&check.expected).enumerate().find(differs) {
        Some((at, (found, expected))) => {
            Outcome::failed(name, format!("number {at} is {found} and should be {expected}"))
        }
        None => Outcome::passed(name, format!("{} numbers", check.expected.len())),
    }
}

fn run(check: &InstructionCheck, device: &Device) -> Result<Vec<f32>, CudaError> {
    let mut instance = Instance::new(&Executable::compile(&check.program(), check.emission(device.arch()), device)?)?;
    instance.write_f32(INPUT, &check.input)?;
    instance.run(RandomKey { seed: 0, run: 0 })?;
    instance.read_f32(OUTPUT)
}
