//! The standard library of the .snn language, as text embedded in the compiler.
//!
//! A neuron, surrogate, layer, norm, encoder, readout, block or loss is added by writing a `.snn` file and naming it
//! here. This crate must never parse its texts, nor know anything of what reads them.

/// One file of the standard library. Several files may belong to one module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module {
    /// What a `use` names, such as `std.neurons`; [`PRELUDE`] for what is in scope without a `use`.
    pub path: &'static str,
    /// The file within the library, such as `neurons/lif.snn`, for messages.
    pub file: &'static str,
    /// The text.
    pub text: &'static str,
}

/// The path of the files whose declarations are in scope everywhere.
pub const PRELUDE: &str = "std.prelude";

macro_rules! modules {
    ($($path:literal: $($file:literal)*;)*) => {
        &[$($(Module { path: $path, file: $file, text: include_str!(concat!("../", $file)) },)*)*]
    };
}

/// All files, those of one module side by side. A declaration's name is unique in its module.
pub const MODULES: &[Module] = modules! {
    "std.prelude":
        "prelude/functions.snn" "prelude/losses.snn" "prelude/data.snn" "prelude/training.snn"
        "prelude/initializers.snn";
    "std.surrogates":
        "surrogates/compact.snn" "surrogates/smooth.snn" "surrogates/sigmoid.snn" "surrogates/erf.snn"
        "surrogates/gaussian.snn";
    "std.neurons":
        "neurons/integrate_and_fire.snn" "neurons/lif.snn" "neurons/plif.snn" "neurons/iterative_lif.snn"
        "neurons/cuba_lif.snn" "neurons/leaky.snn" "neurons/noisy_step.snn" "neurons/li.snn";
    "std.layers":
        "layers/linear.snn" "layers/conv.snn" "layers/pool.snn" "layers/dropout.snn" "layers/normalize.snn";
    "std.norms": "norms/tdbn.snn" "norms/batch_norm.snn" "norms/neunorm.snn";
    "std.encoders": "encoders/encoders.snn";
    "std.readouts": "readouts/readouts.snn";
    "std.blocks": "blocks/blocks.snn";
};

/// The files of one module; none if there is no such module.
pub fn files(path: &str) -> impl Iterator<Item = &'static Module> {
    MODULES.iter().filter(move |module| module.path == path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::{MODULES, PRELUDE, files};

    fn snn_files(folder: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                snn_files(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "snn") {
                found.insert(path);
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_listed_once_under_the_module_of_its_folder() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut on_disk = BTreeSet::new();
        snn_files(root, &mut on_disk);
        let listed: BTreeSet<PathBuf> = MODULES.iter().map(|module| root.join(module.file)).collect();
        assert_eq!(listed, on_disk);
        assert_eq!(listed.len(), MODULES.len());
        for module in MODULES {
            let folder = module.file.split('/').next().unwrap();
            assert_eq!(module.path, format!("std.{folder}"), "{}", module.file);
        }
    }

    #[test]
    fn files_open_with_an_explanation_and_an_edition() {
        for module in MODULES {
            let mut code = module.text.lines().skip_while(|line| line.starts_with("// ") || *line == "//");
            assert!(module.text.starts_with("// "), "{}", module.file);
            assert_eq!(code.next(), Some("edition 1"), "{}", module.file);
        }
    }

    #[test]
    fn modules_are_found_by_their_path() {
        assert_eq!(files("std.surrogates").count(), 5);
        assert!(files("std.surrogates").all(|module| module.file.starts_with("surrogates/")));
        assert_eq!(files(PRELUDE).count(), 5);
        assert_eq!(files("std.nothing").count(), 0);
    }
}
