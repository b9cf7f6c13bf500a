//! IDX files byte by byte: whole, compressed, truncated, too long, lying and foreign.

use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::data::Values;

fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train-images-idx3-ubyte");
    std::fs::write(&path, content).unwrap();
    (dir, path)
}

fn read_bytes(content: &[u8]) -> Result<(Array, [u8; 32])> {
    let (_dir, path) = file(content);
    read(Input::open(&path)?)
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Two images of 2x3 pixels.
fn images() -> Vec<u8> {
    let mut content = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3];
    content.extend(1..=12);
    content
}

fn header(code: u8, extents: &[u32]) -> Vec<u8> {
    let mut content = vec![0, 0, code, extents.len() as u8];
    content.extend(extents.iter().flat_map(|extent| extent.to_be_bytes()));
    content
}

#[test]
fn plain_and_compressed_files_give_the_same_array_and_hash() {
    let (array, hash) = read_bytes(&images()).unwrap();
    assert_eq!(array.shape, [2, 2, 3]);
    assert_eq!(array.values, Values::U8 { bytes: (1..=12).collect(), full_scale: 255.0 });
    let (compressed, compressed_hash) = read_bytes(&gzip(&images())).unwrap();
    assert_eq!((compressed.shape, compressed.values, compressed_hash), (array.shape, array.values, hash));
    assert_eq!(crate::hash::hex(&hash), crate::hash::sha256(&images()));
}

#[test]
fn numbers_are_big_endian() {
    let mut content = header(0x0B, &[2]);
    content.extend([0x01, 0x00, 0xFF, 0xFE]);
    assert_eq!(read_bytes(&content).unwrap().0.values, Values::F32(vec![256.0, -2.0]));
    let mut content = header(0x0D, &[1]);
    content.extend(1.5_f32.to_be_bytes());
    assert_eq!(read_bytes(&content).unwrap().0.values, Values::F32(vec![1.5]));
}

#[test]
fn broken_files_are_named_with_the_bytes_expected_and_found() {
    let whole = images();
    let compressed = gzip(&whole);
    let mut bad_checksum = compressed.clone();
    let at = bad_checksum.len() - 6;
    bad_checksum[at] ^= 0xFF;
    let longer = [whole.clone(), vec![0]].concat();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", vec![], "expected 4 bytes, found 0"),
        ("half a magic word", vec![0, 0], "expected 4 bytes, found 2"),
        ("half a header", whole[..10].to_vec(), "expected 16 bytes, found 10"),
        ("truncated", whole[..20].to_vec(), "expected 28 bytes, found 20"),
        ("too long", longer.clone(), "expected 28 bytes, found 29"),
        ("a text", b"<!DOCTYPE html>".to_vec(), "starts with 3c21444f"),
        ("an unknown type", header(0x0A, &[1]), "starts with 00000a01"),
        ("no axes", header(0x08, &[]), "no axes"),
        ("extents beyond counting", header(0x0E, &[u32::MAX; 9]), "corrupt"),
        ("a lie of 16 EiB", header(0x08, &[u32::MAX, u32::MAX]), "expected 18446744065119617037 bytes, found 12"),
        ("255 axes", header(0x08, &[1; 255]), "expected 1025 bytes, found 1024"),
        ("truncated in gzip", gzip(&whole[..20]), "expected 28 bytes, found 20"),
        ("too long in gzip", gzip(&longer), "expected 28 bytes, found more"),
        ("a lie in gzip", gzip(&header(0x08, &[u32::MAX])), "more than its compressed size can hold"),
        ("a truncated gzip", compressed[..compressed.len() - 9].to_vec(), "train-images"),
        ("a gzip with a bad checksum", bad_checksum, "damaged"),
    ];
    for (case, content, what) in cases {
        let error = read_bytes(&content).unwrap_err();
        assert!(error.message().contains("train-images-idx3-ubyte"), "{case}: {error}");
        assert!(error.message().contains(what), "{case}: {error}");
    }
}

#[test]
fn a_bomb_stops_at_the_announced_size() {
    let bomb = gzip(&[header(0x08, &[4]), vec![0; 50_000_000]].concat());
    let error = read_bytes(&bomb).unwrap_err();
    assert!(error.message().contains("expected 12 bytes, found more"), "{error}");
}

#[test]
fn a_folder_is_not_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let error = Input::open(dir.path()).err().unwrap();
    assert!(error.message().contains("is not a file"), "{error}");
}
