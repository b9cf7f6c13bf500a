//! The .snn language: source text to a checked model.
//!
//! Text becomes tokens ([`lexer`]), tokens become a tree ([`parse`], [`ast`]). Every step returns what it could make
//! of its input together with [`diagnostic`]s, never a panic. This crate must never open a file, print, or know which
//! machine the model will run on.

pub mod ast;
pub mod ast_print;
mod builtins;
pub mod codes;
pub mod compile;
pub mod diagnostic;
pub mod elaborate;
pub mod lexer;
mod method;
pub mod parse;
pub mod render;
mod report;
mod resolve;
pub mod source;
mod structure;
pub mod token;
mod value;

pub use compile::{Compiled, CompiledModel, Options, compile};
pub use method::Method;
