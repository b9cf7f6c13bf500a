//! Compiled text, kept between processes in the user's cache.
//!
//! An entry is named by the SHA-256 of the text, the options and the architecture, and by the version of NVRTC: where there
//! is no NVRTC, the entry of the newest version that the driver takes serves. Entries are written beside their place and moved
//! there, and hold the SHA-256 of their name and content: what is damaged, or another's, is not used. Failing to write is no error: it only costs time later. Must never know
//! what is compiled.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::libraries::entries;
use crate::availability::Version;
use crate::code::Compiled;

/// What tells an entry of ours from any other file, and from those of other versions.
const FORMAT: &str = "snnc-cubin-2";

/// A folder of entries, or none if nothing is to be kept.
pub(super) struct Cache {
    folder: Option<PathBuf>,
}

/// What an entry is found by.
pub(super) struct Key(String);

impl Key {
    /// The key of a text that is compiled with these options.
    pub fn new(text: &str, options: &[String]) -> Key {
        let mut hash = Sha256::new();
        for part in options.iter().map(String::as_str).chain([text]) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Key(hex(&hash.finalize()))
    }

    /// The key as the name of a file.
    #[cfg(feature = "accelerators")]
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The folder that the user lets be kept in: `SNNC_CACHE`, `snnc` in `XDG_CACHE_HOME` or in `~/.cache`; none if `SNNC_CACHE` is
/// `off`.
pub(super) fn of_the_user() -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    match env::var_os("SNNC_CACHE").filter(|value| !value.is_empty()) {
        Some(value) if value == "off" => None,
        Some(value) => Some(PathBuf::from(value)),
        None => absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .map(|folder| folder.join("snnc")),
    }
}

impl Cache {
    /// That of the user, `cubins` in the user's folder.
    pub fn of_the_user() -> Cache {
        Cache { folder: of_the_user().map(|folder| folder.join("cubins")) }
    }

    /// Where entries are.
    pub fn directory(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The entry of a version of NVRTC, or without one that of the newest whose code a driver of this version takes.
    pub fn load(&self, key: &Key, version: Option<Version>, driver: Option<Version>) -> Option<Compiled> {
        let folder = self.folder.as_deref()?;
        match version {
            Some(version) => read(&path(folder, key, version)),
            None => {
                let mut found: Vec<(Version, PathBuf)> = entries(folder)
                    .into_iter()
                    .filter_map(|path| Some((version_of(path.file_name()?.to_str()?, key)?, path)))
                    .filter(|(version, _)| driver.is_none_or(|driver| version.0 <= driver.0))
                    .collect();
                found.sort();
                found.iter().rev().find_map(|(_, path)| read(path))
            }
        }
    }

    /// Keeps an entry, if it can be kept.
    pub fn store(&self, key: &Key, version: Version, compiled: &Compiled) {
        let Some(folder) = self.folder.as_deref() else { return };
        // A cache that cannot be written is an empty one.
        let _ = write(folder, &path(folder, key, version), compiled);
    }
}

fn path(folder: &Path, key: &Key, (major, minor): Version) -> PathBuf {
    folder.join(format!("{}-nvrtc{major}.{minor}", key.0))
}

/// The version of NVRTC in the name of an entry of this key.
fn version_of(name: &str, key: &Key) -> Option<Version> {
    let (major, minor) = name.strip_prefix(key.0.as_str())?.strip_prefix("-nvrtc")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn write(folder: &Path, path: &Path, compiled: &Compiled) -> std::io::Result<()> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    fs::create_dir_all(folder)?;
    // Processes of several containers may have the same number.
    let own = format!("writing-{}-{}-{}", process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed), name(path));
    let temporary = folder.join(own);
    let written = fs::File::create(&temporary).and_then(|mut file| file.write_all(&encode(name(path), compiled)));
    written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

fn read(path: &Path) -> Option<Compiled> {
    decode(name(path), &fs::read(path).ok()?)
}

/// What an entry is called.
fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The SHA-256 of an entry.
fn digest(name: &str, body: &[u8]) -> String {
    hex(&Sha256::new().chain_update(name).chain_update(body).finalize())
}

fn encode(name: &str, compiled: &Compiled) -> Vec<u8> {
    let kind = if compiled.is_ptx { "ptx" } else { "cubin" };
    let mut body = compiled.log.clone().into_bytes();
    body.extend_from_slice(&compiled.image);
    let heading = format!("{FORMAT} {kind} {} {}\n", compiled.log.len(), digest(name, &body));
    let mut all = heading.into_bytes();
    all.append(&mut body);
    all
}

fn decode(name: &str, content: &[u8]) -> Option<Compiled> {
    let end = content.iter().position(|byte| *byte == b'\n')?;
    let (heading, body) = (content.get(..end)?, content.get(end + 1..)?);
    let mut words = std::str::from_utf8(heading).ok()?.split(' ');
    let (format, kind, log_len, sum) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if format != FORMAT || sum != digest(name, body) {
        return None;
    }
    let (log, image) = body.split_at_checked(log_len.parse().ok()?)?;
    Some(Compiled::new(image.to_vec(), kind == "ptx", String::from_utf8(log.to_vec()).ok()?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(image: &[u8]) -> Compiled {
        Compiled::new(image.to_vec(), false, "a log\n".to_owned())
    }

    #[test]
    fn entries_are_found_by_all_that_matters() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache { folder: Some(folder.path().join("new/cubins")) };
        let key = |text: &str, options: &[&str]| {
            Key::new(text, &options.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>())
        };
        let one = key("text", &["-a", "b"]);
        assert!(cache.load(&one, Some((13, 0)), None).is_none());
        cache.store(&one, (13, 0), &compiled(b"image"));
        cache.store(&one, (12, 9), &compiled(b"older"));
        cache.store(&key("text", &["-ab"]), (13, 1), &compiled(b"other options"));
        assert_eq!(cache.load(&one, Some((13, 0)), None), Some(compiled(b"image")));
        assert_eq!(cache.load(&one, Some((13, 1)), None), None);
        assert_eq!(cache.load(&one, None, None), Some(compiled(b"image")), "the newest without NVRTC");
        assert_eq!(cache.load(&one, None, Some((12, 4))), Some(compiled(b"older")), "that an older driver takes");
        assert!(cache.load(&one, None, Some((11, 8))).is_none());
        assert!(cache.load(&key("other", &["-a", "b"]), None, None).is_none());
        assert_eq!(entries(&folder.path().join("new/cubins")).len(), 3, "nothing is left beside the entries");
    }

    #[test]
    fn what_is_damaged_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache { folder: Some(folder.path().to_path_buf()) };
        let key = Key::new("text", &[]);
        cache.store(&key, (13, 0), &compiled(b"image"));
        let path = path(folder.path(), &key, (13, 0));
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for damaged in [&whole[..whole.len() - 1], &whole[..10], &[], &flipped[..]] {
            fs::write(&path, damaged).unwrap();
            assert!(cache.load(&key, Some((13, 0)), None).is_none());
        }
        let other = Key::new("another text", &[]);
        cache.store(&other, (13, 0), &compiled(b"another image"));
        fs::copy(super::path(folder.path(), &other, (13, 0)), &path).unwrap();
        assert!(cache.load(&key, Some((13, 0)), None).is_none(), "another's entry");
        cache.store(&key, (13, 0), &compiled(b"image"));
        assert!(cache.load(&key, Some((13, 0)), None).is_some(), "and is replaced");
    }

    #[test]
    fn without_a_folder_nothing_is_kept() {
        let occupied = tempfile::NamedTempFile::new().unwrap();
        for cache in [Cache { folder: None }, Cache { folder: Some(occupied.path().join("folder")) }] {
            let key = Key::new("text", &[]);
            cache.store(&key, (13, 0), &compiled(b"image"));
            assert!(cache.load(&key, Some((13, 0)), None).is_none());
        }
    }
}
