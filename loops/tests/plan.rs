//! Buffers that live at the same time never share memory, on pseudo-random programs, by brute force.
//!
//! The test must never know how the plan is found.

use snn_loops::plan::{plan, plan_bytes};
use snn_loops::{
    BufferId, Distribution, Draw, Dtype, Kernel, KernelId, Launch, Operand, Program, Role, WeightValues,
    contraction::Contraction, contraction::ContractionKind, contraction::ConvShape,
};

struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// A kernel that touches three buffers, or one where they are the same.
fn kernel(buffers: [BufferId; 3]) -> Kernel {
    let [a, b, out] = buffers.map(Operand::whole);
    if a == b {
        return Kernel::Draw(Draw { name: "d".into(), distribution: Distribution::Normal, stream: 0, len: 1, out });
    }
    let (kind, shape) = (ContractionKind::Forward, ConvShape::linear(1, 1));
    Kernel::Contraction(Contraction {
        name: "c".into(),
        kind,
        shape,
        rows: 1,
        packed: false,
        planes: 1,
        weights: WeightValues::Any,
        a,
        b,
        out,
    })
}

fn random_program(rng: &mut Lcg) -> Program {
    let mut program = Program::new(if rng.below(2) == 0 { Dtype::F32 } else { Dtype::F64 });
    let n_buffers = 2 + rng.below(14);
    for id in 0..n_buffers {
        let role = if rng.below(5) == 0 { Role::Output } else { Role::Temporary };
        program.add_buffer(format!("x{id}"), rng.below(200), role);
    }
    let run = |program: &mut Program, rng: &mut Lcg| {
        let buffers = [0; 3].map(|_: i32| BufferId(rng.below(n_buffers) as u32));
        Launch::Run(program.add_kernel(kernel(buffers)))
    };
    for _ in 0..1 + rng.below(12) {
        let launch = if rng.below(4) == 0 {
            let body = (0..1 + rng.below(3)).map(|_| run(&mut program, rng)).collect();
            Launch::Repeat { steps: 3, reverse: false, body }
        } else {
            run(&mut program, rng)
        };
        program.launches.push(launch);
    }
    program
}

/// The buffers a launch touches, without the help of the crate.
fn touched(program: &Program, launch: &Launch) -> Vec<BufferId> {
    match launch {
        Launch::Run(KernelId(id)) => match &program.kernels[*id as usize] {
            Kernel::Contraction(c) => vec![c.a.buffer, c.b.buffer, c.out.buffer],
            Kernel::Draw(draw) => vec![draw.out.buffer],
            Kernel::Nest(_) | Kernel::EventSweep(_) => vec![],
        },
        Launch::Repeat { body, .. } => body.iter().flat_map(|launch| touched(program, launch)).collect(),
    }
}

/// For every launch which buffers are alive.
fn alive(program: &Program) -> Vec<Vec<usize>> {
    let touched: Vec<Vec<BufferId>> = program.launches.iter().map(|launch| touched(program, launch)).collect();
    let touches = |launches: &[Vec<BufferId>], id: usize| launches.iter().flatten().any(|b| b.0 as usize == id);
    let is_alive = |at: usize, id: usize| touches(&touched[..=at], id) && touches(&touched[at..], id);
    (0..touched.len()).map(|at| (0..program.buffers.len()).filter(|id| is_alive(at, *id)).collect()).collect()
}

#[test]
fn living_buffers_never_overlap() {
    let mut rng = Lcg(11);
    let (mut shared, mut peak_reached) = (0, 0);
    for round in 0..400 {
        let program = random_program(&mut rng);
        let align = [0, 1, 16, 64][round % 4];
        let own: Vec<usize> = program.buffers.iter().map(|buffer| buffer.len * program.dtype.size()).collect();
        let (plan, bytes) = if rng.below(2) == 0 {
            (plan(&program, align), own)
        } else {
            let bytes: Vec<usize> = own.iter().map(|own| rng.below(own + 1)).collect();
            (plan_bytes(&program, align, &bytes, &[]), bytes)
        };
        assert_eq!(plan.slots.len(), program.buffers.len());
        let alive = alive(&program);
        for (id, (slot, buffer)) in plan.slots.iter().zip(&program.buffers).enumerate() {
            let is_needed = buffer.role == Role::Temporary && alive.iter().flatten().any(|other| *other == id);
            assert_eq!(slot.is_some(), is_needed, "b{id}\n{program}");
            if let Some(slot) = slot {
                assert_eq!(slot.bytes, bytes[id]);
                assert_eq!(slot.offset % align.max(1), 0);
                assert!(slot.offset + slot.bytes <= plan.arena_bytes);
            }
        }
        let mut peak = 0;
        for buffers in &alive {
            let slots: Vec<_> = buffers.iter().filter_map(|id| plan.slots[*id]).collect();
            for (at, a) in slots.iter().enumerate() {
                for b in &slots[at + 1..] {
                    assert!(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset, "{a:?} {b:?}\n{program}");
                }
            }
            peak = peak.max(slots.iter().map(|slot| slot.bytes.next_multiple_of(align.max(1))).sum());
        }
        let all: usize = plan.slots.iter().flatten().map(|slot| slot.bytes.next_multiple_of(align.max(1))).sum();
        assert_eq!(plan.peak_bytes, peak);
        assert!(plan.arena_bytes >= peak && plan.arena_bytes <= all.max(peak));
        shared += usize::from(plan.arena_bytes < all);
        peak_reached += usize::from(plan.arena_bytes == peak);
    }
    assert!(shared > 100, "memory was shared in {shared} programs only");
    assert!(peak_reached > 300, "the peak was reached in {peak_reached} programs only");
}

#[test]
fn a_chain_needs_two_buffers() {
    let mut program = Program::new(Dtype::F32);
    let ids: Vec<BufferId> = (0..6).map(|i| program.add_buffer(format!("x{i}"), 10, Role::Temporary)).collect();
    let weight = program.add_buffer("w", 1, Role::Input);
    for pair in ids.windows(2) {
        let id = program.add_kernel(kernel([pair[0], weight, pair[1]]));
        program.launches.push(Launch::Run(id));
    }
    let plan = plan(&program, 64);
    assert_eq!((plan.arena_bytes, plan.peak_bytes), (128, 128));
    assert_eq!(plan.slots[weight.0 as usize], None);
}
