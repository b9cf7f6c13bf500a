//! Leaky integrate-and-fire neurons alone, 16 steps of 2^20 neurons: forward, forward with backward, and, for comparison, a
//! copy of as many bytes as one array of them has; on one and two threads.
//!
//! Must never know how neurons are computed.

use divan::Bencher;
use divan::counter::BytesCount;
use snn_benches::{KEY, Neurons, copy, must, neurons};

/// Neurons times steps.
const ELEMENTS: usize = 1 << 24;

fn main() {
    divan::main();
}

/// Reads 4 bytes an element and writes a bit.
#[divan::bench(args = [1, 2], sample_count = 20)]
fn forward(bencher: Bencher<'_, '_>, threads: usize) {
    let mut step = must(neurons(Neurons::Smooth, false, threads));
    bencher.counter(BytesCount::new(ELEMENTS * 33 / 8)).bench_local(|| must(step.run(KEY)));
}

/// Could do with 16.1 bytes an element: the current twice, the gradients of spikes and currents, and a bit.
#[divan::bench(args = [1, 2], sample_count = 20)]
fn forward_and_backward(bencher: Bencher<'_, '_>, threads: usize) {
    let mut step = must(neurons(Neurons::Smooth, true, threads));
    bencher.counter(BytesCount::new(ELEMENTS * 161 / 10)).bench_local(|| must(step.run(KEY)));
}

/// Could do with 12.5 bytes an element: the current once, the gradients of spikes and currents, and two bits that are
/// written and read.
#[divan::bench(args = [1, 2], sample_count = 20)]
fn compact_forward_and_backward(bencher: Bencher<'_, '_>, threads: usize) {
    let mut step = must(neurons(Neurons::Compact, true, threads));
    bencher.counter(BytesCount::new(ELEMENTS * 25 / 2)).bench_local(|| must(step.run(KEY)));
}

/// Reads and writes 4 bytes an element.
#[divan::bench(args = [1, 2], sample_count = 20)]
fn copied(bencher: Bencher<'_, '_>, threads: usize) {
    let mut copy = must(copy(ELEMENTS, threads));
    bencher.counter(BytesCount::new(ELEMENTS * 8)).bench_local(|| must(copy.run(KEY)));
}
