//! A neuron as text: what the templates ask of it, as constants and short functions.
//!
//! Must never know layers.

use std::fmt::Write;

use snn_loops::events::{LinearNeuron, Solution, Solver, Unsolvable};

use super::flow::{Flow, dots};
use super::links::{Link, links};
use super::templates;
use super::text::{choice, dot, fused, number, sum};
use crate::launch::Template;

/// Part of half a period that a search looks at once.
const STRETCH: f64 = 0.9;

/// A neuron and what is worked out of it.
pub(super) struct NeuronText {
    /// Members of a structure.
    pub members: String,
    /// The templates that they use, in the order of their definitions.
    pub needs: Vec<&'static Template>,
    /// Whether its states can be taken as amplitudes, one for each rate, that nothing lifts at once.
    pub has_amplitudes: bool,
    /// Numbers that say how states move over a stretch of time.
    pub n_entries: usize,
}

impl NeuronText {
    /// Works it out.
    ///
    /// # Errors
    /// If the neuron cannot be solved.
    pub fn of(neuron: &LinearNeuron) -> Result<NeuronText, Unsolvable> {
        let solver = Solver::new(neuron)?;
        let flow = Flow::of(neuron)?;
        let links = links(neuron, &solver);
        let lambert = matches!(solver.solution(), Solution::LambertW { .. });
        let searches = lambert || matches!(solver.solution(), Solution::Search);
        let mut needs: Vec<&'static Template> = vec![&templates::MATH];
        needs.extend(flow.is_exponential().then_some(&templates::EXPONENTIAL));
        needs.extend(lambert.then_some(&templates::LAMBERT));
        needs.push(&templates::SOLVER);
        needs.extend(lambert.then_some(&templates::EQUAL_RATES));
        needs.extend(searches.then_some(&templates::SEARCH));
        let members = [
            constants(neuron, &solver, &links, flow.n_entries(), searches),
            potential_text(neuron),
            links_text(&links),
            rise_text(solver.solution()),
            flow.text(),
            events_text(neuron),
            adjoint_text(neuron),
            flow.response_text("injected", &neuron.inject),
            flow.response_text("drifted", &drifts(neuron)),
        ];
        let has_amplitudes = flow.has_amplitudes() && !lifts(neuron);
        let amplitudes = if has_amplitudes { flow.amplitudes_text() } else { String::new() };
        Ok(NeuronText { members: members.concat() + &amplitudes, needs, has_amplitudes, n_entries: flow.n_entries() })
    }
}

fn constants(neuron: &LinearNeuron, solver: &Solver, links: &[Link], entries: usize, searches: bool) -> String {
    let oscillates = solver.frequency() > 0.0;
    // Whether the potential rises and falls at most once between two events.
    let has_single_peak = !matches!(solver.solution(), Solution::Search) || (neuron.order <= 2 && !oscillates);
    let mut text =
        format!("    static constexpr int D = {}, LINKS = {}, ENTRIES = {entries};\n", neuron.order, links.len());
    let flags = [
        ("LIFTS", lifts(neuron)),
        ("SINGLE_PEAK", has_single_peak),
        ("SEARCHES", searches),
        ("OSCILLATES", oscillates),
    ];
    let flags: Vec<String> = flags.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let _ = writeln!(text, "    static constexpr bool {};", flags.join(", "));
    let _ = writeln!(text, "    static constexpr double THETA = {};", number(neuron.theta));
    if oscillates {
        let stretch = STRETCH * std::f64::consts::PI / solver.frequency();
        let _ = writeln!(text, "    static constexpr double STRETCH = {};", number(stretch));
    }
    text
}

/// Whether what arrives may lift the potential at once.
pub(super) fn lifts(neuron: &LinearNeuron) -> bool {
    neuron.inject.iter().any(|inject| neuron.potential(inject) != 0.0)
}

fn potential_text(neuron: &LinearNeuron) -> String {
    let sizes: Vec<f64> = neuron.threshold.iter().map(|weight| weight.abs()).collect();
    let mut slope = vec![0.0; neuron.order];
    let mut offset = 0.0;
    let rows = neuron.flow.chunks_exact(neuron.order.max(1)).zip(&neuron.drive);
    for (weight, (row, drive)) in neuron.threshold.iter().zip(rows) {
        slope.iter_mut().zip(row).for_each(|(sum, entry)| *sum += weight * entry);
        offset += weight * drive;
    }
    let functions = [
        ("potential", dot(&neuron.threshold, "x")),
        ("magnitude", sum(&sizes, 0.0, |at| format!("ev_abs(x[{at}])"))),
        ("slope", sum(&slope, offset, |at| format!("x[{at}]"))),
    ];
    functions
        .iter()
        .map(|(name, value)| format!("    static SN_DEV double {name}(const double* x) {{ return {value}; }}\n"))
        .collect()
}

fn links_text(links: &[Link]) -> String {
    let each = |of: &dyn Fn(&Link) -> String| links.iter().map(of).collect::<Vec<String>>();
    let linear = |link: &Link| match link.row.split_last() {
        Some((constant, weights)) => sum(weights, *constant, |at| format!("x[{at}]")),
        None => number(0.0),
    };
    choice("double link(int link, const double* x)", "link", &each(&linear), "0.0")
        + &choice("double rate(int link)", "link", &each(&|link| number(link.rate)), "0.0")
        + &choice("double frequency(int link)", "link", &each(&|link| number(link.frequency)), "0.0")
        + &choice("bool is_second(int link)", "link", &each(&|link| link.is_second.to_string()), "false")
}

fn rise_text(solution: &Solution) -> String {
    let of = |weights: &[f64]| match weights.split_last() {
        Some((constant, weights)) => sum(weights, *constant, |at| format!("x[{at}]")),
        None => number(0.0),
    };
    let value = match solution {
        Solution::Line { slope, level } => format!("ev_rise_of_line({}, {}, time)", of(slope), of(level)),
        Solution::Logarithm { rate, term, level } => {
            format!("ev_rise_of_logarithm({}, {}, {}, time)", of(term), of(level), number(*rate))
        }
        Solution::Quadratic { rate, square, linear, level } => {
            format!("ev_rise_of_quadratic({}, {}, {}, {}, time)", of(square), of(linear), of(level), number(*rate))
        }
        Solution::LambertW { rate, ramp, term, level } => {
            format!("ev_rise_of_equal_rates({}, {}, {}, {}, time)", of(ramp), of(term), of(level), number(*rate))
        }
        Solution::Search => "EV_UNKNOWN".to_owned(),
    };
    format!("    static SN_DEV int rise(const double* x, double& time) {{ return {value}; }}\n")
}

/// What arrivals and spikes do to the states.
fn events_text(neuron: &LinearNeuron) -> String {
    let n = neuron.order;
    let mut text = "    static SN_DEV void start(double* x) {".to_owned();
    for (at, state) in neuron.start.iter().enumerate() {
        let _ = write!(text, " x[{at}] = {};", number(*state));
    }
    text += " }\n    static SN_DEV void receive(u32 port, double* x, double weight) {\n";
    for (port, inject) in neuron.inject.iter().enumerate() {
        let _ = write!(text, "        if (port == {port}) {{");
        for (at, step) in inject.iter().enumerate().filter(|(_, step)| **step != 0.0) {
            let factor = Some(number(*step)).filter(|_| *step != 1.0);
            let now = fused(Some(format!("x[{at}]")), std::iter::once((factor, "weight".to_owned())));
            let _ = write!(text, " x[{at}] = {now};");
        }
        text += " }\n";
    }
    let before: Vec<String> = (0..n).map(|at| format!("x[{at}]")).collect();
    let _ = writeln!(
        text,
        "    }}\n    static SN_DEV void reset(double* x) {{\n        const double before[] = {{{}}};",
        before.join(", ")
    );
    for (at, (row, kick)) in neuron.reset.chunks_exact(n.max(1)).zip(&neuron.kick).enumerate() {
        let _ = writeln!(text, "        x[{at}] = {};", sum(row, *kick, |from| format!("before[{from}]")));
    }
    text + "    }\n"
}

fn adjoint_text(neuron: &LinearNeuron) -> String {
    let n = neuron.order;
    let mut text = "    static SN_DEV void change(const double* x, double* change) {\n".to_owned();
    let commutator = neuron.commutator();
    for (at, (row, steady)) in commutator.chunks_exact(n.max(1)).zip(neuron.steady_change()).enumerate() {
        let _ = writeln!(text, "        change[{at}] = {};", sum(row, steady, |from| format!("x[{from}]")));
    }
    let after: Vec<String> = (0..n).map(|at| format!("lambda[{at}]")).collect();
    text += "    }\n    static SN_DEV void reset_adjoint(double* lambda) {\n";
    let _ = writeln!(text, "        const double after[] = {{{}}};", after.join(", "));
    for at in 0..n {
        let column: Vec<f64> = neuron.reset.iter().skip(at).step_by(n).copied().collect();
        let _ = writeln!(text, "        lambda[{at}] = {};", dot(&column, "after"));
    }
    text += "    }\n    static SN_DEV void add_threshold(double factor, double* lambda) {";
    for (at, weight) in neuron.threshold.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
        let _ = write!(text, " lambda[{at}] += {} * factor;", number(*weight));
    }
    text + " }\n"
        + &dots("double along_inject(u32 port, const double* lambda)", &neuron.inject, "lambda")
        + &dots("double along_drift(u32 port, const double* lambda)", &drifts(neuron), "lambda")
}

/// By port, the rate of change of what arrives there.
fn drifts(neuron: &LinearNeuron) -> Vec<Vec<f64>> {
    let drift = |inject: &Vec<f64>| {
        let mut drift = vec![0.0; neuron.order];
        neuron.flow_of(inject, &mut drift);
        drift
    };
    neuron.inject.iter().map(drift).collect()
}
