//! Statements: the lines of a body.
//!
//! Must never know which body a statement stands in; [`crate::parse`] reports a misplaced one and marks its declaration
//! as broken.

use crate::ast::{Doc, Expr, Name, Shape};
use crate::source::Span;

/// The statements between `{` and `}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// In order.
    pub stmts: Vec<Stmt>,
    /// With its braces.
    pub span: Span,
}

impl Block {
    /// The value of the block: its last statement, if that is an expression.
    pub fn result(&self) -> Option<&Expr> {
        match self.stmts.last().map(|stmt| &stmt.kind) {
            Some(StmtKind::Expr(expr)) => Some(expr),
            _ => None,
        }
    }
}

/// One statement with its documentation.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// What it says.
    pub kind: StmtKind,
    /// The `///` lines above it.
    pub doc: Option<Doc>,
    /// The whole statement.
    pub span: Span,
}

impl Stmt {
    /// Calls `visit` with every expression directly in this statement, in the order of the text. Shapes are left out.
    pub fn for_each_expr<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        match &self.kind {
            StmtKind::Param(param) => match &param.init {
                Some(Init::Value(value) | Init::Draw(value)) => visit(value),
                None => {}
            },
            StmtKind::State(vars) => vars.iter().for_each(|var| visit(&var.start)),
            StmtKind::Let { value, .. } | StmtKind::Next { value, .. } | StmtKind::Equation { value, .. } => {
                visit(value);
            }
            StmtKind::On { body, .. } => body.iter().for_each(|assign| visit(&assign.value)),
            StmtKind::Spike(spike) => {
                visit(&spike.condition);
                spike.reset.iter().for_each(|assign| visit(&assign.value));
            }
            StmtKind::Time(time) => {
                visit(&time.extent);
                time.step.iter().for_each(visit);
            }
            StmtKind::Expect { condition, within } => {
                visit(condition);
                within.iter().for_each(visit);
            }
            StmtKind::Require { condition, .. } => visit(condition),
            StmtKind::Expr(expr) => visit(expr),
            StmtKind::Input(_) | StmtKind::Error => {}
        }
    }
}

/// The kinds of statement.
#[derive(Clone, Debug, PartialEq)]
pub enum StmtKind {
    /// `param name[: shape] [= value | ~ initializer]`.
    Param(ParamStmt),
    /// `state a[: shape] = start, b = start`; never empty.
    State(Vec<StateVar>),
    /// `let name = value`.
    Let {
        /// The new name.
        name: Name,
        /// Its value.
        value: Expr,
    },
    /// `next name = value`: the state's value after this step.
    Next {
        /// The state.
        name: Name,
        /// Its new value.
        value: Expr,
    },
    /// `name' = value`: the state's derivative, per second.
    Equation {
        /// The state.
        name: Name,
        /// Its derivative.
        value: Expr,
    },
    /// `on signal { state += value }`: what an arriving spike does.
    On {
        /// The signal.
        signal: Name,
        /// What it does, in order.
        body: Vec<Assign>,
    },
    /// `spike when condition { state -= value }`.
    Spike(SpikeWhen),
    /// `input name: kind[shape]`.
    Input(Input),
    /// `time 8`, `time 100 of 10ms`, `time 200ms`.
    Time(Time),
    /// `expect condition [within tolerance]`.
    Expect {
        /// What must hold.
        condition: Expr,
        /// The tolerance of a `~`, where it is not the default.
        within: Option<Expr>,
    },
    /// `require condition [, "what is wrong otherwise"]`: a relation between settings.
    Require {
        /// What must hold.
        condition: Expr,
        /// What the user reads where it does not.
        message: Option<String>,
    },
    /// An expression; as the last statement, the value of the body.
    Expr(Expr),
    /// A statement with a syntax error that has been reported.
    Error,
}

/// A learned parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamStmt {
    /// Its name.
    pub name: Name,
    /// Its shape; left out, one number.
    pub shape: Option<Shape>,
    /// How it starts.
    pub init: Option<Init>,
}

/// How a learned parameter starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// `= value`.
    Value(Expr),
    /// `~ initializer`: drawn from the run's seed.
    Draw(Expr),
}

/// One variable of a `state` statement.
#[derive(Clone, Debug, PartialEq)]
pub struct StateVar {
    /// Its name.
    pub name: Name,
    /// Its shape, where it is not that of the unit.
    pub shape: Option<Shape>,
    /// Where it starts.
    pub start: Expr,
    /// The whole variable.
    pub span: Span,
}

/// `spike when condition { reset }`. `v > v_th` asks for strictly more than the threshold, `v >= v_th` does not.
#[derive(Clone, Debug, PartialEq)]
pub struct SpikeWhen {
    /// When the neuron fires.
    pub condition: Expr,
    /// What the spike does to the states, in order.
    pub reset: Vec<Assign>,
}

/// `target += value` inside `on` or `spike when`.
#[derive(Clone, Debug, PartialEq)]
pub struct Assign {
    /// The state.
    pub target: Name,
    /// How it changes.
    pub op: AssignOp,
    /// By what.
    pub value: Expr,
    /// The whole assignment.
    pub span: Span,
}

/// How an [`Assign`] changes its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignOp {
    /// `=`
    Set,
    /// `+=`
    Add,
    /// `-=`
    Sub,
    /// `*=`
    Mul,
}

impl AssignOp {
    /// The sign that writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            AssignOp::Set => "=",
            AssignOp::Add => "+=",
            AssignOp::Sub => "-=",
            AssignOp::Mul => "*=",
        }
    }
}

/// An input of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Its name.
    pub name: Name,
    /// `frames`, `spikes`, or nothing for one value for all steps.
    pub kind: Option<Name>,
    /// The shape of one sample at one step.
    pub shape: Shape,
}

/// How long a model runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Time {
    /// A number of steps, or with no `of` a duration.
    pub extent: Expr,
    /// The length of a step, after `of`.
    pub step: Option<Expr>,
}
