//! Options that several commands share: the machine, settings from outside.
//!
//! Must never know which command takes them.

use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum};
use snnc::runtime::device::{first_cuda, first_cuda_with_compiler};
use snnc::{
    Device, Isa, KernelChoice, Model, Override, Precision, Program, Result, Run, RuntimeError, SessionOptions, Source,
    SpikeKernels, WeightValues,
};

use super::terminal::{note, warn};

/// How much of a machine.
#[derive(Args)]
pub struct Threads {
    /// Threads to use, 0 for one a core. No result depends on it.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = threads)]
    pub threads: usize,
}

/// Which machine, how much of it, and by which kernels.
#[derive(Args)]
pub struct Machine {
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    kernels: Kernels,
}

/// Which code computes; results differ by rounding.
#[derive(Args)]
struct Kernels {
    /// How convolutions and linear maps of spikes are computed: as products, one addition a spike, or by the number of
    /// spikes.
    #[arg(long = "kernels", value_name = "KIND", value_parser = spikes())]
    spikes: Option<SpikeKernels>,
    /// The most instructions to use: all that the machine has, no more than AVX2, or what every machine has.
    #[arg(long, value_name = "SET", value_parser = isa())]
    isa: Option<Isa>,
    /// Keeps convolutions to plain sums: smaller rounding errors, slower.
    #[arg(long)]
    precise: bool,
}

/// The kinds of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The processor, through compiled code.
    Cpu,
    /// The first CUDA device.
    Cuda,
    /// The first CUDA device if there is one, else the processor.
    Auto,
    /// The interpreter that defines what compiled code must do; slow.
    Reference,
}

impl Machine {
    /// Threads, 0 for one a core.
    pub fn threads(&self) -> usize {
        self.threads.threads
    }

    /// What is asked of kernels.
    pub fn choice(&self) -> KernelChoice {
        let Kernels { spikes, isa, precise } = self.kernels;
        KernelChoice { isa, spikes, precise: precise.then_some(true) }
    }

    /// The machine of a kind for a model, its kernels chosen by what was measured on it.
    ///
    /// # Errors
    /// If the machine lacks the instructions that are asked for, or there is no such machine.
    pub fn device(&self, kind: Kind, model: &Model) -> Result<Device> {
        let precision = model.precision();
        match kind {
            Kind::Reference => return Ok(Device::Reference),
            Kind::Cpu => {}
            Kind::Auto => match first_cuda_with_compiler() {
                Ok(ordinal) => return Ok(Device::cuda(ordinal, precision)),
                Err(problem) => note(format_args!("note: on the CPU: {problem}")),
            },
            Kind::Cuda => match first_cuda() {
                Ok(ordinal) => return Ok(Device::cuda(ordinal, precision)),
                Err(problem) => {
                    let message = format!("no CUDA device can be used: {problem}");
                    let help = "`snnc doctor` says what was looked for and where; `--device cpu` runs here";
                    return Err(RuntimeError::new(message).with_help(help).into());
                }
            },
        }
        if precision != Precision::F32 {
            let name = precision.name();
            note(format_args!("note: `precision = {name}` is for CUDA devices; the CPU computes in f32"));
        }
        let (kernels, problem) = self.choice().calibrated()?;
        if let Some(snnc::Error::Run(problem)) = problem {
            note(format_args!("note: {}; kernels are chosen by the built-in table", problem.message()));
        }
        Ok(Device::Cpu { threads: self.threads(), kernels })
    }

    /// How a run's model is run again: on the processor with the kernels that it was trained with, or where it is asked for.
    ///
    /// # Errors
    /// As for [`Self::device`].
    pub fn options_of(&self, run: &Run, kind: Kind) -> Result<SessionOptions> {
        let options = run.options(self.threads(), &self.choice());
        if kind == Kind::Cpu {
            Ok(options)
        } else {
            Ok(SessionOptions { device: self.device(kind, &run.model)?, ..options })
        }
    }

    /// How a model says that it is run, on a machine of a kind and within a limit of memory.
    ///
    /// # Errors
    /// As for [`Self::device`].
    pub fn options(&self, model: &Model, kind: Kind, memory: &Memory) -> Result<SessionOptions> {
        Ok(SessionOptions { device: self.device(kind, model)?, memory_limit: memory.memory_limit, ..model.options() })
    }
}

fn spikes() -> impl TypedValueParser<Value = SpikeKernels> {
    by_name(SpikeKernels::ALL, SpikeKernels::name)
}

fn isa() -> impl TypedValueParser<Value = Isa> {
    by_name(Isa::ALL, Isa::name)
}

/// One of some choices, by its name.
pub fn by_name<T: Copy + Send + Sync + 'static, const N: usize>(
    all: [T; N],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(all.map(name))
        .try_map(move |text| all.into_iter().find(|choice| name(*choice) == text).ok_or("no such choice"))
}

/// How much memory training may take.
#[derive(Args)]
pub struct Memory {
    /// The most memory that a training step may take: a number of bytes, or `500MB`, `2GiB`. Where it would take more, values
    /// are computed a second time for the backward pass instead of being kept; no result depends on it.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub memory_limit: Option<usize>,
}

/// What inference rounds weights to.
#[derive(Args)]
pub struct Rounding {
    /// What the weights of linear maps and convolutions that hear spikes are rounded to for inference: not at all, or to 8
    /// bits with a scale for each output channel. CUDA devices then add integers; others compute with the rounded weights.
    #[arg(long, value_name = "TYPE", value_enum, default_value_t = WeightType::F32)]
    weight_type: WeightType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WeightType {
    /// Weights as they are.
    F32,
    /// 8 bits.
    Int8,
}

impl Rounding {
    /// What a session is told.
    pub fn weights(&self) -> WeightValues {
        match self.weight_type {
            WeightType::F32 => WeightValues::Any,
            WeightType::Int8 => WeightValues::Int8,
        }
    }
}

/// Settings given from outside the program.
#[derive(Args)]
pub struct Settings {
    /// Overrides a setting of `train`, of what it calls, or of the model: `epochs=3`, `optimizer.lr=1e-3`,
    /// `model.steps=2`. May be given several times.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub overrides: Vec<Override>,
}

impl Settings {
    /// The program of a file with these settings; its warnings are written.
    ///
    /// # Errors
    /// If it cannot be read or has errors, or a setting names nothing.
    pub fn compile(&self, file: &Path) -> Result<Program> {
        self.compile_source(Source::from_file(file)?)
    }

    /// The same for a text that is there already.
    ///
    /// # Errors
    /// As for [`Self::compile`].
    pub fn compile_source(&self, source: Source) -> Result<Program> {
        let program = Program::compile(source, &self.overrides)?;
        warn(&program);
        Ok(program)
    }
}

fn setting(text: &str) -> Result<Override, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("write a name, `=` and a value, such as epochs=3".to_owned()),
    }
}

/// A count of at least 1.
pub fn positive(text: &str) -> Result<usize, String> {
    const MOST: usize = 1 << 24;
    match text.parse() {
        Ok(count) if (1..=MOST).contains(&count) => Ok(count),
        _ => Err(format!("a number from 1 to {MOST}")),
    }
}

fn threads(text: &str) -> Result<usize, String> {
    const MOST: usize = 1024;
    match text.parse() {
        Ok(threads) if threads <= MOST => Ok(threads),
        _ => Err(format!("a number from 0 to {MOST}")),
    }
}

/// Units of memory, the longest names first.
const UNITS: &[(&str, f64)] = &[
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("B", 1.0),
];

/// A number of bytes such as `2GiB`, `600MB` or `4096`.
pub fn bytes(text: &str) -> Result<usize, String> {
    /// More than any machine has, and exact in a float.
    const MOST: f64 = 1e15;
    let unit = UNITS.iter().find_map(|(name, factor)| Some((text.strip_suffix(name)?, *factor)));
    let (number, factor) = unit.unwrap_or((text, 1.0));
    match number.trim().parse::<f64>().map(|number| number * factor) {
        Ok(bytes) if (1.0..=MOST).contains(&bytes) => Ok(bytes as usize),
        _ => Err("write a number of bytes, or one with a unit, such as 500MB or 2GiB".to_owned()),
    }
}

/// A duration in seconds, such as `0.1ms`.
pub fn duration(text: &str) -> Result<f64, String> {
    let unit = [("ns", -9), ("us", -6), ("ms", -3), ("s", 0)];
    let split = unit.iter().find_map(|(name, exponent)| Some((text.trim().strip_suffix(name)?, exponent)));
    // A number with an exponent is rounded once, a product would be twice.
    let seconds = split.and_then(|(number, exponent)| format!("{}e{exponent}", number.trim()).parse().ok());
    match seconds {
        Some(seconds) if f64::is_finite(seconds) && seconds > 0.0 => Ok(seconds),
        _ => Err("write a duration that is not 0, such as 1ms or 0.1ms".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_units() {
        let known =
            [("17", 17), ("2GiB", 2 << 30), ("1.5 KiB", 1536), ("500MB", 500_000_000), ("3kB", 3000), ("9B", 9)];
        for (text, expected) in known {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for wrong in ["", "B", "GiB", "-1", "0", "1TiB", "1e300GB", "inf", "nan", "2 Gib"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_have_units() {
        for (text, expected) in [("1ms", 1e-3), ("0.1ms", 1e-4), ("100 us", 1e-4), ("3ns", 3e-9), ("2s", 2.0)] {
            assert_eq!(duration(text), Ok(expected), "{text}");
        }
        for wrong in ["", "ms", "1", "0ms", "-1ms", "inf s", "nanms", "1e-1ms", "1 h", "1e999s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_are_names_and_values() {
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(setting("epochs=3"), pair("epochs", "3"));
        assert_eq!(setting(" loss = a == b "), pair("loss", "a == b"));
        for wrong in ["epochs", "=3", "epochs=", ""] {
            assert!(setting(wrong).is_err(), "{wrong}");
        }
    }
}
