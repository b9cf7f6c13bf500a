//! Divided differences of the exponential function: what the flow of a chain of linear equations is made of.
//!
//! A chain `x0' = l0 x0 + x1`, `x1' = l1 x1 + x2`, ... is moved over a time s by the numbers
//! `s^k exp[l0 s, .., lk s]`, where `f[..]` is the divided difference. It is a smooth function of its nodes, so nothing
//! special happens where two time constants are equal or nearly so (Opitz 1964; McCurdy, Ng, Parlett 1984).

use super::matrix::SIZE;

/// Within this spread of the nodes the Taylor series is used, beyond it the recursion, which then loses a bit at most
/// a level.
const SERIES_SPREAD: f64 = 4.0;

/// Terms of the series; the nodes are within 4 of their mean, and 4^40 / 40! is below 2e-24.
const TERMS: u32 = 40;

/// `exp[nodes]` for up to [`SIZE`] nodes, in any order; for a single node `e^node`. 0 without nodes.
pub(super) fn divided_exp(nodes: &[f64]) -> f64 {
    let mut sorted = [0.0; SIZE];
    let sorted = &mut sorted[..nodes.len().min(SIZE)];
    sorted.copy_from_slice(&nodes[..sorted.len()]);
    sorted.sort_by(f64::total_cmp);
    ascending(sorted)
}

fn ascending(nodes: &[f64]) -> f64 {
    match nodes {
        [] => 0.0,
        [node] => libm::exp(*node),
        [low, high] => pair(*low, *high),
        [low, .., high] if high - low <= SERIES_SPREAD => series(nodes),
        [low, inner @ .., high] => {
            let n = inner.len() + 2;
            (ascending(&nodes[1..]) - ascending(&nodes[..n - 1])) / (high - low)
        }
    }
}

/// `(e^high - e^low) / (high - low)`
fn pair(low: f64, high: f64) -> f64 {
    let gap = high - low;
    let mean = if gap == 0.0 { 1.0 } else { -libm::expm1(-gap) / gap };
    libm::exp(high) * mean
}

/// The Taylor series about the mean: `e^mean sum over n of h_n / (n + k)!`, where `h_n` is the sum of all products of n
/// deviations.
fn series(nodes: &[f64]) -> f64 {
    let order = nodes.len() - 1;
    let mean = nodes.iter().sum::<f64>() / nodes.len() as f64;
    let mut factorial: f64 = (1..=order).map(|k| k as f64).product();
    // products[j] is h_n of the first j + 1 deviations.
    let mut products = [0.0; SIZE];
    products[..nodes.len()].fill(1.0);
    let mut sum = 1.0 / factorial;
    for n in 1..=TERMS {
        let mut before = 0.0;
        for (product, node) in products.iter_mut().zip(nodes) {
            before += (node - mean) * *product;
            *product = before;
        }
        factorial *= f64::from(n) + order as f64;
        sum += before / factorial;
    }
    libm::exp(mean) * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 50-digit values of mpmath: divided differences from their definition with 200 digits.
    #[test]
    fn values_to_fifty_digits() {
        let cases: [(&[f64], f64); 12] = [
            (&[0.0, -0.5], 0.7869386805747332),
            (&[-3.0, -3.0000001], 0.04978706587851061),
            (&[-1.0, -1.0, -1.0], 0.18393972058572117),
            (&[0.0, -1e-09, -2.0], 0.2838338207010701),
            (&[-1.0, -2.0, -4.0], 0.058011445253630126),
            (&[-0.3, -5.5, -40.0], 0.0035657598919729976),
            (&[0.0, 0.0, -7.0, -7.25], 1.419205668782827e-2),
            (&[-1.0, -1.5, -2.0, -9.0, -11.0], 0.0009666015958996984),
            (&[0.0, -0.1, -0.2, -0.3, -0.4, -0.5, -0.6, -0.7, -0.8], 1.6680505643316845e-05),
            (&[0.0, -3.0, -6.0, -9.0, -12.0, -15.0], 2.656544914423605e-5),
            (&[-250.0, -1.0, 0.0], 0.0025225725254158942),
            (&[1.5, 0.25, -3.75], 0.4272388581356811),
        ];
        for (nodes, expected) in cases {
            let error = (divided_exp(nodes) / expected - 1.0).abs();
            assert!(error < 3e-15, "{nodes:?}: {error:e}");
        }
    }
}
