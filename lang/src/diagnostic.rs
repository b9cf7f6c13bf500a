//! What the compiler has to say about a program, as plain data.
//!
//! A message is written where the mistake is found. This module must never know how a message is drawn: that is
//! [`crate::render`] alone.

use crate::codes::Code;
use crate::source::Span;

/// How much a diagnostic weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The program cannot be compiled.
    Error,
    /// The program means something, but probably not what was meant.
    Warning,
}

/// One place that takes part in a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What this place contributes; may be empty.
    pub text: String,
    /// Whether the mistake itself is here, or only something that explains it.
    pub primary: bool,
}

/// One error or warning: what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The stable code, `E0203` or the like.
    pub code: Code,
    /// One sentence without a final stop, in the words of the field.
    pub message: String,
    /// The places, the first primary one first.
    pub labels: Vec<Label>,
    /// Facts that explain the mistake.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error with no place yet.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    /// A warning with no place yet.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    fn new(severity: Severity, code: Code, message: String) -> Self {
        Self { severity, code, message, labels: Vec::new(), notes: Vec::new(), help: None }
    }

    /// Adds a place where the mistake is.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into(), primary: true });
        self
    }

    /// Adds a place that explains the mistake.
    #[must_use]
    pub fn because(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into(), primary: false });
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Says what to do; a second call replaces the first.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Whether this is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The place where the mistake is, if any place is known.
    pub fn span(&self) -> Option<Span> {
        self.labels.iter().find(|label| label.primary).or_else(|| self.labels.first()).map(|label| label.span)
    }
}

/// A list of diagnostics that stops growing at [`Reports::MOST`], so that a text of nothing but mistakes does not
/// become a list a thousand times its size.
#[derive(Clone, Debug, Default)]
pub struct Reports {
    list: Vec<Diagnostic>,
}

impl Reports {
    /// The most that is kept: more than anyone reads.
    pub const MOST: usize = 1000;

    /// Adds a diagnostic while there is room.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if !self.is_full() {
            self.list.push(diagnostic);
        }
    }

    /// Adds diagnostics while there is room.
    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        let room = Self::MOST.saturating_sub(self.list.len());
        self.list.extend(diagnostics.into_iter().take(room));
    }

    /// Whether nothing more will be kept.
    pub fn is_full(&self) -> bool {
        self.list.len() >= Self::MOST
    }

    /// What was kept, in the order in which it came.
    pub fn as_slice(&self) -> &[Diagnostic] {
        &self.list
    }

    /// The last one kept.
    pub fn last_mut(&mut self) -> Option<&mut Diagnostic> {
        self.list.last_mut()
    }

    /// What was kept, as a plain list.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.list
    }
}

/// The candidate that `name` most probably is a misspelling of, if any is near enough.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase());
        let near_enough = distance <= wanted.chars().count().max(candidate.chars().count()) / 3;
        if near_enough && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}
