//! Finds the independent errors of a file.
//!
//! The layout guarantees balanced brackets, so the statement around an error is known without any guess: it is
//! replaced by [`Token::Bad`] and the item is parsed again. Must never know how an error is put into words.

use std::ops::Range;

use lalrpop_util::ParseError;

use crate::diagnostic::{Diagnostic, Reports, nearest};
use crate::parse::explain::{self, Site};
use crate::parse::forms;
use crate::parse::grammar::ItemParser;
use crate::parse::{Context, Item};
use crate::token::{Keyword, KeywordClass, Token};

/// The most statements with errors that are stepped over in one item.
const MAX_HOLES: usize = 20;

/// Parses every top-level item and hands on those that could be understood.
pub(super) fn items(
    context: &Context<'_, '_>,
    lexical: &[Diagnostic],
    diagnostics: &mut Reports,
    mut take: impl FnMut(Item),
) {
    let parser = ItemParser::new();
    let mut unknown_before = false;
    let errors = lexical.iter().filter(|diagnostic| diagnostic.is_error());
    let mut lexical: Vec<u32> = errors.filter_map(Diagnostic::span).map(|span| span.start).collect();
    lexical.sort_unstable();
    for range in top_level(context) {
        if diagnostics.is_full() {
            break;
        }
        let mut items = Items { context, lexical: &lexical, parser: &parser, diagnostics };
        let Some(first) = items.first_token(&range, unknown_before) else {
            unknown_before = true;
            continue;
        };
        unknown_before = false;
        if let Some(item) = items.parse(range, first) {
            take(item);
        }
    }
}

/// The token ranges between the line ends outside all brackets.
fn top_level(context: &Context<'_, '_>) -> Vec<Range<usize>> {
    let (mut ranges, mut start, mut depth) = (Vec::new(), 0, 0usize);
    for (at, lexeme) in context.tokens.iter().enumerate() {
        match nesting(lexeme.token) {
            Nesting::Opens => depth += 1,
            Nesting::Closes => depth = depth.saturating_sub(1),
            Nesting::Flat if lexeme.token == Token::Newline && depth == 0 => {
                ranges.push(start..at);
                start = at + 1;
            }
            Nesting::Flat => {}
        }
    }
    ranges.push(start..context.tokens.len());
    ranges.retain(|range| !range.is_empty());
    ranges
}

enum Nesting {
    Opens,
    Closes,
    Flat,
}

fn nesting(token: Token<'_>) -> Nesting {
    match token {
        Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => Nesting::Opens,
        Token::ParenClose | Token::BracketClose | Token::BraceClose => Nesting::Closes,
        _ => Nesting::Flat,
    }
}

struct Items<'a, 't, 's> {
    context: &'a Context<'t, 's>,
    /// Where the lexer reported errors, in order.
    lexical: &'a [u32],
    parser: &'a ItemParser,
    diagnostics: &'a mut Reports,
}

impl<'s> Items<'_, '_, 's> {
    /// The token that begins the item, corrected if it is a misspelled keyword. Of several unknown items in a row,
    /// mostly the remains of one mistake, only the first is reported.
    fn first_token(&mut self, range: &Range<usize>, unknown_before: bool) -> Option<Token<'s>> {
        let lexeme = self.context.tokens.get(range.start)?;
        let near = match lexeme.token {
            Token::Keyword(keyword) if keyword.class() == KeywordClass::Declaration => return Some(lexeme.token),
            Token::Word(word) => {
                let words = declarations().map(Keyword::as_str);
                nearest(word, words).and_then(|near| Keyword::find(near, KeywordClass::Declaration))
            }
            _ => None,
        };
        if near.is_none() && (unknown_before || lexeme.inserted || self.lexical_error_in(range)) {
            return None;
        }
        self.diagnostics.push(explain::unknown_declaration(lexeme, near));
        near.map(Token::Keyword)
    }

    fn parse(&mut self, range: Range<usize>, first: Token<'s>) -> Option<Item> {
        let mut holes: Vec<Range<usize>> = Vec::new();
        loop {
            let (at, expected) = match self.parser.parse(self.context, self.stream(&range, first, &holes)) {
                Ok(item) => return Some(mark_broken(item, !holes.is_empty())),
                Err(error) => place_of(error, range.end),
            };
            let fresh = !holes.iter().any(|hole| hole.start == at);
            let hole = self.statements_around(&range, at).into_iter().find(|wider| !holes.contains(wider));
            if fresh {
                let head = hole.as_ref().map_or(range.start, |hole| hole.start);
                let end = hole.as_ref().map_or(at + 1, |hole| hole.end.max(at + 1));
                self.report(&Site { context: self.context, at, head, expected: &expected }, head..end);
            }
            let hole = hole.filter(|_| holes.len() < MAX_HOLES)?;
            holes.retain(|inner| inner.start < hole.start || hole.end < inner.end);
            holes.push(hole);
            holes.sort_by_key(|hole| hole.start);
        }
    }

    /// Reports an error, unless it is only the echo of a lexical one in the same tokens.
    fn report(&mut self, site: &Site<'_, '_, '_>, tokens: Range<usize>) {
        let inserted = self.context.tokens.get(site.at).is_some_and(|lexeme| lexeme.inserted);
        if !inserted && !self.lexical_error_in(&tokens) {
            self.diagnostics.push(explain::explain(site));
        }
    }

    /// Whether the lexer reported something among these tokens or up to the next.
    fn lexical_error_in(&self, tokens: &Range<usize>) -> bool {
        let start = self.context.span(tokens.start, tokens.end).start;
        let end = match self.context.tokens.get(tokens.end) {
            Some(next) if next.token == Token::Newline => next.span.end,
            Some(next) => next.span.start,
            None => u32::MAX,
        };
        let first = self.lexical.partition_point(|place| *place < start);
        self.lexical.get(first).is_some_and(|place| *place <= end)
    }

    /// The item's tokens, its first one corrected, each hole one [`Token::Bad`].
    fn stream(
        &self,
        range: &Range<usize>,
        first: Token<'s>,
        holes: &[Range<usize>],
    ) -> Vec<Result<(usize, Token<'s>, usize), std::convert::Infallible>> {
        let mut stream = Vec::with_capacity(range.len());
        let mut holes = holes.iter().peekable();
        let mut at = range.start;
        while at < range.end {
            if let Some(hole) = holes.next_if(|hole| hole.start <= at) {
                stream.push(Ok((hole.start, Token::Bad, hole.end)));
                at = hole.end;
                continue;
            }
            let token = if at == range.start { Some(first) } else { self.context.token(at) };
            stream.extend(token.map(|token| Ok((at, token, at + 1))));
            at += 1;
        }
        stream
    }

    /// The statements that hold the token at `at`, from the innermost to the outermost. A line end or `}` belongs to
    /// the statement before it.
    fn statements_around(&self, range: &Range<usize>, at: usize) -> Vec<Range<usize>> {
        let mut starts: Vec<usize> = Vec::new();
        for index in range.start..at.min(range.end) {
            match self.context.token(index) {
                Some(Token::BraceOpen) => starts.push(index + 1),
                Some(Token::BraceClose) => drop(starts.pop()),
                Some(Token::Newline) => {
                    if let Some(start) = starts.last_mut() {
                        *start = index + 1;
                    }
                }
                _ => {}
            }
        }
        starts.into_iter().rev().map(|start| start..self.statement_end(start, range.end)).collect()
    }

    fn statement_end(&self, start: usize, end: usize) -> usize {
        let mut depth = 0usize;
        for at in start..end {
            let Some(token) = self.context.token(at) else { return at };
            match nesting(token) {
                Nesting::Opens => depth += 1,
                Nesting::Closes if depth == 0 => return at,
                Nesting::Closes => depth -= 1,
                Nesting::Flat if token == Token::Newline && depth == 0 => return at,
                Nesting::Flat => {}
            }
        }
        end
    }
}

fn declarations() -> impl Iterator<Item = Keyword> {
    forms::of_class(KeywordClass::Declaration)
}

fn mark_broken(item: Item, broken: bool) -> Item {
    match item {
        Item::Decl(mut decl) => {
            decl.broken = broken;
            Item::Decl(decl)
        }
        other => other,
    }
}

fn place_of(error: ParseError<usize, Token<'_>, std::convert::Infallible>, end: usize) -> (usize, Vec<String>) {
    match error {
        ParseError::UnrecognizedToken { token: (at, _, _), expected } => (at, expected),
        ParseError::ExtraToken { token: (at, _, _) } => (at, Vec::new()),
        ParseError::UnrecognizedEof { expected, .. } => (end, expected),
        ParseError::InvalidToken { location } => (location, Vec::new()),
        ParseError::User { error } => match error {},
    }
}
