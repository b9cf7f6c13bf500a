//! The experiment on a few cells: what converges does, what cannot does not, and threads change nothing.

use snn_convergence_example::map::{Map, comparison};
use snn_convergence_example::{Grid, MODELS, explore, picture};

#[test]
fn strong_weights_converge_with_several_spikes_and_weights_of_zero_never() {
    let grid = Grid { levels: vec![0.0, 1.6], repeats: 4 };
    let maps: Vec<Map> = MODELS.iter().map(|model| explore(model, &grid, 1).unwrap()).collect();
    for (model, map) in MODELS.iter().zip(&maps) {
        // Weights of 0 make no spike and are never changed: one of two patterns is right.
        assert_eq!(map.accuracy[0][0], 0.5, "{model}");
        assert_eq!(*map, explore(model, &grid, 2).unwrap(), "{model} on two threads");
    }
    // All weights alike: with several spikes that is enough, a single spike comes before the patterns differ.
    assert_eq!((maps[0].accuracy[0][1], maps[1].accuracy[0][1]), (1.0, 0.5), "{}{}", maps[0], maps[1]);
    assert!(comparison(&maps[0], &maps[1], 0.75).contains("the first region contains the second"));
    let svg = picture::svg(&[("several", &maps[0]), ("one", &maps[1])], 0.99);
    assert_eq!(svg.matches("<title>").count(), 8, "{svg}");
    let reached = maps.iter().flat_map(|map| map.region(0.99)).count();
    assert_eq!(svg.matches("<circle").count(), reached, "{svg}");
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
}

#[test]
fn regions_are_compared() {
    let map = |accuracy: [f64; 4]| {
        let accuracy = accuracy.chunks(2).map(<[f64]>::to_vec).collect();
        Map { levels: vec![0.0, 0.5], accuracy }
    };
    let (wide, narrow) = (map([0.5, 1.0, 0.9, 1.0]), map([0.5, 0.6, 0.5, 1.0]));
    assert!(comparison(&wide, &narrow, 0.9).contains("4 of 4 cells; a mean best accuracy of 90 % or more: several spikes in 3, a single spike in 1; the first region contains"));
    let other = comparison(&narrow, &wide, 0.9);
    assert!(other.contains("2 cells that the first lacks: (mean 0.5, std 0.0), (mean 0.0, std 0.5)"), "{other}");
    assert_eq!(wide.mean(), 0.85);
}

#[test]
fn a_model_that_there_is_not_is_an_error() {
    let error = explore("Nothing", &Grid { levels: vec![1.0], repeats: 1 }, 1).unwrap_err();
    assert!(error.to_string().contains("there is no model `Nothing`"), "{error}");
}
