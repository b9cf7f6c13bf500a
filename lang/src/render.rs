//! Draws diagnostics for a terminal. The only file that knows ariadne.
//!
//! Must never know what a diagnostic is about, and must never fail: a span that lies outside its text, ends before it
//! begins or cuts a character is moved to the nearest place that exists.

use std::collections::BTreeMap;
use std::ops::Range;

use ariadne::{Cache, Color, Config, IndexType, Report, ReportKind};

use crate::diagnostic::{Diagnostic, Label, Severity};
use crate::source::{FileId, Sources, Span};

/// The longest line that is drawn, in bytes.
const LONGEST_LINE: usize = 2000;

/// The diagnostic as text that ends with a line feed, with colors for a terminal if `color` is set.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, color: bool) -> String {
    let kind = match diagnostic.severity {
        Severity::Error => ReportKind::Error,
        Severity::Warning => ReportKind::Warning,
    };
    let labels: Vec<(&Label, Place)> =
        diagnostic.labels.iter().filter_map(|label| Some((label, place(label.span, sources)?))).collect();
    let Some((_, main)) = labels.iter().find(|(label, _)| label.primary).or_else(|| labels.first()) else {
        return in_words(diagnostic, sources);
    };
    if on_endless_line(&labels, sources) {
        return in_words(diagnostic, sources);
    }
    let config = Config::default().with_color(color).with_index_type(IndexType::Byte).with_tab_width(4);
    let mut report = Report::build(kind, main.clone())
        .with_config(config)
        .with_code(diagnostic.code)
        .with_message(&diagnostic.message);
    for (label, place) in &labels {
        let shade = match (label.primary, diagnostic.severity) {
            (true, Severity::Error) => Color::Red,
            (true, Severity::Warning) => Color::Yellow,
            (false, _) => Color::Cyan,
        };
        let drawn = ariadne::Label::new(place.clone()).with_color(shade).with_priority(i32::from(label.primary));
        report = report.with_label(if label.text.is_empty() { drawn } else { drawn.with_message(&label.text) });
    }
    report.with_notes(&diagnostic.notes);
    if let Some(help) = &diagnostic.help {
        report = report.with_help(help);
    }
    let mut drawn = Vec::new();
    match report.finish().write(Texts::new(sources, &labels), &mut drawn) {
        Ok(()) => String::from_utf8_lossy(&drawn).into_owned(),
        Err(_) => in_words(diagnostic, sources),
    }
}

/// All diagnostics, one below the other.
pub fn render_all(diagnostics: &[Diagnostic], sources: &Sources, color: bool) -> String {
    diagnostics.iter().map(|diagnostic| render(diagnostic, sources, color)).collect()
}

/// A byte range of a file, as ariadne takes it.
type Place = (FileId, Range<usize>);

fn place(span: Span, sources: &Sources) -> Option<Place> {
    let file = sources.get(span.file)?;
    let start = boundary(&file.text, span.start as usize);
    let end = boundary_after(&file.text, span.end as usize).max(start);
    Some((span.file, start..end))
}

/// The last character boundary at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The first character boundary at or after `at`.
fn boundary_after(text: &str, at: usize) -> usize {
    (at.min(text.len())..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// The texts that one diagnostic shows, with their lines found.
struct Texts<'a> {
    sources: &'a Sources,
    lines: BTreeMap<FileId, ariadne::Source<&'a str>>,
}

impl<'a> Texts<'a> {
    fn new(sources: &'a Sources, labels: &[(&Label, Place)]) -> Self {
        let shown = labels.iter().filter_map(|(_, (id, _))| Some((*id, sources.get(*id)?.text.as_str())));
        Texts { sources, lines: shown.map(|(id, text)| (id, ariadne::Source::from(text))).collect() }
    }
}

impl<'a> Cache<FileId> for Texts<'a> {
    type Storage = &'a str;

    fn fetch(&mut self, id: &FileId) -> Result<&ariadne::Source<&'a str>, impl std::fmt::Debug> {
        self.lines.get(id).ok_or("no such text")
    }

    fn display<'b>(&self, id: &'b FileId) -> Option<impl std::fmt::Display + 'b> {
        self.sources.get(*id).map(|file| file.name.clone())
    }
}

/// Whether a label stands on a line too long to be drawn, as in a text that a program wrote on one line.
fn on_endless_line(places: &[(&Label, Place)], sources: &Sources) -> bool {
    places.iter().filter_map(|(_, (id, range))| Some((sources.get(*id)?, range))).any(|(file, range)| {
        let before = file.text.get(..range.start).unwrap_or_default();
        let after = file.text.get(range.start..).unwrap_or_default();
        let start = before.rfind(['\r', '\n']).map_or(0, |at| at + 1);
        let rest = after.find(['\r', '\n']).unwrap_or(after.len());
        before.len() - start + rest > LONGEST_LINE
    })
}

/// The diagnostic in words alone.
fn in_words(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let kind = match diagnostic.severity {
        Severity::Error => "Error",
        Severity::Warning => "Warning",
    };
    let mut text = format!("[{}] {kind}: {}\n", diagnostic.code, diagnostic.message);
    for label in &diagnostic.labels {
        if let Some(file) = sources.get(label.span.file) {
            let (line, column) = sources.line_and_column(label.span);
            text.push_str(&format!("  {}:{line}:{column}: {}\n", file.name, label.text));
        }
    }
    for note in &diagnostic.notes {
        text.push_str(&format!("  Note: {note}\n"));
    }
    if let Some(help) = &diagnostic.help {
        text.push_str(&format!("  Help: {help}\n"));
    }
    text
}
