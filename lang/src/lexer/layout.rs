//! Where statements end, which words are keywords, and brackets that always pair.
//!
//! A statement ends with its line unless `(` or `[` is open, the line ends in an operator or comma, or the next line
//! begins with `->`, `as`, `else` or `{`; inside braces lines count again. A forgotten bracket is reported once and put
//! in where the indentation and the words of the next line show that it must have closed, so that one slip does not
//! swallow the rest of the file. Must never know the grammar beyond that.

use std::collections::BTreeMap;

use crate::ast::Doc;
use crate::codes::Code;
use crate::diagnostic::{Diagnostic, Reports};
use crate::lexer::scan::{Raw, Scanned};
use crate::lexer::{Lexed, Lexeme, MAX_HEIGHT, words};
use crate::source::{FileId, Span};
use crate::token::{Keyword, Token};

/// Lays out the tokens of a whole text.
pub(super) fn layout<'s>(file: FileId, text: &'s str, scanned: Scanned<'s>) -> Lexed<'s> {
    let mut layout = Layout {
        text,
        raws: &scanned.tokens,
        out: Vec::with_capacity(scanned.tokens.len()),
        docs: BTreeMap::new(),
        diagnostics: scanned.diagnostics,
        open: Vec::new(),
        heads: vec![None],
    };
    for at in 0..layout.raws.len() {
        layout.step(at);
        if layout.open.len() > MAX_HEIGHT {
            // Too deep whatever follows; to pair brackets on a stack without bound would take forever.
            layout.open.clear();
            break;
        }
    }
    let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
    layout.close_all(Span::new(file, end, end));
    Lexed {
        tokens: layout.out,
        docs: layout.docs,
        comments: scanned.comments,
        diagnostics: layout.diagnostics.into_vec(),
    }
}

/// A bracket that waits for its partner.
#[derive(Clone, Copy)]
struct Open {
    kind: Bracket,
    span: Span,
    /// Whether it begins an interval, `in (0, 1]`, that either bracket may close.
    interval: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    Paren,
    Square,
    Brace,
}

impl Bracket {
    fn opened_by(token: Token<'_>) -> Option<Bracket> {
        match token {
            Token::ParenOpen => Some(Bracket::Paren),
            Token::BracketOpen => Some(Bracket::Square),
            Token::BraceOpen => Some(Bracket::Brace),
            _ => None,
        }
    }

    fn closed_by(token: Token<'_>) -> Option<Bracket> {
        match token {
            Token::ParenClose => Some(Bracket::Paren),
            Token::BracketClose => Some(Bracket::Square),
            Token::BraceClose => Some(Bracket::Brace),
            _ => None,
        }
    }

    fn closing(self) -> Token<'static> {
        match self {
            Bracket::Paren => Token::ParenClose,
            Bracket::Square => Token::BracketClose,
            Bracket::Brace => Token::BraceClose,
        }
    }

    fn signs(self) -> (char, char) {
        match self {
            Bracket::Paren => ('(', ')'),
            Bracket::Square => ('[', ']'),
            Bracket::Brace => ('{', '}'),
        }
    }
}

struct Layout<'a, 's> {
    text: &'s str,
    raws: &'a [Raw<'s>],
    out: Vec<Lexeme<'s>>,
    docs: BTreeMap<usize, Doc>,
    diagnostics: Reports,
    open: Vec<Open>,
    /// The keyword that began the current statement, for the outermost level and each open bracket.
    heads: Vec<Option<Keyword>>,
}

impl<'s> Layout<'_, 's> {
    fn step(&mut self, at: usize) {
        let Some(raw) = self.raws.get(at) else { return };
        if raw.first {
            self.close_forgotten(at, raw);
        }
        if raw.first && self.line_ends_before(at, raw) {
            self.end_line();
        }
        let token = self.keyword(at, raw.token);
        if let Some(doc) = &raw.doc {
            self.docs.insert(self.out.len(), doc.clone());
        }
        match (Bracket::opened_by(token), Bracket::closed_by(token)) {
            (Some(kind), _) => self.open_bracket(kind, token, raw.span),
            (None, Some(kind)) => self.close_bracket(kind, token, raw.span),
            (None, None) => self.emit(token, raw.span),
        }
    }

    fn previous(&self) -> Option<Token<'s>> {
        self.out.last().map(|lexeme| lexeme.token)
    }

    fn emit(&mut self, token: Token<'s>, span: Span) {
        self.out.push(Lexeme { token, span, inserted: false });
    }

    /// Ends the statement. The token reaches from the last one to the end of its line.
    fn end_line(&mut self) {
        let Some(last) = self.out.last() else { return };
        let rest = self.text.get(last.span.end as usize..).unwrap_or_default();
        let length = rest.find(['\r', '\n']).unwrap_or(rest.len());
        let end = last.span.end.saturating_add(u32::try_from(length).unwrap_or(0));
        self.emit(Token::Newline, Span { end, ..last.span.after() });
    }

    fn lines_count(&self) -> bool {
        self.open.last().is_none_or(|open| open.kind == Bracket::Brace)
    }

    /// Whether the next token begins a statement, as far as what stands before it tells.
    fn at_statement(&self) -> bool {
        self.lines_count() && matches!(self.previous(), None | Some(Token::Newline | Token::BraceOpen))
    }

    fn line_ends_before(&self, at: usize, raw: &Raw<'s>) -> bool {
        let Some(previous) = self.previous() else { return false };
        let goes_on = match words::reserved(raw.token) {
            Token::Arrow | Token::BraceOpen | Token::BraceClose => true,
            Token::Keyword(keyword) => matches!(keyword, Keyword::As | Keyword::Else),
            _ => self.inner(at) == Some(Keyword::Primitive),
        };
        let opens = previous == Token::BraceOpen || previous == Token::Newline;
        // After `let u =` with nothing behind it, the next `let` is not its value.
        let unfinished = previous.continues_line() && !self.plainly_begins(at, raw);
        self.lines_count() && !opens && !unfinished && !goes_on
    }

    /// Whether a declaration or statement begins at `at` whatever stands before it.
    fn plainly_begins(&self, at: usize, raw: &Raw<'s>) -> bool {
        let declaration = raw.unindented && words::declaration_at(self.raws, at).is_some();
        declaration || words::plain_statement_at(self.raws, at)
    }

    fn inner(&self, at: usize) -> Option<Keyword> {
        let head = self.heads.last().copied().flatten();
        words::inner_at(self.raws, at, head, self.previous())
    }

    /// The token, a keyword where it stands as one; notes the keyword that begins a statement.
    fn keyword(&mut self, at: usize, token: Token<'s>) -> Token<'s> {
        let starts = self.at_statement();
        let token = words::reserved(token);
        let Token::Word(_) = token else {
            self.note_head(starts, None);
            return token;
        };
        let keyword = match (starts, self.open.is_empty()) {
            (true, true) => words::top_level_at(self.raws, at),
            (true, false) => words::statement_at(self.raws, at).or_else(|| words::declaration_at(self.raws, at)),
            (false, _) => self.inner(at),
        };
        self.note_head(starts, keyword);
        keyword.map_or(token, Token::Keyword)
    }

    fn note_head(&mut self, starts: bool, keyword: Option<Keyword>) {
        if let Some(head) = self.heads.last_mut().filter(|_| starts) {
            *head = keyword;
        }
    }

    fn open_bracket(&mut self, kind: Bracket, token: Token<'s>, span: Span) {
        let interval = self.previous() == Some(Token::Keyword(Keyword::In));
        self.open.push(Open { kind, span, interval });
        self.heads.push(None);
        self.emit(token, span);
    }

    fn pop(&mut self) -> Option<Open> {
        let open = self.open.pop()?;
        self.heads.pop();
        Some(open)
    }

    fn close_bracket(&mut self, kind: Bracket, token: Token<'s>, span: Span) {
        let Some(top) = self.open.last().copied() else { return self.stray(kind, span) };
        let closes_interval = top.interval && top.kind != Bracket::Brace && kind != Bracket::Brace;
        if top.kind == kind || closes_interval {
            self.pop();
            return self.emit(token, span);
        }
        // A `)` or `]` never reaches out of the braces that it stands in.
        let within = self.open.iter().rev().take_while(|open| kind == Bracket::Brace || open.kind != Bracket::Brace);
        match within.clone().position(|open| open.kind == kind) {
            Some(depth) => {
                let forgotten: Vec<Open> = within.take(depth).copied().collect();
                self.close_with_report(&forgotten, span, "must be closed before this");
                self.pop();
                self.emit(token, span);
            }
            None if top.kind == Bracket::Brace => self.stray(kind, span),
            None => {
                let ((sign, _), (_, closing)) = (top.kind.signs(), kind.signs());
                let right = top.kind.signs().1;
                self.diagnostics.push(
                    Diagnostic::error(Code::UnbalancedBracket, format!("`{sign}` is closed by `{closing}`"))
                        .at(span, format!("`{right}` belongs here"))
                        .because(top.span, "opened here"),
                );
                self.pop();
                self.emit(top.kind.closing(), span);
            }
        }
    }

    fn stray(&mut self, kind: Bracket, span: Span) {
        let (open, close) = kind.signs();
        self.diagnostics.push(
            Diagnostic::error(Code::UnbalancedBracket, format!("this `{close}` closes nothing"))
                .at(span, format!("no `{open}` is open here"))
                .help("remove it"),
        );
    }

    /// Closes what an unindented declaration, or a plain statement inside `(` or `[`, shows to have been forgotten.
    fn close_forgotten(&mut self, at: usize, raw: &Raw<'s>) {
        if raw.unindented && words::declaration_at(self.raws, at).is_some() {
            let forgotten: Vec<Open> = self.open.iter().rev().copied().collect();
            return self.close_with_report(&forgotten, raw.span, "a new declaration begins here");
        }
        if !self.lines_count() && words::plain_statement_at(self.raws, at) {
            let forgotten: Vec<Open> =
                self.open.iter().rev().take_while(|open| open.kind != Bracket::Brace).copied().collect();
            self.close_with_report(&forgotten, raw.span, "a new statement begins here");
        }
    }

    fn close_all(&mut self, end: Span) {
        let forgotten: Vec<Open> = self.open.iter().rev().copied().collect();
        self.close_with_report(&forgotten, end, "the file ends here");
    }

    /// Closes the innermost brackets, given from the inside out, and reports the outermost of them.
    fn close_with_report(&mut self, forgotten: &[Open], before: Span, why: &str) {
        let Some(outermost) = forgotten.last() else { return };
        let (open, close) = outermost.kind.signs();
        let mut diagnostic = Diagnostic::error(Code::UnbalancedBracket, format!("`{open}` is never closed"))
            .at(outermost.span, "opened here")
            .because(before, why)
            .help(format!("add the missing `{close}`"));
        if let [innermost, .., _] = forgotten {
            diagnostic = diagnostic.because(innermost.span, "this one is open as well");
        }
        self.diagnostics.push(diagnostic);
        for bracket in forgotten {
            let span = Span { end: before.start, ..before };
            self.out.push(Lexeme { token: bracket.kind.closing(), span, inserted: true });
            self.pop();
        }
    }
}
