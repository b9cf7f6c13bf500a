//! Which statement may stand in which body.
//!
//! The grammar takes every statement everywhere, so that a misplaced one gets a message in the words of the field.
//! Must never know names or shapes.

use crate::ast::{Block, Decl, DeclKind, Expr, ExprKind, File, Param, Stmt, StmtKind, UnitKind};
use crate::codes::Code;
use crate::diagnostic::{Diagnostic, Reports};
use crate::source::Span;
use crate::token::Keyword;

/// Checks every declaration; one with a misplaced statement is marked as broken.
pub(super) fn check(file: &mut File) -> Vec<Diagnostic> {
    let mut all = Reports::default();
    for decl in &mut file.decls {
        let mut found = Reports::default();
        check_decl(decl, &mut found);
        decl.broken |= !found.as_slice().is_empty();
        all.extend(found.into_vec());
    }
    all.into_vec()
}

/// A kind of body, and what may stand in it besides `let` and expressions.
struct Body {
    name: &'static str,
    statements: &'static [Keyword],
    /// Whether it has a value, so that its last statement may be an expression.
    has_value: bool,
    /// Whether it is nothing without that value.
    needs_value: bool,
}

const NEURON: Body = Body {
    name: "a neuron",
    statements: &[Keyword::Param, Keyword::State, Keyword::Next, Keyword::On, Keyword::Spike, Keyword::Require],
    has_value: true,
    needs_value: false,
};
const LAYER: Body =
    Body { name: "a layer", statements: &[Keyword::Param, Keyword::Require], has_value: true, needs_value: true };
const BLOCK: Body = Body {
    name: "a block",
    statements: &[Keyword::Param, Keyword::State, Keyword::Next, Keyword::Require],
    has_value: true,
    needs_value: true,
};
const MODEL: Body = Body {
    name: "a model",
    statements: &[Keyword::Input, Keyword::Time, Keyword::Param, Keyword::State, Keyword::Next, Keyword::Require],
    has_value: true,
    needs_value: true,
};
const TEST: Body =
    Body { name: "a test", statements: &[Keyword::Time, Keyword::Expect], has_value: false, needs_value: false };
const IF: Body = Body { name: "an `if`", statements: &[], has_value: true, needs_value: true };
const FOR: Body = Body { name: "a `for`", statements: &[], has_value: true, needs_value: true };

fn check_decl(decl: &Decl, found: &mut Reports) {
    match &decl.kind {
        DeclKind::Unit(unit) => {
            let body = match unit.kind {
                UnitKind::Neuron => &NEURON,
                UnitKind::Layer => &LAYER,
                UnitKind::Block => &BLOCK,
            };
            check_signals(&unit.signals, found);
            check_body(&unit.body, body, found);
            check_params(&unit.settings, found);
        }
        DeclKind::Model(model) => {
            check_body(&model.body, &MODEL, found);
            check_params(&model.settings, found);
        }
        DeclKind::Test(test) => check_body(&test.body, &TEST, found),
        DeclKind::Surrogate(surrogate) => {
            check_signals(&surrogate.signals, found);
            check_params(&surrogate.settings, found);
            check_expr(&surrogate.value, found);
            surrogate.primitive.iter().for_each(|value| check_expr(value, found));
        }
        DeclKind::Fn(function) => {
            check_params(&function.params, found);
            check_expr(&function.value, found);
        }
        DeclKind::Train(config) | DeclKind::Convert(config) => {
            config.entries.iter().for_each(|entry| check_expr(&entry.value, found));
        }
        DeclKind::Extern(builtin) => check_params(&builtin.settings, found),
    }
}

fn check_params(params: &[Param], found: &mut Reports) {
    params.iter().filter_map(|param| param.default.as_ref()).for_each(|value| check_expr(value, found));
}

fn check_signals(signals: &[Param], found: &mut Reports) {
    for signal in signals {
        let extra = signal.default.as_ref().map(|value| value.span).or(signal.range.as_ref().map(|range| range.span));
        if let Some(span) = extra {
            found.push(
                Diagnostic::error(Code::MisplacedStatement, format!("the signal `{}` has a value", signal.name.text))
                    .at(span, "only settings have defaults and ranges")
                    .help("settings stand in the first list, signals in the second"),
            );
        }
    }
}

fn check_body(block: &Block, body: &Body, found: &mut Reports) {
    let last = block.stmts.len().saturating_sub(1);
    for (at, stmt) in block.stmts.iter().enumerate() {
        match &stmt.kind {
            StmtKind::Expr(expr) if at != last || !body.has_value => found.push(unused_value(expr.span, body)),
            kind => found.extend(keyword_of(kind).and_then(|(word, keyword)| misplaced(stmt, word, keyword, body))),
        }
        stmt.for_each_expr(&mut |expr| check_expr(expr, found));
    }
    let valueless = !matches!(block.stmts.last().map(|stmt| &stmt.kind), Some(StmtKind::Expr(_) | StmtKind::Error));
    if body.needs_value && valueless {
        found.push(
            Diagnostic::error(Code::MisplacedStatement, format!("the body of {} has no value", body.name))
                .at(Span { start: block.span.end.saturating_sub(1), ..block.span }, "an expression belongs before this")
                .help("the last statement is the value: an expression without `let`"),
        );
    }
}

/// The word that begins a statement, and its keyword where only some bodies take it.
fn keyword_of(kind: &StmtKind) -> Option<(&'static str, Keyword)> {
    let keyword = match kind {
        StmtKind::Param(_) => Keyword::Param,
        StmtKind::State(_) => Keyword::State,
        StmtKind::Next { .. } => Keyword::Next,
        // An equation is what `on` and `spike when` belong to.
        StmtKind::Equation { .. } => return Some(("an equation", Keyword::On)),
        StmtKind::On { .. } => Keyword::On,
        StmtKind::Spike(_) => Keyword::Spike,
        StmtKind::Input(_) => Keyword::Input,
        StmtKind::Time(_) => Keyword::Time,
        StmtKind::Expect { .. } => Keyword::Expect,
        StmtKind::Require { .. } => Keyword::Require,
        StmtKind::Let { .. } | StmtKind::Expr(_) | StmtKind::Error => return None,
    };
    Some((keyword.as_str(), keyword))
}

fn misplaced(stmt: &Stmt, word: &str, keyword: Keyword, body: &Body) -> Option<Diagnostic> {
    if body.statements.contains(&keyword) {
        return None;
    }
    let homes: Vec<&str> = [&NEURON, &LAYER, &BLOCK, &MODEL, &TEST]
        .iter()
        .filter(|home| home.statements.contains(&keyword))
        .map(|home| home.name)
        .collect();
    let what = if word.contains(' ') { word.to_string() } else { format!("`{word}`") };
    Some(
        Diagnostic::error(Code::MisplacedStatement, format!("{what} cannot stand in {}", body.name))
            .at(stmt.span, "not here")
            .help(format!("it stands in the body of {}", homes.join(" or "))),
    )
}

fn unused_value(span: Span, body: &Body) -> Diagnostic {
    let diagnostic = Diagnostic::error(Code::MisplacedStatement, "the value of this expression goes nowhere");
    if body.has_value {
        diagnostic
            .at(span, "not the last statement")
            .help("bind it with `let`, or join it to the next line with `->` or an operator")
    } else {
        diagnostic.at(span, format!("{} has no value", body.name)).help("claim something with `expect`")
    }
}

/// Checks the blocks inside an expression.
fn check_expr(expr: &Expr, found: &mut Reports) {
    match &expr.kind {
        ExprKind::If(branch) => {
            check_expr(&branch.condition, found);
            check_body(&branch.then, &IF, found);
            branch.otherwise.iter().for_each(|block| check_body(block, &IF, found));
        }
        ExprKind::For(repeat) => {
            check_expr(&repeat.values, found);
            check_body(&repeat.body, &FOR, found);
        }
        _ => expr.for_each_child(&mut |child| check_expr(child, found)),
    }
}
