//! Rules for the order of launches.

use snn_loops::{Access, Ix, Kernel, KernelId, Launch, NestBuilder, Program};

use super::*;

/// k0 writes the temporary, k1 reads it, k2 reads its previous element within bounds.
pub(crate) fn three_kernels(launches: Vec<Launch>) -> Program {
    let mut program = program();
    let emits: [Emit; 3] = [
        |b| store_one(b, TEMPORARY, at(0)),
        |b| {
            b.load(Access::new(TEMPORARY, at(0)));
        },
        |b| {
            let previous = Ix::step().offset(-1);
            b.load(Access { bounds: vec![(previous.clone(), 3)], ..Access::new(TEMPORARY, previous) });
        },
    ];
    for emit in emits {
        let mut b = NestBuilder::new("k");
        emit(&mut b);
        program.add_kernel(Kernel::Nest(b.finish()));
    }
    program.launches = launches;
    program
}

#[test]
fn rules_for_launches() {
    let run = |id| Launch::Run(KernelId(id));
    let repeat = |steps, body| Launch::Repeat { steps, reverse: false, body };
    let cases = [
        ("in order", &[][..], vec![run(0), run(1)]),
        ("out of order", &[12], vec![run(1), run(0)]),
        ("missing kernel", &[1], vec![run(3)]),
        ("in a repeat, in order", &[], vec![repeat(3, vec![run(0), run(1)])]),
        ("in a repeat, out of order", &[12], vec![repeat(3, vec![run(1), run(0)])]),
        ("carried from step to step", &[], vec![repeat(3, vec![run(2), run(0)])]),
        ("written in a repeat that never runs", &[12], vec![repeat(0, vec![run(0)]), run(1)]),
        ("step outside of a repeat", &[11, 12], vec![run(2)]),
        ("nested", &[11], vec![repeat(3, vec![repeat(3, vec![run(0)])])]),
    ];
    for (name, rules, launches) in cases {
        assert_eq!(broken(&three_kernels(launches)), rules, "{name}");
    }
}
