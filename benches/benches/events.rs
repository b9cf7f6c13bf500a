//! A layer on events: how inference and a training step grow with the spikes of senders and neurons, and with the number
//! of neurons that each spike arrives at. An item is an event at a neuron.
//!
//! Must never know how neurons on events are computed.

use divan::Bencher;
use divan::counter::ItemsCount;
use snn_benches::events::{CASES, Case};
use snn_benches::must;

fn main() {
    divan::main();
}

#[divan::bench(args = CASES, sample_count = 10)]
fn inference(bencher: Bencher<'_, '_>, case: Case) {
    let mut session = must(case.session(false, 1));
    bencher.counter(ItemsCount::new(case.arrivals())).bench_local(|| must(session.infer_again()));
}

#[divan::bench(args = CASES, sample_count = 10)]
fn training(bencher: Bencher<'_, '_>, case: Case) {
    let mut session = must(case.session(true, 1));
    bencher.counter(ItemsCount::new(case.arrivals())).bench_local(|| must(session.train_again(0.0)));
}
