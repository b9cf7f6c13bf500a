//! The names that exist without any declaration, and what each of them takes.
//!
//! Everything else is text of the standard library. What an intrinsic does is in `elaborate/intrinsics`.
//! Must never know how a call is elaborated.

use snn_graph::ops::pointwise::Function;
use snn_graph::ops::reduce::Reducer;

/// Names of compile-time values: mathematics, the number of steps, whether the model is in training.
const CONSTANTS: &[&str] = &["pi", "inf", "steps", "duration", "on_grid", "training"];

/// Words that mean themselves where nothing else bears their name; `none` is the absence of a value.
const WORDS: &[&str] = &[
    "time", "batch", "channel", "all", "same", "step", "sample", "stbp", "exact", "f32", "f64", "tf32", "bf16", "f16",
    "none",
];

/// One parameter of an intrinsic.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Formal {
    /// Its name.
    pub name: &'static str,
    /// Whether a call must give it.
    pub required: bool,
    /// Whether a bare word given for it means itself.
    pub word: bool,
}

/// A function that the elaborator itself knows.
#[derive(Debug)]
pub(crate) struct Intrinsic {
    /// Its name.
    pub name: &'static str,
    /// Its parameters; the first is its signal, if it has one.
    pub formals: &'static [Formal],
    /// What it does.
    pub action: Action,
}

/// What an intrinsic does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A scalar function, element by element.
    Pointwise(Function),
    /// `clamp(x, lo, hi)`
    Clamp,
    /// `where(condition, a, b)`
    Where,
    /// A sum, maximum or minimum over axes.
    Reduce(Reducer),
    /// The mean over axes.
    Mean,
    /// How many elements a reduction covers.
    Count,
    /// The step function with its surrogate.
    Spike,
    /// A spike at a time.
    SpikeAt,
    /// The times of spikes.
    SpikeTimes,
    /// The value without gradient.
    Detach,
    /// The value in training, its moving average in evaluation.
    Running,
    /// Random numbers.
    Random(Draw),
    /// A convolution.
    Conv,
    /// A linear map.
    Linear,
    /// Patches of an image.
    Windows,
    /// Another shape.
    Reshape,
    /// One axis.
    Flatten,
    /// 1 at the place of a class, 0 elsewhere.
    OneHot,
    /// Position of the largest element.
    ArgMax,
    /// 0, 1, 2, ...
    Iota,
    /// The number of the time step.
    Index,
    /// Refuses the settings in the library's words.
    Error,
}

/// What random numbers are drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Draw {
    /// Normal with mean 0 and deviation 1.
    Normal,
    /// Uniform in [0, 1).
    Uniform,
    /// 1 with a probability, else 0.
    Bernoulli,
}

const fn needed(name: &'static str) -> Formal {
    Formal { name, required: true, word: false }
}

const fn optional(name: &'static str) -> Formal {
    Formal { name, required: false, word: false }
}

const fn word(name: &'static str) -> Formal {
    Formal { name, required: false, word: true }
}

macro_rules! intrinsics {
    ($($name:literal ($($formal:expr),*) = $action:expr;)*) => {
        /// All intrinsics.
        const INTRINSICS: &[Intrinsic] =
            &[$(Intrinsic { name: $name, formals: &[$($formal),*], action: $action },)*];
    };
}

intrinsics! {
    "exp"(needed("x")) = Action::Pointwise(Function::Exp);
    "log"(needed("x")) = Action::Pointwise(Function::Log);
    "sqrt"(needed("x")) = Action::Pointwise(Function::Sqrt);
    "abs"(needed("x")) = Action::Pointwise(Function::Abs);
    "sin"(needed("x")) = Action::Pointwise(Function::Sin);
    "cos"(needed("x")) = Action::Pointwise(Function::Cos);
    "tanh"(needed("x")) = Action::Pointwise(Function::Tanh);
    "sigmoid"(needed("x")) = Action::Pointwise(Function::Sigmoid);
    "erf"(needed("x")) = Action::Pointwise(Function::Erf);
    "floor"(needed("x")) = Action::Pointwise(Function::Floor);
    "maximum"(needed("a"), needed("b")) = Action::Pointwise(Function::Maximum);
    "minimum"(needed("a"), needed("b")) = Action::Pointwise(Function::Minimum);
    "clamp"(needed("x"), needed("lo"), needed("hi")) = Action::Clamp;
    "where"(needed("condition"), needed("a"), needed("b")) = Action::Where;
    "sum"(needed("x"), word("over"), optional("keep")) = Action::Reduce(Reducer::Sum);
    "max"(needed("x"), word("over"), optional("keep")) = Action::Reduce(Reducer::Max);
    "min"(needed("x"), word("over"), optional("keep")) = Action::Reduce(Reducer::Min);
    "mean"(needed("x"), word("over"), optional("keep")) = Action::Mean;
    "count"(needed("x"), word("over")) = Action::Count;
    "spike"(needed("x"), needed("surrogate"), optional("strict")) = Action::Spike;
    "spike_at"(needed("t")) = Action::SpikeAt;
    "spike_times"(needed("spikes")) = Action::SpikeTimes;
    "detach"(needed("x")) = Action::Detach;
    "running"(needed("value"), needed("momentum"), optional("start"), optional("store")) = Action::Running;
    "normal"(word("each"), optional("shape")) = Action::Random(Draw::Normal);
    "uniform"(word("each"), optional("shape")) = Action::Random(Draw::Uniform);
    "bernoulli"(needed("p"), word("each"), optional("shape")) = Action::Random(Draw::Bernoulli);
    "conv"(needed("x"), needed("weight"), optional("stride"), word("padding"), optional("dilation"), optional("groups"))
        = Action::Conv;
    "linear"(needed("x"), needed("weight")) = Action::Linear;
    "windows"(needed("x"), needed("size"), optional("stride"), optional("padding"), optional("fill")) = Action::Windows;
    "reshape"(needed("x"), needed("shape")) = Action::Reshape;
    "flatten"(needed("x")) = Action::Flatten;
    "one_hot"(needed("label"), needed("n")) = Action::OneHot;
    "argmax"(needed("x")) = Action::ArgMax;
    "iota"(needed("n")) = Action::Iota;
    "index"(Formal { name: "axis", required: true, word: true }) = Action::Index;
    "error"(needed("text")) = Action::Error;
}

/// The intrinsic of that name.
pub(crate) fn intrinsic(name: &str) -> Option<&'static Intrinsic> {
    INTRINSICS.iter().find(|intrinsic| intrinsic.name == name)
}

/// The word itself, if it is one that needs no quotes.
pub(crate) fn word_named(name: &str) -> Option<&'static str> {
    WORDS.iter().find(|word| **word == name).copied()
}

/// Whether a name exists without any declaration.
pub(crate) fn is_known(name: &str) -> bool {
    names().any(|known| known == name)
}

/// All names that exist without any declaration.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let intrinsics = INTRINSICS.iter().map(|intrinsic| intrinsic.name);
    CONSTANTS.iter().chain(WORDS).copied().chain(intrinsics)
}
