//! What the statements of a neuron, block or model must have among themselves, whatever the shapes are.
//!
//! Each state has one value after the step, something reads it, a neuron is written either as steps or as equations. Also
//! found for declarations that nothing uses. Must never know a value.

use std::collections::{BTreeMap, BTreeSet};

use crate::ast::{Assign, Block, DeclKind, Expr, ExprKind, Name, Param, StateVar, Stmt, StmtKind};
use crate::codes::Code;
use crate::diagnostic::{Diagnostic, nearest};
use crate::report::Report;
use crate::resolve::{DeclId, Program};
use crate::source::Span;

/// Checks every declaration with a body; the result is those that are not whole, which elaboration leaves alone.
pub(crate) fn check(program: &Program, report: &mut Report) -> BTreeSet<DeclId> {
    let mut broken = BTreeSet::new();
    for (module, tree) in program.modules().map(|(id, module)| (id, &module.tree)) {
        for (index, decl) in tree.decls.iter().enumerate() {
            let before = report.n_errors();
            match &decl.kind {
                _ if decl.broken => {}
                DeclKind::Unit(unit) => {
                    let params = unit.settings.iter().chain(&unit.signals);
                    check_body(&unit.name, params, &unit.signals, &unit.body, report);
                }
                DeclKind::Model(model) => {
                    check_body(&model.name, model.settings.iter(), &[], &model.body, report);
                }
                DeclKind::Surrogate(surrogate) => {
                    report.extend(duplicates(surrogate.settings.iter().chain(&surrogate.signals).map(|p| &p.name)));
                    let n = surrogate.signals.len();
                    if n != 1 {
                        let message = format!("the surrogate `{}` has {n} signals", surrogate.name.text);
                        let error = Diagnostic::error(Code::WrongSignals, message);
                        report.add(error.at(surrogate.name.span, "a surrogate is a function of one number"));
                    }
                }
                DeclKind::Fn(function) => report.extend(duplicates(function.params.iter().map(|p| &p.name))),
                DeclKind::Extern(builtin) => report.extend(duplicates(builtin.settings.iter().map(|p| &p.name))),
                DeclKind::Test(test) => report.extend(duplicates(bound_names(&test.body))),
                DeclKind::Train(config) | DeclKind::Convert(config) => {
                    report.extend(duplicates(config.entries.iter().map(|entry| &entry.key)));
                }
            }
            if decl.broken || report.n_errors() > before {
                broken.insert(DeclId { module, index });
            }
        }
    }
    broken
}

/// Names that occur twice in one list.
fn duplicates<'a>(names: impl Iterator<Item = &'a Name>) -> Vec<Diagnostic> {
    let mut first: BTreeMap<&str, Span> = BTreeMap::new();
    let mut found = Vec::new();
    for name in names {
        match first.get(name.as_str()) {
            Some(span) => found.push(
                Diagnostic::error(Code::DuplicateName, format!("the name `{}` is given twice", name.text))
                    .at(name.span, "the second time")
                    .because(*span, "the first time")
                    .help("nothing is assigned twice; give the second another name"),
            ),
            None => {
                first.insert(name.as_str(), name.span);
            }
        }
    }
    found
}

fn bound_names(body: &Block) -> impl Iterator<Item = &Name> {
    body.stmts.iter().flat_map(|stmt| match &stmt.kind {
        StmtKind::Param(param) => vec![&param.name],
        StmtKind::State(vars) => vars.iter().map(|var| &var.name).collect(),
        StmtKind::Let { name, .. } => vec![name],
        StmtKind::Input(input) => vec![&input.name],
        _ => Vec::new(),
    })
}

fn check_body<'a>(
    name: &Name,
    params: impl Iterator<Item = &'a Param>,
    signals: &[Param],
    body: &'a Block,
    report: &mut Report,
) {
    // A name of the body may hide a setting: the body is an inner scope.
    report.extend(duplicates(params.map(|param| &param.name)));
    report.extend(duplicates(bound_names(body)));
    let states = States::of(body);
    report.extend(states.unread(body));
    match (first(body, is_step), first(body, is_equation)) {
        (Some(step), Some(equation)) => report.add(
            Diagnostic::error(Code::MixedNeuron, format!("`{}` is written both as steps and as equations", name.text))
                .at(equation.span, "an equation")
                .because(step.span, "a step")
                .help("write it either with `next` or with `'`, `on` and `spike when`"),
        ),
        (_, Some(_)) => states.check_equations(name, signals, body, report),
        (_, None) => states.check_steps(body, report),
    }
}

fn first(body: &Block, wanted: fn(&StmtKind) -> bool) -> Option<&Stmt> {
    body.stmts.iter().find(|stmt| wanted(&stmt.kind))
}

fn is_step(kind: &StmtKind) -> bool {
    matches!(kind, StmtKind::Next { .. })
}

/// Whether a statement is one of a neuron written as equations.
pub(crate) fn is_equation(kind: &StmtKind) -> bool {
    matches!(kind, StmtKind::Equation { .. } | StmtKind::On { .. } | StmtKind::Spike(_))
}

/// The states of a body.
struct States<'a> {
    vars: Vec<&'a StateVar>,
}

impl<'a> States<'a> {
    fn of(body: &'a Block) -> States<'a> {
        let vars = body.stmts.iter().filter_map(|stmt| match &stmt.kind {
            StmtKind::State(vars) => Some(vars),
            _ => None,
        });
        States { vars: vars.flatten().collect() }
    }

    fn is_state(&self, name: &Name) -> bool {
        self.vars.iter().any(|var| var.name.text == name.text)
    }

    fn unknown(&self, name: &Name) -> Diagnostic {
        let error = Diagnostic::error(Code::UnknownState, format!("`{}` is not a state", name.text))
            .at(name.span, "only a state can be given here");
        match nearest(&name.text, self.vars.iter().map(|var| var.name.as_str())) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help(format!("declare it: `state {} = 0.0`", name.text)),
        }
    }

    /// States that no expression reads.
    fn unread(&self, body: &Block) -> Vec<Diagnostic> {
        let mut read = BTreeSet::new();
        body.stmts.iter().for_each(|stmt| stmt.for_each_expr(&mut |expr| names_in(expr, &mut read)));
        let targets = body.stmts.iter().flat_map(|stmt| assigns(&stmt.kind)).filter(|assign| {
            // `v -= v_th` reads the old value.
            assign.op != crate::ast::AssignOp::Set
        });
        read.extend(targets.map(|assign| assign.target.as_str()));
        let unread = self.vars.iter().filter(|var| !read.contains(var.name.as_str()));
        unread
            .map(|var| {
                Diagnostic::error(Code::UnusedState, format!("nothing reads the state `{}`", var.name.text))
                    .at(var.span, "declared here")
                    .help("a state that nothing reads is no state; leave it out, or use its value")
            })
            .collect()
    }

    fn check_steps(&self, body: &Block, report: &mut Report) {
        let nexts = body.stmts.iter().filter_map(|stmt| match &stmt.kind {
            StmtKind::Next { name, .. } => Some((name, stmt.span)),
            _ => None,
        });
        let before = report.n_errors();
        let given = self.given_once(nexts, report);
        if report.n_errors() > before {
            // A misspelt `next` is the one that would be missing.
            return;
        }
        for var in self.vars.iter().filter(|var| !given.contains(var.name.as_str())) {
            report.add(
                Diagnostic::error(Code::MissingNext, format!("the state `{}` has no `next`", var.name.text))
                    .at(var.span, "its value after the step is never given")
                    .help(format!("add `next {} = ...` before the value of the body", var.name.text)),
            );
        }
    }

    fn check_equations(&self, name: &Name, signals: &[Param], body: &Block, report: &mut Report) {
        let equations = body.stmts.iter().filter_map(|stmt| match &stmt.kind {
            StmtKind::Equation { name, .. } => Some((name, stmt.span)),
            _ => None,
        });
        let given = self.given_once(equations, report);
        let mut changed: BTreeSet<&str> = given;
        for assign in body.stmts.iter().flat_map(|stmt| assigns(&stmt.kind)) {
            if self.is_state(&assign.target) {
                changed.insert(assign.target.as_str());
            } else {
                report.add(self.unknown(&assign.target));
            }
        }
        for var in self.vars.iter().filter(|var| !changed.contains(var.name.as_str())) {
            report.add(
                Diagnostic::error(Code::MissingNext, format!("the state `{}` has no equation", var.name.text))
                    .at(var.span, "nothing ever changes it")
                    .help(format!("add `{}' = ...`", var.name.text)),
            );
        }
        self.check_signals(signals, body, report);
        let spikes: Vec<&Stmt> = body.stmts.iter().filter(|stmt| matches!(stmt.kind, StmtKind::Spike(_))).collect();
        if let [one, two, ..] = spikes.as_slice() {
            report.add(
                Diagnostic::error(Code::AssignedTwice, format!("`{}` spikes on two conditions", name.text))
                    .at(two.span, "the second")
                    .because(one.span, "the first"),
            );
        }
        if spikes.is_empty() && body.result().is_none() {
            report.add(
                Diagnostic::error(Code::IncompleteNeuron, format!("the neuron `{}` has no value", name.text))
                    .at(name.span, "it neither spikes nor ends with an expression")
                    .help("add `spike when v >= v_th { ... }`, or the state to read out as the last line"),
            );
        }
    }

    fn check_signals(&self, signals: &[Param], body: &Block, report: &mut Report) {
        for stmt in &body.stmts {
            let StmtKind::On { signal, .. } = &stmt.kind else { continue };
            if !signals.iter().any(|param| param.name.text == signal.text) {
                report.add(
                    Diagnostic::error(Code::UnknownState, format!("`{}` is not a signal", signal.text))
                        .at(signal.span, "`on` takes one of the signals in the second list"),
                );
            }
        }
    }

    /// Reports assignments to something that is no state and second assignments; gives the states that have one.
    fn given_once<'b>(
        &self,
        assignments: impl Iterator<Item = (&'b Name, Span)>,
        report: &mut Report,
    ) -> BTreeSet<&'b str> {
        let mut given: BTreeMap<&str, Span> = BTreeMap::new();
        for (name, span) in assignments {
            if !self.is_state(name) {
                report.add(self.unknown(name));
            } else if let Some(before) = given.get(name.as_str()) {
                report.add(
                    Diagnostic::error(Code::AssignedTwice, format!("the state `{}` is given two values", name.text))
                        .at(span, "the second")
                        .because(*before, "the first"),
                );
            } else {
                given.insert(name.as_str(), span);
            }
        }
        given.into_keys().collect()
    }
}

fn assigns(kind: &StmtKind) -> &[Assign] {
    match kind {
        StmtKind::On { body, .. } => body,
        StmtKind::Spike(spike) => &spike.reset,
        _ => &[],
    }
}

fn names_in<'a>(expr: &'a Expr, names: &mut BTreeSet<&'a str>) {
    if let ExprKind::Name(name) = &expr.kind {
        names.insert(name);
    }
    expr.for_each_child(&mut |child| names_in(child, names));
}
