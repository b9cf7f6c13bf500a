//! The .snn language: source text to a checked model.
//!
//! Text becomes tokens ([`lexer`]), tokens become a tree ([`parse`], [`ast`]). Every step returns what it could make
//! of its input together with [`diagnostic`]s, never a panic. This crate must never open a file, print, or know which
//! machine the model will run on.

pub mod ast;
pub mod ast_print;
pub mod codes;
pub mod diagnostic;
pub mod lexer;
pub mod parse;
pub mod render;
pub mod source;
pub mod token;
