//! Every kernel of every kind of network and of every item of the standard library compiles under the real NVRTC for each
//! architecture and precision, and none needs more registers than it can have, or more memory of a thread than its text says.
//! Skipped, saying so, where NVRTC is absent.

mod common;

use common::{gpu_check, nvrtc, text};

#[test]
fn every_kernel_compiles_and_none_spills() {
    let Some(nvrtc) = nvrtc() else { return };
    let output = gpu_check(&nvrtc, &["--compile"], &[]);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(" 0 failed") && text.contains(" 0 bytes spilled"), "{text}");
    let functions: usize = text.lines().rev().nth(1).and_then(|line| line.split(' ').next()?.parse().ok()).unwrap();
    assert!(functions > 3000, "only {functions} functions\n{text}");
}

#[test]
fn memory_of_threads_follows_the_steps_up_to_a_limit() {
    let Some(nvrtc) = nvrtc() else { return };
    let folder = tempfile::tempdir().unwrap();
    // A state of each step, or none where they are more than a thread may have.
    for (precision, stack) in [("f32", "800"), ("f64", "0")] {
        let model = folder.path().join(format!("{precision}.snn"));
        std::fs::write(
            &model,
            format!(
                "use std.neurons {{ LIF }}\nuse std.layers {{ Linear, Flatten }}\n\
                 model M {{\n input image: [1, 8, 8]\n time 200\n\
                 image -> Flatten() -> Linear(16) -> LIF() -> Linear(10)\n}}\n\
                 train M {{\n data = digits()\n loss = cross_entropy(mean(out, over = time), label)\n\
                 optimizer = sgd(lr = 0.1)\n batch = 2\n gradient = stbp\n precision = {precision}\n}}\n"
            ),
        )
        .unwrap();
        let output = gpu_check(&nvrtc, &["--compile", model.to_str().unwrap()], &[]);
        let text = text(&output);
        assert!(output.status.success() && text.contains(&format!(" {stack} bytes of stack")), "{precision}: {text}");
    }
}
