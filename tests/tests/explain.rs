//! What `snnc check --explain` says about neurons given by equations: every `tests/explain/NAME.snn` against
//! `tests/explain/NAME.txt`.
//!
//! `SNNC_UPDATE=1 cargo test -p snn-tests --test explain` rewrites the texts; read the difference before committing it.

use std::path::Path;

use snnc::Model;

fn explained(name: &str, text: &str) -> String {
    let model = Model::from_text(name, text, &[]).unwrap_or_else(|error| panic!("{error}"));
    let explanations = model.explain().unwrap_or_else(|error| panic!("{name}: {error}"));
    explanations.iter().map(|explanation| format!("{}\n{}\n", explanation.name, explanation.text)).collect()
}

#[test]
fn mathematics() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("explain");
    let update = std::env::var_os("SNNC_UPDATE").is_some();
    let mut wrong = Vec::new();
    let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "snn"));
    names.sort();
    assert!(names.len() >= 4, "only {} cases", names.len());
    for path in names {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let found = explained(&name, &std::fs::read_to_string(&path).unwrap());
        let expected = path.with_extension("txt");
        if update {
            std::fs::write(&expected, &found).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{name} now says:\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
