//! Expressions.
//!
//! Must never know what an expression means: `3 * Block()` is a multiplication here and a repetition only later.

use crate::ast::{Block, Name};
use crate::source::Span;

/// An expression, where it stands. Brackets around an expression belong to its span and leave no node.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `128`, `2.0`, `1e-5`. Always finite.
    Number {
        /// The nearest `f64`.
        value: f64,
        /// Whether it was written with neither point nor exponent.
        integer: bool,
    },
    /// `20ms`, in seconds. Always finite.
    Duration(f64),
    /// A string, escapes resolved.
    Str(String),
    /// `true` or `false`.
    Bool(bool),
    /// A name.
    Name(String),
    /// `..` inside a list: all other axes.
    Rest,
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `-x`, `!x`.
    Unary {
        /// Which.
        op: UnaryOp,
        /// Of what.
        operand: Box<Expr>,
    },
    /// `a + b` and the like.
    Binary {
        /// Which.
        op: BinaryOp,
        /// Where the operator stands.
        op_span: Span,
        /// The left operand.
        left: Box<Expr>,
        /// The right operand.
        right: Box<Expr>,
    },
    /// `f(a, key = b)`; `LIF(tau = 2.0)(x)` is the call of a call.
    Call {
        /// What is called.
        callee: Box<Expr>,
        /// The arguments, in order.
        args: Vec<Arg>,
    },
    /// `a -> b as name -> c`.
    Pipe(Pipe),
    /// `if condition { a } else { b }`.
    If(Box<If>),
    /// `for c in [64, 128] { stage }`.
    For(Box<For>),
}

impl Expr {
    /// Calls `visit` with every expression directly inside this one, those in its blocks included, in the order of
    /// the text.
    pub fn for_each_child<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        match &self.kind {
            ExprKind::Number { .. }
            | ExprKind::Duration(_)
            | ExprKind::Str(_)
            | ExprKind::Bool(_)
            | ExprKind::Name(_)
            | ExprKind::Rest => {}
            ExprKind::List(elements) => elements.iter().for_each(visit),
            ExprKind::Unary { operand, .. } => visit(operand),
            ExprKind::Binary { left, right, .. } => {
                visit(left);
                visit(right);
            }
            ExprKind::Call { callee, args } => {
                visit(callee);
                args.iter().for_each(|arg| visit(&arg.value));
            }
            ExprKind::Pipe(pipe) => pipe.items.iter().for_each(|item| visit(&item.expr)),
            ExprKind::If(branch) => {
                visit(&branch.condition);
                let blocks = std::iter::once(&branch.then).chain(&branch.otherwise);
                blocks.flat_map(|block| &block.stmts).for_each(|stmt| stmt.for_each_expr(visit));
            }
            ExprKind::For(repeat) => {
                visit(&repeat.values);
                repeat.body.stmts.iter().for_each(|stmt| stmt.for_each_expr(visit));
            }
        }
    }
}

/// One argument of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Arg {
    /// The setting's name, where the argument is given by name.
    pub name: Option<Name>,
    /// Its value.
    pub value: Expr,
    /// The whole argument.
    pub span: Span,
}

/// A pipe, flat. Whether its first item is a head (a signal) or a stage is not known here.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipe {
    /// In order; never empty, and a single item always has a label.
    pub items: Vec<PipeItem>,
}

/// One item of a pipe.
#[derive(Clone, Debug, PartialEq)]
pub struct PipeItem {
    /// The head or stage.
    pub expr: Expr,
    /// `as name`: names the stretch from after the previous label (or the start of the pipe) to this item.
    pub label: Option<Name>,
}

/// `if condition { a } else { b }`.
#[derive(Clone, Debug, PartialEq)]
pub struct If {
    /// A truth value.
    pub condition: Expr,
    /// The value where it holds.
    pub then: Block,
    /// The value where it does not. `else if ...` is a block of one statement.
    pub otherwise: Option<Block>,
}

/// `for variable in values { body }`.
#[derive(Clone, Debug, PartialEq)]
pub struct For {
    /// The name that takes each value.
    pub variable: Name,
    /// The values.
    pub values: Expr,
    /// The stage for one value.
    pub body: Block,
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `-`
    Neg,
    /// `!`
    Not,
}

impl UnaryOp {
    /// The sign that writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            UnaryOp::Neg => "-",
            UnaryOp::Not => "!",
        }
    }
}

/// Operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `||`
    Or,
    /// `&&`
    And,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `~`: equal within a tolerance.
    Approx,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `^`
    Pow,
}

impl BinaryOp {
    /// The sign that writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            BinaryOp::Or => "||",
            BinaryOp::And => "&&",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::Approx => "~",
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Pow => "^",
        }
    }
}
