//! What each declaration and statement looks like, for messages.
//!
//! Must never know where an error is; a test parses every form, so that no message teaches what does not parse.

use crate::token::{Keyword, KeywordClass};

/// The keywords of a class, in alphabetical order.
pub(super) fn of_class(class: KeywordClass) -> impl Iterator<Item = Keyword> {
    Keyword::ALL.iter().copied().filter(move |keyword| keyword.class() == class)
}

/// An example of what begins with the keyword, if it begins anything.
pub fn example(keyword: Keyword) -> Option<&'static str> {
    Some(match keyword {
        Keyword::Block => "block Recurrent(n)(x) { ... }",
        Keyword::Convert => "convert MyModel { steps = [1, 2, 4] }",
        Keyword::Edition => "edition 1",
        Keyword::Extern => "extern optimizer adam(lr = 1e-3)",
        Keyword::Fn => "fn mse(y, target) = mean((y - target)^2)",
        Keyword::Layer => "layer Scale(start = 1.0)(x: [c, ..]) { ... }",
        Keyword::Model => "model MyModel(hidden = 128) { ... }",
        Keyword::Neuron => "neuron LIF(tau = 2.0, v_th = 1.0)(x) { ... }",
        Keyword::Surrogate => "surrogate rect(a = 1.0)(x) = where(abs(x) < a / 2, 1 / a, 0)",
        Keyword::Test => "test \"a leaky neuron forgets\" { ... }",
        Keyword::Train => "train MyModel { epochs = 10 }",
        Keyword::Use => "use std.neurons { LIF }",
        Keyword::Expect => "expect out == [0, 1]",
        Keyword::Input => "input image: [3, 32, 32]",
        Keyword::Let => "let u = v + x",
        Keyword::Next => "next v = u",
        Keyword::On => "on x { i += x }",
        Keyword::Param => "param gamma: [c] = 1.0",
        Keyword::Require => "require v_reset < v_th, \"the reset potential must lie below the threshold\"",
        Keyword::Spike => "spike when v >= v_th { v -= v_th }",
        Keyword::State => "state v = 0.0",
        Keyword::Time => "time 100 of 10ms",
        Keyword::If => "if stride == 1 { x } else { y }",
        Keyword::For => "for c in [64, 128] { Conv2d(c, 3) }",
        _ => return None,
    })
}
