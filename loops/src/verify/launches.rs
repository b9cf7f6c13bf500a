//! Rules 1, 11 and 12: the order of launches.
//!
//! Must never know what kernels compute, only what they touch ([`touched`]).

use std::collections::BTreeSet;

use super::{VerifyError, mentions_step};
use crate::nest::{Expr, Nest, Stmt};
use crate::plan::{each_access, touched};
use crate::program::{BufferId, Kernel, KernelId, Launch, Program, Role};

/// Checks the launches in order.
pub(super) fn check(program: &Program, errors: &mut Vec<VerifyError>) {
    let is_given = |role: &Role| matches!(role, Role::Input | Role::Constant(_));
    let given = program.buffers.iter().enumerate().filter(|(_, buffer)| is_given(&buffer.role));
    let written = given.map(|(id, _)| BufferId(id as u32)).collect();
    let mut checker = Checker { program, written, errors };
    for launch in &program.launches {
        match launch {
            Launch::Run(id) => checker.run(*id, false),
            Launch::Repeat { steps: 0, .. } => {}
            Launch::Repeat { body, .. } => body.iter().for_each(|launch| match launch {
                Launch::Run(id) => checker.run(*id, true),
                Launch::Repeat { .. } => checker.add(11, "", "a repeat lies in another".into()),
            }),
        }
    }
}

struct Checker<'a> {
    program: &'a Program,
    /// Buffers that hold something.
    written: BTreeSet<BufferId>,
    errors: &'a mut Vec<VerifyError>,
}

impl Checker<'_> {
    fn add(&mut self, rule: u8, kernel: &str, message: String) {
        self.errors.push(VerifyError { rule, kernel: kernel.to_owned(), message });
    }

    fn run(&mut self, id: KernelId, is_repeated: bool) {
        let program = self.program;
        let Some(kernel) = program.kernels.get(id.0 as usize) else {
            return self.add(1, "", format!("k{} is launched but does not exist", id.0));
        };
        if !is_repeated && uses_step(kernel) {
            self.add(11, kernel.name(), "it mentions the step but is launched outside of a repeat".into());
        }
        for id in needed(kernel, is_repeated) {
            if !self.written.contains(&id) && (id.0 as usize) < program.buffers.len() {
                self.add(12, kernel.name(), format!("b{} is read before anything has written it", id.0));
            }
        }
        self.written.extend(touched(kernel).writes);
    }
}

/// The buffers that must hold something before the kernel runs. Which element comes first is not for this rule to know, so
/// a nest may read what it stores itself, and in a repeat what lies outside of bounds at the first step.
fn needed(kernel: &Kernel, is_repeated: bool) -> BTreeSet<BufferId> {
    let touched = touched(kernel);
    let Kernel::Nest(nest) = kernel else { return touched.reads };
    let mut needed = BTreeSet::new();
    each_access(&nest.body, &mut |access, is_store| {
        let is_carried = is_repeated && access.bounds.iter().any(|(index, _)| mentions_step(index));
        if !is_store && !is_carried && !touched.writes.contains(&access.buffer) {
            needed.insert(access.buffer);
        }
    });
    needed
}

fn uses_step(kernel: &Kernel) -> bool {
    match kernel {
        Kernel::Nest(nest) => nest_uses_step(nest),
        Kernel::Contraction(c) => [&c.a, &c.b, &c.out].into_iter().any(|operand| mentions_step(&operand.offset)),
        Kernel::EventSweep(sweep) => {
            sweep.reads().iter().chain(&sweep.writes()).any(|(operand, _)| mentions_step(&operand.offset))
        }
        Kernel::Draw(draw) => mentions_step(&draw.out.offset),
    }
}

fn nest_uses_step(nest: &Nest) -> bool {
    fn in_values(stmts: &[Stmt]) -> bool {
        stmts.iter().any(|stmt| match stmt {
            Stmt::For { body, .. } => in_values(body),
            Stmt::Let(_, Expr::Index(index)) => mentions_step(index),
            Stmt::Let(..) | Stmt::Set(..) | Stmt::Store(..) => false,
        })
    }
    let mut found = in_values(&nest.body);
    each_access(&nest.body, &mut |access, _| {
        found |= mentions_step(&access.index) || access.bounds.iter().any(|(index, _)| mentions_step(index));
    });
    found
}
