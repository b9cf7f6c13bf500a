//! The NPY format of numpy: a magic word, a header that is a Python dictionary, then the numbers.
//!
//! The header is read by a small scanner of its own that accepts only what numpy writes for plain arrays, so that no
//! header, however nested or long, can exhaust stack or memory. Must never know what the arrays mean.

use super::array::{Array, Endian, Scalar, element_count};
use super::bytes::Input;
use crate::error::{Result, RuntimeError};

/// Headers that numpy writes for plain arrays have about 120 bytes.
const MAX_HEADER: u64 = 64 * 1024;

/// An array as its file has it.
pub(super) struct Stored {
    origin: String,
    header: Header,
    bytes: Vec<u8>,
}

impl Stored {
    /// Its numbers as samples have them.
    pub fn into_array(self) -> Array {
        let Header { scalar, endian, shape } = self.header;
        Array { origin: self.origin, shape, values: scalar.decode(self.bytes, endian) }
    }

    /// Its numbers without loss.
    ///
    /// # Errors
    /// If it is not a vector.
    pub fn into_numbers(self) -> Result<Vec<f64>> {
        let Header { scalar, endian, shape } = self.header;
        match shape[..] {
            [_] => Ok(scalar.decode_exact(&self.bytes, endian)),
            _ => Err(RuntimeError::new(format!("`{}` has shape {shape:?}, not one number an event", self.origin))),
        }
    }
}

/// Reads one array and the hash of its content.
pub(super) fn read(input: Input<'_>) -> Result<(Array, [u8; 32])> {
    let (stored, hash) = read_stored(input)?;
    Ok((stored.into_array(), hash))
}

/// Reads one array as it stands in its file, and the hash of its content.
pub(super) fn read_stored(mut input: Input<'_>) -> Result<(Stored, [u8; 32])> {
    if input.read_array::<6>()? != *b"\x93NUMPY" {
        return Err(input
            .error("is not an NPY file: it does not start with the numpy magic word")
            .with_help("write it with numpy.save or numpy.savez"));
    }
    let [major, _minor] = input.read_array::<2>()?;
    let (preamble, header_len) = match major {
        1 => (10, u64::from(u16::from_le_bytes(input.read_array()?))),
        2 | 3 => (12, u64::from(u32::from_le_bytes(input.read_array()?))),
        _ => return Err(input.error(format!("has version {major} of the NPY format; versions 1 to 3 are known"))),
    };
    if header_len > MAX_HEADER {
        return Err(input.error(format!("is corrupt: its header claims to have {header_len} bytes")));
    }
    let text = input.read(header_len)?;
    let header = Header::parse(&text).map_err(|problem| input.error(problem.what).with_help(problem.help))?;
    let body = element_count(&header.shape)
        .and_then(|count| count.checked_mul(header.scalar.size() as u64))
        .filter(|body| body.checked_add(preamble + header_len).is_some())
        .ok_or_else(|| input.error(format!("is corrupt: its header announces the shape {:?}", header.shape)))?;
    input.require_total(preamble + header_len + body)?;
    let stored = Stored { origin: input.name().to_owned(), header, bytes: input.read(body)? };
    Ok((stored, input.finish()?))
}

/// What is wrong with a header; `what` continues "`file` ...".
#[derive(Debug)]
struct Problem {
    what: String,
    help: &'static str,
}

impl Problem {
    fn new(what: impl Into<String>, help: &'static str) -> Self {
        Self { what: what.into(), help }
    }

    fn malformed() -> Self {
        Self::new("is corrupt: its header is not one that numpy writes", "write it with numpy.save or numpy.savez")
    }
}

#[derive(Debug, PartialEq)]
struct Header {
    scalar: Scalar,
    endian: Endian,
    shape: Vec<usize>,
}

impl Header {
    /// From `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`; errors continue "`file` ...".
    fn parse(text: &[u8]) -> Result<Self, Problem> {
        let mut scanner = Scanner(text);
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        scanner.expect(b'{')?;
        while !scanner.accept(b'}') {
            let key = scanner.string()?;
            scanner.expect(b':')?;
            match key {
                b"descr" if scanner.peek() == Some(b'[') => {
                    return Err(Problem::new(
                        "holds records, not plain numbers",
                        "turn the events into frames [N, T, ...] of numbers first",
                    ));
                }
                b"descr" => descr = Some(data_type(scanner.string()?)?),
                b"fortran_order" => fortran_order = Some(scanner.boolean()?),
                b"shape" => shape = Some(scanner.tuple()?),
                _ => return Err(Problem::malformed()),
            }
            if !scanner.accept(b',') {
                scanner.expect(b'}')?;
                break;
            }
        }
        let (Some((scalar, endian)), Some(fortran_order), Some(shape)) = (descr, fortran_order, shape) else {
            return Err(Problem::malformed());
        };
        if fortran_order && shape.len() > 1 {
            return Err(Problem::new(
                "is stored column by column (Fortran order)",
                "save numpy.ascontiguousarray(x) instead",
            ));
        }
        Ok(Self { scalar, endian, shape })
    }
}

fn data_type(descr: &[u8]) -> Result<(Scalar, Endian), Problem> {
    let (endian, kind) = match descr.split_first() {
        Some((b'>', kind)) => (Endian::Big, kind),
        Some((b'<' | b'|' | b'=', kind)) => (Endian::Little, kind),
        _ => (Endian::Little, descr),
    };
    let scalar = match kind {
        b"b1" => Scalar::Bool,
        b"u1" => Scalar::U8,
        b"i1" => Scalar::I8,
        b"u2" => Scalar::U16,
        b"i2" => Scalar::I16,
        b"u4" => Scalar::U32,
        b"i4" => Scalar::I32,
        b"u8" => Scalar::U64,
        b"i8" => Scalar::I64,
        b"f4" => Scalar::F32,
        b"f8" => Scalar::F64,
        _ => {
            let name = String::from_utf8_lossy(descr);
            return Err(Problem::new(
                format!("holds numbers of type `{name}`"),
                "save x.astype(numpy.float32), or numpy.uint8 for bytes",
            ));
        }
    };
    Ok((scalar, endian))
}

/// What is left of the header.
struct Scanner<'a>(&'a [u8]);

impl<'a> Scanner<'a> {
    fn peek(&mut self) -> Option<u8> {
        self.0 = self.0.trim_ascii_start();
        self.0.first().copied()
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.0 = self.0.get(1..).unwrap_or_default();
        }
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Problem> {
        if self.accept(byte) { Ok(()) } else { Err(Problem::malformed()) }
    }

    fn string(&mut self) -> Result<&'a [u8], Problem> {
        let quote = self.peek().filter(|quote| matches!(quote, b'\'' | b'"')).ok_or_else(Problem::malformed)?;
        let rest = self.0.get(1..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == quote).ok_or_else(Problem::malformed)?;
        let (text, rest) = rest.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        Ok(text)
    }

    fn boolean(&mut self) -> Result<bool, Problem> {
        self.peek();
        for (word, value) in [(&b"True"[..], true), (&b"False"[..], false)] {
            if let Some(rest) = self.0.strip_prefix(word) {
                self.0 = rest;
                return Ok(value);
            }
        }
        Err(Problem::malformed())
    }

    fn tuple(&mut self) -> Result<Vec<usize>, Problem> {
        let mut extents = Vec::new();
        self.expect(b'(')?;
        while !self.accept(b')') {
            extents.push(self.number()?);
            if !self.accept(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(extents)
    }

    fn number(&mut self) -> Result<usize, Problem> {
        self.peek();
        let end = self.0.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or_else(Problem::malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_numpy_writes_are_read() {
        let header = Header::parse(b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }    \n").unwrap();
        assert_eq!(header, Header { scalar: Scalar::F32, endian: Endian::Little, shape: vec![3, 4] });
        let header = Header::parse(b"{\"descr\": \"|u1\", \"fortran_order\": True, \"shape\": (7,)}").unwrap();
        assert_eq!(header, Header { scalar: Scalar::U8, endian: Endian::Little, shape: vec![7] });
        let header = Header::parse(b"{'shape': (), 'descr': '>i8', 'fortran_order': False}").unwrap();
        assert_eq!(header, Header { scalar: Scalar::I64, endian: Endian::Big, shape: vec![] });
    }

    #[test]
    fn other_headers_are_explained() {
        let nested = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {}", "(".repeat(60_000));
        for (text, what) in [
            ("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 4)}", "Fortran order"),
            ("{'descr': [('t', '<i8')], 'fortran_order': False, 'shape': (3,)}", "records"),
            ("{'descr': '<f2', 'fortran_order': False, 'shape': (3,)}", "type `<f2`"),
            ("{'descr': '|O', 'fortran_order': False, 'shape': (3,)}", "type `|O`"),
            ("{'descr': '<f4', 'fortran_order': False}", "corrupt"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}", "corrupt"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}", "corrupt"),
            ("{'descr': '<f4", "corrupt"),
            ("", "corrupt"),
            (nested.as_str(), "corrupt"),
        ] {
            let error = Header::parse(text.as_bytes()).unwrap_err();
            assert!(error.what.contains(what), "{text:.80}: {error:?}");
        }
    }
}
