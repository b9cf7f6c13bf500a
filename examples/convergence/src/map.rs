//! What was found: accuracies over the grid, as a table, and where training converges.
//!
//! Must never know how they were found.

use std::fmt::{self, Display, Formatter};

/// Mean best accuracies, by the distribution of the first weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Means (along a row) and deviations (row after row).
    pub levels: Vec<f64>,
    /// Of each deviation, the accuracy for each mean, 0 to 1.
    pub accuracy: Vec<Vec<f64>>,
}

impl Map {
    /// The pairs (mean, deviation) whose accuracy is at least `least`.
    pub fn region(&self, least: f64) -> Vec<(f64, f64)> {
        let row = |(std, row): (&f64, &Vec<f64>)| {
            let std = *std;
            let within = self.levels.iter().zip(row).filter(|(_, accuracy)| **accuracy >= least);
            within.map(|(mean, _)| (*mean, std)).collect::<Vec<_>>()
        };
        self.levels.iter().zip(&self.accuracy).flat_map(row).collect()
    }

    /// The mean over the grid.
    pub fn mean(&self) -> f64 {
        let all: Vec<f64> = self.accuracy.iter().flatten().copied().collect();
        all.iter().sum::<f64>() / (all.len() as f64).max(1.0)
    }
}

impl Display for Map {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, " std \\ mean")?;
        self.levels.iter().try_for_each(|mean| write!(f, "{mean:6.1}"))?;
        writeln!(f)?;
        for (std, row) in self.levels.iter().zip(&self.accuracy).rev() {
            write!(f, "{std:11.1}")?;
            row.iter().try_for_each(|accuracy| write!(f, "{:6.1}", 100.0 * accuracy))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

/// What two maps say about where training converges: whether the first one's region contains the second one's.
pub fn comparison(several: &Map, single: &Map, least: f64) -> String {
    let (wide, narrow) = (several.region(least), single.region(least));
    let missing: Vec<String> = narrow
        .iter()
        .filter(|pair| !wide.contains(pair))
        .map(|(mean, std)| format!("(mean {mean:.1}, std {std:.1})"))
        .collect();
    let pairs: Vec<(&f64, &f64)> = several.accuracy.iter().flatten().zip(single.accuracy.iter().flatten()).collect();
    let sizes = format!(
        "several spikes do at least as well in {} of {} cells; a mean best accuracy of {:.0} % or more: several spikes in {}, \
         a single spike in {}",
        pairs.iter().filter(|(several, single)| several >= single).count(),
        pairs.len(),
        100.0 * least,
        wide.len(),
        narrow.len()
    );
    match missing.is_empty() {
        true => format!("{sizes}; the first region contains the second"),
        false => {
            format!("{sizes}; the second has {} cells that the first lacks: {}", missing.len(), missing.join(", "))
        }
    }
}
