//! What is checked and measured, in parts: what a fault of the device may cost at most.
//!
//! A kernel that touches memory which is not its own spoils a device for the whole process, so that everything behind it
//! fails, too. Parts of a group share nothing but the device, and have the same numbers in every process, so that another
//! process goes on behind the part that spoilt one. Must never know processes.

use std::rc::Rc;

use serde_json::{Value, json};
use snn_cuda::Device;
use snnc::{Precision, Purpose, WeightValues};

use crate::kernels::{self, Standing};
use crate::models::Subject;
use crate::outcome::Outcome;
use crate::speed::{self, Figure, WORKLOADS};
use crate::{instructions, sessions, training};

/// Parts that belong together, and that one process checks where nothing goes wrong.
#[derive(Clone, Debug)]
pub enum Group {
    /// Every instruction that texts use by name.
    Instructions,
    /// A model.
    Model(Subject),
    /// Everything that is measured.
    Speed,
}

impl Group {
    /// A name for people.
    pub fn name(&self) -> &str {
        match self {
            Group::Instructions => "instructions",
            Group::Model(subject) => &subject.name,
            Group::Speed => "speed",
        }
    }
}

/// What of a group is wanted.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Single precision only.
    pub quick: bool,
    /// Only what has this in its name.
    pub only: Option<String>,
    /// Nothing but the kernels of a model in this precision, each of them a part.
    pub each_kernel: Option<Precision>,
}

impl Scope {
    /// Whether something of this name is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| name.contains(only))
    }
}

/// What a process that runs parts tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A part begins.
    Began {
        /// Its name.
        name: String,
        /// The precision, if the part is all kernels of a model: these can be parts of their own.
        kernels: Option<Precision>,
    },
    /// The interpreter begins to compute what kernels should give, which takes as long as it takes, or has done so.
    Interpreting(bool),
    /// A check ended.
    Checked(Outcome),
    /// Something was measured.
    Measured(Figure),
    /// This process can no longer use the device, since the part that began last.
    Lost,
    /// No part is left.
    Done,
}

impl Event {
    /// As a line.
    pub fn line(&self) -> String {
        match self {
            Event::Began { name, kernels } => json!({ "began": name, "kernels": kernels.map(Precision::name) }),
            Event::Interpreting(begins) => json!({ "interpreting": begins }),
            Event::Checked(outcome) => json!({ "checked": outcome.json() }),
            Event::Measured(figure) => json!({ "measured": figure.json() }),
            Event::Lost => json!("lost"),
            Event::Done => json!("done"),
        }
        .to_string()
    }

    /// What a line says, if it is one of these.
    pub fn from_line(line: &str) -> Option<Event> {
        let value: Value = serde_json::from_str(line).ok()?;
        match value.as_str() {
            Some("lost") => return Some(Event::Lost),
            Some("done") => return Some(Event::Done),
            _ => {}
        }
        if let Some(name) = value.get("began").and_then(Value::as_str) {
            let kernels = value.get("kernels").and_then(Value::as_str).and_then(precision);
            return Some(Event::Began { name: name.to_owned(), kernels });
        }
        if let Some(begins) = value.get("interpreting").and_then(Value::as_bool) {
            return Some(Event::Interpreting(begins));
        }
        if let Some(outcome) = value.get("checked") {
            return Outcome::from_json(outcome).map(Event::Checked);
        }
        Figure::from_json(value.get("measured")?).map(Event::Measured)
    }
}

/// The precision of a name.
pub fn precision(name: &str) -> Option<Precision> {
    Precision::ALL.into_iter().find(|precision| precision.name() == name)
}

/// What a part does, telling what comes out.
type Work = Box<dyn FnOnce(&Device, &mut dyn FnMut(Event))>;

/// A part.
struct Part {
    name: String,
    kernels: Option<Precision>,
    run: Work,
}

impl Part {
    fn new(name: impl Into<String>, run: impl FnOnce(&Device, &mut dyn FnMut(Event)) + 'static) -> Part {
        Part { name: name.into(), kernels: None, run: Box::new(run) }
    }

    fn one(name: String, run: impl FnOnce(&Device, String) -> Outcome + 'static) -> Part {
        let own = name.clone();
        Part::new(name, |device, tell| tell(Event::Checked(run(device, own))))
    }
}

/// Runs the parts of a group from the `from`th on, until none is left or the device is lost, telling what comes out.
pub fn run(group: &Group, scope: &Scope, from: usize, device: &Device, tell: &mut dyn FnMut(Event)) {
    let parts = match parts(group, scope, device) {
        Ok(parts) => parts,
        Err(problem) => {
            tell(Event::Checked(Outcome::failed(group.name(), problem)));
            return tell(Event::Done);
        }
    };
    for part in parts.into_iter().skip(from) {
        tell(Event::Began { name: part.name, kernels: part.kernels });
        (part.run)(device, tell);
        if device.is_lost() {
            return tell(Event::Lost);
        }
    }
    tell(Event::Done);
}

/// The parts of a group, in the same order in every process.
fn parts(group: &Group, scope: &Scope, device: &Device) -> Result<Vec<Part>, String> {
    Ok(match group {
        Group::Instructions => {
            let all = instructions::all(device).into_iter().filter(|(name, _)| scope.wants(name));
            all.map(|(name, check)| Part::one(name, move |device, name| instructions::check(name, &check, device)))
                .collect()
        }
        Group::Model(subject) => of_model(subject, scope, device)?,
        Group::Speed => speed(scope),
    })
}

fn of_model(subject: &Subject, scope: &Scope, device: &Device) -> Result<Vec<Part>, String> {
    let model = Rc::new(subject.model().map_err(|error| error.to_string())?);
    let (name, batch, steps) = (subject.name.as_str(), subject.batch, subject.steps);
    let mut parts = Vec::new();
    if let Some(precision) = scope.each_kernel {
        for standing in kernels::standing(&model, batch, device.arch(), precision)?.into_iter().map(Rc::new) {
            parts.extend(standing.kernels().iter().map(|id| one_kernel(name, &standing, *id, precision)));
        }
        return Ok(parts);
    }
    let precisions = if scope.quick { &[Precision::F32][..] } else { &Precision::ALL[..] };
    for precision in precisions.iter().copied() {
        parts.push(all_kernels(subject, &model, precision));
        let weights = if precision == Precision::F32 {
            &[WeightValues::Any, WeightValues::Int8][..]
        } else {
            &[WeightValues::Any]
        };
        for weights in weights.iter().copied() {
            let [model, model_of_memory] = [Rc::clone(&model), Rc::clone(&model)];
            let name = training::inference_name(name, precision, weights);
            parts.push(Part::one(name, move |_, name| {
                training::check_inference(name, &model, batch, precision, weights)
            }));
            parts.push(memory(
                subject,
                model_of_memory,
                sessions::Use { purpose: Purpose::Inference, weights, precision },
            ));
        }
        if model.recipe().is_some() {
            let [model, model_of_memory] = [Rc::clone(&model), Rc::clone(&model)];
            let name = training::name(name, precision);
            parts.push(Part::one(name, move |_, name| training::check(name, &model, batch, steps, precision)));
            let of = sessions::Use { purpose: Purpose::Training, weights: WeightValues::Any, precision };
            parts.push(memory(subject, model_of_memory, of));
        }
    }
    if sessions::has_stream(&model, batch) {
        let name = format!("{name}.stream");
        parts.push(Part::one(name, move |_, name| sessions::check_stream(name, &model, batch)));
    }
    Ok(parts)
}

fn memory(subject: &Subject, model: Rc<snnc::Model>, of: sessions::Use) -> Part {
    let batch = subject.batch;
    let name = sessions::memory_name(&subject.name, of);
    Part::one(name, move |_, name| sessions::check_memory(name, &model, of, batch))
}

fn all_kernels(subject: &Subject, model: &Rc<snnc::Model>, precision: Precision) -> Part {
    let prefix = format!("{}.{}", subject.name, precision.name());
    let (model, batch) = (Rc::clone(model), subject.batch);
    let run = {
        let prefix = prefix.clone();
        move |device: &Device, tell: &mut dyn FnMut(Event)| match kernels::standing(
            &model,
            batch,
            device.arch(),
            precision,
        ) {
            Ok(all) => all.iter().for_each(|standing| check(standing, &prefix, device, standing.kernels(), tell)),
            Err(problem) => tell(Event::Checked(Outcome::failed(prefix, problem))),
        }
    };
    Part { kernels: Some(precision), ..Part::new(format!("{prefix}, all kernels"), run) }
}

fn one_kernel(name: &str, standing: &Rc<Standing>, id: snn_loops::KernelId, precision: Precision) -> Part {
    let prefix = format!("{name}.{}", precision.name());
    let (part, standing) = (standing.name(&prefix, id), Rc::clone(standing));
    Part::new(part, move |device, tell| check(&standing, &prefix, device, &[id], tell))
}

fn check(standing: &Standing, prefix: &str, device: &Device, ids: &[snn_loops::KernelId], tell: &mut dyn FnMut(Event)) {
    let outcomes = standing.check(prefix, device, ids, &mut |begins| tell(Event::Interpreting(begins)));
    outcomes.into_iter().map(Event::Checked).for_each(tell);
}

fn speed(scope: &Scope) -> Vec<Part> {
    let measured = |name: &str, found: Result<Vec<Figure>, String>, tell: &mut dyn FnMut(Event)| match found {
        Ok(figures) => figures.into_iter().map(Event::Measured).for_each(tell),
        Err(problem) => tell(Event::Checked(Outcome::failed(name, problem))),
    };
    let memory = "copy and LIF alone";
    let mut parts = vec![Part::new(memory, move |device, tell| measured(memory, speed::memory(device), tell))];
    for workload in WORKLOADS.iter().filter(|workload| scope.wants(workload.name)) {
        parts.push(Part::new(workload.name, move |_, tell| measured(workload.name, speed::measure(workload), tell)));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_was_told() {
        let figure = Figure { name: "a".into(), value: 0.1, unit: "ms".into(), share: None };
        let all = [
            Event::Began { name: "one \"two\"".into(), kernels: Some(Precision::Bf16) },
            Event::Began { name: "three".into(), kernels: None },
            Event::Interpreting(true),
            Event::Interpreting(false),
            Event::Checked(Outcome::failed("four", "line\nline")),
            Event::Checked(Outcome::passed("five", "")),
            Event::Measured(Figure { share: Some(0.5), ..figure.clone() }),
            Event::Measured(figure),
            Event::Lost,
            Event::Done,
        ];
        for event in all {
            let line = event.line();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(Event::from_line(&line), Some(event));
        }
        for other in ["", "lost", "{}", "[1]", "a library says something"] {
            assert_eq!(Event::from_line(other), None, "{other}");
        }
    }
}
