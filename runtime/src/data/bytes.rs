//! Bounded reading of files, plain or gzip, with a hash of what was read.
//!
//! Nothing is allocated because a header asks for it: every announced size is first held against the size of the file.
//! Must never know a format.

use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::error::{Result, RuntimeError};
use crate::files;

/// Deflate cannot shrink data by more than this factor.
const MAX_DEFLATE_RATIO: u64 = 1032;

/// What is known about the number of bytes before they are read.
#[derive(Debug, Clone, Copy)]
enum Length {
    Exact(u64),
    AtMost(u64),
}

/// A file, or bytes that came with the program, being read from front to back.
pub(super) struct Input<'a> {
    name: String,
    reader: Box<dyn Read + 'a>,
    length: Length,
    consumed: u64,
    hash: Sha256,
}

impl Input<'static> {
    /// Opens a file; gzip is recognized by its first bytes, not by its name.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, length) = files::open(path)?;
        Self::sniff(path.display().to_string(), BufReader::new(file), length)
            .map_err(|error| RuntimeError::io("read", path, &error))
    }

    /// Bytes that came with the program, called `name` in errors.
    pub fn bundled(name: &str, content: &'static [u8]) -> Result<Self> {
        Self::sniff(name.to_owned(), content, content.len() as u64)
            .map_err(|error| RuntimeError::io("read", Path::new(name), &error))
    }

    fn sniff(name: String, mut reader: impl Read + 'static, stored: u64) -> std::io::Result<Self> {
        let mut start = Vec::new();
        (&mut reader).take(2).read_to_end(&mut start)?;
        let compressed = start == [0x1f, 0x8b];
        let whole = Cursor::new(start).chain(reader);
        Ok(if compressed {
            let most = stored.saturating_mul(MAX_DEFLATE_RATIO);
            Self::new(name, Box::new(MultiGzDecoder::new(whole)), Length::AtMost(most))
        } else {
            Self::new(name, Box::new(whole), Length::Exact(stored))
        })
    }
}

impl<'a> Input<'a> {
    /// An entry of a zip archive: `stored` bytes that should become `length` bytes.
    pub fn entry(name: String, reader: Box<dyn Read + 'a>, stored: u64, length: u64) -> Result<Self> {
        if length > stored.saturating_mul(MAX_DEFLATE_RATIO) {
            return Err(RuntimeError::new(format!(
                "{name} is corrupt: {stored} stored bytes cannot become the announced {length}"
            )));
        }
        Ok(Self::new(name, reader, Length::Exact(length)))
    }

    fn new(name: String, reader: Box<dyn Read + 'a>, length: Length) -> Self {
        Self { name, reader, length, consumed: 0, hash: Sha256::new() }
    }

    /// What to call it in errors.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An error about this input: `problem` follows its name.
    pub fn error(&self, problem: impl std::fmt::Display) -> RuntimeError {
        RuntimeError::new(format!("`{}` {problem}", self.name))
    }

    /// The number of bytes, where it is known without reading them.
    pub fn known_length(&self) -> Option<u64> {
        match self.length {
            Length::Exact(length) => Some(length),
            Length::AtMost(_) => None,
        }
    }

    /// Checks that the whole content can be `total` bytes long; call it with what a header announces.
    pub fn require_total(&self, total: u64) -> Result<()> {
        match self.length {
            Length::Exact(length) if length < total => Err(self.truncated(total, length)),
            Length::Exact(length) if length > total => Err(self.too_long(total, &length.to_string())),
            Length::AtMost(most) if most < total => Err(self.error(format!(
                "is truncated or corrupt: its header announces {total} bytes, more than its compressed size can hold"
            ))),
            _ => Ok(()),
        }
    }

    /// The next `count` bytes.
    pub fn read(&mut self, count: u64) -> Result<Vec<u8>> {
        let end = self.consumed.saturating_add(count);
        let (Length::Exact(most) | Length::AtMost(most)) = self.length;
        if end > most {
            return Err(self.truncated(end, most));
        }
        let mut bytes = Vec::new();
        let outcome = (&mut self.reader).take(count).read_to_end(&mut bytes);
        self.consumed += bytes.len() as u64;
        self.hash.update(&bytes);
        outcome.map_err(|error| {
            self.error(format!("cannot be read after byte {}: {error}", self.consumed))
                .with_help("the file is damaged; get it again")
        })?;
        if self.consumed < end { Err(self.truncated(end, self.consumed)) } else { Ok(bytes) }
    }

    /// The next `N` bytes.
    pub fn read_array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.read(N as u64)?;
        let found = self.consumed;
        bytes.try_into().map_err(|_| self.truncated(found, found))
    }

    /// Checks that nothing is left and gives the hash of everything read.
    pub fn finish(mut self) -> Result<[u8; 32]> {
        let mut rest = Vec::new();
        match (&mut self.reader).take(1).read_to_end(&mut rest) {
            Ok(0) => Ok(self.hash.finalize().into()),
            Ok(_) => Err(self.too_long(self.consumed, "more")),
            Err(error) => Err(self
                .error(format!("is damaged at its end: {error}"))
                .with_help("the file is damaged; get it again")),
        }
    }

    fn truncated(&self, expected: u64, found: u64) -> RuntimeError {
        self.error(format!("is truncated: expected {expected} bytes, found {found}"))
            .with_help("the file was not copied or downloaded to its end; get it again")
    }

    fn too_long(&self, expected: u64, found: &str) -> RuntimeError {
        self.error(format!("is too long: expected {expected} bytes, found {found}"))
            .with_help("the file is damaged or of another format")
    }
}

/// Collects the hashes of a data set's files into one.
pub(super) struct Fingerprint(Sha256);

impl Fingerprint {
    /// Of no files yet.
    pub fn new() -> Self {
        Self(Sha256::new())
    }

    /// Adds a file by its role in the data set, so that its name and compression do not matter.
    pub fn add(&mut self, role: &str, hash: [u8; 32]) {
        self.0.update(role.as_bytes());
        self.0.update([0]);
        self.0.update(hash);
    }

    /// As bytes: that of a file made of files.
    pub fn digest(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// In hexadecimal.
    pub fn finish(self) -> String {
        crate::hash::hex(&self.digest())
    }
}
