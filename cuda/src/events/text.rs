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

/// The sum of products of weights and what `term` calls them, first to last behind a constant; terms of weight 0 are left out.
pub(super) fn sum(weights: &[f64], constant: f64, term: impl Fn(usize) -> String) -> String {
    let products = weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0);
    let terms = products.map(|(at, weight)| (Some(number(*weight)).filter(|_| *weight != 1.0), term(at)));
    fused((constant != 0.0).then(|| number(constant)), terms)
}

/// A sum of products, one fused operation each; a factor that is missing is 1.
pub(super) fn fused(first: Option<String>, terms: impl Iterator<Item = (Option<String>, String)>) -> String {
    let sum = terms.fold(first, |sum, (factor, term)| {
        Some(match (sum, factor) {
            (None, None) => term,
            (None, Some(factor)) => format!("{factor} * {term}"),
            (Some(sum), None) => format!("{sum} + {term}"),
            (Some(sum), Some(factor)) => format!("ev_fma({factor}, {term}, {sum})"),
        })
    });
    sum.unwrap_or_else(|| "0.0".to_owned())
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
