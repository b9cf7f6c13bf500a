//! The experiment of `convergence.snn` over its whole grid: prints a table for each model, says which region contains which,
//! and writes a picture.
//!
//!     cargo run --release -p snn-convergence-example -- [REPEATS] [PICTURE]

use std::num::NonZero;
use std::thread::available_parallelism;

use snn_convergence_example::map::{Map, comparison};
use snn_convergence_example::{Grid, MODELS, explore, picture};

/// Trainings of each pair if nothing else is said, as in the paper.
const REPEATS: usize = 100;

/// From this mean best accuracy on, training from a pair is said to converge: it is reached where half of the trainings
/// learn both patterns and the others one.
const CONVERGED: f64 = 0.75;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let repeats = words.next().map_or(Ok(REPEATS), |word| word.parse())?;
    let file = words.next().unwrap_or_else(|| "convergence.svg".to_owned());
    let grid = Grid::of_the_paper(repeats);
    let threads = available_parallelism().map_or(1, NonZero::get);
    let mut maps: Vec<Map> = Vec::new();
    for model in MODELS {
        let map = explore(model, &grid, threads)?;
        println!("{model}: best accuracy in %, mean of {repeats} trainings; {:.1} over the grid", 100.0 * map.mean());
        println!("{map}");
        maps.push(map);
    }
    if let [several, single] = &maps[..] {
        println!("{}", comparison(several, single, CONVERGED));
        std::fs::write(&file, picture::svg(&[("several spikes", several), ("a single spike", single)], CONVERGED))?;
        println!("picture: {file}");
    }
    Ok(())
}
