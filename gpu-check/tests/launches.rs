//! How many launches trainings take, which needs no device.

use snn_cuda::{Arch, Argument, Precision, Target, emit};
use snn_gpu_check::{models, programs};
use snn_loops::{BufferId, Program, Role};

fn training(name: &str) -> Program {
    let subjects = models::shipped();
    let subject = subjects.iter().find(|subject| subject.name == name).unwrap();
    let programs = programs::of(&subject.model().unwrap(), subject.batch).unwrap();
    programs.into_iter().find(|(part, _)| *part == "train").unwrap().1
}

#[test]
fn one_launch_updates_all_parameters_that_nobody_waits_for() {
    // One of the latter is updated by a loop that also computes what the backward pass goes on with.
    for (name, expected) in [("digits_mlp", vec![4]), ("tdbn_small", vec![1, 23])] {
        let program = training(name);
        let emission = emit(&program, &Target { arch: Arch::Sm80, dtype: program.dtype, precision: Precision::F16 });
        let is_new = |id: BufferId| {
            let buffer = &program.buffers[id.0 as usize];
            buffer.role == Role::Output && buffer.name.starts_with("param:")
        };
        let writes = |argument: &&Argument| matches!(argument, Argument::Operand(operand) if is_new(operand.buffer));
        let updates = emission.kernels.iter().flatten().map(|call| call.arguments.iter().filter(writes).count());
        let updates: Vec<usize> = updates.filter(|new| *new > 0).collect();
        assert_eq!(updates, expected, "{name}");
        assert_eq!(
            (0..program.buffers.len()).filter(|at| is_new(BufferId(*at as u32))).count(),
            expected.iter().sum::<usize>(),
            "{name}"
        );
    }
}
