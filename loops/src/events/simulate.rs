//! One neuron on a list of input spikes, event by event: the meaning of event-exact spike times.

use super::solver::Solver;

/// A spike that arrives at a neuron.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputSpike {
    /// When it arrives, in seconds.
    pub time: f64,
    /// The port of the neuron it arrives at.
    pub port: usize,
    /// The weight it arrives with.
    pub weight: f64,
}

/// A spike of a neuron, and what its gradient needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSpike {
    /// When the neuron spikes, in seconds.
    pub time: f64,
    /// The states just before its reset.
    pub before: Vec<f64>,
    /// The slope of the potential there, per second.
    pub slope: f64,
    /// How many of the input spikes have acted before it.
    pub inputs_before: usize,
    /// Whether the last of these has itself lifted the potential over the threshold: then both have the same time.
    pub lifted: bool,
}

/// What a neuron does.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// Its spikes, ascending.
    pub spikes: Vec<OutputSpike>,
    /// Whether it would have spiked more often than it was allowed to.
    pub overflow: bool,
}

/// The spikes of a neuron from 0 to `horizon` seconds on input spikes in ascending order; those before 0 or behind the
/// horizon are not heard. It stops before it would spike more than `budget` times.
///
/// Input spikes act before the threshold is tested at the same time. A neuron that has spiked spikes again only after
/// its potential has been below the threshold.
pub fn simulate(solver: &Solver, inputs: &[InputSpike], horizon: f64, budget: usize) -> Response {
    let start = solver.neuron().start.clone();
    let armed = solver.is_below(&start);
    let response = Response { spikes: Vec::new(), overflow: false };
    let mut run = Run { solver, states: start, now: 0.0, armed, inputs_before: 0, budget, response };
    for together in inputs.chunk_by(|a, b| a.time == b.time) {
        match together.first() {
            Some(input) if (0.0..=horizon).contains(&input.time) => run.until(input.time, false),
            _ => {
                run.inputs_before += together.len();
                continue;
            }
        }
        run.receive(together);
        if run.response.overflow {
            return run.response;
        }
    }
    run.until(horizon, true);
    run.response
}

/// A neuron on its way.
struct Run<'s> {
    solver: &'s Solver,
    states: Vec<f64>,
    now: f64,
    /// Whether the potential has been below the threshold since the last spike.
    armed: bool,
    inputs_before: usize,
    budget: usize,
    response: Response,
}

impl Run<'_> {
    /// Goes on to a time, which belongs to the stretch or to the event at its end.
    fn until(&mut self, time: f64, inclusive: bool) {
        while !self.response.overflow {
            let limit = time - self.now;
            let crossing = match self.armed {
                true => self.solver.first_crossing(&self.states, limit),
                false => self.solver.first_return(&self.states, limit),
            };
            match crossing {
                Some(s) if s < limit || inclusive => {
                    self.advance(s);
                    self.spike(false);
                }
                _ => break,
            }
        }
        self.advance((time - self.now).max(0.0));
        self.now = time;
    }

    fn advance(&mut self, s: f64) {
        self.solver.propagator(s).advance(&mut self.states);
        self.now += s;
        self.armed |= self.solver.is_below(&self.states);
    }

    /// Takes in what arrives at the same time.
    fn receive(&mut self, inputs: &[InputSpike]) {
        let was_below = self.solver.is_below(&self.states);
        for input in inputs {
            self.solver.neuron().receive(&mut self.states, input.port, input.weight);
        }
        self.inputs_before += inputs.len();
        if self.armed && self.solver.excess(&self.states) >= 0.0 {
            self.spike(was_below);
        }
    }

    fn spike(&mut self, lifted: bool) {
        if self.response.spikes.len() == self.budget {
            self.response.overflow = true;
            return;
        }
        let slope = self.solver.neuron().slope(&self.states);
        let before = self.states.clone();
        let spike = OutputSpike { time: self.now, before, slope, inputs_before: self.inputs_before, lifted };
        self.response.spikes.push(spike);
        self.solver.neuron().spike(&mut self.states);
        self.armed = self.solver.is_below(&self.states);
    }
}
