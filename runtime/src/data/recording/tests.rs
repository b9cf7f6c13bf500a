//! Each format, byte by byte, and what is said of files that are broken.

use std::fs;
use std::io::Write;

use super::*;

const PIXELS: Sensor = Sensor::Pixels { height: 34, width: 34 };
const CLOCK: Clock = Clock { unit: 1.0, align: false };

/// The events of a file with this content.
fn events_of(name: &str, content: &[u8], clock: &Clock, sensor: Sensor) -> Result<Vec<Event>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, content).unwrap();
    read(&path, clock, sensor).map(|(events, _)| events)
}

fn error_of(name: &str, content: &[u8]) -> String {
    let error = events_of(name, content, &CLOCK, PIXELS).unwrap_err();
    format!("{} | {}", error.message(), error.help().unwrap_or_default())
}

fn place(on: u32, y: u32, x: u32) -> u32 {
    (on * 34 + y) * 34 + x
}

#[test]
fn atis_events_have_five_bytes_and_a_clock_that_goes_round() {
    let bytes = [
        [3, 5, 0x80, 0x01, 0x02], // on, at 258
        [33, 33, 0x7f, 0xff, 0xff],
        [0, 240, 0, 0, 0],
        [0, 0, 0, 0, 9],
    ];
    let events = events_of("00001.bin", &bytes.concat(), &CLOCK, PIXELS).unwrap();
    assert_eq!(events, [(258, place(1, 5, 3)), (0x7f_ffff, place(0, 33, 33)), ((1 << 13) + 9, 0)]);
    assert!(error_of("a.bin", &[1, 2, 3, 4]).contains("has 4 bytes, an event has 5"));
    assert!(
        error_of("a.bin", &[34, 0, 0, 0, 0])
            .contains("event 0 comes from x = 34, y = 0 | the samples have shape [2, 34, 34]")
    );
}

#[test]
fn aedat_2_is_read_upright() {
    let address = |x: u32, y: u32, off: u32| y << 8 | x << 1 | off;
    let mut bytes = b"#!AER-DAT2.0\r\n# This is a comment\r\n".to_vec();
    for (address, time) in [(address(127, 120, 0), 77u32), (address(120, 127, 1), 1 << 20)] {
        bytes.extend([address.to_be_bytes(), time.to_be_bytes()].concat());
    }
    let events = events_of("a.aedat", &bytes, &CLOCK, PIXELS).unwrap();
    assert_eq!(events, [(77, place(1, 0, 7)), (1 << 20, place(0, 7, 0))]);
    bytes.pop();
    assert!(error_of("a.aedat", &bytes).contains("ends within an event"));
    assert!(error_of("a.aedat", b"#!AER-DAT4.0\r\n").contains("no AEDAT file of version 2.0 or 3.1"));
}

/// A packet with 8 bytes an event.
fn packet(kind: u16, overflow: u32, capacity: usize, events: &[(u32, u32)]) -> Vec<u8> {
    let words = [8, 4, overflow, capacity as u32, events.len() as u32, events.len() as u32];
    let mut bytes = [kind.to_le_bytes(), [1, 0]].concat();
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes.extend(events.iter().flat_map(|(data, time)| [data.to_le_bytes(), time.to_le_bytes()].concat()));
    bytes.resize(28 + 8 * capacity, 0);
    bytes
}

#[test]
fn aedat_3_1_has_packets_of_which_polarity_is_read() {
    let data = |x: u32, y: u32, on: u32, valid: u32| x << 17 | y << 2 | on << 1 | valid;
    let header = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n";
    let polarity = [(data(3, 4, 1, 1), 100), (data(1, 1, 1, 0), 101), (data(5, 6, 0, 1), 102)];
    let content = [
        header.to_vec(),
        packet(0, 0, 1, &[(0, 5)]),
        packet(1, 0, 5, &polarity),
        packet(1, 1, 1, &[(data(0, 0, 0, 1), 7)]),
    ];
    let aligned = Clock { align: true, ..CLOCK };
    let events = events_of("a.aedat", &content[..3].concat(), &CLOCK, PIXELS).unwrap();
    assert_eq!(events, [(100, place(1, 4, 3)), (102, place(0, 6, 5))]);
    let events = events_of("a.aedat", &content.concat(), &aligned, PIXELS).unwrap();
    assert_eq!(events[2], ((1 << 31) + 7 - 100, 0));
    let cut = content.concat();
    assert!(error_of("a.aedat", &cut[..cut.len() - 1]).contains("ends within an event"));
    let huge = packet(1, 0, 1, &[]).iter().map(|byte| byte | 0x80).collect::<Vec<_>>();
    assert!(error_of("a.aedat", &[header.to_vec(), huge].concat()).contains("ends within an event"));
}

#[test]
fn text_names_its_columns_in_any_order() {
    let text = b"x, t, weight, p, y\n3, 0.25, 9, 1, 5\n\n4,0.125,9,-1,6\n";
    let milliseconds = Clock { unit: 1e3, align: false };
    let events = events_of("a.csv", text, &milliseconds, PIXELS).unwrap();
    assert_eq!(events, [(250, place(1, 5, 3)), (125, place(0, 6, 4))]);
    let events = events_of("a.CSV", b"t,x\n5,699\n", &CLOCK, Sensor::Row(700)).unwrap();
    assert_eq!(events, [(5, 699)]);
    for (content, what) in [
        ("", "line 1: there are no columns"),
        ("t,y\n", "line 1: there is no column `x`"),
        ("t,x\n1,2\n1\n", "line 3: `` is not a number"),
        ("t,x\n1,two\n", "line 2: `two` is not a number"),
        ("t,x\n1,0.5\n", "line 2: the event has x = 0.5"),
        ("t,x\nnan,0\n", "line 2: the event has t = NaN"),
        ("t,x\n-1,0\n", "event 0 is at -1 us"),
        ("t,x\n5e9,0\n", "not within 71 minutes of the start | write `align = true`"),
    ] {
        assert!(
            error_of("a.csv", content.as_bytes()).contains(what),
            "{content}: {}",
            error_of("a.csv", content.as_bytes())
        );
    }
    assert!(error_of("a.csv", b"t,x\n\xff,1\n").contains("not text"));
}

fn vector(descr: &str, count: usize, bytes: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({count},), }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), bytes].concat()
}

fn archive(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in arrays {
        zip.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn vectors_of_an_archive_keep_all_digits_of_their_times() {
    let start = 1_600_000_000_000_000_i64;
    let times: Vec<u8> = [start + 7, start].iter().flat_map(|time| time.to_le_bytes()).collect();
    let t = ("t", vector("<i8", 2, &times));
    let (x, y, p) =
        (("x", vector("<u2", 2, &[3, 0, 4, 0])), ("y", vector("|u1", 2, &[5, 6])), ("p", vector("|b1", 2, &[1, 0])));
    let aligned = Clock { align: true, ..CLOCK };
    let all = archive(&[t.clone(), x.clone(), y, p]);
    assert_eq!(events_of("0.npz", &all, &aligned, PIXELS).unwrap(), [(7, place(1, 5, 3)), (0, place(0, 6, 4))]);
    assert_eq!(events_of("0.npz", &archive(&[t.clone(), x]), &aligned, Sensor::Row(9)).unwrap(), [(7, 3), (0, 4)]);
    assert!(error_of("0.npz", &all).contains("not within 71 minutes"));
    assert!(error_of("0.npz", &archive(std::slice::from_ref(&t))).contains("cannot read the array `x`"));
    let short = archive(&[t, ("x", vector("|u1", 1, &[5]))]);
    assert!(error_of("0.npz", &short).contains("has arrays of [2, 1] numbers"));
    assert!(error_of("0.npz", b"PK").contains("not an .npz archive"));
}

#[test]
fn unknown_formats_are_explained() {
    let error = error_of("a.txt", b"");
    assert!(error.contains("no file of events that can be read | names of such files end with .bin, .bs2"), "{error}");
}
