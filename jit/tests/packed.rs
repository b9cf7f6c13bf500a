//! Buffers of bits: what is stored, how it is loaded, and that compiled code gives the bits of the interpreter.

mod common;

use common::{DTYPES, Numbers, assert_equals_interpreter};
use snn_loops::{
    Access, BufferId, Dtype, Extent, Ix, Kernel, Launch, LoopKind, NestBuilder, Program, Role, Scalar, Val, Var,
};

/// Elements of a row; rows begin at whole words.
const LANES: [usize; 8] = [1, 3, 16, 63, 64, 65, 100, 130];
const ROWS: usize = 5;

/// What counts as a spike is only told from 0, whatever else it is.
const SPECIAL: [f64; 10] = [0.0, -0.0, 1.0, -1.0, 1e-40, -1e-40, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.3];

/// How the loops around lanes are written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// Rows one after the other, and lanes.
    Rows(LoopKind),
    /// Blocks of this many lanes, of all rows as one; full words each.
    Blocks(usize),
    /// One row a step.
    Steps,
}

const FORMS: [Form; 6] = [
    Form::Rows(LoopKind::Parallel),
    Form::Rows(LoopKind::Serial),
    Form::Rows(LoopKind::Reverse),
    Form::Blocks(64),
    Form::Blocks(192),
    Form::Steps,
];

struct Case {
    form: Form,
    lanes: usize,
    pitch: usize,
    program: Program,
}

/// A place in rows: the index of the row and of the lane.
struct Place {
    row: Ix,
    lane: Ix,
}

impl Case {
    fn new(form: Form, lanes: usize, dtype: Dtype) -> Case {
        Case { form, lanes, pitch: lanes.next_multiple_of(64), program: Program::new(dtype) }
    }

    /// Opens the loops of a nest over all lanes.
    fn open(&self, b: &mut NestBuilder) -> Place {
        let (outer, lane) = (b.fresh_var(), b.fresh_var());
        match self.form {
            Form::Rows(kind) => {
                b.open(outer, Extent::Fixed(ROWS), kind);
                b.open(lane, Extent::Fixed(self.lanes), LoopKind::Lanes);
                Place { row: Ix::var(outer), lane: Ix::var(lane) }
            }
            Form::Blocks(size) => {
                // One row: its lanes in blocks.
                b.open(outer, Extent::Fixed(self.lanes.div_ceil(size)), LoopKind::Parallel);
                b.open(lane, Extent::Block { block: outer, size, total: self.lanes }, LoopKind::Lanes);
                Place { row: Ix::constant(2), lane: Ix::var(outer).times(size as i64).plus(&Ix::var(lane)) }
            }
            Form::Steps => {
                b.open(lane, Extent::Fixed(self.lanes), LoopKind::Lanes);
                Place { row: Ix::step(), lane: Ix::var(lane) }
            }
        }
    }

    fn add(&mut self, b: NestBuilder) {
        let kernel = self.program.add_kernel(Kernel::Nest(b.finish()));
        self.program.launches.push(match self.form {
            Form::Steps => Launch::Repeat { steps: ROWS, reverse: false, body: vec![Launch::Run(kernel)] },
            Form::Rows(_) | Form::Blocks(_) => Launch::Run(kernel),
        });
    }

    /// Clears all rows of a buffer, so that no load depends on what was there.
    fn clear(&mut self, buffer: BufferId, len: usize) {
        let mut b = NestBuilder::new("clear");
        let lane = b.fresh_var();
        b.open(lane, Extent::Fixed(len), LoopKind::Lanes);
        let zero = b.constant(0.0);
        b.store(Access::new(buffer, Ix::var(lane)), zero);
        let kernel = self.program.add_kernel(Kernel::Nest(b.finish()));
        self.program.launches.push(Launch::Run(kernel));
    }

    fn element(&self, place: &Place) -> Ix {
        place.row.times(self.lanes as i64).plus(&place.lane)
    }

    fn bit(&self, place: &Place) -> Ix {
        place.row.times(self.pitch as i64).plus(&place.lane)
    }

    /// Stores what lies in a buffer of floats to a buffer of bits.
    fn pack(&mut self, from: BufferId, to: BufferId) {
        let mut b = NestBuilder::new("pack");
        let place = self.open(&mut b);
        let value = b.load(Access::new(from, self.element(&place)));
        b.store(Access::new(to, self.bit(&place)), value);
        self.add(b);
    }

    /// Weighs what several kinds of loads give, so that none can be taken for another.
    fn unpack(&mut self, from: BufferId, to: BufferId) {
        let (lanes, pitch) = (self.lanes as i64, self.pitch as i64);
        let mut b = NestBuilder::new("unpack");
        let place = self.open(&mut b);
        let row = place.row.times(pitch);
        let inside = |index: Ix, other: Ix, padding: f64| Access {
            bounds: vec![(other, lanes)],
            otherwise: padding.to_bits(),
            ..Access::new(from, index)
        };
        let left = place.lane.offset(-1);
        let right = place.lane.offset(3);
        let loads = [
            Access::new(from, self.bit(&place)),
            // The same for all lanes.
            Access::new(from, row.offset(lanes / 2)),
            Access::new(from, Ix::constant(0)),
            // Backwards, with gaps, and out of order.
            Access::new(from, row.plus(&place.lane.times(-1)).offset(lanes - 1)),
            Access::new(from, place.lane.times(2)),
            Access::new(from, row.plus(&place.lane.times(7).modulo(lanes, &|_| None))),
            // Over both ends.
            inside(row.plus(&left), left, 5.0),
            inside(row.plus(&right), right, -0.0),
        ];
        let mut sum = b.constant(0.0);
        for (at, access) in loads.into_iter().enumerate() {
            let (bit, weight) = (b.load(access), b.constant(f64::from(1 << at)));
            let term = b.scalar(Scalar::Mul, &[bit, weight]);
            sum = b.scalar(Scalar::Add, &[sum, term]);
        }
        let sum = column(&mut b, sum, from, &place.lane, pitch);
        b.store(Access::new(to, self.element(&place)), sum);
        self.add(b);
    }
}

/// Adds the bits of a lane in all rows.
fn column(b: &mut NestBuilder, start: Val, from: BufferId, lane: &Ix, pitch: i64) -> Val {
    let (row, sum): (Var, _) = (b.fresh_var(), b.fresh_reg());
    b.set(sum, start);
    b.open(row, Extent::Fixed(ROWS), LoopKind::Reverse);
    let (before, bit) = (b.get(sum), b.load(Access::new(from, Ix::var(row).times(pitch).plus(lane))));
    let after = b.scalar(Scalar::Add, &[before, bit]);
    b.set(sum, after);
    b.close();
    b.get(sum)
}

#[test]
fn bits_are_stored_and_loaded() {
    let mut numbers = Numbers(11);
    for dtype in DTYPES {
        for form in FORMS {
            for lanes in LANES {
                let mut case = Case::new(form, lanes, dtype);
                let values: Vec<f64> = (0..ROWS * lanes).map(|_| *numbers.pick(&SPECIAL)).collect();
                let x = case.program.add_buffer("x", ROWS * lanes, Role::Input);
                let bits = case.program.add_packed_buffer("bits", ROWS * case.pitch);
                let y = case.program.add_buffer("y", ROWS * lanes, Role::Output);
                case.clear(bits, ROWS * case.pitch);
                case.clear(y, ROWS * lanes);
                case.pack(x, bits);
                case.unpack(bits, y);
                let context = format!("{lanes} lanes, {form:?}, {dtype:?}");
                assert_equals_interpreter(&case.program, &[(x, values)], &context);
            }
        }
    }
}

/// Stores of one loop over lanes fill several words, from bits of other buffers.
#[test]
fn bits_are_made_of_bits() {
    let mut numbers = Numbers(12);
    for dtype in DTYPES {
        for lanes in LANES {
            let mut case = Case::new(Form::Rows(LoopKind::Parallel), lanes, dtype);
            let len = ROWS * lanes;
            let x = case.program.add_buffer("x", len, Role::Input);
            let z = case.program.add_buffer("z", len, Role::Input);
            let y = case.program.add_buffer("y", len, Role::Output);
            let [first, second, third] = ["first", "second", "third"].map(|name| {
                let bits = case.program.add_packed_buffer(name, ROWS * case.pitch);
                case.clear(bits, ROWS * case.pitch);
                bits
            });
            case.pack(x, first);
            case.pack(z, second);
            let mut b = NestBuilder::new("exclusive or");
            let place = case.open(&mut b);
            let [one, other] = [first, second].map(|bits| b.load(Access::new(bits, case.bit(&place))));
            let different = b.scalar(Scalar::Sub, &[one, other]);
            b.store(Access::new(third, case.bit(&place)), different);
            case.add(b);
            case.unpack(third, y);
            let mut spikes = || (0..len).map(|_| numbers.below(2) as f64).collect::<Vec<_>>();
            let inputs = [(x, spikes()), (z, spikes())];
            assert_equals_interpreter(&case.program, &inputs, &format!("{lanes} lanes, {dtype:?}"));
        }
    }
}
