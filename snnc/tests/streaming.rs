//! `infer --stream`: the same answer step by step, and a state that outlives the process.

mod common;

use common::Place;

/// What is printed about classes.
fn classes(out: &str) -> Vec<&str> {
    out.lines().filter(|line| line.contains("class ")).collect()
}

#[test]
fn a_sample_step_by_step_is_the_same_sample() {
    let place = Place::new();
    place.right("run DIGITS --set epochs=1 --out run");
    let whole = place.right("infer run --sample 5");
    let streamed = place.right("infer run --sample 5 --stream");
    assert_eq!(classes(&streamed), classes(&whole));
    assert!(streamed.starts_with("8 steps: median ") && streamed.contains("p99"), "{streamed}");
    let long = place.right("infer run --sample 5 --stream --steps 500");
    assert!(long.starts_with("500 steps: "), "{long}");
}

#[test]
fn a_state_is_saved_and_loaded() {
    let place = Place::new();
    place.right("run DIGITS --set epochs=1 --out run");
    place.right("infer run --sample 5 --stream --steps 7 --save-state seven.safetensors");
    place.right("infer run --sample 5 --stream --steps 8 --save-state eight.safetensors");
    place
        .right("infer run --sample 5 --stream --steps 1 --load-state seven.safetensors --save-state again.safetensors");
    assert!(place.bytes("eight.safetensors") == place.bytes("again.safetensors"));
    assert!(place.bytes("seven.safetensors") != place.bytes("again.safetensors"));
}

#[test]
fn mistakes_are_explained() {
    let place = Place::new();
    place.right("run DIGITS --set epochs=1 --out run");
    let weights = place.wrong(1, "infer run --sample 5 --stream --load-state run/weights.safetensors");
    assert!(weights.contains("steps_done") && weights.contains("is missing"), "{weights}");
    let alone = place.wrong(2, "infer run --sample 5 --save-state state.safetensors");
    assert!(alone.contains("--stream"), "{alone}");
    let none = place.wrong(2, "infer run --sample 5 --stream --steps 0");
    assert!(none.contains("--steps"), "{none}");
    let absent = place.wrong(1, "infer run --sample 5 --stream --load-state absent.safetensors");
    assert!(absent.contains("absent.safetensors"), "{absent}");
}
