//! Creating, refusing, replacing and reopening folders of runs.

use super::*;
use crate::device::{Choices, Kernels, SpikeKernels, Winner};

fn manifest() -> Manifest {
    Manifest {
        snnc_version: "0.1.0".to_owned(),
        model: "Net".to_owned(),
        model_file: "models/net.snn".to_owned(),
        model_sha256: sha256(b"model Net() {}\n"),
        imports: vec![Import { name: "models/mine.snn".to_owned(), text: "// mine".to_owned() }],
        base_dir: "/models".to_owned(),
        data_dir: None,
        data: "digits".to_owned(),
        data_sha256: "cd".repeat(32),
        seed: u64::MAX,
        overrides: vec![("epochs".to_owned(), "3".to_owned()), ("batch".to_owned(), "8".to_owned())],
        device: "cpu".to_owned(),
        threads: 2,
        precision: "f32".to_owned(),
        machine: "portable".to_owned(),
        kernels: Some(Recorded(Kernels::NATIVE)),
        choices: None,
    }
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn numbers_go_up_and_are_never_reused() {
    let base = tempfile::tempdir().unwrap();
    let create = |model: &str| RunDir::create_numbered(base.path(), model, &manifest()).unwrap();
    let first = create("Net");
    assert_eq!(first.path(), base.path().join("runs/Net-1"));
    assert_eq!(create("Net").path(), base.path().join("runs/Net-2"));
    fs::remove_dir_all(first.path()).unwrap();
    fs::create_dir(base.path().join("runs/Net-7")).unwrap();
    fs::write(base.path().join("runs/Net-9"), b"a file").unwrap();
    assert_eq!(create("Net").path(), base.path().join("runs/Net-10"));
    assert_eq!(create("../evil/x").path(), base.path().join("runs/___evil_x-1"));
    assert_eq!(first.manifest().unwrap_err().help().map(|help| help.contains("not the folder of a run")), Some(true));
}

#[test]
fn a_folder_with_files_of_others_is_refused_and_left_alone() {
    let base = tempfile::tempdir().unwrap();
    for (name, content) in [("thesis.txt", "years of work"), (MANIFEST, "{\"format\": \"webapp\"}"), (WEIGHTS, "")] {
        let dir = base.path().join(name.replace('.', "_"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(name), content).unwrap();
        for existing in [ExistingRun::Keep, ExistingRun::Replace] {
            let error = RunDir::create_at(&dir, existing, &manifest()).unwrap_err();
            assert!(error.message().contains("is not empty and holds no run"), "{error}");
        }
        assert_eq!(names(&dir), [name]);
        assert_eq!(fs::read_to_string(dir.join(name)).unwrap(), content);
    }
    let file = base.path().join("file");
    fs::write(&file, "x").unwrap();
    RunDir::create_at(&file, ExistingRun::Replace, &manifest()).unwrap_err();
    assert_eq!(fs::read_to_string(&file).unwrap(), "x");
}

#[test]
fn a_run_is_kept_unless_it_is_to_be_replaced() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("a/b");
    let run = RunDir::create_at(&dir, ExistingRun::Keep, &manifest()).unwrap();
    run.write_model("model Net() {}").unwrap();
    fs::write(run.weights(), b"weights").unwrap();
    fs::write(dir.join("notes.txt"), b"mine").unwrap();
    let error = RunDir::create_at(&dir, ExistingRun::Keep, &manifest()).unwrap_err();
    assert!(error.message().contains("already holds a run"), "{error}");
    assert_eq!(names(&dir), [MANIFEST, MODEL, "notes.txt", WEIGHTS]);
    RunDir::create_at(&dir, ExistingRun::Replace, &manifest()).unwrap();
    assert_eq!(names(&dir), [MANIFEST, "notes.txt"]);
}

#[test]
fn what_is_written_comes_back() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("run");
    let run = RunDir::create_at(&dir, ExistingRun::Keep, &manifest()).unwrap();
    run.write_model("model Net() {}\n").unwrap();
    let run = RunDir::open(&dir).unwrap();
    assert_eq!(run.manifest().unwrap(), manifest());
    assert_eq!(run.model().unwrap(), "model Net() {}\n");
    assert_eq!(run.metrics().path(), dir.join(METRICS));
    run.write_model("model Other() {}\n").unwrap();
    assert!(run.model().unwrap_err().message().contains("is not the model that this run was made from"));
}

#[test]
fn checkpoints_hold_tensors_and_state_together() {
    let base = tempfile::tempdir().unwrap();
    let run = RunDir::create_at(base.path(), ExistingRun::Keep, &manifest()).unwrap();
    assert!(run.load_checkpoint().unwrap_err().message().contains("no checkpoint"));
    let state = TrainingState {
        epoch: 4,
        updates: 1000,
        best: Some(Best { epoch: 3, test_accuracy: 0.1 + 0.2 }),
        partial: None,
        kernels: Some(Recorded(Kernels { spikes: SpikeKernels::Sparse, ..Kernels::NATIVE })),
        choices: Some(Choices::from([("a product".to_owned(), Winner::Library)]).into()),
    };
    let tensors = [NamedTensor { name: "w".to_owned(), shape: vec![1], data: checkpoint::TensorData::F32(vec![0.5]) }];
    run.save_checkpoint(&tensors, &state).unwrap();
    fs::write(base.path().join(CHECKPOINT_STATE), "edited by hand").unwrap();
    let (path, file, loaded) = run.load_checkpoint().unwrap();
    assert_eq!((path, file.tensors, loaded), (base.path().join(CHECKPOINT), tensors.to_vec(), state));
    checkpoint::save(&base.path().join(CHECKPOINT), &tensors, &BTreeMap::new()).unwrap();
    let error = run.load_checkpoint().unwrap_err();
    assert!(error.message().contains("does not say where training stands"), "{error}");
}

#[test]
fn only_runs_can_be_opened() {
    let base = tempfile::tempdir().unwrap();
    let error = RunDir::open(base.path()).unwrap_err();
    assert!(error.message().contains(MANIFEST), "{error}");
    let other = serde_json::to_string(&MarkedManifest { format: "snnc-run-9".to_owned(), manifest: manifest() });
    fs::write(base.path().join(MANIFEST), other.unwrap()).unwrap();
    let error = RunDir::open(base.path()).unwrap_err();
    assert!(error.message().contains("snnc-run-9"), "{error}");
}
