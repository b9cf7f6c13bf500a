//! Windows of images as rows of a matrix (im2col), and the sum back (col2im).

use std::ops::Range;

use super::geometry::Geometry;
use crate::element::Element;

/// Copies the windows of some output pixels into `panel`, row by row; of each window only `columns`.
pub(crate) fn gather<T: Element>(
    geometry: &Geometry,
    image: &[T],
    group: usize,
    pixels: Range<usize>,
    columns: Range<usize>,
    panel: &mut [T],
) {
    let width = columns.len().max(1);
    // Without groups and dilation, the pixels under one kernel row lie side by side and are copied together.
    let together = geometry.groups == 1 && geometry.dilation[1] == 1;
    for (pixel, row) in pixels.zip(panel.chunks_exact_mut(width)) {
        if together {
            gather_rows(geometry, image, pixel, columns.clone(), row);
        } else {
            gather_taps(geometry, image, group, pixel, columns.clone(), row);
        }
    }
}

/// One window, a kernel row at a time; columns outside of the image are clipped off the copy.
fn gather_rows<T: Element>(geometry: &Geometry, image: &[T], pixel: usize, columns: Range<usize>, mut row: &mut [T]) {
    let (number, oh, ow) = geometry.place(pixel);
    let line = (geometry.input[1] * geometry.cin) as isize;
    let first = ((ow * geometry.stride[1]) as isize - geometry.pad[1]) * geometry.cin as isize;
    let span = geometry.kernel[1] * geometry.cin;
    for kh in columns.start / span..columns.end.div_ceil(span) {
        let (begin, end) = (columns.start.max(kh * span) - kh * span, columns.end.min((kh + 1) * span) - kh * span);
        let Some((piece, rest)) = row.split_at_mut_checked(end - begin) else { return };
        row = rest;
        let Some(y) = geometry.source(0, oh, kh) else {
            piece.fill(T::default());
            continue;
        };
        let (low, high) = (first + begin as isize, first + end as isize);
        let clipped = low.clamp(0, line)..high.clamp(0, line);
        let start = ((number * geometry.input[0] + y) as isize * line + clipped.start) as usize;
        let inside = (clipped.start - low) as usize..(clipped.end - low) as usize;
        copy(piece, inside, image.get(start..).unwrap_or_default());
    }
}

/// One window, a kernel element at a time.
fn gather_taps<T: Element>(
    geometry: &Geometry,
    image: &[T],
    group: usize,
    pixel: usize,
    columns: Range<usize>,
    mut row: &mut [T],
) {
    let (number, oh, ow) = geometry.place(pixel);
    let cin = geometry.cin;
    for tap in columns.start / cin..columns.end.div_ceil(cin) {
        let (begin, end) = (columns.start.max(tap * cin) - tap * cin, columns.end.min((tap + 1) * cin) - tap * cin);
        let Some((piece, rest)) = row.split_at_mut_checked(end - begin) else { return };
        row = rest;
        let (kh, kw) = (tap / geometry.kernel[1], tap % geometry.kernel[1]);
        match (geometry.source(0, oh, kh), geometry.source(1, ow, kw)) {
            (Some(y), Some(x)) => {
                let pixel = (number * geometry.input[0] + y) * geometry.input[1] + x;
                let start = pixel * geometry.input_channels() + group * cin + begin;
                copy(piece, 0..end - begin, image.get(start..).unwrap_or_default());
            }
            _ => piece.fill(T::default()),
        }
    }
}

/// Copies to the elements `inside` of a piece and clears the others.
fn copy<T: Element>(piece: &mut [T], inside: Range<usize>, from: &[T]) {
    let (start, end) = (inside.start.min(piece.len()), inside.end.min(piece.len()));
    let (head, rest) = piece.split_at_mut(start);
    let (body, tail) = rest.split_at_mut(end.saturating_sub(start));
    head.fill(T::default());
    if let Some(from) = from.get(..body.len()) {
        body.copy_from_slice(from);
    }
    tail.fill(T::default());
}

/// Adds the windows of some output pixels, rows of `panel`, to the images that they were cut from; `images` starts with
/// image `first`.
pub(crate) fn scatter_add<T: Element>(
    geometry: &Geometry,
    images: &mut [T],
    first: usize,
    group: usize,
    pixels: Range<usize>,
    panel: &[T],
) {
    let cin = geometry.cin;
    for (pixel, row) in pixels.zip(panel.chunks_exact(geometry.window().max(1))) {
        let (number, oh, ow) = geometry.place(pixel);
        for (tap, piece) in row.chunks_exact(cin).enumerate() {
            let (kh, kw) = (tap / geometry.kernel[1], tap % geometry.kernel[1]);
            let (Some(y), Some(x)) = (geometry.source(0, oh, kh), geometry.source(1, ow, kw)) else { continue };
            let pixel = ((number - first) * geometry.input[0] + y) * geometry.input[1] + x;
            let start = pixel * geometry.input_channels() + group * cin;
            for (sum, term) in images.get_mut(start..start + cin).unwrap_or_default().iter_mut().zip(piece) {
                *sum += *term;
            }
        }
    }
}
