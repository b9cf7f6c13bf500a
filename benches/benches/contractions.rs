//! Every contraction of ResNet-19, forward and its two gradients: 4 steps, 4 samples, one thread.
//!
//! Those of floats are timed one by one. Those of packed spikes, all but the stem's, whose input are no spikes, with 5, 15
//! and 30 % of the inputs firing: what is timed is one launch of a kernel that packs floats to spikes and then so many
//! contractions of them that packing does not matter ([`CONTRACTIONS`]); they and all their operations are counted. An
//! operation is one that the same contraction of floats takes, whether its input fires or not.
//!
//! Must never know how a contraction is computed.

use divan::Bencher;
use divan::counter::ItemsCount;
use snn_benches::{CONTRACTIONS, Case, KEY, RESNET19_CONTRACTIONS, contraction, must, spiking_contraction};
use snn_loops::ContractionKind;

/// Images: steps times samples.
const ROWS: usize = 16;

fn main() {
    divan::main();
}

fn names() -> impl Iterator<Item = &'static str> {
    RESNET19_CONTRACTIONS.iter().map(|case| case.name)
}

/// Shapes whose input is spikes.
fn spiking_names() -> impl Iterator<Item = &'static str> {
    names().filter(|name| *name != "stem")
}

fn case(name: &str) -> &'static Case {
    must(RESNET19_CONTRACTIONS.iter().find(|case| case.name == name).ok_or("no such contraction"))
}

/// Multiplications and additions of a contraction.
fn operations(case: &Case) -> usize {
    2 * case.shape().macs() * ROWS
}

fn run(bencher: Bencher<'_, '_>, name: &str, kind: ContractionKind) {
    let mut instance = must(contraction(case(name), kind, ROWS, 1));
    bencher.counter(ItemsCount::new(operations(case(name)))).bench_local(|| must(instance.run(KEY)));
}

fn run_spikes(bencher: Bencher<'_, '_>, name: &str, kind: ContractionKind, percent: u32) {
    let mut instance = must(spiking_contraction(case(name), kind, percent, ROWS, 1));
    let all = CONTRACTIONS * operations(case(name));
    bencher.counter(ItemsCount::new(all)).bench_local(|| must(instance.run(KEY)));
}

#[divan::bench(args = names(), sample_count = 10)]
fn forward(bencher: Bencher<'_, '_>, name: &str) {
    run(bencher, name, ContractionKind::Forward);
}

#[divan::bench(args = names(), sample_count = 10)]
fn input_gradient(bencher: Bencher<'_, '_>, name: &str) {
    run(bencher, name, ContractionKind::InputGradient);
}

#[divan::bench(args = names(), sample_count = 10)]
fn weight_gradient(bencher: Bencher<'_, '_>, name: &str) {
    run(bencher, name, ContractionKind::WeightGradient);
}

#[divan::bench(args = spiking_names(), consts = [5, 15, 30], sample_count = 10, sample_size = 1)]
fn forward_of_spikes<const PERCENT: u32>(bencher: Bencher<'_, '_>, name: &str) {
    run_spikes(bencher, name, ContractionKind::Forward, PERCENT);
}

#[divan::bench(args = spiking_names(), consts = [5, 15, 30], sample_count = 10, sample_size = 1)]
fn weight_gradient_of_spikes<const PERCENT: u32>(bencher: Bencher<'_, '_>, name: &str) {
    run_spikes(bencher, name, ContractionKind::WeightGradient, PERCENT);
}
