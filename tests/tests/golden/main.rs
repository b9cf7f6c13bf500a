//! Golden values: what other frameworks compute, computed here from .snn text, for every file of neurons, surrogates, norms
//! and networks. `cargo test -p snn-tests --test golden -- --nocapture` shows the largest deviations.
//!
//! Every comparison is made in three ways, see [`ways`]; spikes must be equal, everything else within [`ledger::F64`] or
//! [`ledger::F32`]. Deviations that are the peer's stand in [`known`] with their reasons. Without the files every test
//! passes and says so.

mod event_neurons;
mod events;
mod files;
mod known;
mod layers;
mod ledger;
mod networks;
mod norms;
mod norse;
mod probe;
mod runs;
mod snntorch;
mod source;
mod spikingjelly;
mod surrogates;
mod ways;

/// How the names of files begin that are checked here.
const CHECKED: &[&str] = &[
    "sj_lif",
    "sj_if",
    "sj_plif",
    "sj_cubalif",
    "sj_surrogate_curves",
    "sj_tdbn2d",
    "sj_neunorm",
    "snntorch_leaky",
    "snntorch_synaptic_alpha",
    "norse_lif",
    "threshold_equality",
    "net_smallres",
    "net_cifarnet",
    "net_resnet19",
    "event_",
    "train_mlp",
    "train_smallres",
];

/// How the names of files begin that other tests read.
const ELSEWHERE: &[&str] = &["nir_"];

#[test]
fn every_file_is_checked_somewhere() {
    for name in files::names() {
        let known = CHECKED.iter().chain(ELSEWHERE).any(|prefix| name.starts_with(prefix));
        assert!(known, "no test reads {name}");
    }
}
