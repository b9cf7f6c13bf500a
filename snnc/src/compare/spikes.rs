//! Spikes of two models of the same neurons: the k-th of a neuron against its k-th.
//!
//! Must never know how they came about.

/// The spikes of a layer in one sample.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Train {
    /// The layer's path.
    pub path: String,
    /// The times of each neuron's spikes in seconds, ascending.
    pub neurons: Vec<Vec<f64>>,
}

/// How the spikes of a layer differ from the exact ones, over all samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpikeErrors {
    /// The layer's path.
    pub path: String,
    /// Pairs of spikes, the k-th of a neuron with its k-th.
    pub matched: usize,
    /// Exact spikes without a partner.
    pub only_exact: usize,
    /// Spikes on the grid without a partner.
    pub only_grid: usize,
    /// The mean distance of pairs in seconds; `None` where there is no pair.
    pub mean_error: Option<f64>,
    /// The largest distance of a pair in seconds; `None` where there is no pair.
    pub max_error: Option<f64>,
}

/// What is gathered sample by sample.
#[derive(Debug, Default)]
pub(super) struct Tally {
    layers: Vec<(SpikeErrors, f64)>,
}

impl Tally {
    /// Adds a sample; both have the same layers in the same order.
    pub fn add(&mut self, exact: &[Train], other: &[Train]) {
        for (exact, other) in exact.iter().zip(other) {
            let at = self.layers.iter().position(|(layer, _)| layer.path == exact.path);
            let at = at.unwrap_or_else(|| {
                self.layers.push((SpikeErrors { path: exact.path.clone(), ..SpikeErrors::default() }, 0.0));
                self.layers.len() - 1
            });
            let Some((layer, sum)) = self.layers.get_mut(at) else { continue };
            for (exact, other) in exact.neurons.iter().zip(&other.neurons) {
                let pairs = exact.len().min(other.len());
                layer.matched += pairs;
                layer.only_exact += exact.len() - pairs;
                layer.only_grid += other.len() - pairs;
                for error in exact.iter().zip(other).map(|(exact, other)| (exact - other).abs()) {
                    *sum += error;
                    layer.max_error = Some(layer.max_error.map_or(error, |most| most.max(error)));
                }
            }
        }
    }

    /// What there is to say of each layer.
    pub fn finish(self) -> Vec<SpikeErrors> {
        let of = |(layer, sum): (SpikeErrors, f64)| {
            let mean_error = (layer.matched > 0).then(|| sum / layer.matched as f64);
            SpikeErrors { mean_error, ..layer }
        };
        self.layers.into_iter().map(of).collect()
    }
}

/// Each layer with the number of its spikes in all samples.
pub(super) fn counts(samples: &[Vec<Train>]) -> Vec<(String, usize)> {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for train in samples.iter().flatten() {
        let spikes: usize = train.neurons.iter().map(Vec::len).sum();
        match counts.iter_mut().find(|(path, _)| *path == train.path) {
            Some((_, count)) => *count += spikes,
            None => counts.push((train.path.clone(), spikes)),
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(neurons: &[&[f64]]) -> Vec<Train> {
        vec![Train { path: "lif1".to_owned(), neurons: neurons.iter().map(|times| times.to_vec()).collect() }]
    }

    #[test]
    fn the_kth_spike_is_held_against_the_kth() {
        let mut tally = Tally::default();
        tally.add(&layer(&[&[1.0, 2.0, 5.0], &[], &[3.0]]), &layer(&[&[1.5, 4.0], &[7.0], &[3.0]]));
        tally.add(&layer(&[&[], &[1.0], &[]]), &layer(&[&[], &[0.5], &[]]));
        let expected = SpikeErrors {
            path: "lif1".to_owned(),
            matched: 4,
            only_exact: 1,
            only_grid: 1,
            mean_error: Some((0.5 + 2.0 + 0.0 + 0.5) / 4.0),
            max_error: Some(2.0),
        };
        assert_eq!(tally.finish(), [expected]);
    }

    #[test]
    fn silence_has_no_error() {
        let mut tally = Tally::default();
        tally.add(&layer(&[&[]]), &layer(&[&[2.0]]));
        let found = tally.finish();
        assert_eq!((found[0].mean_error, found[0].max_error, found[0].only_grid), (None, None, 1));
    }

    #[test]
    fn spikes_are_counted_over_samples() {
        let samples = [layer(&[&[1.0, 2.0], &[3.0]]), layer(&[&[], &[4.0]])];
        assert_eq!(counts(&samples), [("lif1".to_owned(), 4)]);
    }
}
