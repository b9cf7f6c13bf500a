//! Functions as texts of a size that compilers like: several units compile side by side.
//!
//! Must never know what a function computes.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Unit;
use crate::launch::{Function, Template};
use crate::target::{Arch, Target};

/// What every text begins with.
static PRELUDE: Template = Template { file: "prelude.cu", text: include_str!("../prelude.cu") };

/// Functions of a unit.
const FUNCTIONS: usize = 16;

/// Functions in units; those of a unit need the same templates.
pub(super) fn group(functions: Vec<Function>, target: &Target) -> Vec<Unit> {
    let mut by_needs: BTreeMap<Vec<&'static Template>, Vec<Function>> = BTreeMap::new();
    for function in functions {
        by_needs.entry(function.needs.clone()).or_default().push(function);
    }
    let mut units = Vec::new();
    for (needs, functions) in by_needs {
        for functions in functions.chunks(FUNCTIONS) {
            units.push(unit(units.len(), &needs, functions, target));
        }
    }
    units
}

/// What comes before the functions of a text: the target, the prelude, templates.
pub(crate) fn beginning(needs: &[&'static Template], target: &Target) -> String {
    let mut text = String::new();
    let arch = match target.arch {
        Arch::Sm80 => "#define SNN_ARCH 80\n",
        Arch::Sm90 => "#define SNN_ARCH 90\n",
        Arch::Sm90a => "#define SNN_ARCH 90\n#define SNN_ARCH_A 1\n",
    };
    text.push_str(arch);
    for template in std::iter::once(&&PRELUDE).chain(needs) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "#line 1 \"{}\"\n{}", template.file, template.text);
    }
    text
}

fn unit(number: usize, needs: &[&'static Template], functions: &[Function], target: &Target) -> Unit {
    let mut text = beginning(needs, target);
    let name = format!("unit{number}.cu");
    let _ = writeln!(text, "#line 1 \"{name}\"");
    let begin = text.len();
    for function in functions {
        text.push_str(&function.text);
        text.push('\n');
    }
    let local = functions.iter().filter(|function| function.local_bytes > 0);
    let local_bytes = local.map(|function| (function.name.clone(), function.local_bytes)).collect();
    Unit { name, text, begin, functions: functions.iter().map(|function| function.name.clone()).collect(), local_bytes }
}
