//! The closed set of scalar instructions: the only arithmetic a back end has to know.
//!
//! Values are floats of the program's [`Dtype`](crate::Dtype) or masks (truth values). Every instruction is exactly
//! rounded as IEEE 754 says and never contracted into another, so that all back ends give the same bits. Transcendental
//! functions are not instructions: [`expand`](crate::expand) writes them in these.

/// What kind of value an instruction takes or gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarType {
    /// A float of the program's type.
    Float,
    /// A truth value.
    Mask,
}

macro_rules! scalars {
    ($($(#[$doc:meta])* $name:ident $text:literal ($($arg:ident),*) -> $result:ident;)*) => {
        /// One scalar instruction.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Scalar { $($(#[$doc])* $name,)* }

        impl Scalar {
            /// Every instruction, for tests that loop over the set.
            pub const ALL: &'static [Scalar] = &[$(Scalar::$name,)*];

            /// The name used in printed programs.
            pub fn name(self) -> &'static str {
                match self { $(Scalar::$name => $text,)* }
            }

            /// Types of the arguments, in order.
            pub fn arguments(self) -> &'static [ScalarType] {
                match self { $(Scalar::$name => &[$(ScalarType::$arg,)*],)* }
            }

            /// Type of the result.
            pub fn result(self) -> ScalarType {
                match self { $(Scalar::$name => ScalarType::$result,)* }
            }
        }
    };
}

scalars! {
    /// `a + b`
    Add "add" (Float, Float) -> Float;
    /// `a - b`
    Sub "sub" (Float, Float) -> Float;
    /// `a * b`
    Mul "mul" (Float, Float) -> Float;
    /// `a / b`
    Div "div" (Float, Float) -> Float;
    /// `if a < b { a } else { b }`: a NaN in either place gives `b`.
    Min "min" (Float, Float) -> Float;
    /// `if a > b { a } else { b }`: a NaN in either place gives `b`.
    Max "max" (Float, Float) -> Float;
    /// `-a`, the sign bit flipped (also of zero and NaN).
    Neg "neg" (Float) -> Float;
    /// `|a|`, the sign bit cleared.
    Abs "abs" (Float) -> Float;
    /// Square root, correctly rounded; NaN below zero.
    Sqrt "sqrt" (Float) -> Float;
    /// The largest integer not above `a`.
    Floor "floor" (Float) -> Float;
    /// `2^a` for an integral `a` within the exponents of normal numbers (f32: -126..=127, f64: -1022..=1023); outside it is unspecified.
    Pow2 "pow2" (Float) -> Float;
    /// The binary exponent of a normal positive `a` as a float, so that `a = mantissa * 2^exponent`; unspecified otherwise.
    Exponent "exponent" (Float) -> Float;
    /// The mantissa of a normal positive `a`, in [1, 2); unspecified otherwise.
    Mantissa "mantissa" (Float) -> Float;
    /// `a < b`, false with a NaN.
    Lt "lt" (Float, Float) -> Mask;
    /// `a <= b`, false with a NaN.
    Le "le" (Float, Float) -> Mask;
    /// `a == b`, false with a NaN.
    Eq "eq" (Float, Float) -> Mask;
    /// `a and b`
    And "and" (Mask, Mask) -> Mask;
    /// `a or b`
    Or "or" (Mask, Mask) -> Mask;
    /// `not a`
    Not "not" (Mask) -> Mask;
    /// `if a { b } else { c }`
    Select "select" (Mask, Float, Float) -> Float;
}
