//! What is measured after every epoch, kept as one JSON object a line (`metrics.jsonl`).
//!
//! Must never know how anything is measured.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Result, RuntimeError};
use crate::files;
use crate::health::Health;

/// The measurements of one epoch. Numbers that are not finite (a diverged loss) are written as `null` and read as NaN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: u64,
    /// Mean loss of the training samples, as seen during the epoch.
    #[serde(deserialize_with = "number")]
    pub train_loss: f64,
    /// Fraction of training samples predicted correctly, 0 to 1; absent if the model predicts no classes.
    pub train_accuracy: Option<f64>,
    /// Mean loss of the test samples after the epoch.
    #[serde(deserialize_with = "number")]
    pub test_loss: f64,
    /// Fraction of test samples predicted correctly, 0 to 1; absent if the model predicts no classes.
    pub test_accuracy: Option<f64>,
    /// Wall-clock time of the epoch, evaluation included.
    pub seconds: f64,
    /// Training samples a second, evaluation not counted.
    pub samples_per_second: f64,
    /// Mean spikes a neuron a step of each layer, in the order of the model.
    #[serde(with = "ordered_map")]
    pub firing_rates: Vec<(String, f64)>,
    /// Of each layer on events: the mean share of silent neurons in a batch, and what was counted over the epoch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<(String, Health)>,
}

/// The file of a run's measurements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsLog {
    path: PathBuf,
}

impl MetricsLog {
    /// The log at `path`, which need not exist yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a record: one line, written at once and flushed to disk.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn append(&self, record: &EpochRecord) -> Result<()> {
        let line = to_line(record)?;
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
            file.write_all(line.as_bytes())?;
            file.sync_data()
        };
        write().map_err(|error| RuntimeError::io("append to", &self.path, &error))
    }

    /// All records, none if there is no file. A last line without its end, left by a crash, is passed over.
    ///
    /// # Errors
    /// If the file cannot be read or a whole line is not a record.
    pub fn read(&self) -> Result<Vec<EpochRecord>> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        let text = files::read_text(&self.path)?;
        let mut records = Vec::new();
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let Some(line) = line.strip_suffix('\n') else { break };
            records.push(serde_json::from_str(line).map_err(|error| {
                RuntimeError::new(format!(
                    "`{}`, line {}: not the record of an epoch: {error}",
                    self.path.display(),
                    index + 1
                ))
                .with_help("mend the line, or move the file away")
            })?);
        }
        Ok(records)
    }

    /// Keeps the records up to and with `last_epoch` and returns them: what a resumed run starts from.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn truncate(&self, last_epoch: u64) -> Result<Vec<EpochRecord>> {
        let mut records = self.read()?;
        records.retain(|record| record.epoch <= last_epoch);
        let lines: Vec<String> = records.iter().map(to_line).collect::<Result<_>>()?;
        files::write(&self.path, lines.concat().as_bytes())?;
        Ok(records)
    }
}

fn to_line(record: &EpochRecord) -> Result<String> {
    let json = serde_json::to_string(record)
        .map_err(|error| RuntimeError::new(format!("cannot write the record of epoch {}: {error}", record.epoch)))?;
    Ok(json + "\n")
}

fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Pairs as a JSON object that keeps their order.
mod ordered_map {
    use std::fmt;

    use serde::de::{MapAccess, Visitor};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(pairs: &[(String, f64)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pairs.iter().map(|(name, rate)| (name, rate)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, f64)>, D::Error> {
        deserializer.deserialize_map(Pairs)
    }

    struct Pairs;

    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, f64)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of numbers")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some((name, rate)) = map.next_entry::<String, Option<f64>>()? {
                pairs.push((name, rate.unwrap_or(f64::NAN)));
            }
            Ok(pairs)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn record(epoch: u64) -> EpochRecord {
        EpochRecord {
            epoch,
            train_loss: 1.0 / 3.0,
            train_accuracy: Some(0.5),
            test_loss: 0.1,
            test_accuracy: None,
            seconds: 2.5,
            samples_per_second: 1e4,
            firing_rates: vec![("lif2".to_owned(), 0.25), ("lif1".to_owned(), 0.0)],
            health: Vec::new(),
        }
    }

    fn log() -> (tempfile::TempDir, MetricsLog) {
        let dir = tempfile::tempdir().unwrap();
        let log = MetricsLog::new(dir.path().join("metrics.jsonl"));
        (dir, log)
    }

    #[test]
    fn records_come_back_as_they_were_written() {
        let (_dir, log) = log();
        assert_eq!(log.read().unwrap(), []);
        log.append(&record(1)).unwrap();
        log.append(&record(2)).unwrap();
        assert_eq!(log.read().unwrap(), [record(1), record(2)]);
        let text = fs::read_to_string(log.path()).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.starts_with(r#"{"epoch":1,"train_loss":0.3333333333333333,"train_accuracy":0.5,"test_loss":0.1"#));
        assert!(text.contains(r#""firing_rates":{"lif2":0.25,"lif1":0.0}"#));
    }

    #[test]
    fn a_diverged_loss_is_kept() {
        let (_dir, log) = log();
        log.append(&EpochRecord { train_loss: f64::INFINITY, test_loss: f64::NAN, ..record(1) }).unwrap();
        let records = log.read().unwrap();
        assert!(records[0].train_loss.is_nan() && records[0].test_loss.is_nan());
    }

    #[test]
    fn truncation_keeps_the_resumed_epochs_and_drops_a_torn_line() {
        let (_dir, log) = log();
        for epoch in 1..=4 {
            log.append(&record(epoch)).unwrap();
        }
        fs::write(log.path(), fs::read_to_string(log.path()).unwrap() + r#"{"epoch":5,"tr"#).unwrap();
        assert_eq!(log.read().unwrap().len(), 4);
        assert_eq!(log.truncate(3).unwrap(), [record(1), record(2), record(3)]);
        log.append(&record(4)).unwrap();
        assert_eq!(log.read().unwrap().len(), 4);
    }

    #[test]
    fn a_broken_line_is_named() {
        let (_dir, log) = log();
        log.append(&record(1)).unwrap();
        fs::write(log.path(), fs::read_to_string(log.path()).unwrap() + "{\"epoch\":2}\n").unwrap();
        let error = log.read().unwrap_err();
        assert!(error.message().contains("line 2") && error.message().contains("train_loss"), "{error}");
    }
}
