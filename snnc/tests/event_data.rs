//! Recordings of events as data: models without a grid of steps read the times, models with one read bins.

mod common;

use std::fs;

use common::Place;

/// Units that spike one after the other.
const UNITS: u64 = 6;
/// Samples of each class in training; half as many for the test.
const SAMPLES: u64 = 24;

/// Numbers without a pattern, 0 to 999 (a linear congruence).
fn jitter(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % 1000
}

/// The units one after the other, upward in class 0 and downward in class 1, in pairs of spikes; in microseconds.
fn recording(class: u64, state: &mut u64) -> Vec<(u64, u64)> {
    let unit = |at: u64| if class == 0 { at } else { UNITS - 1 - at };
    let pair =
        |at: u64, state: &mut u64| [0, 5_000].map(|gap| (5_000 + 15_000 * at + 10 * jitter(state) + gap, unit(at)));
    (0..UNITS).flat_map(|at| pair(at, state)).collect()
}

/// Writes the recordings as text and as N-MNIST has them; `late` is one more event of the first.
fn write_data(place: &Place, late: Option<u64>) {
    let mut state = 1;
    for (part, samples) in [("train", SAMPLES), ("test", SAMPLES / 2)] {
        for sample in 0..2 * samples {
            let mut events = recording(sample % 2, &mut state);
            if part == "train" && sample == 0 {
                events.extend(late.map(|time| (time, 0)));
            }
            let file = format!("{part}/{}/{sample:03}", sample % 2);
            let lines: String = events.iter().rev().map(|(time, unit)| format!("{time},{unit}\n")).collect();
            place.write(&format!("text/{file}.csv"), &format!("t,x\n{lines}"));
            let bytes: Vec<u8> = events
                .iter()
                .flat_map(|&(t, x)| [x as u8, 0, 0x80 | (t >> 16) as u8, (t >> 8) as u8, t as u8])
                .collect();
            fs::write(place.write(&format!("pixels/{file}.bin"), ""), bytes).unwrap();
        }
    }
}

fn program(input: &str, time: &str, data: &str, gradient: &str) -> String {
    format!(
        "use std.layers {{ Flatten, Linear }}
use std.neurons {{ CubaLIF }}

model Order {{
    input events: {input}
    time {time}
    events -> Flatten() -> Linear(16, bias = false, init = uniform(-0.5, 1)) -> CubaLIF(tau_m = 20ms, tau_s = 10ms, v_th = 0.3)
           -> Linear(2, bias = false, init = uniform(0, 1)) -> CubaLIF(tau_m = 20ms, tau_s = 10ms, v_th = 0.5)
}}

train Order {{
    data = {data}
    loss = spike_count(out, label, target = 8, other = 1)
    optimizer = adam(lr = 2e-2)
    epochs = 12
    batch = 8
    seed = 2
    gradient = {gradient}
}}
"
    )
}

const TEXT: &str = "events(\"text\", width = 6)";
const TRAINS: &str = "exact\n    max_spikes = 12";

fn accuracy(place: &Place, run: &str) -> f64 {
    place.metrics(run).last().unwrap()["test_accuracy"].as_f64().unwrap()
}

#[test]
fn times_and_bins_of_the_same_recordings_are_learned() {
    let place = Place::new();
    write_data(&place, None);
    place.write("times.snn", &program("spikes[6]", "120ms", TEXT, TRAINS));
    let done = place.snnc("run times.snn --out times");
    assert_eq!((done.code, done.stderr.contains("note")), (Some(0), false), "{}\n{}", done.stdout, done.stderr);
    assert!(accuracy(&place, "times") > 0.9, "{}", accuracy(&place, "times"));
    place.write("bins.snn", &program("spikes[6]", "60 of 2ms", TEXT, "stbp"));
    place.right("run bins.snn --out bins");
    assert!(accuracy(&place, "bins") > 0.9, "{}", accuracy(&place, "bins"));
    assert!(place.right("infer times --sample 1").contains("spike"));
    assert!(place.right("bench times.snn --seconds 0 --runs 1").contains("120 ms without steps"));
}

#[test]
fn the_interpreter_and_other_formats_give_the_same_training() {
    let place = Place::new();
    write_data(&place, None);
    place.write("text.snn", &program("spikes[6]", "120ms", TEXT, TRAINS));
    let pixels = "events(\"pixels\", width = 6, height = 1)";
    let first = program("spikes[6]", "120ms", TEXT, TRAINS).replace("events -> Flatten()", "events");
    place.write("flat.snn", &first);
    place.write("pixels.snn", &program("spikes[2, 1, 6]", "120ms", pixels, TRAINS));
    for (run, words) in [
        ("compiled", "text.snn --set epochs=2"),
        ("flat", "flat.snn --set epochs=2"),
        ("interpreted", "text.snn --set epochs=2 --device reference"),
        ("dots", "pixels.snn --set epochs=1"),
    ] {
        place.right(&format!("run {words} --out {run}"));
    }
    assert_eq!(place.metrics("compiled"), place.metrics("flat"));
    let loss =
        |run: &str| place.metrics(run).iter().map(|epoch| epoch["train_loss"].as_f64().unwrap()).collect::<Vec<_>>();
    for (compiled, interpreted) in loss("compiled").iter().zip(loss("interpreted")) {
        assert!((compiled - interpreted).abs() < 1e-3 * compiled, "{compiled} {interpreted}");
    }
    assert!(loss("dots")[0].is_finite());
}

#[test]
fn events_that_a_model_does_not_see_are_counted() {
    let place = Place::new();
    write_data(&place, Some(150_000));
    for (name, time, gradient, crowded) in [
        ("times.snn", "120ms", "exact\n    max_spikes = 1", "288 are beyond max_spikes = 1 of a neuron"),
        ("bins.snn", "12 of 10ms", "stbp", " are in a step that has a spike already"),
    ] {
        place.write(name, &program("spikes[6]", time, TEXT, gradient));
        let done = place.snnc(&format!("run {name} --set epochs=1"));
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        let note = "note: events, training part: of 577 events 1 come after the end of the sample and ";
        assert!(done.stderr.contains(note) && done.stderr.contains(crowded), "{}", done.stderr);
        assert!(done.stderr.contains("test part: of 288 events 0 come after"), "{}", done.stderr);
    }
}

#[test]
fn models_that_cannot_read_events_are_told_how() {
    let place = Place::new();
    write_data(&place, None);
    for (input, time, gradient, message, help) in [
        (
            "spikes[6]",
            "50",
            "stbp",
            "the events of `events` have times, the model's steps have no length",
            "`time 100 of 10ms` for bins",
        ),
        (
            "frames[6]",
            "60 of 2ms",
            "stbp",
            "the data give events of [6] as `events`",
            "declare `input events: spikes[6]`",
        ),
        (
            "spikes[7]",
            "120ms",
            TRAINS,
            "which `input events` of [7] does not take",
            "declare `input events: spikes[6]`",
        ),
    ] {
        place.write("no.snn", &program(input, time, TEXT, gradient));
        let error = place.wrong(1, "run no.snn");
        assert!(error.contains(message) && error.contains(help), "{error}");
    }
    let digits = program("spikes[2, 34, 34]", "120ms", "nmnist(\"text\")", TRAINS);
    place.write("no.snn", &digits.replace("Linear(2,", "Linear(10,"));
    let error = place.wrong(1, "run no.snn");
    assert!(error.contains("`nmnist` has 10 classes, but there are folders for 2 classes"), "{error}");
}
