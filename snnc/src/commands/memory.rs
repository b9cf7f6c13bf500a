//! The memory that a model will take, for `snnc check --memory`.

use serde_json::{Map, Value, json};
use snnc::runtime::forecast::Forecast;
use snnc::{Device, Model, Purpose, Result};

use super::table::{Align, Table, grouped};

/// What is asked.
pub struct Question {
    /// Samples in a batch.
    pub batch: usize,
    /// The bytes that there are, if the largest batch is asked for.
    pub limit: Option<usize>,
    /// What would run it.
    pub device: Device,
}

/// The answers for training, where there is any, and for inference.
pub struct Answers {
    question: Question,
    answers: Vec<Answer>,
}

struct Answer {
    purpose: Purpose,
    forecast: Forecast,
    /// The largest batch within the limit, 0 if not one sample fits.
    largest_batch: Option<usize>,
}

/// Forecasts a model's memory.
pub fn ask(model: &Model, question: Question) -> Result<Answers> {
    let mut answers = Vec::new();
    for purpose in [Purpose::Training, Purpose::Inference] {
        if purpose == Purpose::Training && model.recipe().is_none() {
            continue;
        }
        let forecast = model.forecast(purpose, question.batch, question.device)?;
        let largest_batch = question
            .limit
            .map(|limit| Ok::<_, snnc::Error>(model.largest_batch(purpose, limit, question.device)?.unwrap_or(0)));
        answers.push(Answer { purpose, forecast, largest_batch: largest_batch.transpose()? });
    }
    Ok(Answers { question, answers })
}

impl Answers {
    /// For people.
    pub fn as_text(&self) -> String {
        self.answers.iter().map(|answer| answer.as_text(&self.question)).collect()
    }

    /// For programs.
    pub fn as_json(&self, model: &Model) -> Value {
        let mut all = Map::new();
        all.insert("model".into(), json!(model.name()));
        all.insert("batch".into(), json!(self.question.batch));
        all.insert("limit_bytes".into(), json!(self.question.limit));
        for answer in &self.answers {
            all.insert(answer.name().into(), answer.as_json());
        }
        Value::Object(all)
    }
}

impl Answer {
    fn name(&self) -> &'static str {
        match self.purpose {
            Purpose::Training => "training",
            Purpose::Inference => "inference",
        }
    }

    /// What the total is made of.
    fn parts(&self) -> [(&'static str, usize); 7] {
        let forecast = &self.forecast;
        [
            ("process and code", forecast.process),
            ("weights", forecast.parameters),
            ("optimizer", forecast.slots),
            ("batch", forecast.batch),
            ("constants", forecast.constants),
            ("activations and gradients", forecast.arena),
            ("scratch", forecast.scratch),
        ]
    }

    fn as_text(&self, question: &Question) -> String {
        let mut text = format!(
            "\n{} with a batch of {} takes {}\n\n",
            self.name(),
            grouped(question.batch),
            mebibytes(self.forecast.total())
        );
        let mut table = Table::new(&[("part", Align::Left), ("memory", Align::Right)]);
        for (name, bytes) in self.parts().into_iter().filter(|(_, bytes)| *bytes > 0) {
            table.row(vec![name.to_owned(), mebibytes(bytes)]);
        }
        text.push_str(&table.render());
        let mut table = Table::new(&[
            ("layer", Align::Left),
            ("saved", Align::Right),
            ("temporary", Align::Right),
            ("at the peak", Align::Right),
            ("parameters", Align::Right),
        ]);
        for layer in &self.forecast.layers {
            let path = if layer.path.is_empty() { "(no layer)" } else { &layer.path };
            let bytes = [layer.saved, layer.temporary, layer.at_peak, layer.parameters];
            table.row(std::iter::once(path.to_owned()).chain(bytes.map(mebibytes)).collect());
        }
        text.push_str(&format!("\n{}", table.render()));
        if let (Some(limit), Some(largest)) = (question.limit, self.largest_batch) {
            text.push_str(&match largest {
                0 => format!("\n{} does not fit into {}, not even with one sample\n", self.name(), mebibytes(limit)),
                n => format!("\n{} fits into {} with a batch of up to {}\n", self.name(), mebibytes(limit), grouped(n)),
            });
        }
        text
    }

    fn as_json(&self) -> Value {
        let mut all = Map::new();
        all.insert("total_bytes".into(), json!(self.forecast.total()));
        for (name, bytes) in self.parts() {
            all.insert(format!("{}_bytes", name.replace(' ', "_")), json!(bytes));
        }
        if let Some(largest) = self.largest_batch {
            all.insert("largest_batch".into(), json!(largest));
        }
        let layers = self.forecast.layers.iter().map(|layer| {
            json!({
                "path": layer.path,
                "saved_bytes": layer.saved,
                "temporary_bytes": layer.temporary,
                "at_peak_bytes": layer.at_peak,
                "parameters_bytes": layer.parameters,
            })
        });
        all.insert("layers".into(), Value::Array(layers.collect()));
        Value::Object(all)
    }
}

fn mebibytes(bytes: usize) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 0.1 && bytes > 0 {
        format!("{:.1} KiB", bytes as f64 / 1024.0)
    } else {
        format!("{mebibytes:.1} MiB")
    }
}

/// A number of bytes such as `2GiB`, `600MB` or `4096`.
pub fn bytes(text: &str) -> Result<usize, String> {
    const UNITS: [(&str, u64); 7] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    let unit = UNITS.iter().find(|(unit, _)| text.ends_with(unit));
    let (number, factor) = unit.map_or((text, 1), |(unit, factor)| (text.trim_end_matches(unit), *factor));
    match number.trim().parse::<f64>() {
        Ok(number) if number > 0.0 && number * factor as f64 <= 1e15 => Ok((number * factor as f64) as usize),
        _ => Err("write a number of bytes such as 600MB or 2GiB".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        let cases = [("4096", 4096), ("2GiB", 2 << 30), ("1.5 MiB", 3 << 19), ("600MB", 600_000_000), ("10B", 10)];
        for (text, expected) in cases {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for wrong in ["", "GiB", "-1", "0", "nan", "1e30", "2 gib"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
