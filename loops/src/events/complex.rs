//! Complex numbers, as far as eigenvalues need them.

use std::ops::{Add, Div, Mul, Sub};

/// `re + i im`
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Complex {
    pub re: f64,
    pub im: f64,
}

impl Complex {
    pub fn real(re: f64) -> Complex {
        Complex { re, im: 0.0 }
    }

    pub fn size(self) -> f64 {
        libm::hypot(self.re, self.im)
    }

    pub fn scaled(self, by: f64) -> Complex {
        Complex { re: self.re * by, im: self.im * by }
    }

    pub fn conjugate(self) -> Complex {
        Complex { re: self.re, im: -self.im }
    }

    /// The square root in the right half plane.
    pub fn sqrt(self) -> Complex {
        let size = self.size();
        let re = (0.5 * (size + self.re)).max(0.0).sqrt();
        let im = (0.5 * (size - self.re)).max(0.0).sqrt();
        Complex { re, im: im.copysign(self.im) }
    }
}

impl Add for Complex {
    type Output = Complex;
    fn add(self, other: Complex) -> Complex {
        Complex { re: self.re + other.re, im: self.im + other.im }
    }
}

impl Sub for Complex {
    type Output = Complex;
    fn sub(self, other: Complex) -> Complex {
        Complex { re: self.re - other.re, im: self.im - other.im }
    }
}

impl Mul for Complex {
    type Output = Complex;
    fn mul(self, other: Complex) -> Complex {
        Complex { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }
}

impl Div for Complex {
    type Output = Complex;
    fn div(self, other: Complex) -> Complex {
        let square = other.re * other.re + other.im * other.im;
        (self * other.conjugate()).scaled(1.0 / square)
    }
}
