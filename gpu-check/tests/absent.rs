//! Where there is no device, `gpu-check` says why and ends with 77, or fails if a device was asked for.

mod common;

use common::{gpu_check, text};

#[test]
fn no_device_is_no_failure_unless_one_is_required() {
    let nowhere = tempfile::tempdir().unwrap();
    let off = [("SNNC_NO_GPU", "1")];
    let output = gpu_check(nowhere.path(), &["--quick"], &off);
    assert_eq!(output.status.code(), Some(77), "{}", text(&output));
    assert!(text(&output).starts_with("SKIP: CUDA is switched off by SNNC_NO_GPU"), "{}", text(&output));
    let required = gpu_check(nowhere.path(), &["--quick"], &[off[0], ("SNNC_REQUIRE_GPU", "1")]);
    assert_eq!(required.status.code(), Some(1), "{}", text(&required));
}

#[test]
fn mistakes_of_a_call_are_explained() {
    let nowhere = tempfile::tempdir().unwrap();
    let output = gpu_check(nowhere.path(), &["nowhere.snn"], &[("SNNC_NO_GPU", "1")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("cannot read `nowhere.snn`"), "{}", text(&output));
}
