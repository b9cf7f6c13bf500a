//! Counter-based random numbers: every draw is a pure function of (seed, stream, index).
//!
//! Nothing here has a state that advances, so a result never depends on the number of threads, on the order of work or
//! on whether a run was resumed. The generator is the Philox of [`snn_loops::draw`]; these are the draws made outside of
//! models: orders, splits, augmentations, first weights. Must never know what the numbers are for.

use snn_loops::draw::philox;

/// An endless sequence of random numbers, addressed by index.
///
/// Two streams with different seeds or different names or numbers are independent. Draws of different kinds at the same
/// index of one stream overlap, so use one kind of draw per stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    seed: u64,
    id: u64,
}

impl Stream {
    /// The stream that belongs to a purpose ("data.shuffle") and some numbers (an epoch, a sample).
    pub fn new(seed: u64, purpose: &str, numbers: &[u64]) -> Self {
        let bytes = purpose.bytes().chain(numbers.iter().flat_map(|number| number.to_le_bytes()));
        Self { seed, id: fnv1a(bytes) }
    }

    /// The stream of something that has a name, such as a parameter.
    pub fn named(&self, name: &str) -> Self {
        Self { seed: self.seed, id: fnv1a(self.id.to_le_bytes().into_iter().chain(name.bytes())) }
    }

    /// 64 random bits.
    pub fn bits(&self, index: u64) -> u64 {
        let [a, b, c, d] = self.block(index / 2);
        if index.is_multiple_of(2) { join(a, b) } else { join(c, d) }
    }

    /// Uniform in [0, 1), 53 random bits.
    pub fn uniform(&self, index: u64) -> f64 {
        (self.bits(index) >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in [0, 1), 24 random bits; never rounds up to 1.
    pub fn uniform_f32(&self, index: u64) -> f32 {
        (self.bits(index) >> 40) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// Standard normal by the Box-Muller transform: indices 2k and 2k + 1 are the cosine and sine of one pair.
    pub fn normal(&self, index: u64) -> f64 {
        let pair = index & !1;
        // 1 - u lies in (0, 1], where the logarithm is finite.
        let radius = (-2.0 * libm::log(1.0 - self.uniform(pair))).sqrt();
        let angle = 2.0 * std::f64::consts::PI * self.uniform(pair | 1);
        radius * if index == pair { libm::cos(angle) } else { libm::sin(angle) }
    }

    /// True with probability `p`.
    pub fn bernoulli(&self, index: u64, p: f64) -> bool {
        self.uniform(index) < p
    }

    /// A whole number in `0..bound`, or 0 if `bound` is 0; the bias is below `bound` / 2^64.
    pub fn below(&self, index: u64, bound: u64) -> u64 {
        ((u128::from(self.bits(index)) * u128::from(bound)) >> 64) as u64
    }

    /// Puts `items` in random order (Fisher-Yates from the end; step i uses the draw of index i).
    pub fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64, last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }

    fn block(&self, counter: u64) -> [u32; 4] {
        let (seed_low, seed_high) = split(self.seed);
        let (counter_low, counter_high) = split(counter);
        let (id_low, id_high) = split(self.id);
        philox([counter_low, counter_high, id_low, id_high], [seed_low, seed_high])
    }
}

/// FNV-1a over 64 bits: names a stream. Philox does the mixing, so distinct values are all that is needed.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn split(value: u64) -> (u32, u32) {
    (value as u32, (value >> 32) as u32)
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_seed_purpose_numbers_and_index() {
        let stream = Stream::new(1, "a", &[3]);
        assert_eq!(stream.bits(7), Stream::new(1, "a", &[3]).bits(7));
        for other in
            [Stream::new(2, "a", &[3]), Stream::new(1, "b", &[3]), Stream::new(1, "a", &[4]), stream.named("a")]
        {
            assert_ne!(stream.bits(7), other.bits(7));
        }
        assert_ne!(stream.bits(6), stream.bits(7));
    }

    #[test]
    fn uniform_draws_fill_the_unit_interval_evenly() {
        let stream = Stream::new(5, "uniform", &[]);
        let mut bins = [0usize; 10];
        for index in 0..10_000 {
            let (wide, narrow) = (stream.uniform(index), stream.uniform_f32(index));
            assert!((0.0..1.0).contains(&wide) && (0.0..1.0).contains(&narrow));
            bins[(wide * 10.0) as usize] += 1;
        }
        // Five standard deviations of a binomial with n = 10000, p = 0.1.
        assert!(bins.iter().all(|&count| (850..=1150).contains(&count)), "{bins:?}");
    }

    #[test]
    fn normal_draws_have_the_right_moments() {
        let stream = Stream::new(5, "normal", &[]);
        let draws: Vec<f64> = (0..20_000).map(|index| stream.normal(index)).collect();
        let n = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / n;
        let variance = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        let beyond_two = draws.iter().filter(|x| x.abs() > 2.0).count() as f64 / n;
        assert!(mean.abs() < 0.035, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.05, "variance {variance}");
        assert!((beyond_two - 0.0455).abs() < 0.0075, "tails {beyond_two}");
    }

    #[test]
    fn shuffle_is_a_reproducible_permutation() {
        let shuffled = |seed| {
            let mut items: Vec<u32> = (0..1000).collect();
            Stream::new(seed, "shuffle", &[]).shuffle(&mut items);
            items
        };
        let once = shuffled(3);
        assert_eq!(once, shuffled(3));
        assert_ne!(once, shuffled(4));
        let mut sorted = once.clone();
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..1000));
        assert_ne!(once, sorted);
    }

    #[test]
    fn below_stays_below_and_reaches_every_value() {
        let stream = Stream::new(9, "below", &[]);
        let mut seen = [false; 9];
        for index in 0..1000 {
            seen[stream.below(index, 9) as usize] = true;
        }
        assert_eq!(seen, [true; 9]);
        assert_eq!(stream.below(0, 0), 0);
    }
}
