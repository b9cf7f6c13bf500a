//! The syntax tree of one file: what was written, with the place of every part.
//!
//! The tree holds names as they were spelled; it must never know what a name refers to, which shapes agree or what a
//! neuron computes. Its height is bounded by [`crate::lexer::MAX_HEIGHT`], so walking it recursively is safe; lists
//! (pipes, statements, arguments) are flat and may be long.

pub use crate::ast::expr::{Arg, BinaryOp, Expr, ExprKind, For, If, Pipe, PipeItem, UnaryOp};
pub use crate::ast::stmt::{
    Assign, AssignOp, Block, Init, Input, ParamStmt, SpikeWhen, StateVar, Stmt, StmtKind, Time,
};
use crate::source::{FileId, Span};

mod expr;
mod stmt;

/// A word that names something, where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The word.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

impl Name {
    /// The word.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The `///` lines above a declaration, setting or statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doc {
    /// The lines without their slashes and the space after them, joined by line feeds.
    pub text: String,
    /// From the first line to the last.
    pub span: Span,
}

/// An ordinary comment, kept so that a formatter loses nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// The text with its slashes, without the line end.
    pub text: String,
    /// Whether code stands before it on its line.
    pub trailing: bool,
    /// Where it stands.
    pub span: Span,
}

/// One `.snn` text.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// The text's number.
    pub id: FileId,
    /// `edition 1`, if the file begins with it.
    pub edition: Option<Edition>,
    /// The `use` lines, in order.
    pub uses: Vec<Use>,
    /// The declarations, in order. Those with a syntax error in their head are left out.
    pub decls: Vec<Decl>,
    /// Ordinary comments, in order.
    pub comments: Vec<Comment>,
    /// The whole text.
    pub span: Span,
}

/// `edition 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edition {
    /// The edition's number.
    pub number: u32,
    /// The whole line.
    pub span: Span,
}

/// `use std.neurons { LIF, PLIF as P }` or `use "mine.snn" { MyNeuron }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Where the names come from.
    pub source: UseSource,
    /// Which names are brought in.
    pub items: Vec<UseItem>,
    /// The whole line.
    pub span: Span,
}

/// Where a `use` takes its names from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UseSource {
    /// A dotted path such as `std.neurons`; never empty.
    Module {
        /// The words between the dots.
        path: Vec<Name>,
        /// The whole path.
        span: Span,
    },
    /// Another file, relative to this one.
    File {
        /// The path, escapes resolved.
        path: String,
        /// The string.
        span: Span,
    },
}

/// One name of a `use`, perhaps renamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseItem {
    /// The name in the other file.
    pub name: Name,
    /// The name here, where it differs.
    pub alias: Option<Name>,
}

impl UseItem {
    /// The name by which this file knows it.
    pub fn local(&self) -> &Name {
        self.alias.as_ref().unwrap_or(&self.name)
    }
}

/// One declaration with its documentation.
#[derive(Clone, Debug, PartialEq)]
pub struct Decl {
    /// What it declares.
    pub kind: DeclKind,
    /// The `///` lines above it.
    pub doc: Option<Doc>,
    /// From its first word to its last bracket.
    pub span: Span,
    /// Whether a syntax error was reported inside; what is known of the declaration is then incomplete.
    pub broken: bool,
}

impl Decl {
    /// The declared name; for `train` and `convert` the model's, for a test its title as written.
    pub fn name(&self) -> &Name {
        match &self.kind {
            DeclKind::Surrogate(decl) => &decl.name,
            DeclKind::Fn(decl) => &decl.name,
            DeclKind::Unit(decl) => &decl.name,
            DeclKind::Model(decl) => &decl.name,
            DeclKind::Train(decl) | DeclKind::Convert(decl) => &decl.model,
            DeclKind::Test(decl) => &decl.title,
            DeclKind::Extern(decl) => &decl.name,
        }
    }
}

/// The kinds of declaration.
#[derive(Clone, Debug, PartialEq)]
pub enum DeclKind {
    /// `surrogate NAME(settings)(x) = value [primitive value]`.
    Surrogate(Surrogate),
    /// `fn NAME(params) = value`.
    Fn(FnDecl),
    /// `neuron`, `layer` or `block`.
    Unit(Unit),
    /// `model NAME(settings) { ... }`.
    Model(Model),
    /// `train MODEL { key = value ... }`.
    Train(Config),
    /// `convert MODEL { key = value ... }`.
    Convert(Config),
    /// `test ["training"] "title" { ... }`.
    Test(Test),
    /// `extern KIND NAME(settings) [{ field: type, ... }]`.
    Extern(Extern),
}

/// The pseudo-derivative of the step function.
#[derive(Clone, Debug, PartialEq)]
pub struct Surrogate {
    /// Its name.
    pub name: Name,
    /// Its settings.
    pub settings: Vec<Param>,
    /// Its signals; one in a right program.
    pub signals: Vec<Param>,
    /// The derivative.
    pub value: Expr,
    /// A function whose derivative it is, where the program gives one.
    pub primitive: Option<Expr>,
}

/// A pure function of signals. Parameters without a default are signals or required settings, those with one are
/// settings.
#[derive(Clone, Debug, PartialEq)]
pub struct FnDecl {
    /// Its name.
    pub name: Name,
    /// Its one list of parameters.
    pub params: Vec<Param>,
    /// What it computes.
    pub value: Expr,
}

/// Which of the three units with two lists and a body a [`Unit`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnitKind {
    /// An element-wise dynamical unit.
    Neuron,
    /// A tensor operation with weights and no state.
    Layer,
    /// Layers and neurons wired together.
    Block,
}

impl UnitKind {
    /// The word that declares it.
    pub fn as_str(self) -> &'static str {
        match self {
            UnitKind::Neuron => "neuron",
            UnitKind::Layer => "layer",
            UnitKind::Block => "block",
        }
    }
}

/// A neuron, layer or block.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// Which of the three.
    pub kind: UnitKind,
    /// Its name.
    pub name: Name,
    /// The first list.
    pub settings: Vec<Param>,
    /// The second list; no defaults.
    pub signals: Vec<Param>,
    /// Its body.
    pub body: Block,
}

/// The top: inputs, time, outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Its name.
    pub name: Name,
    /// Its settings; empty where the list is left out.
    pub settings: Vec<Param>,
    /// Its body.
    pub body: Block,
}

/// The settings of `train` or `convert`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The model that it is for.
    pub model: Name,
    /// The settings, in order.
    pub entries: Vec<Entry>,
}

/// One `key = value` of a [`Config`].
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Name,
    /// The value.
    pub value: Expr,
    /// The `///` lines above it.
    pub doc: Option<Doc>,
    /// The whole entry.
    pub span: Span,
}

/// A claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// Whether it runs in training, `test training "..."`.
    pub training: bool,
    /// The title, escapes resolved.
    pub title: Name,
    /// `let` and `expect`.
    pub body: Block,
}

/// The signature of something built in.
#[derive(Clone, Debug, PartialEq)]
pub struct Extern {
    /// The word after `extern`: `dataset`, `optimizer`, ...
    pub kind: Name,
    /// Its name.
    pub name: Name,
    /// Its settings.
    pub settings: Vec<Param>,
    /// What one sample holds, for a data set; otherwise empty.
    pub fields: Vec<Field>,
}

/// One `name: type` of an [`Extern`].
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub ty: FieldType,
    /// The `///` lines above it.
    pub doc: Option<Doc>,
    /// The whole field.
    pub span: Span,
}

/// The type of a [`Field`].
#[derive(Clone, Debug, PartialEq)]
pub enum FieldType {
    /// `[3, 32, 32]`, `frames[2, 128, 128]`, `spikes[700]`.
    Tensor {
        /// `frames`, `spikes`, or nothing for a value that is the same at every step.
        kind: Option<Name>,
        /// The shape of one sample at one step.
        shape: Shape,
    },
    /// `class(10)`.
    Kind {
        /// The word, `class`.
        name: Name,
        /// What stands in its brackets.
        args: Vec<Arg>,
    },
}

/// One parameter of a declaration: a setting or a signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: Name,
    /// What stands after `:`.
    pub annotation: Option<Annotation>,
    /// What stands after `=`.
    pub default: Option<Expr>,
    /// What stands after `in`.
    pub range: Option<Range>,
    /// The `///` lines above it.
    pub doc: Option<Doc>,
    /// The whole parameter.
    pub span: Span,
}

/// What a parameter says of itself after `:`.
#[derive(Clone, Debug, PartialEq)]
pub enum Annotation {
    /// The shape of a signal, `[c, h, w]`.
    Shape(Shape),
    /// The kind of a setting, `string`.
    Kind(Name),
}

/// A shape: sizes, size patterns and `..`.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// The axes; `..` is [`ExprKind::Rest`].
    pub dims: Vec<Expr>,
    /// With its brackets.
    pub span: Span,
}

/// An interval that a setting must lie in, such as `(0, inf)` or `[0, 1)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// The lower bound.
    pub low: Expr,
    /// Whether the lower bound itself is allowed, `[`.
    pub low_closed: bool,
    /// The upper bound.
    pub high: Expr,
    /// Whether the upper bound itself is allowed, `]`.
    pub high_closed: bool,
    /// With its brackets.
    pub span: Span,
}
