//! Layers as programs, with inputs that can be repeated, and what the interpreter makes of them.

use snn_loops::event_sweep::{COUNTERS, Source, SynapseGradients, SynapseOperands};
use snn_loops::interp::{self, Memory};
use snn_loops::{
    BufferId, Dtype, EventLayer, EventSweep, Kernel, Launch, Operand, Program, RandomKey, Role, SweepPass,
};

/// The key of all runs.
pub const KEY: RandomKey = RandomKey { seed: 1, run: 1 };

/// Samples.
pub const BATCH: usize = 3;

/// A small generator of repeatable numbers (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// A float in -2..2 that f32 represents.
    pub fn float(&mut self) -> f64 {
        (self.next() >> 44) as f64 / (1 << 18) as f64 - 2.0
    }
}

/// Layers side by side, each with its forward pass and its gradients, and inputs.
pub struct Layers {
    pub program: Program,
    pub inputs: Vec<(BufferId, Vec<f64>)>,
    pub cases: Vec<Case>,
    /// Which of the inputs are trains.
    trains: Vec<usize>,
}

/// A layer of a program.
pub struct Case {
    pub what: &'static str,
    pub outputs: Vec<BufferId>,
    pub times: BufferId,
}

impl Layers {
    /// These layers, in programs of a type.
    pub fn of(layers: &[(&'static str, EventLayer)], dtype: Dtype) -> Layers {
        let mut all =
            Layers { program: Program::new(dtype), inputs: Vec::new(), cases: Vec::new(), trains: Vec::new() };
        for (at, (what, layer)) in layers.iter().enumerate() {
            all.add(what, layer, &mut Numbers(at as u64));
        }
        snn_loops::verify::verify(&all.program).unwrap();
        all
    }

    fn input(&mut self, values: Vec<f64>) -> Operand {
        let id = self.program.add_buffer("in", values.len(), Role::Input);
        self.inputs.push((id, values));
        Operand::whole(id)
    }

    fn output(&mut self, len: usize, outputs: &mut Vec<BufferId>) -> Operand {
        let id = self.program.add_buffer("out", len, Role::Output);
        outputs.push(id);
        Operand::whole(id)
    }

    fn add(&mut self, what: &'static str, layer: &EventLayer, numbers: &mut Numbers) {
        let (mut synapses, mut gradients, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
        let mut delays = (1..).map(|at| 0.0078125 * f64::from(at));
        for group in &layer.synapses {
            let mut operands = SynapseOperands { train: None, weight: Operand::whole(BufferId(0)), delay: None };
            let mut wanted = SynapseGradients::default();
            if let Source::Train(slots) = group.source {
                let times = train(numbers, slots, group.senders());
                wanted.train = Some(self.output(times.len(), &mut outputs));
                self.trains.push(self.inputs.len());
                operands.train = Some(self.input(times));
            }
            let len = group.shape.weight_len();
            let scale = if group.port == 0 { 0.6 } else { 1.5 };
            let weights = (0..len).map(|_| f64::from((scale * (numbers.float() + 0.4)) as f32)).collect();
            operands.weight = self.input(weights);
            wanted.weight = Some(self.output(len, &mut outputs));
            if group.source == Source::Own(true) {
                operands.delay = Some(self.input(delays.next().into_iter().collect()));
                wanted.delay = Some(self.output(1, &mut outputs));
            }
            synapses.push(operands);
            gradients.push(wanted);
        }
        let n = layer.slots * BATCH * layer.neurons();
        let errors = self.input((0..n).map(|_| numbers.float()).collect());
        let [times, memory, counters] =
            [n, n * layer.memory_width(), COUNTERS].map(|len| self.output(len, &mut outputs));
        self.cases.push(Case { what, outputs, times: times.buffer });
        let (kept, counted) = (Some(memory.clone()), Some(counters));
        let forward = SweepPass::Forward { times: times.clone(), memory: kept, counters: counted };
        for pass in [forward, SweepPass::Adjoint { times, memory, errors, gradients }] {
            let (name, layer, synapses) = (what.to_owned(), layer.clone(), synapses.clone());
            let sweep = EventSweep { name, layer, batch: BATCH, synapses, pass };
            let kernel = self.program.add_kernel(Kernel::EventSweep(sweep));
            self.program.launches.push(Launch::Run(kernel));
        }
    }

    /// Trains as no layer makes them: empty slots before full ones, times that descend, times that are none.
    pub fn make_wild(&mut self) {
        let wild = [f64::INFINITY, 0.25, f64::NAN, -0.125, 0.0625, 0.75, f64::NEG_INFINITY, 0.5, 0.0];
        let mut numbers = Numbers(7);
        for at in &self.trains {
            self.inputs[*at].1.iter_mut().for_each(|time| *time = wild[numbers.below(wild.len())]);
        }
    }

    /// What the interpreter makes of the inputs.
    pub fn interpreted(&self) -> Memory {
        let mut memory = Memory::new(&self.program);
        for (id, values) in &self.inputs {
            memory.write(*id, values).unwrap();
        }
        interp::run(&self.program, &mut memory, KEY).unwrap();
        memory
    }
}

/// Ascending times of random numbers of spikes; some of them at the same time.
fn train(numbers: &mut Numbers, slots: usize, senders: usize) -> Vec<f64> {
    let mut times = vec![f64::INFINITY; slots * BATCH * senders];
    for row in 0..BATCH * senders {
        let mut own: Vec<f64> = (0..numbers.below(slots.min(3) + 1)).map(|_| (numbers.float() + 2.0) / 8.0).collect();
        if numbers.below(4) == 0 {
            own.iter_mut().for_each(|time| *time = (*time * 8.0).floor() / 8.0);
        }
        own.sort_by(f64::total_cmp);
        own.iter().enumerate().for_each(|(slot, time)| times[slot * BATCH * senders + row] = f64::from(*time as f32));
    }
    times
}
