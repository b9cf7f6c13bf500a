//! How the spike times of a neuron are found, as mathematics for people.

use snn_loops::events::{LinearNeuron, Mode, Solution, Solver};

use crate::exact::neuron_of;
use crate::graph::{Graph, NodeId};
use crate::op::{Op, ShapeError};

/// What there is to say about a neuron.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The user's name of its layer, or "" if it has none.
    pub name: String,
    /// Its equations, time constants, potential, spike time and reset, in lines.
    pub text: String,
}

/// The mathematics of every neuron given by equations in a graph of event-exact spike times, in order.
///
/// # Errors
/// If one of them cannot be solved; the error shows the node.
pub fn explain(graph: &Graph) -> Result<Vec<Explanation>, ShapeError> {
    let nodes = graph.ids().filter(|id| matches!(graph.node(*id).op, Op::Dynamics(_)));
    nodes.map(|id| explain_node(graph, id)).collect()
}

fn explain_node(graph: &Graph, id: NodeId) -> Result<Explanation, ShapeError> {
    let neuron = neuron_of(graph, id)?;
    let Op::Dynamics(dynamics) = &graph.node(id).op else { return Err(ShapeError::new("not a neuron").at(&[id])) };
    let solver = Solver::new(&neuron).map_err(|reason| ShapeError::new(reason.to_string()).at(&[id]))?;
    let name = graph.node(id).name.as_deref().unwrap_or_default().to_owned();
    let budget = dynamics.budget(graph.steps);
    let text = Neuron { states: &dynamics.flow.states, neuron: &neuron, solver: &solver, budget }.text();
    Ok(Explanation { name, text })
}

/// A neuron and the names of its states.
struct Neuron<'a> {
    states: &'a [String],
    neuron: &'a LinearNeuron,
    solver: &'a Solver,
    /// The most spikes in a sample.
    budget: usize,
}

impl Neuron<'_> {
    fn text(&self) -> String {
        let potential = self.potential();
        let mut lines = vec!["between events".to_owned()];
        let n = self.neuron.order;
        let rows = self.neuron.flow.chunks_exact(n.max(1)).zip(&self.neuron.drive);
        for (state, (row, drive)) in self.states.iter().zip(rows) {
            lines.push(format!("  {state}' = {}", self.sum(row, *drive)));
        }
        lines.push(format!("eigenvalues: {}", self.eigenvalues()));
        for (port, inject) in self.neuron.inject.iter().enumerate() {
            let ports = self.neuron.inject.len();
            let which = if ports > 1 { format!(" of signal {}", port + 1) } else { String::new() };
            let jumps = self.states.iter().zip(inject).filter(|(_, gain)| **gain != 0.0);
            let jumps = jumps.map(|(state, gain)| format!("{state} += {}", joined(&[(*gain, "w")])));
            lines.push(format!("an input spike of weight w{which}: {}", list(jumps, "nothing happens")));
        }
        lines.push(format!("s seconds after an event that left {}", self.states.join(", ")));
        if !self.states.contains(&potential) {
            lines.push(format!("  {potential} = {}", self.sum(&self.neuron.threshold, 0.0)));
        }
        lines.push(format!("  {potential}(s) = {}", self.modes()));
        lines.push(format!("a spike when {potential}(s) reaches {} from below", digits(self.neuron.theta)));
        lines.extend(self.spike_time(&potential));
        lines.push(format!("reset: {}", self.reset()));
        lines.push(format!("budget: {} in a sample", spikes(self.budget)));
        lines.push(format!("gradient: ds = -d{potential} / {potential}'(s), by the implicit function theorem"));
        lines.join("\n") + "\n"
    }

    /// The name of what is compared with the threshold.
    fn potential(&self) -> String {
        let used: Vec<_> =
            self.states.iter().zip(&self.neuron.threshold).filter(|(_, weight)| **weight != 0.0).collect();
        match used.as_slice() {
            [(state, weight)] if **weight == 1.0 => (*state).clone(),
            _ => "potential".to_owned(),
        }
    }

    fn eigenvalues(&self) -> String {
        let modes = self.solver.modes();
        let decays = modes.iter().rev().filter(|mode| mode.rate != 0.0 || mode.frequency != 0.0);
        let mut parts: Vec<String> = Vec::new();
        for mode in decays {
            let multiple = modes.iter().filter(|m| (m.rate, m.frequency) == (mode.rate, mode.frequency)).count();
            let times = if multiple > 1 { format!(" ({multiple}-fold)") } else { String::new() };
            let pair = if mode.frequency > 0.0 { format!(" +- {} i", digits(mode.frequency)) } else { String::new() };
            let tau = if mode.rate < 0.0 {
                format!(", a time constant of {}", time(-1.0 / mode.rate))
            } else {
                String::new()
            };
            let part = format!("{}{pair} per second{times}{tau}", digits(mode.rate));
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        list(parts, "none but 0")
    }

    /// A weighted sum of the states and a constant.
    fn sum(&self, weights: &[f64], constant: f64) -> String {
        let terms = weights.iter().copied().zip(self.states.iter().map(String::as_str));
        let terms: Vec<(f64, &str)> = terms.chain([(constant, "")]).collect();
        joined(&terms)
    }

    /// The same of weights with the constant behind them.
    fn row(&self, row: &[f64]) -> String {
        let (weights, constant) = row.split_at(row.len().saturating_sub(1));
        self.sum(weights, constant.first().copied().unwrap_or(0.0))
    }

    /// The potential as a sum of exponentials.
    fn modes(&self) -> String {
        let mut text = String::new();
        for mut mode in self.solver.modes().into_iter().rev() {
            if let (true, Some(level)) =
                (mode.rate == 0.0 && mode.frequency == 0.0 && mode.power == 0, mode.cosine.last_mut())
            {
                // Modes are those of the excess over the threshold.
                *level += self.neuron.theta;
            }
            for (row, wave) in [(&mode.cosine, "cos"), (&mode.sine, "sin")] {
                let factor = factor(&mode, wave);
                let sum = self.row(row);
                if sum == "0" {
                    continue;
                }
                let several = sum.contains(" + ") || sum.contains(" - ");
                let (sign, sum) = match sum.strip_prefix('-') {
                    Some(rest) if !several => ("-", rest.to_owned()),
                    _ => ("+", sum),
                };
                let sum = if several && !factor.is_empty() { format!("({sum})") } else { sum };
                let product = match (sum.as_str(), factor.as_str()) {
                    (_, "") => sum,
                    ("1", _) => factor,
                    _ => format!("{sum} {factor}"),
                };
                match (text.is_empty(), sign) {
                    (true, "+") => text = product,
                    (true, _) => text = format!("-{product}"),
                    (false, _) => text.push_str(&format!(" {sign} {product}")),
                }
            }
        }
        if text.is_empty() { "0".to_owned() } else { text }
    }

    /// How the first crossing is found.
    fn spike_time(&self, potential: &str) -> Vec<String> {
        match self.solver.solution() {
            Solution::Line { slope, level } => vec![
                "  in closed form, on a straight line".to_owned(),
                format!("  s = -({}) / ({})", self.row(level), self.row(slope)),
            ],
            Solution::Logarithm { rate, term, level } => vec![
                format!("  in closed form, by a logarithm: a y + c = 0 for y = {}", exponential(*rate)),
                format!("  a = {}", self.row(term)),
                format!("  c = {}", self.row(level)),
                format!("  s = {} ln(-c / a)", time(1.0 / rate)),
            ],
            Solution::Quadratic { rate, square, linear, level } => vec![
                format!(
                    "  in closed form, by a quadratic equation: a y^2 + b y + c = 0 for y = {}",
                    exponential(*rate)
                ),
                format!("  a = {}", self.row(square)),
                format!("  b = {}", self.row(linear)),
                format!("  c = {}", self.row(level)),
                format!(
                    "  s = {} ln y, y = (-b {} sqrt(b^2 - 4 a c)) / (2 a), where {potential}(s) rises",
                    time(1.0 / rate),
                    if *rate < 0.0 { "-" } else { "+" }
                ),
            ],
            Solution::LambertW { rate, ramp, term, level } => vec![
                format!("  in closed form, by the Lambert W function: (b s + a) {} + c = 0", exponential(*rate)),
                format!("  a = {}", self.row(term)),
                format!("  b = {}", self.row(ramp)),
                format!("  c = {}", self.row(level)),
                match *rate < 0.0 {
                    true => format!("  s = -T W(c / (b T) e^(-a / (b T))) - a / b, T = {}", time(-1.0 / rate)),
                    false => format!("  s = T W(-c / (b T) e^(a / (b T))) - a / b, T = {}", time(1.0 / rate)),
                },
                "  on branch 0 for b > 0 and -1 for b < 0".to_owned(),
            ],
            Solution::Search => vec![
                "  by bracketed search to machine precision: between the times at which its derivatives,".to_owned(),
                "  freed of one eigenvalue after the other, change their signs, it crosses once at most".to_owned(),
            ],
        }
    }

    fn reset(&self) -> String {
        let n = self.neuron.order;
        let rows = self.neuron.reset.chunks_exact(n.max(1)).zip(&self.neuron.kick);
        let changes = self.states.iter().zip(rows).enumerate().filter_map(|(at, (state, (row, kick)))| {
            let keeps = row.iter().enumerate().all(|(column, weight)| *weight == f64::from(u8::from(column == at)));
            match (keeps, *kick) {
                (true, 0.0) => None,
                (true, kick) if kick < 0.0 => Some(format!("{state} -= {}", digits(-kick))),
                (true, kick) => Some(format!("{state} += {}", digits(kick))),
                (false, kick) => Some(format!("{state} = {}", self.sum(row, kick))),
            }
        });
        list(changes, "nothing changes")
    }
}

fn spikes(number: usize) -> String {
    if number == 1 { "1 spike".to_owned() } else { format!("{number} spikes") }
}

/// The factor of a mode: powers of the time, an exponential, a wave.
fn factor(mode: &Mode, wave: &str) -> String {
    let mut parts = Vec::new();
    match mode.power {
        0 => {}
        1 => parts.push("s".to_owned()),
        power => parts.push(format!("s^{power}")),
    }
    if mode.rate != 0.0 {
        parts.push(exponential(mode.rate));
    }
    if mode.frequency > 0.0 {
        parts.push(format!("{wave}({} s)", digits(mode.frequency)));
    }
    parts.join(" ")
}

fn exponential(rate: f64) -> String {
    let sign = if rate < 0.0 { "-" } else { "" };
    format!("e^({sign}s / {})", time(1.0 / rate.abs()))
}

/// Terms as a sum; a term with an empty name is a constant.
fn joined(terms: &[(f64, &str)]) -> String {
    let mut text = String::new();
    for (weight, name) in terms.iter().filter(|(weight, _)| digits(*weight) != "0") {
        let size = digits(weight.abs());
        let term = match (size.as_str(), *name) {
            (_, "") => size,
            ("1", name) => name.to_owned(),
            (size, name) => format!("{size} {name}"),
        };
        match (text.is_empty(), *weight < 0.0) {
            (true, false) => text = term,
            (true, true) => text = format!("-{term}"),
            (false, false) => text.push_str(&format!(" + {term}")),
            (false, true) => text.push_str(&format!(" - {term}")),
        }
    }
    if text.is_empty() { "0".to_owned() } else { text }
}

fn list(parts: impl IntoIterator<Item = String>, none: &str) -> String {
    let parts: Vec<String> = parts.into_iter().collect();
    if parts.is_empty() { none.to_owned() } else { parts.join("; ") }
}

/// A number with six digits, without trailing zeros; what rounding has left of a difference is 0.
fn digits(value: f64) -> String {
    if value.abs() < 1e-14 {
        return "0".to_owned();
    }
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    let size = rounded.abs();
    if (1e-4..1e7).contains(&size) { format!("{rounded}") } else { format!("{rounded:e}") }
}

/// A number of seconds with its unit.
fn time(seconds: f64) -> String {
    if seconds.abs() < 1.0 { format!("{}ms", digits(seconds * 1e3)) } else { format!("{}s", digits(seconds)) }
}
