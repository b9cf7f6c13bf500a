//! Sessions and the training loop on a model built by hand: linear regression of the digits' classes, with no neurons.
//!
//! What the language and the command line add is tested there.

use std::path::Path;

use snn_graph::ops::index::{IndexAxis, IndexOp};
use snn_graph::ops::{ArgMax, InputOp, ParamOp, pointwise::Function};
use snn_graph::{Axes, Graph, Init, Input, InputKind, Model, Parameter, TimeAxis, Ty};
use snn_runtime::data::{self, Dataset, DatasetArgs};
use snn_runtime::device::Device;
use snn_runtime::metrics::EpochRecord;
use snn_runtime::optim::{Optimizer, UpdateRule};
use snn_runtime::run_dir::{ExistingRun, Manifest, RunDir, TrainingState};
use snn_runtime::schedule::Schedule;
use snn_runtime::session::{Session, SessionOptions};
use snn_runtime::train::{Event, Observer, Outcome, TrainConfig, evaluate, train};
use snn_runtime::{Dtype, WeightValues};

const BATCH: usize = 64;

/// `image -> weight -> 10 scores`, loss: the squared distance of the scores from the one-hot label.
fn model() -> Model {
    let mut g = Graph::new(1);
    let image = g.push(InputOp { name: "image".into(), ty: Ty::signal(false, &[1, 8, 8]) }, &[]).unwrap();
    let label = g.push(InputOp { name: "label".into(), ty: Ty::signal(false, &[]) }, &[]).unwrap();
    let weight = g.push(ParamOp { path: "linear1.weight".into(), ty: Ty::fixed(&[10, 64]) }, &[]).unwrap();
    let flat = g.reshape(image, &[64]).unwrap();
    let scores = g.linear(flat, weight).unwrap();
    let classes = g.push(IndexOp { axis: IndexAxis::Dim(10) }, &[]).unwrap();
    let hit = g.pointwise(Function::Eq, &[classes, label]).unwrap();
    let (one, zero) = (g.constant(1.0).unwrap(), g.constant(0.0).unwrap());
    let wanted = g.select(hit, one, zero).unwrap();
    let error = g.sub(scores, wanted).unwrap();
    let square = g.mul(error, error).unwrap();
    let loss = g.sum(square, &Axes { dims: vec![0], ..Axes::default() }).unwrap();
    let prediction = g.push(ArgMax {}, &[scores]).unwrap();
    let input = |name: &str, dims: &[usize], node| Input {
        name: name.to_owned(),
        kind: InputKind::Static,
        dims: dims.to_vec(),
        node,
    };
    Model {
        name: "Regression".to_owned(),
        time: TimeAxis::Steps(1),
        inputs: vec![input("image", &[1, 8, 8], image)],
        parameters: vec![Parameter {
            path: "linear1.weight".to_owned(),
            dims: vec![10, 64],
            time: false,
            init: Init::KaimingNormal,
            node: weight,
        }],
        averages: Vec::new(),
        spikes: Vec::new(),
        output: scores,
        targets: vec![input("label", &[], label)],
        loss: Some(loss),
        prediction: Some(prediction),
        graph: g,
    }
}

fn digits() -> Dataset {
    data::open("digits", &DatasetArgs::default(), Path::new("."), None).unwrap()
}

fn session(device: Device) -> Session {
    let rule = UpdateRule::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 };
    Session::new(
        model(),
        Some(rule),
        SessionOptions {
            batch: BATCH,
            dtype: Dtype::F32,
            device,
            seed: 1,
            memory_limit: None,
            weights: WeightValues::Any,
        },
    )
    .unwrap()
}

fn config(epochs: u64, max_updates: Option<u64>) -> TrainConfig {
    let optimizer = Optimizer { lr: 1e-2, rule: UpdateRule::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 } };
    TrainConfig { lr: optimizer.lr, schedule: Schedule::Cosine { min: 0.1 }, augment: Vec::new(), epochs, max_updates }
}

const ONE_THREAD: Device = Device::cpu(1);

#[derive(Default)]
struct Notes {
    batches: usize,
    epochs: Vec<EpochRecord>,
    stop_after: Option<usize>,
}

impl Observer for Notes {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Batch { .. } => self.batches += 1,
            Event::Epoch(record) => self.epochs.push(record.clone()),
        }
    }

    fn stop(&self) -> bool {
        self.stop_after.is_some_and(|most| self.batches >= most)
    }
}

fn timeless(records: &[EpochRecord]) -> Vec<EpochRecord> {
    records.iter().map(|r| EpochRecord { seconds: 0.0, samples_per_second: 0.0, ..r.clone() }).collect()
}

#[test]
fn training_lowers_the_loss_and_evaluation_agrees_with_the_record() {
    let data = digits();
    let mut session = session(ONE_THREAD);
    let before = evaluate(&mut session, &data.test).unwrap();
    let mut notes = Notes::default();
    let outcome = train(&mut session, &data, &config(10, None), None, TrainingState::default(), &mut notes).unwrap();
    let n_batches = data.train.len() / BATCH;
    assert_eq!((outcome.finished, outcome.state.updates, notes.batches), (true, 10 * n_batches as u64, 10 * n_batches));
    let after = evaluate(&mut session, &data.test).unwrap();
    let last = notes.epochs.last().unwrap();
    assert_eq!((Some(after.loss), after.accuracy), (Some(last.test_loss), last.test_accuracy));
    assert!(after.loss < 0.5 * before.loss, "{} then {}", before.loss, after.loss);
    assert!(after.accuracy > Some(0.8), "{:?}", after.accuracy);
}

#[test]
fn neither_threads_nor_where_it_stops_nor_the_device_shows_in_the_weights() {
    let data = digits();
    let run = |device, max_updates| {
        let mut session = session(device);
        train(&mut session, &data, &config(1, max_updates), None, TrainingState::default(), &mut Notes::default())
            .unwrap();
        session.tensors(true).unwrap()
    };
    let one = run(ONE_THREAD, None);
    assert_eq!(one, run(Device::cpu(2), None));
    // The interpreter sums in another order, so its weights agree but for rounding.
    let (compiled, reference) = (run(ONE_THREAD, Some(2)), run(Device::Reference, Some(2)));
    for (compiled, reference) in compiled.iter().zip(&reference) {
        for (a, b) in compiled.data.to_f64().iter().zip(reference.data.to_f64().iter()) {
            assert!((a - b).abs() <= 1e-5 * b.abs().max(0.1), "{}: {a} and {b}", compiled.name);
        }
    }
}

fn manifest() -> Manifest {
    let text = || "x".to_owned();
    Manifest {
        snnc_version: text(),
        model: text(),
        model_file: text(),
        model_sha256: text(),
        imports: Vec::new(),
        base_dir: text(),
        data_dir: None,
        data: text(),
        data_sha256: text(),
        seed: 1,
        overrides: Vec::new(),
        device: text(),
        threads: 1,
        precision: text(),
        machine: text(),
        kernels: None,
        choices: None,
    }
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_weights_and_metrics() {
    let data = digits();
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str| RunDir::create_at(&dir.path().join(name), ExistingRun::Keep, &manifest()).unwrap();
    let start = TrainingState::default();
    let whole = run("whole");
    train(&mut session(ONE_THREAD), &data, &config(3, None), Some(&whole), start.clone(), &mut Notes::default())
        .unwrap();

    let parts = run("parts");
    // In the middle of the first epoch, exactly at the end of the second, and then to the end.
    let mut outcome = Outcome { state: start, finished: false };
    let n_batches = data.train.len() / BATCH;
    let stops = [(Some(7), None), (None, Some(2 * n_batches as u64)), (None, None)];
    for (part, (stop_after, max_updates)) in stops.into_iter().enumerate() {
        let mut session = session(ONE_THREAD);
        if part > 0 {
            let (path, file, state) = parts.load_checkpoint().unwrap();
            assert_eq!(state, outcome.state);
            session.restore(&file.take(&session.tensor_specs(true), &path).unwrap()).unwrap();
        }
        let mut notes = Notes { stop_after, ..Notes::default() };
        outcome = train(&mut session, &data, &config(3, max_updates), Some(&parts), outcome.state, &mut notes).unwrap();
        assert_eq!(outcome.finished, part == 2);
    }
    assert_eq!(std::fs::read(whole.weights()).unwrap(), std::fs::read(parts.weights()).unwrap());
    assert_eq!(std::fs::read(whole.best_weights()).unwrap(), std::fs::read(parts.best_weights()).unwrap());
    let records = |run: &RunDir| timeless(&run.metrics().read().unwrap());
    assert_eq!(records(&whole), records(&parts));
    assert_eq!(records(&parts).len(), 3);
}

#[test]
fn what_does_not_fit_is_explained() {
    let mut session = session(ONE_THREAD);
    let image = vec![0.0; BATCH * 64];
    let error = session.infer_batch(&[("image", &image[1..])]).unwrap_err();
    assert!(error.message().contains("takes 4096 numbers, but 4095 were given"), "{error}");
    let error = session.infer_batch(&[]).unwrap_err();
    assert!(error.message().contains("no values were given for `image`"), "{error}");
    let error = session.infer_batch(&[("image", &image), ("imago", &image)]).unwrap_err();
    assert!(error.message().contains("no input `imago`"), "{error}");
    assert_eq!(session.infer_batch(&[("image", &image)]).unwrap().output.dims, [BATCH, 10]);
    let options = SessionOptions { weights: WeightValues::Int8, ..*session.options() };
    let rule = UpdateRule::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let mut rounded = Session::new(model(), Some(rule), options).unwrap();
    let error = rounded.prepare_training().unwrap_err();
    assert!(error.message().contains("weights of 8 bits are for inference"), "{error}");
    rounded.prepare_evaluation().unwrap();
    let options = SessionOptions { batch: 0, ..*session.options() };
    assert!(Session::new(model(), None, options).is_err());
    let mut options = *session.options();
    options.batch = 2000;
    let mut large =
        Session::new(model(), Some(UpdateRule::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 }), options)
            .unwrap();
    let error = train(&mut large, &digits(), &config(1, None), None, TrainingState::default(), &mut Notes::default());
    assert!(error.unwrap_err().message().contains("a batch of 2000 is larger than the 1442 samples"));
}

#[test]
fn weights_are_the_same_wherever_they_are() {
    let data = digits();
    let mut session = session(ONE_THREAD);
    let first = session.tensors(true).unwrap();
    session.prepare_evaluation().unwrap();
    assert_eq!(session.tensors(true).unwrap(), first);
    session.prepare_training().unwrap();
    assert_eq!(session.tensors(true).unwrap(), first);
    let before = evaluate(&mut session, &data.test).unwrap();
    train(&mut session, &data, &config(1, Some(2)), None, TrainingState::default(), &mut Notes::default()).unwrap();
    assert_ne!(session.tensors(true).unwrap(), first);
    assert_ne!(evaluate(&mut session, &data.test).unwrap(), before);
    session.restore(&first).unwrap();
    assert_eq!(session.tensors(true).unwrap(), first);
    assert_eq!(evaluate(&mut session, &data.test).unwrap(), before);
    // One tensor after the other is the same.
    train(&mut session, &data, &config(1, Some(4)), None, TrainingState::default(), &mut Notes::default()).unwrap();
    for tensor in &first {
        session.set_tensor(&tensor.name, &tensor.data.to_f64()).unwrap();
    }
    assert_eq!(session.tensors(true).unwrap(), first);
    assert_eq!(evaluate(&mut session, &data.test).unwrap(), before);
    let error = session.set_tensor(&first[0].name, &[1.0]).unwrap_err();
    assert!(error.message().contains("but 1 values were given"), "{error}");
    assert!(session.set_tensor("nothing", &[1.0]).unwrap_err().message().contains("no tensor called `nothing`"));
}
