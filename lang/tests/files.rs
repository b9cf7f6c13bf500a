//! What can only go wrong between several texts, or between a text and the command line.

use std::collections::BTreeMap;

use snn_lang::source::{Files, NoFiles};
use snn_lang::{Options, compile};

/// Files in memory.
struct Texts(BTreeMap<String, String>);

impl Files for Texts {
    fn read(&self, _importing: &str, path: &str) -> Result<(String, String), String> {
        let text = self.0.get(path).ok_or_else(|| format!("there is no `{path}`"))?;
        Ok((path.to_owned(), text.clone()))
    }
}

fn codes(files: &dyn Files, text: &str, overrides: &[(&str, &str)]) -> Vec<(String, String)> {
    let overrides = overrides.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let compiled = compile(files, "main.snn", text, &Options { overrides, ..Options::default() });
    let text =
        |d: &snn_lang::diagnostic::Diagnostic| format!("{} {}", d.message, d.help.as_deref().unwrap_or_default());
    compiled.diagnostics.iter().map(|d| (d.code.to_string(), text(d))).collect()
}

const MODEL: &str = "model M {\n    input x: [4]\n    time 4\n    x + 1\n}\n";

/// E0204
#[test]
fn files_that_use_each_other() {
    let neuron = |uses: &str, name: &str| {
        format!(
            "use \"{uses}\" {{ {uses2} }}\nneuron {name}()(x) {{ x }}\n",
            uses2 = if name == "A" { "B" } else { "A" }
        )
    };
    let files = Texts(BTreeMap::from([("a.snn".into(), neuron("b.snn", "A")), ("b.snn".into(), neuron("a.snn", "B"))]));
    let found = codes(&files, &format!("use \"a.snn\" {{ A }}\n{MODEL}"), &[]);
    assert!(found.iter().any(|(code, _)| code == "E0204"), "{found:?}");
}

/// E0206
#[test]
fn a_chain_of_very_many_files() {
    let mut texts = BTreeMap::new();
    for at in 0..1000 {
        let next = at + 1;
        let text = format!("use \"{next}.snn\" {{ N{next} }}\nneuron N{at}()(x) {{ x }}\n");
        texts.insert(format!("{at}.snn"), text);
    }
    let found = codes(&Texts(texts), &format!("use \"0.snn\" {{ N0 }}\n{MODEL}"), &[]);
    assert!(found.iter().any(|(code, _)| code == "E0206"), "{found:?}");
}

/// E0409
#[test]
fn a_setting_from_outside_that_does_not_exist() {
    let text = format!("{MODEL}train M {{\n    data = digits()\n    loss = mean(out, over = [time, ..])\n}}\n");
    let found = codes(&NoFiles, &text, &[("epoch", "3")]);
    assert!(found.iter().any(|(code, said)| code == "E0409" && said.contains("epochs")), "{found:?}");
}
