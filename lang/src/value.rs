//! What an expression of a program is worth while it is elaborated.
//!
//! Numbers, words and stages are known now and leave no trace in the graph; signals are nodes of it. Must never know how a
//! value was written.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use snn_graph::{Axes, Init, NodeId};

use crate::ast::{self, Expr};
use crate::builtins::Intrinsic;
use crate::elaborate::scope::Env;
use crate::resolve::DeclId;
use crate::source::Span;

/// A value and the place that it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Spanned<'p> {
    /// The value.
    pub value: Value<'p>,
    /// Where it stands.
    pub span: Span,
}

/// The value of an expression.
#[derive(Clone, Debug)]
pub(crate) enum Value<'p> {
    /// A number.
    Number(f64),
    /// A length of time, in seconds.
    Duration(f64),
    /// `true` or `false`.
    Truth(bool),
    /// A string, or a bare word that means itself.
    Text(Rc<str>),
    /// `none`.
    Nothing,
    /// `..`: all axes that are not otherwise named.
    Rest,
    /// Axes of a signal, already known by number.
    Axes(Rc<Axes>),
    /// A list.
    List(Rc<Vec<Value<'p>>>),
    /// A node of the graph.
    Signal(NodeId),
    /// A set of signals, such as every neuron's output.
    Set(Rc<Vec<NodeId>>),
    /// A neuron, layer or block: a template, or an instance of one.
    Unit(UnitValue<'p>),
    /// A pipe without a head.
    Pipe(Rc<PipeStage<'p>>),
    /// A pseudo-derivative.
    Surrogate(SurrogateValue<'p>),
    /// A function, perhaps with some of its arguments.
    Function(Rc<FunctionValue<'p>>),
    /// How a parameter starts.
    Init(Init),
    /// Something built in, with its settings.
    Builtin(Rc<BuiltinValue<'p>>),
    /// A model, named where a value stands.
    Model,
    /// Something is wrong and has been reported.
    Poison,
}

impl Value<'_> {
    /// A string.
    pub(crate) fn text(text: &str) -> Self {
        Value::Text(Rc::from(text))
    }

    /// Whether something is wrong with it that has been reported.
    pub(crate) fn is_poison(&self) -> bool {
        matches!(self, Value::Poison)
    }

    /// Whether it can stand behind `->`.
    pub(crate) fn is_stage(&self) -> bool {
        matches!(self, Value::Unit(_) | Value::Pipe(_) | Value::Function(_))
    }

    /// What it is, with an article, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Value::Number(_) => "a number",
            Value::Duration(_) => "a duration",
            Value::Truth(_) => "a truth value",
            Value::Text(_) => "a word",
            Value::Nothing => "`none`",
            Value::Rest | Value::Axes(_) => "axes",
            Value::List(_) => "a list",
            Value::Signal(_) => "a signal",
            Value::Set(_) => "a set of signals",
            Value::Unit(unit) => unit.decl.kind.with_article(),
            Value::Pipe(_) => "a stage",
            Value::Surrogate(_) => "a surrogate",
            Value::Function(_) => "a function",
            Value::Init(_) => "an initializer",
            Value::Builtin(_) => "something built in",
            Value::Model => "a model",
            Value::Poison => "nothing",
        }
    }
}

impl ast::UnitKind {
    /// The word with its article.
    pub(crate) fn with_article(self) -> &'static str {
        match self {
            ast::UnitKind::Neuron => "a neuron",
            ast::UnitKind::Layer => "a layer",
            ast::UnitKind::Block => "a block",
        }
    }
}

/// A setting that has been given.
#[derive(Clone, Debug)]
pub(crate) struct Given<'p> {
    /// Its name in the declaration.
    pub name: &'p str,
    /// What was given.
    pub value: Spanned<'p>,
}

/// A neuron, layer or block with the settings given so far.
#[derive(Clone, Debug)]
pub(crate) struct UnitValue<'p> {
    /// Which declaration.
    pub id: DeclId,
    /// The declaration.
    pub decl: &'p ast::Unit,
    /// Settings given so far.
    pub given: Rc<Vec<Given<'p>>>,
    /// Its identity, if it was written with parentheses.
    pub instance: Option<Rc<Instance>>,
}

/// What makes two uses of a stage the same stage: its weights, its averages, its state.
#[derive(Debug, Default)]
pub(crate) struct Instance {
    /// The path of what holds it.
    pub prefix: String,
    /// Whether it is the whole of a repetition, so that the repetition's index names it.
    pub whole: Cell<bool>,
    /// Its own path, once it is used.
    pub path: RefCell<Option<Rc<str>>>,
    /// Its parameters by name.
    pub params: RefCell<BTreeMap<String, NodeId>>,
    /// Its moving averages by path: positions among the model's.
    pub averages: RefCell<BTreeMap<String, usize>>,
    /// The instances made while its body was elaborated: by place, and by how often that place was passed before.
    pub children: RefCell<BTreeMap<(Span, usize), Rc<Instance>>>,
    /// Where it is used.
    pub uses: RefCell<Vec<Span>>,
    /// Whether it, or anything in it, has state.
    pub stateful: Cell<bool>,
}

/// A pipe without a head, or a repetition.
#[derive(Clone, Debug)]
pub(crate) struct PipeStage<'p> {
    /// The stages, in order.
    pub items: Vec<Spanned<'p>>,
    /// What was written, so that it can be made anew.
    pub source: &'p Expr,
    /// The names that it was written among.
    pub env: Env<'p>,
}

/// A surrogate with the settings given so far.
#[derive(Clone, Debug)]
pub(crate) struct SurrogateValue<'p> {
    /// Which declaration.
    pub id: DeclId,
    /// The declaration.
    pub decl: &'p ast::Surrogate,
    /// Settings given so far.
    pub given: Rc<Vec<Given<'p>>>,
}

/// A function with the arguments given so far; a stage that lacks its first.
#[derive(Clone, Debug)]
pub(crate) struct FunctionValue<'p> {
    /// Which function.
    pub target: FunctionTarget<'p>,
    /// Arguments by position.
    pub positional: Vec<Spanned<'p>>,
    /// Arguments by name.
    pub named: Vec<(&'p ast::Name, Spanned<'p>)>,
}

/// What a function is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FunctionTarget<'p> {
    /// One that the elaborator knows.
    Intrinsic(&'static Intrinsic),
    /// A declared one.
    Declared(DeclId, &'p ast::FnDecl),
}

impl FunctionTarget<'_> {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        match self {
            FunctionTarget::Intrinsic(intrinsic) => intrinsic.name,
            FunctionTarget::Declared(_, decl) => &decl.name.text,
        }
    }
}

/// Something built in (a data set, an optimizer, ...) with its settings.
#[derive(Clone, Debug)]
pub(crate) struct BuiltinValue<'p> {
    /// Which declaration.
    pub id: DeclId,
    /// The declaration.
    pub decl: &'p ast::Extern,
    /// Settings given so far.
    pub given: Rc<Vec<Given<'p>>>,
    /// Whether it was written with parentheses.
    pub called: bool,
}
