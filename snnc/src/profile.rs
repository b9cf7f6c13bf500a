//! Where the time of a step goes: kernel by kernel and line by line of the user's program.
//!
//! The time of a kernel belongs to the line of the first node that it puts into memory; what the same kernel computes for
//! other lines is named beside it. Must never print.

use std::collections::BTreeMap;

use snn_graph::lower::Computed;
use snn_graph::{Kind, NodeId, Origin};
use snn_runtime::cost::Cost;
use snn_runtime::device::{Densities, Device, Timings, Watch, cuda_name};
use snn_runtime::machine::Limits;
use snn_runtime::session::{BatchValues, Session, SessionOptions};
use snn_runtime::step::Step;

use crate::error::{Error, Result};
use crate::model::Model;
use crate::random::random_batch;

/// Steps before the clock runs.
const WARM_UP: usize = 2;

/// What a kernel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The model and its loss.
    Forward,
    /// The gradient.
    Backward,
    /// The optimizer, and what is reported.
    Update,
}

impl Role {
    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Role::Forward => "forward",
            Role::Backward => "backward",
            Role::Update => "update",
        }
    }
}

/// A line of the user's program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// The name of the file.
    pub file: String,
    /// Counted from 1.
    pub number: usize,
}

/// One kernel, or all kernels of one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The name of the kernel, or of those that are launched as one; empty for a line.
    pub kernel: String,
    /// The layer that it belongs to.
    pub layer: String,
    /// What it is for.
    pub role: Role,
    /// The line that its time belongs to, where the user wrote one.
    pub line: Option<Line>,
    /// Other lines that it computes something for.
    pub also: Vec<Line>,
    /// Launches a step.
    pub launches: u64,
    /// Milliseconds a step.
    pub ms: f64,
    /// The least milliseconds that the machine could do it in.
    pub floor_ms: f64,
    /// Bytes of all elements read and written.
    pub bytes: f64,
    /// Scalar operations.
    pub operations: f64,
    /// Products of an input and a weight, where the input is spikes.
    pub products: f64,
    /// Those of them whose spike is not 0.
    pub synaptic_operations: f64,
    /// The firing rate of its layer, where it is one layer of neurons.
    pub firing_rate: Option<f64>,
}

/// A profile of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// What it ran on, for people.
    pub machine: String,
    /// What the machine can do.
    pub limits: Limits,
    /// Milliseconds of all kernels together, a step.
    pub total_ms: f64,
    /// Kernels, the longest first.
    pub kernels: Vec<Row>,
    /// Lines with what they are for, the longest first.
    pub lines: Vec<Row>,
}

/// What is profiled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How the session computes.
    pub options: SessionOptions,
    /// A training step in place of an inference.
    pub training: bool,
    /// Steps that are timed.
    pub runs: usize,
}

/// Profiles a step over a batch of random data; the learning rate is 0.
///
/// # Errors
/// If the model cannot be run.
pub fn profile(model: &Model, settings: &Settings) -> Result<Profile> {
    if settings.training && model.recipe().is_none() {
        return Err(Error::new(
            format!("`{}` has no `train`, so there is no training step", model.name()),
            "profile it with `--inference`",
        ));
    }
    let limits = Limits::measure(settings.options.device, settings.options.dtype)?;
    let values = random_batch(model, settings.options.batch, settings.options.seed);
    let batch: Vec<(&str, &[f32])> = values.iter().map(|(name, values)| (name.as_str(), values.as_slice())).collect();
    let mut watched = Watched::new(model, settings)?;
    let values = match settings.training {
        true => &batch[..],
        false => batch.get(..model.graph().inputs.len()).unwrap_or(&batch),
    };
    let (mut timings, mut densities) = (Timings::new(), Densities::new());
    let rates = watched.step(values, Watch::Density(&mut densities))?;
    for _ in 1..WARM_UP {
        watched.step(values, Watch::Time(&mut Timings::new()))?;
    }
    for _ in 0..settings.runs.max(1) {
        watched.step(values, Watch::Time(&mut timings))?;
    }
    let runs = settings.runs.max(1) as f64;
    let reader = Reader { model, rates, limits, runs };
    Ok(reader.profile(watched.program()?, machine(settings.options.device)?, &timings, &densities))
}

/// A machine for people.
fn machine(device: Device) -> Result<String> {
    Ok(match device {
        Device::Cuda { ordinal, precision, .. } => format!("{} in {}", cuda_name(ordinal)?, precision.name()),
        Device::Cpu { .. } | Device::Reference => format!("{} threads", device.threads()),
    })
}

/// A session whose steps are watched.
struct Watched {
    session: Session,
    training: bool,
}

impl Watched {
    fn new(model: &Model, settings: &Settings) -> Result<Watched> {
        let session = match settings.training {
            true => model.session(settings.options)?,
            false => model.inference_session(settings.options)?,
        };
        Ok(Watched { session, training: settings.training })
    }

    /// A step, and the firing rates by layer.
    fn step(&mut self, values: BatchValues<'_>, watch: Watch<'_>) -> Result<BTreeMap<String, f64>> {
        if self.training {
            let rates = self.session.train_watched(values, 0.0, watch)?.rates;
            return Ok(self.session.layers().into_iter().zip(rates).collect());
        }
        Ok(self.session.infer_watched(values, watch)?.firing_rates.into_iter().collect())
    }

    fn program(&self) -> Result<&Step> {
        let program = if self.training { self.session.training_step() } else { self.session.evaluation_step() };
        program.ok_or_else(|| Error::new("nothing was compiled", "profile a model that computes something"))
    }
}

/// A kernel of the program within a launch.
struct Part<'a> {
    name: &'a str,
    computed: &'a [Computed],
    cost: Cost,
    /// The share of its first operand that is not 0, if it is a contraction.
    density: Option<f64>,
}

impl Part<'_> {
    /// The same, if that operand is spikes.
    fn density_of_spikes(&self) -> Option<f64> {
        let reads = self.computed.first().and_then(|first| first.reads)?;
        self.density.filter(|_| matches!(reads, Kind::Truth | Kind::Spikes | Kind::Scaled))
    }
}

/// Turns what was watched into rows.
struct Reader<'m> {
    model: &'m Model,
    rates: BTreeMap<String, f64>,
    limits: Limits,
    runs: f64,
}

impl Reader<'_> {
    fn profile(&self, step: &Step, machine: String, timings: &Timings, densities: &Densities) -> Profile {
        let (program, costs) = (&step.lowered().program, step.costs());
        let of = |at: usize| Part {
            name: program.kernels.get(at).map_or("", |kernel| kernel.name()),
            computed: step.lowered().computed.get(at).map_or(&[][..], Vec::as_slice),
            cost: costs.get(at).copied().unwrap_or_default(),
            density: densities.of(at),
        };
        let mut kernels = Vec::new();
        for (at, time) in timings.kernels().iter().enumerate().filter(|(_, time)| time.launches > 0) {
            // What is computed in this launch besides comes first.
            let within = step.moved().iter().filter(|moved| moved.to.0 as usize == at);
            let mut parts: Vec<Part<'_>> = within.map(|moved| of(moved.kernel.0 as usize)).collect();
            parts.push(of(at));
            let launches = time.launches as f64 / self.runs;
            let ms = time.nanoseconds as f64 / 1e6 / self.runs;
            kernels.push(self.row(&parts, launches, ms));
        }
        let mut lines: BTreeMap<(Option<Line>, Role), Row> = BTreeMap::new();
        for row in &kernels {
            match lines.get_mut(&(row.line.clone(), row.role)) {
                Some(line) => line.add(row),
                None => drop(lines.insert((row.line.clone(), row.role), Row { kernel: String::new(), ..row.clone() })),
            }
        }
        let mut lines: Vec<Row> = lines.into_values().collect();
        let total_ms = kernels.iter().map(|row| row.ms).sum();
        for rows in [&mut kernels, &mut lines] {
            rows.sort_by(|a, b| b.ms.total_cmp(&a.ms));
        }
        Profile { machine, limits: self.limits, total_ms, kernels, lines }
    }

    /// The row of a launch. Its layer and line are those of what it puts into memory, the result of its last part.
    fn row(&self, parts: &[Part<'_>], launches: f64, ms: f64) -> Row {
        let first = parts.last().and_then(|part| part.computed.first());
        let layer = first.and_then(|first| first.name.clone()).unwrap_or_default();
        let line = first.and_then(|first| self.line(first));
        let role = match first {
            Some(first) if first.grad => Role::Backward,
            Some(first) if first.origin != Origin::default() => Role::Forward,
            Some(_) | None => Role::Update,
        };
        let computed = parts.iter().flat_map(|part| part.computed);
        let mut also: Vec<Line> = computed.filter_map(|computed| self.line(computed)).collect();
        also.sort();
        also.dedup();
        also.retain(|other| line.as_ref() != Some(other));
        let cost = parts.iter().fold(Cost::default(), |sum, part| sum.with(part.cost));
        let (bytes, operations) = (cost.bytes * launches, cost.operations * launches);
        let spikes = || parts.iter().filter_map(|part| Some((part.density_of_spikes()?, part.cost.macs)));
        let names: Vec<&str> = parts.iter().map(|part| part.name).collect();
        Row {
            kernel: names.join(" + "),
            firing_rate: self.rates.get(&layer).copied(),
            layer,
            role,
            line,
            also,
            launches: launches.round() as u64,
            ms,
            floor_ms: 1e3 * self.limits.floor(bytes, operations),
            bytes,
            operations,
            products: launches * spikes().map(|(_, macs)| macs).sum::<f64>(),
            synaptic_operations: launches * spikes().map(|(density, macs)| density * macs).sum::<f64>(),
        }
    }

    /// Where a node was written; what the optimizer and the reports add belongs to what it is named after.
    fn line(&self, computed: &Computed) -> Option<Line> {
        let graph = self.model.graph();
        let origin = match computed.origin == Origin::default() {
            false => computed.origin,
            true => {
                let name = computed.name.as_deref()?;
                let parameters = graph.parameters.iter().map(|parameter| (&parameter.path, parameter.node));
                let averages = graph.averages.iter().map(|average| (&average.path, average.node));
                let layers = graph.spikes.iter().map(|layer| (&layer.path, layer.node));
                let mut named = parameters.chain(averages).chain(layers).filter(|(path, _)| *path == name);
                let (_, node): (_, NodeId) = named.next()?;
                graph.graph.node(node).origin
            }
        };
        let (file, number) = self.model.line_of(origin)?;
        Some(Line { file: file.to_owned(), number })
    }
}

impl Row {
    /// The share of the spikes that its contractions read that were not 0, where they read spikes.
    pub fn density(&self) -> Option<f64> {
        (self.products > 0.0).then(|| self.synaptic_operations / self.products)
    }

    /// Adds a kernel to a line.
    fn add(&mut self, other: &Row) {
        self.launches += other.launches;
        self.ms += other.ms;
        self.floor_ms += other.floor_ms;
        self.bytes += other.bytes;
        self.operations += other.operations;
        self.synaptic_operations += other.synaptic_operations;
        self.products += other.products;
        self.also.extend(other.also.iter().cloned());
        self.also.sort();
        self.also.dedup();
        if self.layer != other.layer {
            (self.layer, self.firing_rate) = (String::new(), None);
        }
    }
}
