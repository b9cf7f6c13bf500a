//! Every kernel of every kind of network and of every item of the standard library compiles under the real NVRTC for each
//! architecture and precision, and none needs more registers than it can have. Skipped, saying so, where NVRTC is absent.

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
