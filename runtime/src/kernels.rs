//! Which kernels a run computes with, as its files keep it.
//!
//! Must never know what the choice means.

use serde::{Deserialize, Serialize};

use crate::device::{Crossovers, Isa, Kernels, SpikeKernels};

/// Kernels in a manifest, a checkpoint or a file of calibrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recorded(#[serde(with = "KernelsForm")] pub Kernels);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Kernels")]
struct KernelsForm {
    #[serde(with = "IsaForm")]
    isa: Isa,
    #[serde(with = "SpikesForm")]
    spikes: SpikeKernels,
    precise: bool,
    #[serde(with = "CrossoversForm")]
    crossovers: Crossovers,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Isa", rename_all = "lowercase")]
enum IsaForm {
    Native,
    Avx2,
    Baseline,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SpikeKernels", rename_all = "lowercase")]
enum SpikesForm {
    Dense,
    Sparse,
    Auto,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Crossovers")]
struct CrossoversForm {
    table: [u8; 3],
    forward: [u8; 3],
    weight_gradient: [u8; 3],
    masked: [u8; 2],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_read_as_it_was_written() {
        for isa in Isa::ALL {
            for spikes in SpikeKernels::ALL {
                let crossovers = Crossovers { table: [1, 2, 100], ..Crossovers::BUILT_IN };
                let kernels = Recorded(Kernels { isa, spikes, precise: isa == Isa::Avx2, crossovers });
                let text = serde_json::to_string(&kernels).unwrap();
                assert_eq!(serde_json::from_str::<Recorded>(&text).unwrap(), kernels, "{text}");
                assert!(text.contains(isa.name()) && text.contains(spikes.name()), "{text}");
            }
        }
    }
}
