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
    /// A name: `native` or `baseline`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Native => "native",
            Isa::Baseline => "baseline",
        }
    }
}

/// How to compile and run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Threads of the executable's pool; 0 for one a core, at most 1024. No result depends on it.
    pub threads: usize,
    /// The instructions to use.
    pub isa: Isa,
    /// Whether convolutions keep to plain sums, whose rounding errors are smaller than those of transformed tiles (at most
    /// 7e-6 instead of 1.5e-5 of the results' root mean square, for 128 channels) but which take longer.
    pub precise: bool,
}

impl Options {
    /// This many threads (0: one a core), all instructions of this machine.
    pub fn native(threads: usize) -> Options {
        Options { threads, isa: Isa::Native, precise: false }
    }

    /// Which kernels compute contractions.
    pub(crate) fn policy(&self) -> Policy {
        let width = match self.isa {
            Isa::Native => Width::native(),
            Isa::Baseline => Width::Plain,
        };
        Policy { width, precise: self.precise }
    }
}
