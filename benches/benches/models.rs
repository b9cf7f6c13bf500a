//! A training step of a small network, and how long a large one takes to compile, one thread.
//!
//! Must never know how models are computed.

use divan::Bencher;
use snn_benches::{MLP, RESNET19, model, must};
use snnc::{Device, SessionOptions, random_batch};

fn main() {
    divan::main();
}

/// 784-800-10, 25 steps, 128 samples.
#[divan::bench(sample_count = 10)]
fn mlp_training_step(bencher: Bencher<'_, '_>) {
    let model = must(model("mlp.snn", MLP, &[]));
    let options = SessionOptions { device: Device::cpu(1), ..model.options() };
    let values = random_batch(&model, options.batch, 1);
    let batch: Vec<(&str, &[f32])> = values.iter().map(|(name, values)| (name.as_str(), values.as_slice())).collect();
    let mut session = must(model.session(options));
    must(session.prepare_training());
    bencher.bench_local(|| must(session.train_batch(&batch, 0.0)));
}

/// From the text to a training program in memory; generated code is shared with the runs before, so that the first of a
/// process is the slowest.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn resnet19_compilation(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| {
        let model = must(model("tdbn_resnet19.snn", RESNET19, &[("batch", "4")]));
        let options = SessionOptions { device: Device::cpu(1), ..model.options() };
        let mut session = must(model.session(options));
        must(session.prepare_training());
    });
}
