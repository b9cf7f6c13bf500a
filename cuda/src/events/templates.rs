//! The texts that functions of event sweeps share, in the order in which they need each other.
//!
//! Must never know layers.

use crate::launch::Template;

macro_rules! templates {
    ($($name:ident = $file:literal;)*) => {
        $(#[doc = concat!("`", $file, "`")]
        pub(super) static $name: Template = Template { file: concat!("events/", $file), text: include_str!($file) };)*
    };
}

templates! {
    MATH = "math.cu";
    LISTS = "lists.cu";
    EXPONENTIAL = "exponential.cu";
    LAMBERT = "lambert.cu";
    SOLVER = "solver.cu";
    EQUAL_RATES = "equal_rates.cu";
    SEARCH = "search.cu";
    FORWARD = "forward.cu";
    SCAN = "scan.cu";
    ADJOINT = "adjoint.cu";
    QUEUE = "queue.cu";
    FEEDBACK = "feedback.cu";
    FEEDBACK_ADJOINT = "feedback_adjoint.cu";
}
