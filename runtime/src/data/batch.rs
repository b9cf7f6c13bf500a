//! In which order samples are visited, how they are grouped into batches of one fixed size, and how a batch is filled.
//!
//! The order of an epoch is a function of (seed, epoch) alone. Must never know how the machine lays out a batch: samples
//! are written one after another, each row-major in its logical shape (`[C, H, W]`, or `[T, C, H, W]` if stepped), and
//! the session converts.

use super::Split;
use super::augment::Augmentation;
use super::events::Timing;
use crate::error::{Result, RuntimeError};
use crate::rng::Stream;

/// The batches of one pass over a split. Every batch has exactly `batch_size` places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchPlan {
    order: Vec<u32>,
    batch_size: usize,
}

/// One batch: its first `n_samples` places hold samples, the rest repeat the first one with weight 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch<'a> {
    samples: &'a [u32],
    batch_size: usize,
}

impl BatchPlan {
    /// A training epoch: all samples in random order; an incomplete last batch is dropped, unless it is the only one.
    pub fn training(n_samples: usize, batch_size: usize, seed: u64, epoch: u64) -> Self {
        let mut plan = Self::evaluation(n_samples, batch_size);
        Stream::new(seed, "data.shuffle", &[epoch]).shuffle(&mut plan.order);
        let complete = plan.order.len() / plan.batch_size * plan.batch_size;
        if complete > 0 {
            plan.order.truncate(complete);
        }
        plan
    }

    /// An evaluation: all samples in their own order; an incomplete last batch is padded. A batch size of 0 counts as 1.
    pub fn evaluation(n_samples: usize, batch_size: usize) -> Self {
        let n_samples = u32::try_from(n_samples).unwrap_or(u32::MAX);
        Self { order: (0..n_samples).collect(), batch_size: batch_size.max(1) }
    }

    /// How many batches there are.
    pub fn n_batches(&self) -> usize {
        self.order.len().div_ceil(self.batch_size)
    }

    /// How many samples are visited, padding not counted.
    pub fn n_samples(&self) -> usize {
        self.order.len()
    }

    /// The batches in the order in which they are to be visited.
    pub fn batches(&self) -> impl ExactSizeIterator<Item = Batch<'_>> {
        self.order.chunks(self.batch_size).map(|samples| Batch { samples, batch_size: self.batch_size })
    }
}

impl Batch<'_> {
    /// The samples, without padding.
    pub fn samples(&self) -> &[u32] {
        self.samples
    }

    /// How many places there are, padding included.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// The sample of every place.
    pub fn places(&self) -> impl Iterator<Item = u32> + '_ {
        let padding = self.samples.first().copied().unwrap_or_default();
        (0..self.batch_size).map(move |place| self.samples.get(place).copied().unwrap_or(padding))
    }

    /// The weight of every place: 1 for samples, 0 for padding.
    pub fn weights(&self) -> impl Iterator<Item = f32> + '_ {
        (0..self.batch_size).map(|place| if place < self.samples.len() { 1.0 } else { 0.0 })
    }
}

/// Where a batch is written: `fields[i]` holds `batch_size` samples of the split's i-th field, `labels` and `weights`
/// one number for each place.
pub struct BatchBuffers<'a> {
    /// One buffer a field, in the split's order.
    pub fields: Vec<&'a mut [f32]>,
    /// The class of each place.
    pub labels: &'a mut [u32],
    /// 1 for samples, 0 for padding.
    pub weights: &'a mut [f32],
}

impl Split {
    /// Writes the samples, labels and weights of a batch, events as `timing` says, augmented if asked.
    ///
    /// # Errors
    /// If a buffer has another length than the batch needs, the batch names a sample that does not exist, or an
    /// augmentation does not fit the shape of a field.
    pub fn fill(
        &self,
        batch: &Batch<'_>,
        timing: &Timing,
        augmentation: Option<&Augmentation<'_>>,
        out: &mut BatchBuffers<'_>,
    ) -> Result<()> {
        if out.fields.len() != self.inputs.len() {
            let (found, expected) = (out.fields.len(), self.inputs.len());
            return Err(RuntimeError::new(format!("a batch has {expected} inputs, but {found} buffers were given")));
        }
        check_len("labels", out.labels.len(), batch.batch_size)?;
        check_len("weights", out.weights.len(), batch.batch_size)?;
        for (field, out) in self.inputs.iter().zip(&mut out.fields) {
            let shape = field.written_shape(timing);
            let sample_len: usize = shape.iter().product();
            check_len(&field.name, out.len(), batch.batch_size * sample_len)?;
            for (sample, out) in batch.places().zip(out.chunks_exact_mut(sample_len.max(1))) {
                if !field.write_sample(sample as usize, timing, out) {
                    return Err(RuntimeError::new(format!("there is no sample {sample} of `{}`", field.name)));
                }
                if let Some(augmentation) = augmentation {
                    augmentation.apply(u64::from(sample), &shape, field.nothing(timing), out)?;
                }
            }
        }
        for (sample, out) in batch.places().zip(out.labels.iter_mut()) {
            *out = self.labels.get(sample as usize).copied().unwrap_or_default();
        }
        for (weight, out) in batch.weights().zip(out.weights.iter_mut()) {
            *out = weight;
        }
        Ok(())
    }
}

fn check_len(what: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(RuntimeError::new(format!("the batch buffer of `{what}` has room for {found} numbers, {expected} are needed")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Field, Values};

    fn split(n: u32) -> Split {
        let values = Values::F32((0..2 * n).map(|number| number as f32).collect());
        let field = Field { name: "x".to_owned(), shape: vec![2], values };
        Split { inputs: vec![field], labels: (0..n).map(|sample| sample % 3).collect() }
    }

    fn samples(plan: &BatchPlan) -> Vec<u32> {
        plan.batches().flat_map(|batch| batch.samples().to_vec()).collect()
    }

    #[test]
    fn training_visits_a_reproducible_permutation_without_the_ragged_end() {
        let plan = BatchPlan::training(103, 10, 7, 0);
        assert_eq!((plan.n_batches(), plan.n_samples()), (10, 100));
        let mut visited = samples(&plan);
        visited.sort_unstable();
        visited.dedup();
        assert_eq!(visited.len(), 100);
        assert!(visited.iter().all(|&sample| sample < 103));
        assert_eq!(plan, BatchPlan::training(103, 10, 7, 0));
        assert_ne!(samples(&plan), samples(&BatchPlan::training(103, 10, 7, 1)));
        assert_ne!(samples(&plan), samples(&BatchPlan::training(103, 10, 8, 0)));
    }

    #[test]
    fn training_pads_when_there_is_no_complete_batch() {
        let plan = BatchPlan::training(3, 10, 7, 0);
        assert_eq!((plan.n_batches(), plan.n_samples()), (1, 3));
    }

    #[test]
    fn evaluation_visits_everything_in_order_and_pads() {
        let plan = BatchPlan::evaluation(5, 2);
        assert!(samples(&plan).iter().copied().eq(0..5));
        let last = plan.batches().last().unwrap();
        assert_eq!(last.places().collect::<Vec<_>>(), [4, 4]);
        assert_eq!(last.weights().collect::<Vec<_>>(), [1.0, 0.0]);
    }

    #[test]
    fn filling_writes_samples_labels_and_weights() {
        let split = split(5);
        let (mut x, mut labels, mut weights) = ([0.0; 6], [9; 3], [9.0; 3]);
        let plan = BatchPlan::evaluation(5, 3);
        let batch = plan.batches().nth(1).unwrap();
        let mut out = BatchBuffers { fields: vec![&mut x], labels: &mut labels, weights: &mut weights };
        split.fill(&batch, &Timing::Untimed, None, &mut out).unwrap();
        assert_eq!(x, [6.0, 7.0, 8.0, 9.0, 6.0, 7.0]);
        assert_eq!((labels, weights), ([0, 1, 0], [1.0, 1.0, 0.0]));
    }

    #[test]
    fn wrong_buffers_and_samples_are_explained() {
        let split = split(5);
        let cases: [(usize, usize, &str); 3] =
            [(5, 3, "`x` has room for 5"), (6, 2, "`labels`"), (6, 3, "no sample 5")];
        for (n_x, n_labels, what) in cases {
            let (mut x, mut labels, mut weights) = (vec![0.0; n_x], vec![0; n_labels], [0.0; 3]);
            let plan = BatchPlan::evaluation(6, 3);
            let batch = plan.batches().nth(1).unwrap();
            let mut out = BatchBuffers { fields: vec![&mut x], labels: &mut labels, weights: &mut weights };
            let error = split.fill(&batch, &Timing::Untimed, None, &mut out).unwrap_err();
            assert!(error.message().contains(what), "{error}");
        }
    }
}
