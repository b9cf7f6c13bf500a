//! The memory that a model will take, for `snnc check --memory`.

use serde_json::{Map, Value, json};
use snnc::runtime::forecast::Forecast;
use snnc::{Device, Model, Purpose, Result, SessionOptions};

use super::table::{Align, Table, grouped};

/// What is asked.
pub struct Question {
    /// The batch, the type, the machine and the limit of a training's memory.
    pub options: SessionOptions,
    /// The bytes that there are, if the largest batch is asked for.
    pub limit: Option<usize>,
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
        let forecast = model.forecast(purpose, &question.options)?;
        let largest_batch = match question.limit {
            Some(limit) => Some(model.largest_batch(purpose, limit, &question.options)?.unwrap_or(0)),
            None => None,
        };
        answers.push(Answer { purpose, forecast, largest_batch });
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
        all.insert("batch".into(), json!(self.question.options.batch));
        all.insert("device".into(), json!(self.question.options.device.name()));
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
            "\n{} with a batch of {} takes {}{}\n\n",
            self.name(),
            grouped(question.options.batch),
            mebibytes(self.forecast.total()),
            if is_cuda(question) { " of the device's memory" } else { "" },
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
        if self.forecast.pinned > 0 {
            text.push_str(&format!(
                "\nbeside it: up to {} of pinned memory here, and what the driver keeps for its context and the code\n",
                mebibytes(self.forecast.pinned)
            ));
        }
        if !self.forecast.recomputed.is_empty() {
            text.push_str(&format!("\ncomputed twice: {}\n", self.forecast.recomputed.join(", ")));
        }
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
        if self.forecast.pinned > 0 {
            all.insert("pinned_host_bytes".into(), json!(self.forecast.pinned));
        }
        if let Some(largest) = self.largest_batch {
            all.insert("largest_batch".into(), json!(largest));
        }
        all.insert("computed_twice".into(), json!(self.forecast.recomputed));
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

fn is_cuda(question: &Question) -> bool {
    matches!(question.options.device, Device::Cuda { .. })
}

fn mebibytes(bytes: usize) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 0.1 && bytes > 0 {
        format!("{:.1} KiB", bytes as f64 / 1024.0)
    } else {
        format!("{mebibytes:.1} MiB")
    }
}
