//! What the user decides about compilation.

use crate::kernels::policy::Policy;
use crate::kernels::vector::Width;

/// The instructions that generated code may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Whatever this machine has.
    Native,
    /// Only what every machine of this architecture has; the same bits, slower.
    Baseline,
}

impl Isa {
    /// Whether loops over lanes may use vectors of 512 bits, and functions of the kind that `wide.rs` assembles.
    pub(crate) fn has_wide_vectors(self) -> bool {
        cfg!(all(target_arch = "x86_64", unix)) && self == Isa::Native && Width::native() == Width::Avx512
    }

    /// A name: `native` or `baseline`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Native => "native",
            Isa::Baseline => "baseline",
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

/// From which density, in percent of the inputs, another kernel is faster. A row each for 3x3 kernels of stride 1, other
/// kernels larger than 1x1, and 1x1 kernels with linear maps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossovers {
    /// Forward: look-up tables instead of one addition a spike.
    pub table: [f64; 3],
    /// Forward: dense kernels instead of both.
    pub forward: [f64; 3],
    /// Gradient of weights: dense kernels instead of one addition a spike.
    pub weight_gradient: [f64; 3],
}

impl Default for Crossovers {
    /// As measured on a machine with AVX-512 and 1 MiB of second-level cache a core.
    fn default() -> Crossovers {
        Crossovers { table: [25.0, 25.0, 25.0], forward: [18.0, 70.0, 30.0], weight_gradient: [20.0, 60.0, 30.0] }
    }
}

/// How to compile and run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Threads of the executable's pool; 0 for one a core, at most 1024. No result depends on it.
    pub threads: usize,
    /// The instructions to use.
    pub isa: Isa,
    /// Whether convolutions keep to plain sums, whose rounding errors are smaller than those of transformed tiles (at most
    /// 7e-6 instead of 1.5e-5 of the results' root mean square, for 128 channels) but which take longer.
    pub precise: bool,
    /// How contractions of spikes are computed.
    pub spikes: SpikeKernels,
    /// What the choice rests on.
    pub crossovers: Crossovers,
}

impl Options {
    /// This many threads (0: one a core), all instructions of this machine.
    pub fn native(threads: usize) -> Options {
        Options {
            threads,
            isa: Isa::Native,
            precise: false,
            spikes: SpikeKernels::Auto,
            crossovers: Crossovers::default(),
        }
    }

    /// Which kernels compute contractions.
    pub(crate) fn policy(&self) -> Policy {
        let width = match self.isa {
            Isa::Native => Width::native(),
            Isa::Baseline => Width::Plain,
        };
        Policy { width, precise: self.precise, spikes: self.spikes, crossovers: self.crossovers }
    }
}
