//! What users see: every `tests/ui/NAME.snn` is compiled, and everything the compiler says about it is compared with
//! `tests/ui/NAME.txt`, source and rendered text side by side in review.
//!
//! `SNNC_UPDATE=1 cargo test -p snn-tests --test ui` rewrites the texts; read the difference before committing it.

use std::path::Path;

use snn_lang::compile::{Options, compile};
use snn_lang::render::render_all;
use snn_lang::source::NoFiles;

fn rendered(name: &str, text: &str) -> String {
    let compiled = compile(&NoFiles, name, text, &Options::default());
    render_all(&compiled.diagnostics, &compiled.sources, false)
}

#[test]
fn messages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
    let update = std::env::var_os("SNNC_UPDATE").is_some();
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "snn"))
        .collect();
    names.sort();
    assert!(names.len() >= 30, "only {} cases", names.len());
    let mut wrong = Vec::new();
    for path in names {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let found = rendered(&name, &std::fs::read_to_string(&path).unwrap());
        assert!(!found.trim().is_empty(), "{name}: nothing is said about it");
        let expected = path.with_extension("txt");
        if update {
            std::fs::write(&expected, &found).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{name} now says:\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
