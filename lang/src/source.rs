//! Source texts, their numbers and the places inside them.
//!
//! This module must never know where a text comes from: whoever embeds the compiler hands texts in, and answers
//! `use "other.snn"` through [`Files`]. Nothing in this crate opens a file.

/// The number of one source text in [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// A stretch of one source text, in bytes; `end` is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The text that the stretch lies in.
    pub file: FileId,
    /// The offset of its first byte.
    pub start: u32,
    /// The offset after its last byte.
    pub end: u32,
}

impl Span {
    /// The stretch `start..end` of `file`.
    pub fn new(file: FileId, start: u32, end: u32) -> Self {
        Self { file, start, end }
    }

    /// The smallest stretch that covers both; of two stretches in different files it is the first.
    pub fn to(self, other: Span) -> Span {
        if self.file != other.file {
            return self;
        }
        Span { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The empty place just after this stretch: where something that is missing would stand.
    pub fn after(self) -> Span {
        Span { start: self.end, ..self }
    }
}

/// One source text and the name that messages give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// What the user calls the file: a path, or a name such as `std.neurons`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// Every text that takes part in one compilation, in the order in which it was added.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    /// No texts yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text and gives it the next number.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(SourceFile { name: name.into(), text: text.into() });
        id
    }

    /// The text with this number, if there is one.
    pub fn get(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.0 as usize)
    }

    /// The number of the text with this name, if it was added.
    pub fn find(&self, name: &str) -> Option<FileId> {
        let index = self.files.iter().position(|file| file.name == name)?;
        u32::try_from(index).ok().map(FileId)
    }

    /// All texts with their numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        (0u32..).map(FileId).zip(&self.files)
    }

    /// The text under a span; empty where the span lies outside its file or cuts a character.
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.file).and_then(|file| file.text.get(span.start as usize..span.end as usize)).unwrap_or("")
    }

    /// Line and column of the span's start, both counted from 1, the column in characters.
    pub fn line_and_column(&self, span: Span) -> (usize, usize) {
        let text = self.get(span.file).map_or("", |file| file.text.as_str());
        let before: Vec<char> =
            text.char_indices().take_while(|(at, _)| *at < span.start as usize).map(|(_, c)| c).collect();
        let line_start = before.iter().rposition(|c| *c == '\n').map_or(0, |at| at + 1);
        (before.iter().filter(|c| **c == '\n').count() + 1, before.len() - line_start + 1)
    }
}

/// How the compiler asks for the text behind `use "path" { ... }`.
pub trait Files {
    /// The text of `path` as the file named `importing` sees it, as `(canonical name, text)`; the canonical name is
    /// the same however the file is reached, so that a file used twice is read once.
    ///
    /// # Errors
    /// Says in words why there is no such text.
    fn read(&self, importing: &str, path: &str) -> Result<(String, String), String>;
}

/// The answer of a program that has no files but the one it compiles.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _importing: &str, path: &str) -> Result<(String, String), String> {
        Err(format!("this program was given as text, so there is no file `{path}` beside it"))
    }
}
