//! Leaky integrate-and-fire neurons alone, 16 steps of 2^20 neurons, forward and forward with backward, one thread.
//!
//! Must never know how neurons are computed.

use divan::Bencher;
use snn_benches::{KEY, must, neurons};

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 10)]
fn forward(bencher: Bencher<'_, '_>) {
    let mut step = must(neurons(false, 1));
    bencher.bench_local(|| must(step.run(KEY)));
}

#[divan::bench(sample_count = 10)]
fn forward_and_backward(bencher: Bencher<'_, '_>) {
    let mut step = must(neurons(true, 1));
    bencher.bench_local(|| must(step.run(KEY)));
}
