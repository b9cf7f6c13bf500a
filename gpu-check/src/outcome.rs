//! What a check found.
//!
//! Must never know what was checked.

use serde_json::{Value, json};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it should.
    Passed,
    /// Not as it should.
    Failed,
    /// It was not made.
    Skipped,
}

impl Status {
    /// A name: `passed`, `failed` or `skipped`.
    pub fn name(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::Failed => "failed",
            Status::Skipped => "skipped",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What was checked.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// Figures, or why it failed or was not made.
    pub detail: String,
}

impl Outcome {
    /// A check that ended as it should.
    pub fn passed(name: impl Into<String>, detail: impl Into<String>) -> Outcome {
        Outcome { name: name.into(), status: Status::Passed, detail: detail.into() }
    }

    /// A check that did not.
    pub fn failed(name: impl Into<String>, detail: impl Into<String>) -> Outcome {
        Outcome { name: name.into(), status: Status::Failed, detail: detail.into() }
    }

    /// A check that was not made.
    pub fn skipped(name: impl Into<String>, why: impl Into<String>) -> Outcome {
        Outcome { name: name.into(), status: Status::Skipped, detail: why.into() }
    }

    /// What JSON says, if it is one.
    pub fn from_json(value: &Value) -> Option<Outcome> {
        let text = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
        let status = text("status")?;
        let all = [Status::Passed, Status::Failed, Status::Skipped];
        let status = all.into_iter().find(|known| known.name() == status)?;
        Some(Outcome { name: text("name")?, status, detail: text("detail")? })
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        json!({ "name": self.name, "status": self.status.name(), "detail": self.detail })
    }
}

/// How many of some checks ended in which way: passed, failed, skipped.
pub fn count(outcomes: &[Outcome]) -> [usize; 3] {
    [Status::Passed, Status::Failed, Status::Skipped]
        .map(|status| outcomes.iter().filter(|outcome| outcome.status == status).count())
}
