//! Rust texts taken apart: code without comments and literals, comments without code, items that are tests.
//!
//! What is taken away becomes spaces, so that lines keep their numbers and offsets their meaning. Must never know a rule.

/// One Rust text in two layers of the same length.
pub struct Layers {
    /// Comments, strings and characters are blank.
    pub code: String,
    /// Everything but comments is blank.
    pub comments: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Code,
    Comment,
    Literal,
}

/// Takes a text apart.
pub fn layers(text: &str) -> Layers {
    let bytes = text.as_bytes();
    let mut parts = Vec::with_capacity(bytes.len());
    while parts.len() < bytes.len() {
        let at = parts.len();
        let (part, end) = next_part(text, at);
        parts.resize(end.clamp(at + 1, bytes.len()), part);
    }
    Layers { code: only(bytes, &parts, Part::Code), comments: only(bytes, &parts, Part::Comment) }
}

fn only(bytes: &[u8], parts: &[Part], wanted: Part) -> String {
    let keep = |(byte, part): (&u8, &Part)| if *part == wanted || *byte == b'\n' { *byte } else { b' ' };
    String::from_utf8(bytes.iter().zip(parts).map(keep).collect()).unwrap()
}

/// What begins at a place, and where it ends.
fn next_part(text: &str, at: usize) -> (Part, usize) {
    let rest = &text.as_bytes()[at..];
    let find = |what: &str, from: usize| text[from..].find(what).map_or(text.len(), |found| from + found + what.len());
    let in_word = at > 0 && is_word_byte(text.as_bytes()[at - 1]);
    match rest {
        [b'/', b'/', ..] => (Part::Comment, text[at..].find('\n').map_or(text.len(), |n| at + n)),
        [b'/', b'*', ..] => (Part::Comment, block_comment_end(text.as_bytes(), at)),
        [b'"', ..] => (Part::Literal, string_end(text.as_bytes(), at)),
        [b'r', ..] if !in_word || is_literal_prefix(text.as_bytes(), at) => match raw_hashes(rest) {
            Some(n) => (Part::Literal, find(&format!("\"{}", "#".repeat(n)), at + n + 2)),
            None => (Part::Code, at + 1),
        },
        [b'\'', b'\\', _, after @ ..] => {
            (Part::Literal, at + 3 + after.iter().position(|byte| *byte == b'\'').map_or(after.len(), |n| n + 1))
        }
        [b'\'', ..] => match text[at + 1..].char_indices().nth(1) {
            Some((len, '\'')) => (Part::Literal, at + 1 + len + 1),
            _ => (Part::Code, at + 1),
        },
        [byte, ..] if !byte.is_ascii() => (Part::Code, at + text[at..].chars().next().map_or(1, char::len_utf8)),
        _ => (Part::Code, at + 1),
    }
}

/// Whether the `r` at a place belongs to `br"` or `cr"`.
fn is_literal_prefix(bytes: &[u8], at: usize) -> bool {
    matches!(bytes[at - 1], b'b' | b'c') && (at < 2 || !is_word_byte(bytes[at - 2]))
}

/// The number of `#` of the raw string that begins with this `r`.
fn raw_hashes(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    (rest.get(1 + hashes) == Some(&b'"')).then_some(hashes)
}

fn block_comment_end(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0;
    let mut here = at;
    while here < bytes.len() {
        match &bytes[here..] {
            [b'/', b'*', ..] => {
                depth += 1;
                here += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                here += 2;
                if depth == 0 {
                    return here;
                }
            }
            _ => here += 1,
        }
    }
    here
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut here = at + 1;
    while here < bytes.len() {
        match bytes[here] {
            b'\\' => here += 2,
            b'"' => return here + 1,
            _ => here += 1,
        }
    }
    here
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Where a word stands by itself and not as part of a longer one.
pub fn words(code: &str, word: &str) -> Vec<usize> {
    let bytes = code.as_bytes();
    let free = |at: usize| {
        let before = at > 0 && is_word_byte(bytes[at - 1]);
        !before && !bytes.get(at + word.len()).copied().is_some_and(is_word_byte)
    };
    code.match_indices(word).map(|(at, _)| at).filter(|at| free(*at)).collect()
}

/// The number of the line of a place, counted from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The place behind the bracket that closes the one at `open`.
pub fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// An attribute: where it begins, where it ends, and what stands in its brackets.
pub struct Attribute<'a> {
    pub begin: usize,
    pub end: usize,
    pub is_inner: bool,
    pub content: &'a str,
}

/// All attributes of a code layer.
pub fn attributes(code: &str) -> Vec<Attribute<'_>> {
    let opens = |mark: &'static str| code.match_indices(mark).map(move |(at, mark)| (at, mark.len()));
    let mut found: Vec<Attribute<'_>> = opens("#[")
        .chain(opens("#!["))
        .map(|(begin, len)| {
            let end = closing(code, begin + len - 1);
            let content = &code[begin + len..end.saturating_sub(1).max(begin + len)];
            Attribute { begin, end, is_inner: len == 3, content }
        })
        .collect();
    found.sort_by_key(|attribute| attribute.begin);
    found
}

/// A code layer without the items that only tests compile, and the names of modules that only tests compile.
pub fn without_tests(code: &str) -> (String, Vec<String>) {
    let mut bytes = code.as_bytes().to_vec();
    let mut modules = Vec::new();
    for attribute in attributes(code).iter().filter(|attribute| is_test_only(attribute.content)) {
        let end = if attribute.is_inner { code.len() } else { item_end(code, attribute.end) };
        if let Some(name) = code[attribute.end..end].trim().strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'))
        {
            modules.push(name.trim().to_owned());
        }
        for byte in &mut bytes[attribute.begin..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    (String::from_utf8(bytes).unwrap(), modules)
}

fn is_test_only(attribute: &str) -> bool {
    attribute.starts_with("cfg") && !words(attribute, "test").is_empty() && words(attribute, "not").is_empty()
}

/// The end of the item that follows: its first `;` outside of brackets or the end of its braces.
fn item_end(code: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(byte) = code.as_bytes().get(at) {
        match byte {
            b';' => return at + 1,
            b'{' => return closing(code, at),
            b'(' | b'[' => at = closing(code, at),
            _ => at += 1,
        }
    }
    at
}

#[test]
fn comments_and_literals_are_told_from_code() {
    let text = r###"
let a = "x.unwrap() \" y"; // b.unwrap()
/* c /* nested */ .unwrap() */ let d = 'e'; let f: &'static str = r#"g " .unwrap()"#;
let h = b"i\\"; let quote = '\''; let j = br"k\"; let été = 'é'; l.unwrap()
"###;
    let Layers { code, comments } = layers(text);
    assert_eq!(code.matches(".unwrap()").count(), 1, "{code}");
    assert_eq!(comments.matches(".unwrap()").count(), 2, "{comments}");
    assert!(code.contains("&'static str") && code.contains("été") && code.contains("l.unwrap()"));
    assert_eq!((code.len(), code.lines().count()), (text.len(), text.lines().count()));
}

#[test]
fn words_stand_by_themselves() {
    assert_eq!(words("unsafe_code unsafe not_unsafe unsafe", "unsafe"), [12, 30]);
    assert_eq!(line_of("a\nb\nc", 4), 3);
}

#[test]
fn tests_are_taken_away() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { {} }\n}\nfn c() {}\n#[cfg(test)]\nmod far;\n\
                #[cfg(all(test, unix))]\nfn d(x: [u8; 2]) { }\n#[cfg(not(test))]\nfn e() {}\n";
    let (code, modules) = without_tests(text);
    let left: Vec<&str> = code.lines().map(str::trim).filter(|line| line.starts_with("fn")).collect();
    assert_eq!(left, ["fn a() {}", "fn c() {}", "fn e() {}"]);
    assert_eq!(modules, ["far"]);
    assert!(without_tests("#![cfg(test)]\nfn a() {}").0.trim().is_empty());
}
