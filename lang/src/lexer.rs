//! Text to the tokens that the grammar reads.
//!
//! Three steps: `scan` cuts the text and sets comments aside, `layout` decides where statements end, which words are
//! keywords and how brackets pair, `height` bounds how deeply the tree may nest. What comes out has balanced brackets
//! and no comments, whatever went in. This module must never know the grammar.

use std::collections::BTreeMap;

use crate::ast::{Comment, Doc};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};
use crate::token::Token;

mod height;
mod layout;
pub(crate) mod literal;
mod scan;
mod words;

pub(crate) use scan::{comment_of, unattached_doc};

/// The largest source text that is accepted, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// The greatest height of a syntax tree, counted in operators and brackets from the root to a leaf; so many that no
/// program written by hand meets it, so few that every walk over the tree fits a small stack.
pub const MAX_HEIGHT: usize = 128;

/// One token in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lexeme<'s> {
    /// The token.
    pub token: Token<'s>,
    /// Its place; empty for a bracket that the layout put in.
    pub span: Span,
    /// Whether the layout put it in, because the program forgot it.
    pub inserted: bool,
}

/// What the lexer made of a text.
#[derive(Clone, Debug)]
pub struct Lexed<'s> {
    /// The tokens, brackets balanced.
    pub tokens: Vec<Lexeme<'s>>,
    /// Documentation, by the index of the token that follows it.
    pub docs: BTreeMap<usize, Doc>,
    /// Ordinary comments.
    pub comments: Vec<Comment>,
    /// What was wrong.
    pub diagnostics: Vec<Diagnostic>,
}

/// Cuts `text` into tokens. Of a text that is too large or nests too deeply no tokens are kept.
pub fn lex(file: FileId, text: &str) -> Lexed<'_> {
    if text.len() > MAX_BYTES {
        return Lexed {
            tokens: Vec::new(),
            docs: BTreeMap::new(),
            comments: Vec::new(),
            diagnostics: vec![too_large(file, text.len())],
        };
    }
    let scanned = scan::scan(file, text);
    let mut lexed = layout::layout(file, text, scanned);
    if let Some(span) = height::first_too_high(&lexed.tokens) {
        lexed.tokens.clear();
        lexed.docs.clear();
        lexed.diagnostics.push(
            Diagnostic::error(Code::TooDeep, "this expression nests too deeply")
                .at(span, format!("more than {MAX_HEIGHT} operators and brackets inside one another"))
                .help("name parts of it with `let`"),
        );
    }
    lexed
}

fn too_large(file: FileId, bytes: usize) -> Diagnostic {
    Diagnostic::error(Code::FileTooLarge, "this source text is too large")
        .at(Span::new(file, 0, 0), format!("{bytes} bytes; the most that is accepted is {MAX_BYTES}"))
        .help("a .snn text describes a model; data belongs into data files")
}
