//! Bounds the height of the tree before it is built.
//!
//! Everything that walks the tree recursively, its destructor included, relies on this bound. It is counted on tokens:
//! a path from the root of an expression to a leaf passes at most all operators of its own bracket level and then one
//! bracket group. Commas, line ends and pipes separate siblings. Must never know the grammar beyond that.

use crate::lexer::{Lexeme, MAX_HEIGHT};
use crate::source::Span;
use crate::token::{Keyword, Token};

/// One bracket level: the expression being read, and the tallest of its finished siblings.
#[derive(Clone, Copy, Default)]
struct Level {
    operators: usize,
    tallest_group: usize,
    tallest_sibling: usize,
}

impl Level {
    fn height(self) -> usize {
        (self.operators + self.tallest_group).max(self.tallest_sibling)
    }

    fn next_sibling(&mut self) {
        *self = Level { tallest_sibling: self.height(), ..Level::default() };
    }
}

/// The first token at which the tree would become higher than [`MAX_HEIGHT`].
pub(super) fn first_too_high(tokens: &[Lexeme<'_>]) -> Option<Span> {
    let mut outer: Vec<Level> = Vec::new();
    let mut level = Level::default();
    for lexeme in tokens {
        match lexeme.token {
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => outer.push(std::mem::take(&mut level)),
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                let group = level.height();
                level = outer.pop().unwrap_or_default();
                level.operators += 1;
                level.tallest_group = level.tallest_group.max(group);
            }
            Token::Comma | Token::Newline | Token::Arrow => level.next_sibling(),
            Token::Keyword(Keyword::If | Keyword::For | Keyword::Else) => level.operators += 1,
            token if token.is_operator() => level.operators += 1,
            _ => {}
        }
        if outer.len() + level.height() > MAX_HEIGHT {
            return Some(lexeme.span);
        }
    }
    None
}
