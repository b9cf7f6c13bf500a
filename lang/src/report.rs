//! The diagnostics of one compilation, in the order in which they were found and each only once.
//!
//! A declaration is elaborated once for each place that uses it, so one mistake is met many times; here it becomes one
//! message. Must never know how a message is drawn.

use std::collections::BTreeSet;

use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// The most diagnostics that one compilation gathers; what follows after so many helps nobody.
const MAX_DIAGNOSTICS: usize = 500;

/// Gathers diagnostics.
#[derive(Debug, Default)]
pub(crate) struct Report {
    diagnostics: Vec<Diagnostic>,
    seen: BTreeSet<(Code, Option<Span>, String)>,
}

impl Report {
    /// Adds a diagnostic unless the same one is there already.
    pub(crate) fn add(&mut self, diagnostic: Diagnostic) {
        let key = (diagnostic.code, diagnostic.span(), diagnostic.message.clone());
        if self.diagnostics.len() < MAX_DIAGNOSTICS && self.seen.insert(key) {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Adds many.
    pub(crate) fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        diagnostics.into_iter().for_each(|diagnostic| self.add(diagnostic));
    }

    /// Whether anything found so far keeps the program from being compiled.
    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// Number of errors so far.
    pub(crate) fn n_errors(&self) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count()
    }

    /// Everything, by place: errors and warnings of one file together, in the order of its text.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort_by_key(Diagnostic::span);
        self.diagnostics
    }
}
