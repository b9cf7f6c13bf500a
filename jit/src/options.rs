//! What the user decides about compilation.

use crate::error::JitError;
use crate::kernels::policy::Policy;
use crate::kernels::vector::Width;

/// The instructions that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Whatever this machine has.
    Native,
    /// At most AVX2 and FMA, so that machines with and without AVX-512 compute the same.
    Avx2,
    /// Only what every machine of this architecture has.
    Baseline,
}

impl Isa {
    /// Whether loops over lanes may use vectors of 512 bits, and functions of the kind that `wide.rs` assembles.
    pub(crate) fn has_wide_vectors(self) -> bool {
        cfg!(all(target_arch = "x86_64", unix)) && self == Isa::Native && Width::native() == Width::Avx512
    }

    /// Every choice.
    pub const ALL: [Isa; 3] = [Isa::Native, Isa::Avx2, Isa::Baseline];

    /// A name: `native`, `avx2` or `baseline`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Native => "native",
            Isa::Avx2 => "avx2",
            Isa::Baseline => "baseline",
        }
    }

    /// The vectors that it stands for on this machine, in words: `AVX-512`, `AVX2` or `baseline`.
    ///
    /// # Errors
    /// If this machine lacks the instructions.
    pub fn vectors(self) -> Result<&'static str, JitError> {
        Ok(self.width()?.name())
    }

    pub(crate) fn width(self) -> Result<Width, JitError> {
        match (self, Width::native()) {
            (Isa::Native, native) => Ok(native),
            (Isa::Avx2, Width::Avx512 | Width::Avx2) => Ok(Width::Avx2),
            (Isa::Avx2, Width::Plain) => Err(JitError::Host("it has no AVX2 with FMA and BMI2".to_owned())),
            (Isa::Baseline, _) => Ok(Width::Plain),
        }
    }
}

/// How contractions of spikes are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpikeKernels {
    /// As products of floats, whatever the density.
    Dense,
    /// One addition a spike, whatever the density.
    Sparse,
    /// By the number of spikes of every call.
    Auto,
}

impl SpikeKernels {
    /// Every choice.
    pub const ALL: [SpikeKernels; 3] = [SpikeKernels::Dense, SpikeKernels::Sparse, SpikeKernels::Auto];

    /// A name: `dense`, `sparse` or `auto`.
    pub fn name(self) -> &'static str {
        match self {
            SpikeKernels::Dense => "dense",
            SpikeKernels::Sparse => "sparse",
            SpikeKernels::Auto => "auto",
        }
    }
}

/// From which density another kernel is faster, in percent of the inputs, 1 to 100. An element each for 3x3 kernels of
/// stride 1, other kernels larger than 1x1, and 1x1 kernels with linear maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Crossovers {
    /// Forward: look-up tables instead of one addition a spike.
    pub table: [u8; 3],
    /// Forward: dense kernels instead of both.
    pub forward: [u8; 3],
    /// Gradient of weights: dense kernels instead of one addition a spike.
    pub weight_gradient: [u8; 3],
    /// Linear maps to at most 16 outputs, forward and gradient of weights: one addition for any 16 channels of an output
    /// instead of one a spike. Their other limits are without a meaning.
    pub masked: [u8; 2],
}

impl Crossovers {
    /// As measured on a machine with AVX-512 and 1 MiB of second-level cache a core.
    pub const BUILT_IN: Crossovers =
        Crossovers { table: [25, 25, 25], forward: [18, 70, 30], weight_gradient: [20, 60, 30], masked: [2, 2] };
}

/// Which code computes, of all that compute the same but for rounding. Results are equal to the bit where this and the
/// machine's vectors are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kernels {
    /// The instructions to use.
    pub isa: Isa,
    /// How contractions of spikes are computed.
    pub spikes: SpikeKernels,
    /// Whether convolutions keep to plain sums, whose rounding errors are smaller than those of transformed tiles (at most
    /// 7e-6 instead of 1.6e-5 of the results' root mean square, for 128 channels) but which take longer.
    pub precise: bool,
    /// What the choice by the number of spikes rests on.
    pub crossovers: Crossovers,
}

impl Kernels {
    /// All instructions of this machine, the fastest kernels by the built-in table.
    pub const NATIVE: Kernels =
        Kernels { isa: Isa::Native, spikes: SpikeKernels::Auto, precise: false, crossovers: Crossovers::BUILT_IN };

    pub(crate) fn policy(&self) -> Result<Policy, JitError> {
        let Kernels { isa, spikes, precise, crossovers } = *self;
        Ok(Policy { width: isa.width()?, precise, spikes, crossovers })
    }
}

impl Default for Kernels {
    fn default() -> Kernels {
        Kernels::NATIVE
    }
}

/// How to compile and run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Threads of the executable's pool; 0 for one a core, at most 1024. No result depends on it.
    pub threads: usize,
    /// What code computes.
    pub kernels: Kernels,
}

impl Options {
    /// This many threads (0: one a core), all instructions of this machine.
    pub fn native(threads: usize) -> Options {
        Options { threads, kernels: Kernels::NATIVE }
    }
}
