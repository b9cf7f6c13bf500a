//! What the verifier says of nests that read the packed buffer that they write.

use snn_loops::verify::verify;
use snn_loops::{Access, Dtype, Extent, Ix, Kernel, Launch, LoopKind, NestBuilder, Program, Role};

/// A nest that copies 64 bits from one packed buffer to another, or to the same.
fn copy(same: bool) -> Program {
    let mut program = Program::new(Dtype::F32);
    let x = program.add_buffer("x", 64, Role::Input);
    let (a, b) = (program.add_packed_buffer("a", 64), program.add_packed_buffer("b", 64));
    for (from, to) in [(x, a), (a, if same { a } else { b })] {
        let mut nest = NestBuilder::new("copy");
        let lane = nest.fresh_var();
        nest.open(lane, Extent::Fixed(64), LoopKind::Lanes);
        let value = nest.load(Access::new(from, Ix::var(lane)));
        nest.store(Access::new(to, Ix::var(lane)), value);
        let kernel = program.add_kernel(Kernel::Nest(nest.finish()));
        program.launches.push(Launch::Run(kernel));
    }
    program
}

#[test]
fn packed_buffers_are_not_updated_in_place() {
    assert_eq!(verify(&copy(false)), Ok(()));
    let errors = verify(&copy(true)).expect_err("a store of several bits takes those that other lanes still read");
    assert_eq!(errors.iter().map(|error| error.rule).collect::<Vec<_>>(), [13]);
}
