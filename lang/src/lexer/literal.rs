//! The values of numbers, durations and strings.
//!
//! Pure functions of a literal's text; must never know where the literal stands.

/// The units a duration may have, with the power of ten that turns them into seconds.
pub(crate) const UNITS: [(&str, i32); 4] = [("ns", -9), ("us", -6), ("ms", -3), ("s", 0)];

/// The value of a number, unless it is too large for an `f64`.
pub(crate) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// A duration's digits and its unit.
pub(crate) fn split_unit(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let digit_at = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut end = 0;
    while digit_at(end) || (bytes.get(end) == Some(&b'.') && digit_at(end + 1)) {
        end += 1;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let first = end + 1 + sign;
        if digit_at(first) {
            end = (first..).find(|at| !digit_at(*at)).unwrap_or(bytes.len());
        }
    }
    text.split_at(end)
}

/// The value of a duration in seconds, unless its unit is unknown or it is too large. It is the `f64` nearest to what
/// was written: the unit moves the decimal point before the digits are read.
pub(crate) fn duration(text: &str) -> Option<f64> {
    let (digits, unit) = split_unit(text);
    let (_, shift) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let exponent: i32 = exponent.parse().ok()?;
    number(&format!("{mantissa}e{}", exponent.checked_add(*shift)?))
}

/// The value of a string with its quotes, or the byte offset of the `\` of an escape that does not exist.
pub(crate) fn string(text: &str) -> Result<String, usize> {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let mut value = String::with_capacity(inner.len());
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        if c != '\\' {
            value.push(c);
            continue;
        }
        value.push(match chars.next() {
            Some((_, 'n')) => '\n',
            Some((_, 't')) => '\t',
            Some((_, '"')) => '"',
            Some((_, '\\')) => '\\',
            // One more for the quote.
            _ => return Err(at + 1),
        });
    }
    Ok(value)
}
