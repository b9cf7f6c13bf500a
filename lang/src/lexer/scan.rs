//! Cuts a text into raw tokens and sets comments and documentation aside.
//!
//! Must never know brackets or statements; a line end is only a mark on the token after it.

use logos::Logos;

use crate::ast::{Comment, Doc};
use crate::codes::Code;
use crate::diagnostic::{Diagnostic, Reports, nearest};
use crate::lexer::literal;
use crate::source::{FileId, Span};
use crate::token::Token;

/// A token before layout.
#[derive(Clone, Debug)]
pub(super) struct Raw<'s> {
    /// A word, number, string or sign.
    pub(super) token: Token<'s>,
    /// Its place.
    pub(super) span: Span,
    /// Whether it is the first of its line.
    pub(super) first: bool,
    /// Whether nothing, not even a space, stands before it on its line.
    pub(super) unindented: bool,
    /// The documentation above it.
    pub(super) doc: Option<Doc>,
}

/// A text cut into tokens.
pub(super) struct Scanned<'s> {
    pub(super) tokens: Vec<Raw<'s>>,
    pub(super) comments: Vec<Comment>,
    pub(super) diagnostics: Reports,
}

/// Cuts `text`; what cannot be read is reported and left out.
pub(super) fn scan(file: FileId, text: &str) -> Scanned<'_> {
    let skipped = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut scanner = Scanner {
        file,
        first: true,
        line_start: skipped,
        doc: None,
        out: Scanned { tokens: Vec::new(), comments: Vec::new(), diagnostics: Reports::default() },
    };
    let mut lexer = Token::lexer(text);
    lexer.bump(skipped);
    while let Some(result) = lexer.next() {
        let (span, slice) = (lexer.span(), lexer.slice());
        match result {
            Ok(token) => scanner.token(token, span),
            Err(()) if slice.starts_with('#') => {
                let rest = lexer.remainder();
                let length = rest.find(['\r', '\n']).unwrap_or(rest.len());
                lexer.bump(length);
                scanner.hash_comment(span.start..span.end + length);
            }
            Err(()) => scanner.unknown(slice, span),
        }
    }
    scanner.flush_doc();
    scanner.out
}

struct Scanner<'s> {
    file: FileId,
    first: bool,
    line_start: usize,
    doc: Option<Doc>,
    out: Scanned<'s>,
}

impl<'s> Scanner<'s> {
    fn span(&self, range: &std::ops::Range<usize>) -> Span {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span::new(self.file, offset(range.start), offset(range.end))
    }

    fn token(&mut self, token: Token<'s>, range: std::ops::Range<usize>) {
        let span = self.span(&range);
        match token {
            Token::Newline => {
                self.first = true;
                self.line_start = range.end;
            }
            Token::Comment(text) => self.comment(text, span),
            Token::Semicolon => {
                self.out.diagnostics.push(
                    Diagnostic::error(Code::UnknownCharacter, "there is no `;` in the language")
                        .at(span, "a statement ends with its line")
                        .help("remove it, and write the next statement on its own line"),
                );
                self.first = true;
            }
            Token::OpenStr(_) => {
                self.out.diagnostics.push(
                    Diagnostic::error(Code::BadString, "this string is not closed")
                        .at(span, "begins here and does not end on its line")
                        .help("close it with `\"`"),
                );
                self.push(Token::Str("\"\""), span, &range);
            }
            Token::Number(text) if literal::number(text).is_none() => {
                self.bad_number(span, format!("the number `{text}` is too large"), "write a smaller number".into());
                self.push(Token::Number("1"), span, &range);
            }
            Token::Duration(text) if literal::duration(text).is_none() => {
                self.bad_duration(text, span);
                self.push(Token::Duration("1s"), span, &range);
            }
            Token::Str(text) => {
                let checked = literal::string(text);
                if let Err(at) = checked {
                    self.bad_escape(span, at);
                }
                self.push(Token::Str(if checked.is_ok() { text } else { "\"\"" }), span, &range);
            }
            other => self.push(other, span, &range),
        }
    }

    fn push(&mut self, token: Token<'s>, span: Span, range: &std::ops::Range<usize>) {
        let unindented = self.first && range.start == self.line_start;
        self.out.tokens.push(Raw { token, span, first: self.first, unindented, doc: self.doc.take() });
        self.first = false;
    }

    fn comment(&mut self, text: &str, span: Span) {
        let is_doc = text.starts_with("///") && !text.starts_with("////");
        if is_doc && self.first {
            let line = text.trim_start_matches('/');
            let line = line.strip_prefix(' ').unwrap_or(line).trim_end();
            match &mut self.doc {
                Some(doc) => {
                    doc.text.push('\n');
                    doc.text.push_str(line);
                    doc.span = doc.span.to(span);
                }
                None => self.doc = Some(Doc { text: line.to_string(), span }),
            }
            return;
        }
        if is_doc {
            self.out.diagnostics.push(unattached_doc(span));
        }
        let trailing = !self.first;
        self.out.comments.push(Comment { text: text.trim_end().to_string(), trailing, span });
    }

    /// Documentation at the end of the text has nothing to document.
    fn flush_doc(&mut self) {
        if let Some(doc) = self.doc.take() {
            self.out.diagnostics.push(unattached_doc(doc.span));
            self.out.comments.push(comment_of(doc));
        }
    }

    fn hash_comment(&mut self, range: std::ops::Range<usize>) {
        let span = self.span(&range);
        self.out.diagnostics.push(
            Diagnostic::error(Code::UnknownCharacter, "`#` does not begin a comment")
                .at(span, "left out")
                .help("a comment begins with `//`"),
        );
    }

    fn unknown(&mut self, slice: &str, range: std::ops::Range<usize>) {
        let span = self.span(&range);
        if let Some(label) = self.out.diagnostics.last_mut().and_then(|last| {
            let adjacent = last.code == Code::UnknownCharacter && last.span().is_some_and(|it| it.end == span.start);
            last.labels.first_mut().filter(|_| adjacent)
        }) {
            label.span.end = span.end;
            return;
        }
        let shown: String = slice.chars().flat_map(char::escape_debug).collect();
        let mut diagnostic =
            Diagnostic::error(Code::UnknownCharacter, format!("`{shown}` has no meaning here")).at(span, "left out");
        if let Some(help) = help_for_character(slice) {
            diagnostic = diagnostic.help(help);
        }
        self.out.diagnostics.push(diagnostic);
    }

    fn bad_number(&mut self, span: Span, message: String, help: String) {
        self.out.diagnostics.push(Diagnostic::error(Code::BadNumber, message).at(span, "cannot be read").help(help));
    }

    fn bad_duration(&mut self, text: &str, span: Span) {
        let (digits, unit) = literal::split_unit(text);
        let units = literal::UNITS.map(|(name, _)| name);
        if units.contains(&unit) {
            return self.bad_number(span, format!("the duration `{text}` is too large"), "write a shorter one".into());
        }
        let spelled = match unit.to_lowercase().as_str() {
            "msec" | "msecs" | "millis" => Some("ms"),
            "sec" | "secs" => Some("s"),
            "usec" | "µs" | "micros" => Some("us"),
            _ => None,
        };
        let help = match spelled.or_else(|| nearest(&unit.to_lowercase(), units)) {
            Some(near) => format!("did you mean `{digits}{near}`? A duration is given in ns, us, ms or s"),
            None if unit.starts_with('_') => "write the digits of a number without `_`".to_string(),
            None => format!("a duration is given in ns, us, ms or s; a product is written `{digits} * {unit}`"),
        };
        self.bad_number(span, format!("`{unit}` is not a unit of time"), help);
    }

    fn bad_escape(&mut self, span: Span, at: usize) {
        let start = span.start.saturating_add(u32::try_from(at).unwrap_or(0));
        let place = Span { start, end: start.saturating_add(1), ..span };
        self.out.diagnostics.push(
            Diagnostic::error(Code::BadString, "this escape does not exist")
                .at(place, "unknown escape")
                .help("a string knows `\\n`, `\\t`, `\\\"` and `\\\\`"),
        );
    }
}

/// The lint for documentation that documents nothing.
pub(crate) fn unattached_doc(span: Span) -> Diagnostic {
    Diagnostic::warning(Code::UnattachedDoc, "this documentation belongs to nothing")
        .at(span, "no declaration, setting or statement follows")
        .help("`///` stands on its own line above what it documents; an ordinary comment is `//`")
}

/// Documentation that documents nothing, as a comment.
pub(crate) fn comment_of(doc: Doc) -> Comment {
    let text: Vec<String> = doc.text.lines().map(|line| format!("/// {line}").trim_end().to_string()).collect();
    Comment { text: text.join("\n"), trailing: false, span: doc.span }
}

fn help_for_character(slice: &str) -> Option<&'static str> {
    match slice.chars().next()? {
        '&' => Some("`and` is written `&&`"),
        '|' => Some("`or` is written `||`"),
        '%' => Some("there is no remainder; shapes are divided with `/`"),
        'µ' | 'μ' => Some("microseconds are written `us`, `tau` and other names in ASCII letters"),
        c if c.is_alphabetic() => {
            Some("names are written in ASCII letters, digits and `_`: `tau` for the Greek letter")
        }
        '×' | '·' => Some("a product is written `*`"),
        '−' | '–' => Some("minus is written `-`"),
        '≥' => Some("write `>=`"),
        '≤' => Some("write `<=`"),
        '→' => Some("a pipe is written `->`"),
        '“' | '”' | '„' => Some("a string stands between two `\"`"),
        _ => None,
    }
}
