//! Random numbers that depend on nothing but a key: the same on every back end, for any number of threads.
//!
//! The generator is Philox4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011),
//! keyed by seed and stream and counted by run and element. Element `e` of a stream takes word `e mod 4` of block `e / 4`
//! (a normal number: words 0 and 1, or 2 and 3, of block `e / 2`), so any slice can be computed alone.
//! Distributions use the `libm` crate, never the machine's mathematics library.

use crate::program::Operand;

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Uniform in [0, 1), 24 random bits in either precision so that f32 and f64 agree.
    Uniform,
    /// Standard normal (Box-Muller).
    Normal,
    /// 1 with this probability, else 0.
    Bernoulli(f64),
}

/// The heavy kernel that fills a buffer with random numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Draw {
    /// A name for people.
    pub name: String,
    /// What is drawn.
    pub distribution: Distribution,
    /// Distinguishes the draws of one program.
    pub stream: u64,
    /// How many numbers.
    pub len: usize,
    /// Where they go. Inside a `Repeat` the element counter goes on with the step, so that a loop draws what one
    /// large draw over all steps would.
    pub out: Operand,
}

/// What a run's random numbers depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RandomKey {
    /// The user's seed.
    pub seed: u64,
    /// Counts runs (optimizer steps), so that each draws anew.
    pub run: u64,
}

/// One block of Philox4x32-10: four random words for a counter and a key.
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    const M0: u64 = 0xD251_1F53;
    const M1: u64 = 0xCD9E_8D57;
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let (p0, p1) = (M0 * u64::from(c0), M1 * u64::from(c2));
        (c0, c1, c2, c3) = ((p1 >> 32) as u32 ^ c1 ^ k0, p1 as u32, (p0 >> 32) as u32 ^ c3 ^ k1, p0 as u32);
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    [c0, c1, c2, c3]
}

/// The random words of block `block` of a stream.
pub fn block(key: RandomKey, stream: u64, block: u64) -> [u32; 4] {
    // The stream is mixed into key and counter so that seed, run, stream and block never share bits.
    let seed = key.seed ^ stream.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    philox(
        [block as u32, (block >> 32) as u32 ^ ((key.run >> 32) as u32).rotate_left(16), key.run as u32, stream as u32],
        [seed as u32, (seed >> 32) as u32],
    )
}

fn unit(word: u32) -> f64 {
    f64::from(word >> 8) / 16_777_216.0
}

/// Element `element` of a stream.
pub fn element(distribution: Distribution, key: RandomKey, stream: u64, element: u64) -> f64 {
    match distribution {
        Distribution::Uniform => unit(block(key, stream, element / 4)[(element % 4) as usize]),
        Distribution::Bernoulli(p) => {
            if unit(block(key, stream, element / 4)[(element % 4) as usize]) < p {
                1.0
            } else {
                0.0
            }
        }
        Distribution::Normal => {
            let words = block(key, stream, element / 2);
            let at = (element % 2) as usize * 2;
            // 1 - u lies in (0, 1], so the logarithm is finite.
            let radius = (-2.0 * libm::log(1.0 - unit(words[at]))).sqrt();
            radius * libm::cos(std::f64::consts::TAU * unit(words[at + 1]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers from the Random123 distribution (kat_vectors).
    #[test]
    fn philox_known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        assert_eq!(
            philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
        );
    }

    #[test]
    fn moments() {
        let key = RandomKey { seed: 7, run: 3 };
        let n = 20_000;
        let draw = |d| (0..n).map(move |e| element(d, key, 5, e));
        let mean = |d| draw(d).sum::<f64>() / n as f64;
        let square = |d| draw(d).map(|x| x * x).sum::<f64>() / n as f64;
        assert!((mean(Distribution::Uniform) - 0.5).abs() < 0.01);
        assert!(mean(Distribution::Normal).abs() < 0.03);
        assert!((square(Distribution::Normal) - 1.0).abs() < 0.04);
        assert!((mean(Distribution::Bernoulli(0.3)) - 0.3).abs() < 0.015);
    }
}
