//! Which words are keywords where.
//!
//! `time`, `spike`, `neuron` and the like are names except where a statement or declaration begins, and even there only
//! if what follows fits. Must never know brackets or lines.

use crate::lexer::scan::Raw;
use crate::token::{Keyword, KeywordClass, Token};

fn token_at<'s>(raws: &[Raw<'s>], at: usize) -> Option<Token<'s>> {
    raws.get(at).map(|raw| raw.token)
}

fn word_at<'s>(raws: &[Raw<'s>], at: usize) -> Option<&'s str> {
    match token_at(raws, at) {
        Some(Token::Word(word)) => Some(word),
        _ => None,
    }
}

/// The word as a token: reserved words are keywords everywhere.
pub(super) fn reserved(token: Token<'_>) -> Token<'_> {
    match token {
        Token::Word(word) => Keyword::find(word, KeywordClass::Reserved).map_or(token, Token::Keyword),
        other => other,
    }
}

/// Whether an expression can begin at `at`.
pub(super) fn expression_at(raws: &[Raw<'_>], at: usize) -> bool {
    token_at(raws, at).is_some_and(|token| reserved(token).starts_expression())
}

/// The declaration that begins at `at`, judged by its first two words: `neuron LIF`, `test "..."`.
pub(super) fn declaration_at(raws: &[Raw<'_>], at: usize) -> Option<Keyword> {
    let keyword = Keyword::find(word_at(raws, at)?, KeywordClass::Declaration)?;
    let fits = match token_at(raws, at + 1)? {
        Token::Word(_) => true,
        Token::Str(_) => matches!(keyword, Keyword::Test | Keyword::Use),
        Token::Number(_) => keyword == Keyword::Edition,
        _ => false,
    };
    (fits && !raws.get(at + 1).is_some_and(|raw| raw.first)).then_some(keyword)
}

/// The word at `at` as the beginning of a declaration outside all brackets, where nothing else can stand.
pub(super) fn top_level_at(raws: &[Raw<'_>], at: usize) -> Option<Keyword> {
    Keyword::find(word_at(raws, at)?, KeywordClass::Declaration)
}

/// The statement that begins at `at`, judged by what follows its first word.
pub(super) fn statement_at(raws: &[Raw<'_>], at: usize) -> Option<Keyword> {
    let keyword = Keyword::find(word_at(raws, at)?, KeywordClass::Statement)?;
    let next = token_at(raws, at + 1)?;
    let name_follows = matches!(next, Token::Word(_));
    let fits = match keyword {
        Keyword::Spike => word_at(raws, at + 1) == Some(Keyword::When.as_str()),
        Keyword::On => name_follows && token_at(raws, at + 2) == Some(Token::BraceOpen),
        Keyword::Time => name_follows || matches!(next, Token::Number(_) | Token::Duration(_) | Token::ParenOpen),
        Keyword::Expect | Keyword::Require => expression_at(raws, at + 1),
        _ => name_follows,
    };
    // A word on the next line begins another statement: `time` alone on its line is a name.
    (fits && !raws.get(at + 1).is_some_and(|raw| raw.first)).then_some(keyword)
}

/// Whether a statement so plainly begins at `at` that brackets still open must have been forgotten.
pub(super) fn plain_statement_at(raws: &[Raw<'_>], at: usize) -> bool {
    let is_let = word_at(raws, at) == Some(Keyword::Let.as_str()) && word_at(raws, at + 1).is_some();
    is_let || statement_at(raws, at).is_some()
}

/// The word at `at` as a keyword inside a statement that began with `head`, after `previous`.
pub(super) fn inner_at(
    raws: &[Raw<'_>],
    at: usize,
    head: Option<Keyword>,
    previous: Option<Token<'_>>,
) -> Option<Keyword> {
    let keyword = Keyword::find(word_at(raws, at)?, KeywordClass::Inner)?;
    let after_expression = previous.is_some_and(Token::ends_expression) && expression_at(raws, at + 1);
    let fits = match keyword {
        Keyword::When => previous == Some(Token::Keyword(Keyword::Spike)),
        Keyword::Training => previous == Some(Token::Keyword(Keyword::Test)),
        Keyword::Of => head == Some(Keyword::Time) && after_expression,
        Keyword::Within => head == Some(Keyword::Expect) && after_expression,
        Keyword::Primitive => head == Some(Keyword::Surrogate) && after_expression,
        _ => false,
    };
    fits.then_some(keyword)
}
