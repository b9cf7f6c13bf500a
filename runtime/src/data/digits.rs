//! The 1,797 8x8 digits that come with the program, so that there is always something to train on.
//!
//! The split is fixed: within each class, samples are put in random order by a stream with a fixed seed, and the first
//! fifth of them (rounded down) are test samples. Both parts keep the order of the file. Must never read the user's
//! files.

use super::bytes::{Fingerprint, Input};
use super::locate::Request;
use super::{Dataset, Field, Source, Split, Values, idx};
use crate::error::{Result, RuntimeError};
use crate::rng::Stream;

/// `digits()`: `image: [1, 8, 8]`, 10 classes.
pub(super) const SOURCE: Source = Source { name: "digits", takes_path: false, settings: &[], open };

static IMAGES: &[u8] = include_bytes!("../../assets/digits-images.idx.gz");
static LABELS: &[u8] = include_bytes!("../../assets/digits-labels.idx.gz");

const N_CLASSES: usize = 10;
const PIXELS: usize = 64;
const SPLIT_SEED: u64 = 0;

fn open(request: &Request<'_>) -> Result<Dataset> {
    let mut fingerprint = Fingerprint::new();
    let (images, hash) = idx::read(Input::bundled("digits-images.idx.gz", IMAGES)?)?;
    fingerprint.add("images", hash);
    let (labels, hash) = idx::read(Input::bundled("digits-labels.idx.gz", LABELS)?)?;
    fingerprint.add("labels", hash);
    let labels = labels.into_labels()?;
    let Values::U8 { bytes, .. } = images.values else {
        return Err(RuntimeError::new("the bundled digits are not bytes"));
    };
    let is_test = test_samples(&labels);
    Ok(Dataset {
        name: request.source.to_owned(),
        train: part(&bytes, &labels, &is_test, false),
        test: part(&bytes, &labels, &is_test, true),
        n_classes: N_CLASSES,
        fingerprint: fingerprint.finish(),
    })
}

/// For each sample, whether it is a test sample.
fn test_samples(labels: &[u32]) -> Vec<bool> {
    let mut is_test = vec![false; labels.len()];
    for class in 0..N_CLASSES as u32 {
        let mut samples: Vec<usize> =
            labels.iter().enumerate().filter(|&(_, &label)| label == class).map(|(sample, _)| sample).collect();
        Stream::new(SPLIT_SEED, "digits.split", &[u64::from(class)]).shuffle(&mut samples);
        let n_test = samples.len() / 5;
        for sample in samples.into_iter().take(n_test) {
            if let Some(flag) = is_test.get_mut(sample) {
                *flag = true;
            }
        }
    }
    is_test
}

fn part(bytes: &[u8], labels: &[u32], is_test: &[bool], wanted: bool) -> Split {
    let mut part = Vec::new();
    let mut part_labels = Vec::new();
    for ((image, &label), &flag) in bytes.chunks_exact(PIXELS).zip(labels).zip(is_test) {
        if flag == wanted {
            part.extend_from_slice(image);
            part_labels.push(label);
        }
    }
    let values = Values::U8 { bytes: part, full_scale: 16.0 };
    Split { inputs: vec![Field { name: "image".to_owned(), shape: vec![1, 8, 8], values }], labels: part_labels }
}

#[cfg(test)]
mod tests {
    use crate::data::events::Timing;
    use crate::data::{Dataset, DatasetArgs, open};

    fn digits() -> Dataset {
        open("digits", &DatasetArgs::default(), std::path::Path::new("."), None).unwrap()
    }

    #[test]
    fn the_split_is_fixed_and_stratified() {
        let digits = digits();
        assert_eq!((digits.train.len(), digits.test.len(), digits.n_classes), (1442, 355, 10));
        for class in 0..10 {
            let count = |labels: &[u32]| labels.iter().filter(|&&label| label == class).count();
            let (train, test) = (count(&digits.train.labels), count(&digits.test.labels));
            assert_eq!(test, (train + test) / 5, "class {class}");
        }
        assert_eq!(digits, self::digits());
    }

    #[test]
    fn images_span_zero_to_one() {
        let digits = digits();
        let mut image = [0.0; 64];
        let (mut least, mut most) = (1.0_f32, 0.0_f32);
        for sample in 0..digits.train.len() {
            assert!(digits.train.inputs[0].write_sample(sample, &Timing::Untimed, &mut image));
            least = image.iter().copied().fold(least, f32::min);
            most = image.iter().copied().fold(most, f32::max);
        }
        assert_eq!((least, most), (0.0, 1.0));
    }
}
