//! Weights that are put in order once: results are always those of the weights that are there.

use snn_cuda::{Arch, Emission, Instance, Precision, Target, emit};
use snn_loops::interp::{self, Memory};
use snn_loops::{
    Access, BufferId, Contraction, ContractionKind, ConvShape, Dtype, Extent, Ix, Kernel, Launch, LoopKind,
    NestBuilder, Operand, Program, Role, Scalar, verify,
};

use crate::instances::{compiled, read, with_fakes, write};
use crate::programs::KEY;

/// Channels on both sides: products enough for tiles.
const N: usize = 64;
/// Samples.
const ROWS: usize = 16;

/// `y = weight x` and `new = other + 1`, or `weight + other` where weights are updated.
struct Map {
    program: Program,
    x: BufferId,
    weight: BufferId,
    other: BufferId,
    y: BufferId,
    new: BufferId,
}

fn map(is_updated: bool) -> Map {
    let mut program = Program::new(Dtype::F32);
    let x = program.add_buffer("x", ROWS * N, Role::Input);
    let [weight, other] = ["weight", "other"].map(|name| program.add_buffer(name, N * N, Role::Input));
    let y = program.add_buffer("y", ROWS * N, Role::Output);
    let new = program.add_buffer("new", N * N, Role::Output);
    let [a, b, out] = [x, weight, y].map(Operand::whole);
    let (name, kind, shape) = ("map".to_owned(), ContractionKind::Forward, ConvShape::linear(N, N));
    let map = Contraction {
        name,
        kind,
        shape,
        rows: ROWS,
        packed: false,
        planes: 1,
        weights: snn_loops::WeightValues::Any,
        a,
        b,
        out,
    };
    let mut nest = NestBuilder::new("new");
    let lane = nest.fresh_var();
    nest.open(lane, Extent::Fixed(N * N), LoopKind::Lanes);
    let value = nest.load(Access::new(other, Ix::var(lane)));
    let more = if is_updated { nest.load(Access::new(weight, Ix::var(lane))) } else { nest.constant(1.0) };
    let sum = nest.scalar(Scalar::Add, &[value, more]);
    nest.store(Access::new(new, Ix::var(lane)), sum);
    for kernel in [Kernel::Contraction(map), Kernel::Nest(nest.finish())] {
        let id = program.add_kernel(kernel);
        program.launches.push(Launch::Run(id));
    }
    assert_eq!(verify::verify(&program), Ok(()));
    Map { program, x, weight, other, y, new }
}

fn emission(program: &Program) -> Emission {
    emit(program, &Target { arch: Arch::Sm80, dtype: Dtype::F32, precision: Precision::F32 })
}

/// Small whole numbers: their sums have one value in any order.
fn numbers(len: usize, seed: usize) -> Vec<f64> {
    (0..len).map(|at| ((at * 7 + seed * 13) % 11) as f64 - 5.0).collect()
}

#[test]
fn weights_are_prepared_once_where_nobody_updates_them() {
    let steady = emission(&map(false).program);
    assert_eq!(steady.prepare.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0]);
    assert_eq!((steady.kernels[0].len(), steady.prepared, steady.workspace), (1, N * N * 4, 0));
    let updated = emission(&map(true).program);
    assert!(updated.prepare.iter().all(Vec::is_empty));
    assert_eq!((updated.kernels[0].len(), updated.prepared, updated.workspace), (2, 0, N * N * 4));
}

#[test]
fn results_are_those_of_the_weights_that_are_there() {
    if !with_fakes("prepared::results_are_those_of_the_weights_that_are_there") {
        return;
    }
    for is_updated in [false, true] {
        let map = map(is_updated);
        let executable = compiled(&map.program);
        for in_place in [false, true] {
            let pairs = if in_place { vec![(map.new, map.weight)] } else { vec![] };
            let mut instance = Instance::replacing(&executable, &pairs).unwrap();
            let mut memory = Memory::new(&map.program);
            let set = |instance: &mut Instance, memory: &mut Memory, id, seed| {
                let values = numbers(memory.buffer(id).len(), seed);
                write(instance, Dtype::F32, id, &values);
                memory.write(id, &values).unwrap();
            };
            set(&mut instance, &mut memory, map.x, 1);
            set(&mut instance, &mut memory, map.other, 2);
            set(&mut instance, &mut memory, map.weight, 3);
            for run in 0..12 {
                instance.run(KEY).unwrap();
                interp::run(&map.program, &mut memory, KEY).unwrap();
                for id in [map.y, map.new] {
                    let found = read(&instance, Dtype::F32, id);
                    assert_eq!(found, memory.buffer(id), "updated {is_updated}, in place {in_place}, run {run}");
                }
                match run {
                    3 | 4 => set(&mut instance, &mut memory, map.weight, run),
                    // New weights take the place of the old ones.
                    5..=7 => {
                        let new = memory.buffer(map.new).to_vec();
                        instance.swap(map.new, map.weight).unwrap();
                        memory.write(map.weight, &new).unwrap();
                    }
                    _ if in_place => {
                        let new = memory.buffer(map.new).to_vec();
                        memory.write(map.weight, &new).unwrap();
                    }
                    _ => {}
                }
            }
        }
    }
}
