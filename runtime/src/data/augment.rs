//! Augmentations: random changes of training samples, a closed list.
//!
//! What is drawn is a function of (seed, epoch, sample, place in the list), so neither threads nor a resumed run change
//! it. Must never know batches or labels.

use crate::error::{Result, RuntimeError};
use crate::rng::Stream;

/// One augmentation of images, the last two axes of a sample. All channels and steps of a sample change alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Augment {
    /// `random_crop(size, padding)`: pads every side with `padding` pixels of nothing and cuts out `size` x `size` pixels at a random
    /// place. `size` is that of the samples, so that evaluation sees the same shape.
    RandomCrop {
        /// Height and width of the result, in pixels.
        size: usize,
        /// What is added on every side, in pixels.
        padding: usize,
    },
    /// `horizontal_flip(p = 0.5)`: mirrors left and right with probability `p`.
    HorizontalFlip {
        /// In 0..=1.
        p: f64,
    },
}

/// The augmentations of one training epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augmentation<'a> {
    /// Applied in this order.
    pub list: &'a [Augment],
    /// The run's seed.
    pub seed: u64,
    /// Counted from 0.
    pub epoch: u64,
}

impl Augment {
    /// How models call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RandomCrop { .. } => "random_crop",
            Self::HorizontalFlip { .. } => "horizontal_flip",
        }
    }

    /// Checks the settings against the shape of a sample.
    ///
    /// # Errors
    /// If samples are not images, or a setting is out of range.
    pub fn check(&self, shape: &[usize]) -> Result<()> {
        let [.., height, width] = *shape else {
            return Err(RuntimeError::new(format!("`{}` needs images; samples have shape {shape:?}", self.name())));
        };
        match *self {
            Self::RandomCrop { size, .. } if (height, width) != (size, size) => Err(RuntimeError::new(format!(
                "`random_crop({size})` cannot be applied to samples of {height}x{width} pixels"
            ))
            .with_help("the size must be that of the samples, because evaluation sees them uncropped")),
            Self::RandomCrop { size, padding } if padding > size => Err(RuntimeError::new(format!(
                "`random_crop({size}, padding = {padding})` may cut out nothing but padding"
            ))
            .with_help("choose a padding below the size")),
            Self::HorizontalFlip { p } if !(0.0..=1.0).contains(&p) => {
                Err(RuntimeError::new(format!("`horizontal_flip(p = {p})`: p is a probability, between 0 and 1")))
            }
            _ => Ok(()),
        }
    }
}

impl Augmentation<'_> {
    /// Changes one sample of the given shape in place; `nothing` is what stands where no pixel of it comes to lie.
    ///
    /// # Errors
    /// If an augmentation does not fit the shape; see [`Augment::check`].
    pub fn apply(&self, sample: u64, shape: &[usize], nothing: f32, pixels: &mut [f32]) -> Result<()> {
        for (place, augment) in self.list.iter().enumerate() {
            augment.check(shape)?;
            let &[.., height, width] = shape else { continue };
            let draws = Stream::new(self.seed, "data.augment", &[self.epoch, sample, place as u64]);
            match *augment {
                Augment::RandomCrop { padding, .. } => random_crop(pixels, [height, width], padding, nothing, &draws),
                Augment::HorizontalFlip { p } => horizontal_flip(pixels, width, p, &draws),
            }
        }
        Ok(())
    }
}

fn random_crop(pixels: &mut [f32], [height, width]: [usize; 2], padding: usize, nothing: f32, draws: &Stream) {
    let places = 2 * padding as u64 + 1;
    let (top, left) = (draws.below(0, places) as usize, draws.below(1, places) as usize);
    for plane in pixels.chunks_exact_mut((height * width).max(1)) {
        let source = plane.to_vec();
        plane.fill(nothing);
        // Row y of the result is row y + top of the padded image, row y + top - padding of the image.
        for (y, row) in plane.chunks_exact_mut(width.max(1)).enumerate() {
            let Some(source_y) = (y + top).checked_sub(padding).filter(|&y| y < height) else { continue };
            let source = source.get(source_y * width..(source_y + 1) * width).unwrap_or_default();
            let shift = left.abs_diff(padding).min(width);
            let kept = width - shift;
            let (to, from) = if left < padding { (shift, 0) } else { (0, shift) };
            if let (Some(to), Some(from)) = (row.get_mut(to..to + kept), source.get(from..from + kept)) {
                to.copy_from_slice(from);
            }
        }
    }
}

fn horizontal_flip(pixels: &mut [f32], width: usize, p: f64, draws: &Stream) {
    if draws.bernoulli(0, p) {
        pixels.chunks_exact_mut(width.max(1)).for_each(<[f32]>::reverse);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixel (y, x) of channel c is 1 + 100 c + 10 y + x, so that every pixel tells where it came from and 0 is padding.
    fn image(channels: usize, size: usize) -> Vec<f32> {
        let pixel = |c, y, x| (1 + 100 * c + 10 * y + x) as f32;
        (0..channels).flat_map(|c| (0..size).flat_map(move |y| (0..size).map(move |x| pixel(c, y, x)))).collect()
    }

    fn applied(list: &[Augment], seed: u64, epoch: u64, sample: u64) -> Vec<f32> {
        let mut pixels = image(2, 5);
        Augmentation { list, seed, epoch }.apply(sample, &[2, 5, 5], 0.0, &mut pixels).unwrap();
        pixels
    }

    #[test]
    fn every_crop_is_a_shift_with_zeros_around_and_all_shifts_occur() {
        let source = image(2, 5);
        let mut shifts = std::collections::BTreeSet::new();
        for sample in 0..400 {
            let cropped = applied(&[Augment::RandomCrop { size: 5, padding: 2 }], 1, 0, sample);
            let is_shift = |dy: isize, dx: isize| {
                (0..2).all(|c| {
                    (0..25).all(|at| {
                        let (y, x) = (at as isize / 5 + dy, at as isize % 5 + dx);
                        let inside = (0..5).contains(&y) && (0..5).contains(&x);
                        let expected = if inside { source[c * 25 + (y * 5 + x) as usize] } else { 0.0 };
                        cropped[c * 25 + at] == expected
                    })
                })
            };
            let found: Vec<_> =
                (-2..=2).flat_map(|dy| (-2..=2).map(move |dx| (dy, dx))).filter(|&(dy, dx)| is_shift(dy, dx)).collect();
            assert_eq!(found.len(), 1, "sample {sample}: {cropped:?}");
            shifts.extend(found);
        }
        assert_eq!(shifts.len(), 25);
    }

    #[test]
    fn flips_mirror_rows_about_half_of_the_time() {
        let source = image(2, 5);
        let mirrored: Vec<f32> = source.chunks(5).flat_map(|row| row.iter().rev().copied()).collect();
        let mut flipped = 0;
        for sample in 0..400 {
            let result = applied(&[Augment::HorizontalFlip { p: 0.5 }], 1, 0, sample);
            assert!(result == source || result == mirrored);
            flipped += usize::from(result == mirrored);
        }
        assert!((150..=250).contains(&flipped), "{flipped}");
        assert_eq!(applied(&[Augment::HorizontalFlip { p: 0.0 }], 1, 0, 0), source);
        assert_eq!(applied(&[Augment::HorizontalFlip { p: 1.0 }], 1, 0, 0), mirrored);
    }

    #[test]
    fn draws_depend_on_seed_epoch_and_sample_only() {
        let list = [Augment::RandomCrop { size: 5, padding: 2 }, Augment::HorizontalFlip { p: 0.5 }];
        let all = |seed, epoch| (0..20).map(|sample| applied(&list, seed, epoch, sample)).collect::<Vec<_>>();
        let backwards: Vec<_> = (0..20).rev().map(|sample| applied(&list, 1, 2, sample)).collect();
        assert!(all(1, 2).iter().eq(backwards.iter().rev()));
        assert_ne!(all(1, 2), all(1, 3));
        assert_ne!(all(1, 2), all(2, 2));
    }

    #[test]
    fn settings_that_do_not_fit_are_explained() {
        for (augment, shape, what) in [
            (Augment::RandomCrop { size: 4, padding: 1 }, &[3, 5, 5][..], "5x5"),
            (Augment::RandomCrop { size: 5, padding: 6 }, &[3, 5, 5], "padding"),
            (Augment::HorizontalFlip { p: 1.5 }, &[3, 5, 5], "probability"),
            (Augment::HorizontalFlip { p: f64::NAN }, &[3, 5, 5], "probability"),
            (Augment::HorizontalFlip { p: 0.5 }, &[700], "needs images"),
        ] {
            let error = augment.check(shape).unwrap_err();
            assert!(error.message().contains(what), "{error}");
        }
    }
}
