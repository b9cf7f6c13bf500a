//! What makes a program well formed. Back ends may rely on every rule and need not check them.
//!
//! 1. Every id lies in range: buffers, kernels, values, registers and variables.
//! 2. A constant buffer has as many values as elements.
//! 3. A value is defined once, before its uses, which lie in the block that defines it or in blocks nested in that.
//!    A loop variable belongs to one loop and is used only inside; a block extent names the variable of an enclosing loop.
//! 4. A scalar instruction gets as many arguments as it takes, of the right types; registers and memory get floats.
//! 5. A register is set before it is read, in the same or an enclosing block, and always on the same side of `Lanes`.
//! 6. A `Parallel` loop is the only outermost statement. A `Lanes` loop lies in no other, and only `Serial` and `Reverse`
//!    loops lie in it.
//! 7. A store inside a `Parallel` or `Lanes` loop of more than one iteration depends on its variable.
//! 8. Stores have no bounds, and nothing writes an input or a constant.
//! 9. Loads and stores lie inside their buffers: those without bounds for all that ranges of the indices can tell, those
//!    with bounds as far as ranges can tell. No bound is negative.
//! 10. Heavy kernels have a sound shape, their operands lie inside their buffers at every step and do not mention loop
//!     variables, and a result does not overlap an operand.
//! 11. `Repeat`s are not nested, and only kernels launched in one mention its step.
//! 12. In the order of launches, nothing reads a temporary or output buffer before something has written (some of) it.
//! 13. A store to a packed buffer goes to element `64 a + l` where `l` is the `Lanes` variable or nothing and `a` is made of
//!     whole coefficients: so lanes fill words in order and no word is shared by two parallel iterations. The nest does
//!     not load what it stores there, because one store takes the bits of several lanes.
//! 14. An index into scratch depends on serial loops alone and has no bounds; heavy kernels never touch scratch.
//!
//! The verifier must never know what a program is meant to compute.

mod events;
mod heavy;
mod launches;
mod nest;
mod range;

use std::fmt;

use crate::index::{Atom, Ix};
use crate::nest::Nest;
use crate::plan::each_access;
use crate::program::{Kernel, Launch, Program, Role};

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    /// The number of the rule in the module's list.
    pub rule: u8,
    /// The kernel, for people; empty where the program as a whole is wrong.
    pub kernel: String,
    /// What is wrong, with ids as they are printed.
    pub message: String,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kernel.as_str() {
            "" => write!(f, "loops rule {}: {}", self.rule, self.message),
            kernel => write!(f, "loops rule {} in kernel `{kernel}`: {}", self.rule, self.message),
        }
    }
}

impl std::error::Error for VerifyError {}

/// Collects what is wrong with one kernel.
struct Report<'a> {
    kernel: &'a str,
    errors: &'a mut Vec<VerifyError>,
}

impl Report<'_> {
    fn add(&mut self, rule: u8, message: String) {
        self.errors.push(VerifyError { rule, kernel: self.kernel.to_owned(), message });
    }
}

/// All broken rules, in the order of the program.
pub fn verify(program: &Program) -> Result<(), Vec<VerifyError>> {
    let mut errors = Vec::new();
    let mut report = Report { kernel: "", errors: &mut errors };
    check_constants(program, &mut report);
    let steps = steps_of_kernels(program);
    for (kernel, steps) in program.kernels.iter().zip(steps) {
        let mut report = Report { kernel: kernel.name(), errors: &mut errors };
        match kernel {
            Kernel::Nest(nest) => {
                nest::check(program, nest, steps, &mut report);
                check_packed_updates(program, nest, &mut report);
            }
            Kernel::Contraction(contraction) => heavy::check_contraction(program, contraction, steps, &mut report),
            Kernel::EventSweep(sweep) => events::check(program, sweep, steps, &mut report),
            Kernel::Draw(draw) => heavy::check_draw(program, draw, steps, &mut report),
        }
    }
    launches::check(program, &mut errors);
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn check_constants(program: &Program, report: &mut Report) {
    for (id, buffer) in program.buffers.iter().enumerate() {
        if let Role::Constant(values) = &buffer.role
            && values.len() != buffer.len
        {
            report.add(2, format!("b{id} has {} elements but {} values", buffer.len, values.len()));
        }
    }
}

/// Rule 13: no packed element is loaded where it is stored.
fn check_packed_updates(program: &Program, nest: &Nest, report: &mut Report) {
    let (mut loaded, mut stored) = (Vec::new(), Vec::new());
    each_access(&nest.body, &mut |access, is_store| {
        if program.is_packed(access.buffer) {
            let places = if is_store { &mut stored } else { &mut loaded };
            places.push((access.buffer, access.index.clone()));
        }
    });
    for (buffer, index) in stored.iter().filter(|place| loaded.contains(place)) {
        report.add(13, format!("b{}[{index}] is packed, loaded and stored", buffer.0));
    }
}

/// For each kernel the largest number of steps of a `Repeat` that launches it; 1 outside of one.
fn steps_of_kernels(program: &Program) -> Vec<usize> {
    let mut counts = vec![1; program.kernels.len()];
    for launch in &program.launches {
        let Launch::Repeat { steps, body, .. } = launch else { continue };
        for launch in body {
            if let Launch::Run(id) = launch
                && let Some(count) = counts.get_mut(id.0 as usize)
            {
                *count = (*steps).max(*count);
            }
        }
    }
    counts
}

/// Whether an index depends on the step of a `Repeat`.
fn mentions_step(index: &Ix) -> bool {
    index.terms().iter().any(|(atom, _)| match atom {
        Atom::Var(_) => false,
        Atom::Step => true,
        Atom::Div(inner, _) | Atom::Mod(inner, _) => mentions_step(inner),
    })
}
