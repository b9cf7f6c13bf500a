//! Weights as kernels read them: packed into panels or transformed to points, which for few images costs more than the
//! convolution itself. Where weights are the same in the next run, the copy is kept for it.
//!
//! A kernel says which form it wants, how large that is, and how to make it; it cannot tell a copy that it just made from
//! one that was kept. This file must never know when weights change.

use crate::alloc::Block;
use crate::element::Element;
use crate::kernels::pool::with_scratch;

/// How a copy of weights lies in memory; the rest of its layout follows from the contraction and the width of vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Blocks of output channels, so many vectors wide.
    Blocks(usize),
    /// Panels of output channels.
    Panels,
    /// Panels of output channels at the points of transformed tiles.
    Points,
    /// A matrix for each group.
    Matrices,
    /// Kernel elements outside, channels side by side.
    Taps,
}

/// The copy of the weights of one contraction that is kept from run to run; one at a time, in the form that was wanted
/// last.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    copy: Option<Held>,
}

/// Weights in a form.
#[derive(Debug)]
struct Held {
    /// `None` where the weights have changed since, or were never written: the memory is there to be used.
    form: Option<Form>,
    memory: Block,
}

impl Prepared {
    /// The weights have changed.
    pub fn forget(&mut self) {
        if let Some(copy) = &mut self.copy {
            copy.form = None;
        }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.copy.as_ref().map_or(0, |copy| copy.memory.bytes())
    }

    /// The copy, if it has this size, else room for one; `None` if there is no memory for it.
    fn sized(&mut self, bytes: usize) -> Option<&mut Held> {
        let same = self.copy.take_if(|copy| copy.memory.bytes() == bytes);
        // Memory of another size goes before the new is asked for.
        self.copy = None;
        let copy = match same {
            Some(copy) => copy,
            None => Held { form: None, memory: Block::new(bytes).ok()? },
        };
        Some(self.copy.insert(copy))
    }
}

/// The weights of one call of a kernel.
pub(crate) struct Weights<'w, T> {
    /// As the model has them, `[cout][cin / groups][kh][kw]`; for gradients of weights, the gradients of the output.
    pub given: &'w [T],
    /// Where copies stay; `None` if the weights are others in the next run.
    kept: Option<&'w mut Prepared>,
}

impl<'w, T: Element> Weights<'w, T> {
    /// Weights whose copies last for the call, or stay where `kept` says.
    pub fn new(given: &'w [T], kept: Option<&'w mut Prepared>) -> Weights<'w, T> {
        Weights { given, kept }
    }

    /// Whether copies stay.
    pub fn stay(&self) -> bool {
        self.kept.is_some()
    }

    /// The same for a shorter time.
    pub fn again(&mut self) -> Weights<'_, T> {
        Weights { given: self.given, kept: self.kept.as_deref_mut() }
    }

    /// Runs `body` with the weights in a form of `len` elements. Where they are not there already, `make` writes all of
    /// them that matter to memory of any content that starts on a cache line.
    pub fn in_form<R>(self, form: Form, len: usize, make: impl FnOnce(&mut [T]), body: impl FnOnce(&[T]) -> R) -> R {
        let bytes = len.saturating_mul(size_of::<T>());
        let Some(copy) = self.kept.and_then(|kept| kept.sized(bytes)) else {
            return with_scratch(len, |memory| {
                make(memory);
                body(memory)
            });
        };
        if copy.form.take() != Some(form) {
            make(copy.memory.floats_mut(0, len));
        }
        copy.form = Some(form);
        body(copy.memory.floats(0, len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `in_form` shows of copies that are the weights and a number; and whether one was made.
    fn show(weights: &[f32], kept: Option<&mut Prepared>, form: Form, plus: f32) -> (Vec<f32>, bool) {
        let mut made = false;
        let make = |copy: &mut [f32]| {
            made = true;
            copy.iter_mut().zip(weights).for_each(|(copy, given)| *copy = given + plus);
        };
        let copy = Weights::new(weights, kept).in_form(form, weights.len(), make, <[f32]>::to_vec);
        (copy, made)
    }

    #[test]
    fn copies_that_are_not_kept_are_made_every_time() {
        for _ in 0..2 {
            assert_eq!(show(&[1.0, 2.0], None, Form::Panels, 0.5), (vec![1.5, 2.5], true));
        }
    }

    #[test]
    fn a_copy_is_made_when_its_form_is_new_and_when_it_is_forgotten() {
        let mut kept = Prepared::default();
        let look = |kept: &mut Prepared, form| show(&[1.0, 2.0], Some(kept), form, 0.5);
        assert_eq!(look(&mut kept, Form::Blocks(2)), (vec![1.5, 2.5], true));
        assert_eq!(look(&mut kept, Form::Blocks(2)), (vec![1.5, 2.5], false));
        assert_eq!(kept.bytes(), 8);
        assert!(look(&mut kept, Form::Blocks(8)).1, "other blocks are another form");
        assert!(look(&mut kept, Form::Blocks(2)).1, "one form at a time");
        kept.forget();
        assert!(look(&mut kept, Form::Blocks(2)).1);
        assert_eq!(show(&[4.0], Some(&mut kept), Form::Blocks(2), 1.0), (vec![5.0], true), "another length");
        assert_eq!(kept.bytes(), 4);
    }
}
