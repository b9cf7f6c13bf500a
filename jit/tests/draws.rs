//! Random numbers: the bits of the interpreter, for any length, step, type and number of threads.

mod common;

use common::DTYPES;
use snn_loops::{Distribution, Draw, Ix, Kernel, Launch, Operand, Program, Role};

#[test]
fn draws_equal_the_interpreter() {
    for dtype in DTYPES {
        for distribution in [Distribution::Uniform, Distribution::Normal, Distribution::Bernoulli(0.3)] {
            // Odd lengths make every later step start inside of a block of the generator.
            for len in [0, 1, 2, 3, 5, 8, 4097, 9001] {
                let steps = 3;
                let mut program = Program::new(dtype);
                let out = program.add_buffer("out", steps * len + 2, Role::Output);
                let single = program.add_buffer("single", len, Role::Output);
                let draw = |out| Kernel::Draw(Draw { name: "draw".into(), distribution, stream: 11, len, out });
                let moving = Operand { buffer: out, offset: Ix::step().times(len as i64).offset(1) };
                let in_loop = program.add_kernel(draw(moving));
                let alone = program.add_kernel(draw(Operand::whole(single)));
                program.launches.push(Launch::Repeat { steps, reverse: false, body: vec![Launch::Run(in_loop)] });
                program.launches.push(Launch::Run(alone));
                let expected = common::interpret(&program, &[]);
                for options in common::all_options() {
                    let found = common::execute(&program, &[], &options);
                    let context = format!("{distribution:?} of {len} in {dtype:?}");
                    assert_eq!(found[0][1..=steps * len], expected[0][1..=steps * len], "{context}");
                    assert_eq!(found[1], expected[1], "{context}");
                }
            }
        }
    }
}
