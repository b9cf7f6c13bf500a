//! Simplified indices agree with direct evaluation on pseudo-random ones.
//!
//! The test must never know the normal form.

use snn_loops::{Ix, Var};

/// A small linear congruential generator: the same numbers on every machine.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

const EXTENTS: [usize; 4] = [1, 3, 4, 7];
const STEPS: i64 = 3;

fn extent(var: Var) -> Option<usize> {
    EXTENTS.get(var.0 as usize).copied()
}

/// An index that is never negative, with the function it should be.
type Meaning = Box<dyn Fn(&[i64], i64) -> i64>;

fn random(rng: &mut Lcg, depth: u32) -> (Ix, Meaning) {
    let choices = if depth == 0 { 3 } else { 7 };
    match rng.below(choices) {
        0 | 1 => {
            let var = rng.below(4) as usize;
            (Ix::var(Var(var as u32)), Box::new(move |vars, _| vars[var]))
        }
        2 => match rng.below(3) {
            0 => (Ix::step(), Box::new(|_, step| step)),
            _ => {
                let constant = rng.below(20) as i64;
                (Ix::constant(constant), Box::new(move |_, _| constant))
            }
        },
        3 => {
            let ((a, fa), (b, fb)) = (random(rng, depth - 1), random(rng, depth - 1));
            (a.plus(&b), Box::new(move |vars, step| fa(vars, step) + fb(vars, step)))
        }
        4 => {
            let ((a, fa), factor) = (random(rng, depth - 1), rng.below(6) as i64);
            (a.times(factor).offset(factor), Box::new(move |vars, step| fa(vars, step) * factor + factor))
        }
        5 => {
            let ((a, fa), by) = (random(rng, depth - 1), 1 + rng.below(8) as i64);
            (a.divide(by, &extent), Box::new(move |vars, step| fa(vars, step) / by))
        }
        _ => {
            let ((a, fa), by) = (random(rng, depth - 1), 1 + rng.below(8) as i64);
            (a.modulo(by, &extent), Box::new(move |vars, step| fa(vars, step) % by))
        }
    }
}

/// Calls `check` with every assignment of the variables.
fn each_point(mut check: impl FnMut(&[i64], i64)) {
    let n: usize = EXTENTS.iter().product();
    for point in 0..n {
        let mut rest = point;
        let vars = EXTENTS.map(|extent| {
            let value = rest % extent;
            rest /= extent;
            value as i64
        });
        (0..STEPS).for_each(|step| check(&vars, step));
    }
}

fn value(index: &Ix, vars: &[i64], step: i64) -> i64 {
    index.evaluate(&|var| vars[var.0 as usize], step)
}

#[test]
fn arithmetic_agrees_with_direct_evaluation() {
    let mut rng = Lcg(1);
    for _ in 0..600 {
        let (index, meaning) = random(&mut rng, 5);
        each_point(|vars, step| {
            assert_eq!(value(&index, vars, step), meaning(vars, step), "{index} at {vars:?}, {step}")
        });
    }
}

#[test]
fn ranges_hold_all_values() {
    let mut rng = Lcg(2);
    let mut known = 0;
    for _ in 0..600 {
        let (index, _) = random(&mut rng, 5);
        let Some((low, high)) = index.range(&extent) else { continue };
        known += 1;
        each_point(|vars, step| {
            let value = value(&index, vars, step);
            assert!((low..=high).contains(&value), "{index} is {value}, outside of {low} to {high}");
        });
    }
    assert!(known > 200, "only {known} ranges");
}

#[test]
fn substitution_agrees_with_evaluation_of_the_parts() {
    let mut rng = Lcg(3);
    for _ in 0..300 {
        let (index, _) = random(&mut rng, 4);
        // Variables are replaced by indices that respect their extents.
        let parts: Vec<Ix> = EXTENTS
            .iter()
            .map(|extent_of_part| random(&mut rng, 2).0.modulo(*extent_of_part as i64, &extent))
            .collect();
        let whole = index.substitute(&|var| parts[var.0 as usize].clone(), &extent);
        each_point(|vars, step| {
            let inner: Vec<i64> = parts.iter().map(|part| value(part, vars, step)).collect();
            assert_eq!(value(&whole, vars, step), value(&index, &inner, step), "{index} with {parts:?}");
        });
    }
}

#[test]
fn strides_are_differences() {
    let mut rng = Lcg(4);
    for _ in 0..600 {
        let (index, _) = random(&mut rng, 5);
        for var in 0..EXTENTS.len() {
            let Some(stride) = index.stride(Var(var as u32)) else { continue };
            each_point(|vars, step| {
                let mut next = vars.to_vec();
                next[var] += 1;
                assert_eq!(value(&index, &next, step) - value(&index, vars, step), stride, "{index} along i{var}");
            });
        }
    }
}

#[test]
fn flattened_axes_come_apart_again() {
    let extents = |var: Var| [5, 7].get(var.0 as usize).copied();
    let flat = Ix::var(Var(0)).times(7).plus(&Ix::var(Var(1)));
    assert_eq!(flat.divide(7, &extents), Ix::var(Var(0)));
    assert_eq!(flat.modulo(7, &extents), Ix::var(Var(1)));
    assert_eq!(flat.divide(5, &extents).to_string(), "(7*i0 + i1)/5");
    assert_eq!(flat.times(-1).offset(3).to_string(), "-7*i0 - i1 + 3");
}
