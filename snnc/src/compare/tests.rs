//! Comparisons of small networks with themselves.

use super::*;

const TEXT: &str = "
use std.layers { Linear, Flatten }
use std.encoders { latency }
use std.neurons { CubaLIF }

model Net {
    input image: [1, 8, 8]
    time 200ms
    image -> Flatten() -> latency(window = 100ms)
          -> Linear(20, bias = false, init = uniform(-0.1, 0.3)) -> CubaLIF(tau_m = 40ms, tau_s = 20ms, v_th = 0.2)
          -> Linear(10, bias = false, init = uniform(-0.1, 0.6)) -> CubaLIF(tau_m = 40ms, tau_s = 20ms, v_th = 1.0)
}

train Net {
    data       = digits()
    loss       = spike_count(out, label, target = 8, other = 2)
    predict    = argmax(sum(out, over = time))
    gradient   = exact
    max_spikes = 60
    seed       = 5
}
";

fn settings(dts: &[f64]) -> Settings<'_> {
    let inputs = Inputs::Data(None);
    Settings { dts, samples: 3, inputs, weights: None, device: Device::cpu(1), memory_limit: None }
}

fn source(text: &str) -> Source {
    Source::from_text("net.snn", text)
}

fn report(text: &str, settings: &Settings<'_>) -> Report {
    compare(&source(text), &[], settings).unwrap_or_else(|error| panic!("{error}"))
}

/// What does not depend on the clock.
fn found(report: &Report) -> Vec<(f64, usize, Vec<SpikeErrors>, Vec<Difference>)> {
    report.grids.iter().map(|grid| (grid.loss, grid.steps, grid.layers.clone(), grid.gradients.clone())).collect()
}

#[test]
fn spike_times_come_nearer_with_dt_and_gradients_with_surrogates_need_not() {
    let report = report(TEXT, &settings(&[2e-3, 2e-4, 2e-5]));
    assert!(report.exact.spikes.iter().all(|(_, spikes)| *spikes > 30), "{:?}", report.exact.spikes);
    assert_eq!(report.exact.out_of_slots, 0.0);
    let errors: Vec<f64> = report.grids.iter().map(|grid| grid.mean_error().unwrap()).collect();
    assert!(errors.windows(2).all(|pair| pair[1] < 0.3 * pair[0]), "{errors:?}");
    assert!((report.order().unwrap() - 1.0).abs() < 0.2, "{:?}", report.order());
    for grid in &report.grids {
        assert_eq!(grid.gradients.len(), 2);
        let angle = grid.total.angle.unwrap();
        assert!(angle > 1.0 && angle < 180.0 && grid.total.ratio.unwrap() > 0.0, "{grid:?}");
    }
    assert!((report.grids[2].loss - report.exact.loss).abs() < 1e-9, "the same numbers of spikes at last");
}

#[test]
fn a_model_does_not_differ_from_itself() {
    let settings = settings(&[1e-3]);
    let model = Program::compile_as(source(TEXT), &[], Method::Exact).unwrap().model().unwrap();
    let weights = weights(&model, &settings).unwrap();
    let (_, samples) = samples(&model, &settings).unwrap();
    let (first, trains) = run_exact(&model, &weights, &samples, &settings).unwrap();
    let (second, again) = run_exact(&model, &weights, &samples, &settings).unwrap();
    let (rows, total) = differences(&first.gradients, &second.gradients);
    assert!(rows.iter().chain([&total]).all(|row| row.angle == Some(0.0) && row.ratio == Some(1.0)), "{rows:?}");
    let mut tally = Tally::default();
    trains.iter().zip(&again).for_each(|(first, second)| tally.add(first, second));
    for layer in tally.finish() {
        assert_eq!((layer.only_exact, layer.only_grid, layer.max_error), (0, 0, Some(0.0)));
    }
}

#[test]
fn it_does_not_matter_which_method_the_text_asks_for() {
    let settings = settings(&[1e-3]);
    let on_grid = TEXT.replace("time 200ms", "time 50 of 4ms").replace("= exact", "= stbp");
    let (exact, stbp) = (report(TEXT, &settings), report(&on_grid, &settings));
    assert_eq!(found(&exact), found(&stbp));
    assert_eq!(exact.exact.loss, stbp.exact.loss);
}

#[test]
fn spikes_that_come_in_as_times_fall_into_steps() {
    let text = TEXT
        .replace("input image: [1, 8, 8]", "input image: spikes[64]")
        .replace("image -> Flatten() -> latency(window = 100ms)", "image")
        .replace("digits()", "npz(\"nothing.npz\")")
        .replace("max_spikes = 60", "max_spikes = 30");
    let settings = Settings { inputs: Inputs::Random, ..settings(&[1e-3, 1e-4]) };
    let report = report(&text, &settings);
    assert!(report.exact.spikes.iter().all(|(_, spikes)| *spikes > 30), "{:?}", report.exact.spikes);
    assert!(report.grids[1].mean_error().unwrap() < 0.3 * report.grids[0].mean_error().unwrap());
}

#[test]
fn a_limit_of_memory_changes_nothing_and_too_small_a_one_is_explained() {
    let free = settings(&[1e-3]);
    let limited = Settings { memory_limit: Some(64 << 20), ..free.clone() };
    assert_eq!(found(&report(TEXT, &free)), found(&report(TEXT, &limited)));
    let error = compare(&source(TEXT), &[], &Settings { memory_limit: Some(1), ..free }).unwrap_err();
    assert!(error.to_string().contains("memory"), "{error}");
}

#[test]
fn the_slope_is_that_of_the_line() {
    assert!((slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]).unwrap() - 2.0).abs() < 1e-12);
    assert_eq!((slope(&[(1.0, 1.0)]), slope(&[]), slope(&[(1.0, 1.0), (1.0, 2.0)])), (None, None, None));
}
