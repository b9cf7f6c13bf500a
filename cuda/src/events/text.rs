//! Numbers and sums as text.
//!
//! Must never know what they mean.

/// A number, exactly.
pub(super) fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "(ev_infinity() - ev_infinity())".to_owned(),
        f64::INFINITY => "ev_infinity()".to_owned(),
        f64::NEG_INFINITY => "(-ev_infinity())".to_owned(),
        value if value.is_sign_negative() => format!("({value:?})"),
        value => format!("{value:?}"),
    }
}

/// The sum of products of weights and what `term` calls them, first to last, and a constant; terms of weight 0 are left out.
pub(super) fn sum(weights: &[f64], constant: f64, term: impl Fn(usize) -> String) -> String {
    let products = weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0);
    let mut terms: Vec<String> = products
        .map(|(at, weight)| if *weight == 1.0 { term(at) } else { format!("{} * {}", number(*weight), term(at)) })
        .collect();
    if constant != 0.0 || terms.is_empty() {
        terms.push(number(constant));
    }
    terms.join(" + ")
}

/// The sum of products of weights and the elements of an array.
pub(super) fn dot(weights: &[f64], array: &str) -> String {
    sum(weights, 0.0, |at| format!("{array}[{at}]"))
}

/// A function that chooses one of several expressions by an index.
pub(super) fn choice(header: &str, index: &str, choices: &[String], otherwise: &str) -> String {
    let tests: String =
        choices.iter().enumerate().map(|(at, value)| format!(" if ({index} == {at}) return {value};")).collect();
    format!("    static SN_DEV {header} {{{tests} return {otherwise}; }}\n")
}
