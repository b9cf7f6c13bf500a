//! Who computes dense contractions: our kernels, or a library where it was measured to be faster.
//!
//! A measurement is never the same twice, and the results of both differ by rounding. So a choice is made once and is then
//! data that belongs to a run, like its seed: whoever goes on with the run gives it back. Must never know libraries, nor how
//! anything is measured.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Says who computes: `off` for our kernels alone, `always` for libraries wherever they can, else whoever is faster.
const VARIABLE: &str = "SNNC_ACCELERATORS";

/// Who computes a contraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Winner {
    /// A kernel of ours.
    Ours,
    /// A library.
    Library,
}

/// Who computes which contraction; contractions are described in words, with the device and the library's version.
pub type Choices = BTreeMap<String, Winner>;

/// How a choice is made where there is none yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    /// By the time that both take.
    Measured,
    /// A library wherever one can.
    Always,
}

/// Choices that are made once: those that were given, and those that compiling programs added. Copies share them, and they
/// last to the end of the process, as runs do.
#[derive(Clone, Copy)]
pub struct Accelerators(Option<&'static Table>);

struct Table {
    policy: Policy,
    choices: Mutex<Choices>,
}

impl Accelerators {
    /// Our kernels alone.
    pub const OFF: Accelerators = Accelerators(None);

    /// What the user wants of a new run, by the environment variable `SNNC_ACCELERATORS`: `off`, `always` or, if it says
    /// nothing, whoever is faster. Always off in builds without the feature `accelerators`.
    pub fn of_the_user() -> Accelerators {
        Accelerators::with(Choices::new())
    }

    /// Those of a run that goes on: with what was chosen before, or off if it knew none. The user may switch them off.
    pub fn going_on(before: Option<Choices>) -> Accelerators {
        before.map_or(Accelerators::OFF, Accelerators::with)
    }

    /// A library wherever one can, whatever the user says; for checks of the libraries.
    pub fn always() -> Accelerators {
        Accelerators::new(Policy::Always, Choices::new())
    }

    fn with(choices: Choices) -> Accelerators {
        let wanted = env::var(VARIABLE).unwrap_or_default();
        match wanted.as_str() {
            "off" => Accelerators::OFF,
            "always" => Accelerators::new(Policy::Always, choices),
            _ => Accelerators::new(Policy::Measured, choices),
        }
    }

    fn new(policy: Policy, choices: Choices) -> Accelerators {
        if !cfg!(feature = "accelerators") {
            return Accelerators::OFF;
        }
        Accelerators(Some(Box::leak(Box::new(Table { policy, choices: Mutex::new(choices) }))))
    }

    /// Whether libraries are asked at all.
    pub fn is_on(self) -> bool {
        self.0.is_some()
    }

    /// All choices until now; `None` where our kernels compute alone.
    pub fn choices(self) -> Option<Choices> {
        self.0.map(|table| table.lock().clone())
    }

    /// Who computes a contraction: as was chosen before, else by `measure`, which is called once.
    ///
    /// # Errors
    /// Those of `measure`; then nothing is chosen.
    #[cfg_attr(not(feature = "accelerators"), allow(dead_code, reason = "only libraries ask"))]
    pub(crate) fn choose<E>(self, key: &str, measure: impl FnOnce() -> Result<Winner, E>) -> Result<Winner, E> {
        let Some(table) = self.0 else { return Ok(Winner::Ours) };
        // Held while it is measured: two measurements at the same time would disturb each other.
        let mut choices = table.lock();
        if let Some(winner) = choices.get(key) {
            return Ok(*winner);
        }
        let winner = match table.policy {
            Policy::Always => Winner::Library,
            Policy::Measured => measure()?,
        };
        choices.insert(key.to_owned(), winner);
        Ok(winner)
    }
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, Choices> {
        self.choices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Accelerators {
    /// Whether both are off, or copies of each other.
    fn eq(&self, other: &Accelerators) -> bool {
        match (self.0, other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => std::ptr::eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Accelerators {}

impl fmt::Debug for Accelerators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("Off"),
            Some(table) => f.debug_tuple("Accelerators").field(&table.policy).finish(),
        }
    }
}

#[cfg(all(test, feature = "accelerators"))]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_made_once() {
        let accelerators = Accelerators::new(Policy::Measured, Choices::from([("a".to_owned(), Winner::Library)]));
        let choose = |key: &str, measured: Winner| accelerators.choose(key, || Ok::<_, ()>(measured));
        assert_eq!(choose("a", Winner::Ours), Ok(Winner::Library), "given");
        assert_eq!(choose("b", Winner::Ours), Ok(Winner::Ours));
        assert_eq!(choose("b", Winner::Library), Ok(Winner::Ours), "not measured again");
        assert_eq!(accelerators.choose("c", || Err(7)), Err(7));
        let expected = [("a", Winner::Library), ("b", Winner::Ours)].map(|(key, winner)| (key.to_owned(), winner));
        assert_eq!(accelerators.choices(), Some(Choices::from(expected)));
        assert_eq!(Accelerators::OFF.choose("a", || Ok::<_, ()>(Winner::Library)), Ok(Winner::Ours));
        assert_eq!(Accelerators::always().choose("a", || Err(())), Ok(Winner::Library));
        assert_eq!(Accelerators::going_on(None), Accelerators::OFF);
    }
}
