//! Another method of gradient than a program asks for, and the time axis that goes with it.
//!
//! Neurons given by equations mean two things: discretized over a grid of steps, or solved without one. So the same text
//! can be compiled either way, whatever its `train` says. Must never know how anything is solved.

use snn_graph::{Events, TimeAxis};

use crate::elaborate::GradientMethod;

/// The most time steps.
pub(crate) const MAX_STEPS: f64 = 100_000.0;

/// Durations are compared up to this fraction of them: 200 ms are 2000 steps of 0.1 ms, whatever rounding says.
const ROUNDING: f64 = 1e-9;

/// By which method gradients are found, and over which time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Method {
    /// As the program says.
    #[default]
    AsWritten,
    /// With surrogates, over as many steps of this length as the model's duration has begun.
    Stbp {
        /// Seconds a step.
        dt: f64,
    },
    /// That of exact spike times, without a grid, over the model's duration.
    Exact,
}

/// Why a time axis cannot be another one: what is wrong, and what to do.
pub(crate) type Unfit = (String, &'static str);

impl Method {
    /// The time axis in place of the program's own.
    pub(crate) fn axis(self, own: TimeAxis) -> Result<TimeAxis, Unfit> {
        let duration = || match own {
            TimeAxis::Steps(_) => Err((
                "the steps of this model have no length, so its duration is not known".to_owned(),
                "write `time 200ms`, or `time 100 of 2ms`",
            )),
            TimeAxis::Grid { steps, dt } => Ok(steps as f64 * dt),
            TimeAxis::Continuous(events) => Ok(events.duration),
        };
        match self {
            Method::AsWritten => Ok(own),
            Method::Exact if own.events().is_some() => Ok(own),
            Method::Exact => Ok(TimeAxis::Continuous(Events::lasting(duration()?))),
            Method::Stbp { dt } => Ok(TimeAxis::Grid { steps: steps(duration()?, dt)?, dt }),
        }
    }

    /// The method in place of the program's own.
    pub(crate) fn gradient(self, own: GradientMethod) -> GradientMethod {
        match self {
            Method::AsWritten => own,
            Method::Stbp { .. } => GradientMethod::Stbp,
            Method::Exact => GradientMethod::Exact,
        }
    }

    /// What to add to errors, which are about another model than the one that the user has before their eyes.
    pub(crate) fn note(self) -> Option<String> {
        match self {
            Method::AsWritten => None,
            Method::Stbp { dt } => {
                Some(format!("the model is compiled with `gradient = stbp` and steps of {} here", milliseconds(dt)))
            }
            Method::Exact => {
                Some("the model is compiled with `gradient = exact`, without a grid of steps, here".into())
            }
        }
    }
}

/// The number of steps of a length that a duration has begun.
fn steps(duration: f64, dt: f64) -> Result<usize, Unfit> {
    let steps = (duration / dt * (1.0 - ROUNDING)).ceil();
    let length = milliseconds(dt);
    if !(dt > 0.0 && dt.is_finite()) {
        return Err((format!("a step cannot last {length}"), "give a step a length, such as 1ms"));
    }
    if dt > duration * (1.0 + ROUNDING) {
        let message = format!("a step of {length} is longer than the {} that the model runs", milliseconds(duration));
        return Err((message, "take a shorter step"));
    }
    if steps > MAX_STEPS {
        let message =
            format!("the model's {} would be {steps} steps of {length}, more than {MAX_STEPS}", milliseconds(duration));
        return Err((message, "take a longer step"));
    }
    Ok(steps as usize)
}

/// A time in milliseconds, without what rounding adds to its digits.
fn milliseconds(seconds: f64) -> String {
    format!("{} ms", (seconds * 1e12).round() / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lasting(duration: f64) -> TimeAxis {
        TimeAxis::Continuous(Events { max_spikes: 7, ..Events::lasting(duration) })
    }

    #[test]
    fn a_duration_becomes_the_steps_that_it_has_begun() {
        for (duration, dt, expected) in
            [(0.2, 1e-3, 200), (0.2, 1e-4, 2000), (0.2, 1e-5, 20_000), (0.2, 0.2, 1), (0.2, 3e-3, 67), (0.3, 0.1, 3)]
        {
            let axis = Method::Stbp { dt }.axis(lasting(duration));
            assert_eq!(axis, Ok(TimeAxis::Grid { steps: expected, dt }), "{duration} {dt}");
        }
        let finer = Method::Stbp { dt: 1e-3 }.axis(TimeAxis::Grid { steps: 20, dt: 2e-3 });
        assert_eq!(finer, Ok(TimeAxis::Grid { steps: 40, dt: 1e-3 }));
    }

    #[test]
    fn a_grid_becomes_its_duration_and_a_duration_stays() {
        let axis = Method::Exact.axis(TimeAxis::Grid { steps: 100, dt: 2e-3 });
        assert_eq!(axis, Ok(TimeAxis::Continuous(Events::lasting(0.2))));
        assert_eq!(Method::Exact.axis(lasting(0.2)), Ok(lasting(0.2)));
        assert_eq!(Method::AsWritten.axis(TimeAxis::Steps(8)), Ok(TimeAxis::Steps(8)));
    }

    #[test]
    fn what_cannot_be_is_explained() {
        let cases = [
            (Method::Exact, TimeAxis::Steps(8), "have no length"),
            (Method::Stbp { dt: 1e-3 }, TimeAxis::Steps(8), "have no length"),
            (Method::Stbp { dt: 0.3 }, lasting(0.2), "a step of 300 ms is longer than the 200 ms"),
            (Method::Stbp { dt: 1e-7 }, lasting(0.2), "2000000 steps of 0.0001 ms"),
            (Method::Stbp { dt: 0.0 }, lasting(0.2), "cannot last"),
            (Method::Stbp { dt: f64::NAN }, lasting(0.2), "cannot last"),
        ];
        for (method, axis, part) in cases {
            let (message, _) = method.axis(axis).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }
}
