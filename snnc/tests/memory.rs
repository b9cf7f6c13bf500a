//! `--memory-limit`: less memory, the same bits; and what cannot be done is said.

mod common;

use common::Place;

const RESIDUAL: &str = "
use std.neurons { IterativeLIF, NoisyStep }
use std.layers { Linear, Conv2d, AvgPool2d, Dropout, Flatten }
use std.norms { TdBN }
use std.blocks { BasicBlock }

model Small {
    input image: [1, 8, 8]
    time 4
    image -> Conv2d(8, 3) -> TdBN() -> IterativeLIF() -> Dropout(0.2)
          -> BasicBlock(8) -> Conv2d(8, 3) -> TdBN() -> IterativeLIF() -> BasicBlock(8)
          -> AvgPool2d(2) -> BasicBlock(16, stride = 2)
          -> Flatten() -> Linear(32) -> NoisyStep(mean = 0.1, std = 0.2) -> Linear(10)
}

train Small {
    data      = digits()
    loss      = cross_entropy(mean(out, over = time), label)
    optimizer = adam(lr = 2e-3)
    epochs    = 1
    batch     = 32
    gradient  = stbp
    seed      = 1
}
";

/// The last number before `after`, without separators.
fn number_before(text: &str, after: &str) -> usize {
    let before = text.split(after).next().unwrap().trim_end();
    before.rsplit(' ').next().unwrap().replace(',', "").parse().unwrap()
}

#[test]
fn a_training_in_less_memory_gives_the_same_bits() {
    let place = Place::new();
    place.write("small.snn", RESIDUAL);
    let free = place.right("check small.snn --memory-limit 1GiB");
    assert!(free.contains("nothing is computed twice"), "{free}");
    let bytes = number_before(&free, " bytes a training step");

    let complaint = place.wrong(1, "check small.snn --memory-limit 1000");
    let least = number_before(&complaint, " bytes of memory, the limit is 1000");
    assert!(complaint.contains("smaller batch") && least < bytes * 4 / 5, "{complaint} of {bytes}");

    let middle = (least + bytes) / 2;
    for (out, limit) in [("middle", middle), ("least", least)] {
        let tight = place.right(&format!("check small.snn --memory-limit {limit}"));
        assert!(
            tight.contains("computed twice: ") && number_before(&tight, " bytes a training step") <= limit,
            "{tight}"
        );
        place.right(&format!("run small.snn --out {out} --memory-limit {limit}"));
    }
    place.right("run small.snn --out free");
    for out in ["middle", "least"] {
        assert!(place.bytes("free/weights.safetensors") == place.bytes(&format!("{out}/weights.safetensors")), "{out}");
        assert_eq!(place.metrics("free"), place.metrics(out));
    }
    let refused = place.wrong(1, "run small.snn --out none --memory-limit 1000");
    assert!(refused.contains("the limit is 1000") && !place.path("none").exists(), "{refused}");
}

#[test]
fn a_limit_is_a_number_of_bytes() {
    let place = Place::new();
    place.write("small.snn", RESIDUAL);
    let refused = place.wrong(2, "check small.snn --memory-limit lots");
    assert!(refused.contains("2GiB"), "{refused}");
}
