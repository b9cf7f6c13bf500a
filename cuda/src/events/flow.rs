//! How the states of a neuron move over a stretch of time, as text.
//!
//! Where the rates of a neuron are equal or apart, the flow is a sum of few functions of time (`e^(rate t)`, times powers of
//! `t`, sine or cosine), each times a matrix that is worked out here. Rates that are nearly equal would make the entries of
//! these matrices large and their sums small: then the device computes the exponential of a matrix.

use std::fmt::Write;

use snn_loops::events::{LinearNeuron, Mode, Solver, Unsolvable};

use super::text::{dot, fused, number, sum};

/// Rates nearer to each other than this, relative to the larger, and yet not equal.
const APART: f64 = 1e-3;

/// What is left of a weight after rounding counts as nothing below this part of the largest.
const NOTHING: f64 = 64.0 * f64::EPSILON;

/// A function of time: `t^power e^(rate t)`, times the cosine or the sine of `frequency t`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Basis {
    rate: f64,
    frequency: f64,
    power: usize,
    is_sine: bool,
}

/// An entry of the flow's matrix that is not always 0; column `order` is what the drive adds.
struct Entry {
    row: usize,
    column: usize,
    /// Of each basis function; empty where the matrix is an exponential.
    weights: Vec<f64>,
}

/// The flow of a neuron.
pub(super) struct Flow<'n> {
    neuron: &'n LinearNeuron,
    /// Empty where the matrix is computed as an exponential.
    basis: Vec<Basis>,
    entries: Vec<Entry>,
}

impl<'n> Flow<'n> {
    /// Works it out.
    ///
    /// # Errors
    /// If the neuron cannot be solved.
    pub fn of(neuron: &'n LinearNeuron) -> Result<Flow<'n>, Unsolvable> {
        let rows: Vec<Vec<Mode>> =
            (0..neuron.order).map(|row| modes_of_state(neuron, row)).collect::<Result<_, _>>()?;
        let rates: Vec<(f64, f64)> = rows.iter().flatten().map(|mode| (mode.rate, mode.frequency)).collect();
        if !are_apart(&rates) {
            return Ok(Flow::exponential(neuron));
        }
        let mut basis: Vec<Basis> = Vec::new();
        let mut weights: Vec<(usize, usize, Basis, f64)> = Vec::new();
        for (row, mode) in rows.iter().enumerate().flat_map(|(row, modes)| modes.iter().map(move |mode| (row, mode))) {
            for (is_sine, columns) in [(false, &mode.cosine), (true, &mode.sine)] {
                let function = Basis { rate: mode.rate, frequency: mode.frequency, power: mode.power, is_sine };
                for (column, weight) in columns.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
                    if !basis.contains(&function) {
                        basis.push(function);
                    }
                    weights.push((row, column, function, *weight));
                }
            }
        }
        // The slowest first: a rate that is twice another needs no exponential of its own.
        basis.sort_by(|a, b| a.rate.abs().total_cmp(&b.rate.abs()));
        let mut flow = Flow { neuron, basis, entries: Vec::new() };
        for row in 0..neuron.order {
            for column in 0..=neuron.order {
                flow.add_entry(row, column, &weights);
            }
        }
        Ok(flow)
    }

    fn exponential(neuron: &'n LinearNeuron) -> Flow<'n> {
        let columns = neuron.order + usize::from(neuron.drive.iter().any(|drive| *drive != 0.0));
        let entries = (0..neuron.order)
            .flat_map(|row| (0..columns).map(move |column| Entry { row, column, weights: Vec::new() }))
            .collect();
        Flow { neuron, basis: Vec::new(), entries }
    }

    fn add_entry(&mut self, row: usize, column: usize, all: &[(usize, usize, Basis, f64)]) {
        let of_entry = |basis: &Basis| {
            let terms = all.iter().filter(|(r, c, function, _)| (*r, *c) == (row, column) && function == basis);
            terms.map(|(.., weight)| weight).sum::<f64>()
        };
        let mut weights: Vec<f64> = self.basis.iter().map(of_entry).collect();
        let largest = weights.iter().fold(0.0f64, |most, weight| most.max(weight.abs()));
        weights.iter_mut().filter(|weight| weight.abs() <= NOTHING * largest).for_each(|weight| *weight = 0.0);
        if largest > 0.0 {
            self.entries.push(Entry { row, column, weights });
        }
    }

    /// Numbers of a step.
    pub fn n_entries(&self) -> usize {
        self.entries.len().max(1)
    }

    /// Whether the text needs the exponential of matrices.
    pub fn is_exponential(&self) -> bool {
        self.basis.is_empty()
    }

    /// `step`, `advance` and `advance_adjoint`: the numbers of a step, and what they do to states and to the adjoint.
    pub fn text(&self) -> String {
        let mut text = "    static SN_DEV void step(double dt, double* m) {\n".to_owned();
        if self.is_exponential() {
            text += &self.exponential_text();
        } else {
            text += &self.basis_text("double");
            for (at, entry) in self.entries.iter().enumerate() {
                let _ = writeln!(text, "        m[{at}] = {};", sum(&entry.weights, 0.0, |basis| format!("b{basis}")));
            }
        }
        text += "    }\n    static SN_DEV void advance(const double* m, const double* x, double* y) {\n";
        for row in 0..self.neuron.order {
            let of_row = self.entries.iter().enumerate().filter(|(_, entry)| entry.row == row);
            let terms = of_row.map(|(at, entry)| match entry.column {
                column if column == self.neuron.order => (None, format!("m[{at}]")),
                column => (Some(format!("m[{at}]")), format!("x[{column}]")),
            });
            let _ = writeln!(text, "        y[{row}] = {};", fused(None, terms));
        }
        text += "    }\n    static SN_DEV void advance_adjoint(const double* m, double* lambda) {\n";
        let _ = writeln!(text, "        const double after[] = {{{}}};", self.listed("lambda"));
        for column in 0..self.neuron.order {
            let of_column = self.entries.iter().enumerate().filter(|(_, entry)| entry.column == column);
            let terms = of_column.map(|(at, entry)| (Some(format!("m[{at}]")), format!("after[{}]", entry.row)));
            let _ = writeln!(text, "        lambda[{column}] = {};", fused(None, terms));
        }
        text + "    }\n"
    }

    /// A template of the port and the type of numbers: what a change of the states by the port's `starts` has become after a
    /// time.
    pub fn response_text(&self, name: &str, starts: &[Vec<f64>]) -> String {
        let mut text = format!("    template <int PORT, class R> static SN_DEV void {name}(R dt, R* g) {{\n");
        if self.is_exponential() {
            text += "        double m[ENTRIES];\n        step((double)dt, m);\n";
        } else {
            text += &self.basis_text("R");
        }
        for (port, start) in starts.iter().enumerate() {
            let _ = writeln!(text, "        if constexpr (PORT == {port}) {{");
            for row in 0..self.neuron.order {
                let _ = writeln!(text, "            g[{row}] = {};", self.response(row, start));
            }
            text += "        }\n";
        }
        text + "    }\n"
    }

    /// Whether all states decay without a drive, each at a rate of its own.
    pub fn has_amplitudes(&self) -> bool {
        let is_plain = |basis: &Basis| (basis.frequency, basis.power) == (0.0, 0) && basis.rate <= 0.0;
        let n = self.neuron.order;
        self.basis.len() == n && self.basis.iter().all(is_plain) && self.neuron.drive.iter().all(|drive| *drive == 0.0)
    }

    /// `FASTEST`, `decays`, `amplitudes` and `states`: one amplitude for each rate instead of states.
    pub fn amplitudes_text(&self) -> String {
        let n = self.neuron.order;
        let fastest = self.basis.iter().fold(0.0f64, |most, basis| most.max(basis.rate.abs()));
        let mut text = format!("    static constexpr double FASTEST = {};\n", number(fastest));
        text += &format!("    static SN_DEV void decays(double dt, double* e) {{\n{}", self.basis_text("double"));
        let (mut to, mut from) = (String::new(), vec![vec![0.0; n]; n]);
        for at in 0..self.basis.len() {
            let _ = writeln!(text, "        e[{at}] = b{at};");
            let (left, right) = self.vectors(at);
            let _ = writeln!(to, "        a[{at}] = {};", dot(&left, "x"));
            from.iter_mut()
                .zip(right)
                .filter_map(|(row, entry)| Some((row.get_mut(at)?, entry)))
                .for_each(|(to, entry)| *to = entry);
        }
        text += &format!("    }}\n    static SN_DEV void amplitudes(const double* x, double* a) {{\n{to}    }}\n");
        let from: String = from
            .iter()
            .enumerate()
            .map(|(row, weights)| format!("        x[{row}] = {};\n", dot(weights, "a")))
            .collect();
        text + &format!("    static SN_DEV void states(const double* a, double* x) {{\n{from}    }}\n")
    }

    /// The matrix of a rate of its own as a row and a column: what of the states is in its amplitude, and what that is in them.
    fn vectors(&self, basis: usize) -> (Vec<f64>, Vec<f64>) {
        let n = self.neuron.order;
        let mut matrix = vec![0.0; n * n];
        for entry in &self.entries {
            if let (Some(to), Some(weight)) = (matrix.get_mut(entry.row * n + entry.column), entry.weights.get(basis)) {
                *to = *weight;
            }
        }
        let sizes = matrix.iter().map(|entry: &f64| entry.abs()).enumerate();
        let largest = sizes.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at);
        let (row, column) = (largest / n.max(1), largest % n.max(1));
        let pivot = matrix.get(largest).copied().unwrap_or(1.0);
        let left = matrix.iter().skip(row * n).take(n).map(|entry| entry / pivot).collect();
        (left, matrix.iter().skip(column).step_by(n.max(1)).copied().collect())
    }

    fn response(&self, row: usize, start: &[f64]) -> String {
        let of_row = self.entries.iter().enumerate().filter(|(_, entry)| entry.row == row);
        let heard = of_row.filter_map(|(at, entry)| Some((at, entry, *start.get(entry.column)?)));
        if self.is_exponential() {
            let terms = heard.filter(|(.., start)| *start != 0.0);
            let sum = fused(None, terms.map(|(at, _, start)| (Some(number(start)), format!("m[{at}]"))));
            return format!("(R)({sum})");
        }
        let mut weights = vec![0.0; self.basis.len()];
        for (_, entry, start) in heard {
            weights.iter_mut().zip(&entry.weights).for_each(|(sum, weight)| *sum += weight * start);
        }
        let terms = weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0);
        let sum = fused(None, terms.map(|(at, weight)| (Some(format!("(R){}", number(*weight))), format!("b{at}"))));
        format!("(R)({sum})")
    }

    /// The basis functions at `dt` as constants `b0`, `b1`, ..
    fn basis_text(&self, real: &str) -> String {
        let mut text = String::new();
        for (at, basis) in self.basis.iter().enumerate() {
            let earlier = |is: &dyn Fn(&Basis) -> bool| self.basis.iter().take(at).position(is);
            let exponential = if let Some(same) = earlier(&|other| other.rate == basis.rate) {
                format!("e{same}")
            } else if basis.rate == 0.0 {
                format!("({real})1")
            } else if let Some(half) = earlier(&|other| 2.0 * other.rate == basis.rate) {
                format!("e{half} * e{half}")
            } else {
                format!("ev_exp(({real}){} * dt)", number(basis.rate))
            };
            let _ = writeln!(text, "        const {real} e{at} = {exponential};");
            let mut value = format!("e{at}");
            for _ in 0..basis.power {
                value += " * dt";
            }
            if basis.frequency > 0.0 {
                let _ = writeln!(text, "        {real} s{at}, c{at};");
                let _ = writeln!(text, "        ev_sincos(({real}){} * dt, s{at}, c{at});", number(basis.frequency));
                let _ = write!(value, " * {}{at}", if basis.is_sine { 's' } else { 'c' });
            }
            let _ = writeln!(text, "        const {real} b{at} = {value};");
        }
        text
    }

    fn exponential_text(&self) -> String {
        let n = self.neuron.order;
        let mut text = String::new();
        let row = |row: usize| {
            let drive = self.neuron.drive.get(row).copied().unwrap_or(0.0);
            let entries = self.neuron.flow.iter().skip(row * n).take(n).copied().chain([drive]);
            entries.map(|entry| format!("{} * dt", number(entry))).collect::<Vec<String>>().join(", ")
        };
        let rows: Vec<String> = (0..n).map(row).chain([vec!["0.0"; n + 1].join(", ")]).collect();
        let _ = writeln!(text, "        double a[] = {{{}}};", rows.join(", "));
        let _ = writeln!(text, "        ev_exponential<{}>(a);", n + 1);
        for (at, entry) in self.entries.iter().enumerate() {
            let _ = writeln!(text, "        m[{at}] = a[{}];", entry.row * (n + 1) + entry.column);
        }
        text
    }

    fn listed(&self, array: &str) -> String {
        (0..self.neuron.order).map(|at| format!("{array}[{at}]")).collect::<Vec<String>>().join(", ")
    }
}

/// A state as a function of all states a time before.
fn modes_of_state(neuron: &LinearNeuron, state: usize) -> Result<Vec<Mode>, Unsolvable> {
    let mut watched = neuron.clone();
    watched.threshold = vec![0.0; neuron.order];
    if let Some(weight) = watched.threshold.get_mut(state) {
        *weight = 1.0;
    }
    watched.theta = 0.0;
    Ok(Solver::new(&watched)?.modes())
}

/// Whether rates (and frequencies) that are not equal are well apart.
fn are_apart(rates: &[(f64, f64)]) -> bool {
    let size = |rate: &(f64, f64)| rate.0.abs() + rate.1;
    rates.iter().enumerate().all(|(at, a)| {
        rates.iter().take(at).all(|b| {
            let gap = (a.0 - b.0).abs() + (a.1 - b.1).abs();
            gap == 0.0 || gap > APART * size(a).max(size(b))
        })
    })
}

/// The text of a vector times an array, for each of several vectors: a function of the index.
pub(super) fn dots(header: &str, vectors: &[Vec<f64>], array: &str) -> String {
    let choices: Vec<String> = vectors.iter().map(|vector| dot(vector, array)).collect();
    super::text::choice(header, "port", &choices, "0.0")
}
