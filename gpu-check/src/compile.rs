//! Every kernel of models through NVRTC, for every architecture, with what its functions take of a multiprocessor.
//!
//! Needs NVRTC and no device. Must never know what kernels compute.

use std::collections::BTreeMap;

use snn_cuda::{Arch, Compiler, Emission, Precision, Resources, Target, Unit};
use snnc::Model;

use crate::outcome::Outcome;
use crate::programs;

/// Compilers round a thread's memory up to this many bytes.
const FRAME: usize = 16;

/// Units with functions that no unit before had, by architecture.
#[derive(Default)]
pub struct Texts {
    units: BTreeMap<(Arch, String), Unit>,
}

impl Texts {
    /// Adds the programs of a model, in a precision, for all architectures.
    ///
    /// # Errors
    /// If the model cannot be compiled.
    pub fn add(&mut self, model: &Model, batch: usize, precision: Precision) -> Result<(), String> {
        for (_, program) in programs::of(model, batch)? {
            for arch in Arch::ALL {
                let emission = snn_cuda::emit(&program, &Target { arch, dtype: program.dtype, precision });
                self.keep(arch, emission);
            }
        }
        Ok(())
    }

    fn keep(&mut self, arch: Arch, emission: Emission) {
        for unit in emission.units {
            self.units.entry((arch, unit.functions.join(" "))).or_insert(unit);
        }
    }

    /// Number of units.
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// Whether there is nothing to compile.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// Compiles everything on two threads: an outcome for each unit, and the worst of each resource.
    pub fn compile(&self, compiler: &Compiler) -> (Vec<Outcome>, Worst) {
        let all: Vec<(&(Arch, String), &Unit)> = self.units.iter().collect();
        let (first, second) = all.split_at(all.len() / 2);
        let some = |units: &[(&(Arch, String), &Unit)]| {
            let mut outcomes = Vec::new();
            let mut worst = Worst::default();
            for ((arch, _), unit) in units {
                outcomes.push(compile_unit(compiler, *arch, unit, &mut worst));
            }
            (outcomes, worst)
        };
        let (left, right) = std::thread::scope(|scope| {
            let other = scope.spawn(|| some(second));
            (some(first), other.join())
        });
        let (mut outcomes, mut worst) = left;
        match right {
            Ok((more, other)) => {
                outcomes.extend(more);
                worst.join(&other);
            }
            Err(_) => outcomes.push(Outcome::failed("compilation", "a thread of the compiler died")),
        }
        (outcomes, worst)
    }
}

/// The most that any function takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Worst {
    /// Functions that were compiled.
    pub functions: usize,
    /// Registers of a thread.
    pub registers: u32,
    /// Bytes of a thread's stack.
    pub stack_bytes: u32,
    /// Bytes that are stored because registers do not suffice.
    pub spill_bytes: u32,
    /// Bytes of shared memory that do not depend on a launch.
    pub shared_bytes: u32,
}

impl Worst {
    fn see(&mut self, resources: &Resources) {
        self.functions += 1;
        self.registers = self.registers.max(resources.registers);
        self.stack_bytes = self.stack_bytes.max(resources.stack_bytes);
        self.spill_bytes = self.spill_bytes.max(resources.spill_stores).max(resources.spill_loads);
        self.shared_bytes = self.shared_bytes.max(resources.shared_bytes);
    }

    fn join(&mut self, other: &Worst) {
        self.functions += other.functions;
        self.registers = self.registers.max(other.registers);
        self.stack_bytes = self.stack_bytes.max(other.stack_bytes);
        self.spill_bytes = self.spill_bytes.max(other.spill_bytes);
        self.shared_bytes = self.shared_bytes.max(other.shared_bytes);
    }
}

fn compile_unit(compiler: &Compiler, arch: Arch, unit: &Unit, worst: &mut Worst) -> Outcome {
    let name = format!("{} {} ({} functions)", arch.name(), unit.name, unit.functions.len());
    let compiled = match compiler.compile(&unit.name, &unit.text, arch.name()) {
        Ok(compiled) => compiled,
        Err(error) => return Outcome::failed(name, error.to_string()),
    };
    compiled.resources.iter().for_each(|resources| worst.see(resources));
    let missing = unit.functions.iter().find(|wanted| compiled.resources.iter().all(|r| r.function != **wanted));
    if let Some(missing) = missing {
        return Outcome::failed(name, format!("the compiler does not report on `{missing}`"));
    }
    match compiled.resources.iter().find_map(|resources| excess(unit, resources)) {
        Some(problem) => Outcome::failed(name, problem),
        None => Outcome::passed(name, String::new()),
    }
}

/// What a function takes of memory without being meant to.
fn excess(unit: &Unit, found: &Resources) -> Option<String> {
    let Resources { function, registers, stack_bytes, spill_stores, spill_loads, .. } = found;
    if spill_stores + spill_loads > 0 {
        return Some(format!("`{function}` spills {spill_stores} bytes at {registers} registers"));
    }
    let meant = unit.local_bytes.get(function).copied().unwrap_or(0);
    (*stack_bytes as usize > meant.next_multiple_of(FRAME))
        .then(|| format!("a thread of `{function}` has a stack of {stack_bytes} bytes where {meant} are meant"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_nobody_asked_for_is_found() {
        let local_bytes = BTreeMap::from([("asks".to_owned(), 20)]);
        let unit = Unit { name: String::new(), text: String::new(), begin: 0, functions: Vec::new(), local_bytes };
        let excess = |function: &str, stack_bytes, spill_loads| {
            excess(&unit, &Resources { function: function.into(), stack_bytes, spill_loads, ..Resources::default() })
        };
        assert_eq!(excess("asks", 32, 0), None);
        assert_eq!(excess("other", 0, 0), None);
        assert_eq!(excess("asks", 40, 0).unwrap(), "a thread of `asks` has a stack of 40 bytes where 20 are meant");
        assert_eq!(excess("other", 8, 0).unwrap(), "a thread of `other` has a stack of 8 bytes where 0 are meant");
        assert!(excess("asks", 32, 4).unwrap().starts_with("`asks` spills"));
    }
}
