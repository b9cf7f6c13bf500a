//! Every contraction of ResNet-19, forward and its two gradients: 4 steps, 4 samples, one thread.
//!
//! Must never know how a contraction is computed.

use divan::Bencher;
use divan::counter::ItemsCount;
use snn_benches::{Case, KEY, RESNET19_CONTRACTIONS, contraction, must};
use snn_loops::ContractionKind;

/// Images: steps times samples.
const ROWS: usize = 16;

fn main() {
    divan::main();
}

fn names() -> impl Iterator<Item = &'static str> {
    RESNET19_CONTRACTIONS.iter().map(|case| case.name)
}

/// Counts multiplications and additions.
fn run(bencher: Bencher<'_, '_>, name: &str, kind: ContractionKind) {
    let found = RESNET19_CONTRACTIONS.iter().find(|case| case.name == name);
    let case: &Case = must(found.ok_or("no such contraction"));
    let mut instance = must(contraction(case, kind, ROWS, 1));
    let operations = 2 * case.shape().macs() * ROWS;
    bencher.counter(ItemsCount::new(operations)).bench_local(|| must(instance.run(KEY)));
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
