//! What the standard library declares as `extern` against what the runtime has built in.
//!
//! Where a list is an enum of the runtime, the `match` in this file has no wildcard: a new variant does not compile until it
//! stands in the list beside it. Must never know what a built-in does.

use std::collections::{BTreeMap, BTreeSet};

use snn_graph::Init;
use snn_runtime::data::SOURCES;
use snn_runtime::data::augment::Augment;
use snn_runtime::optim::{Optimizer, UpdateRule};
use snn_runtime::schedule::Schedule;
use snn_stdlib::MODULES;

use crate::repository::assert_none;

/// Signatures of one kind: the names, each with its settings.
type Signatures = BTreeMap<String, BTreeSet<String>>;

/// The `extern KIND name(settings)` of a text.
fn externs(text: &str, kind: &str) -> Signatures {
    let code: String = text.lines().map(|line| line.split("//").next().unwrap_or(line).to_owned() + "\n").collect();
    let signature = |rest: &str| {
        let (name, rest) = rest.split_once('(')?;
        Some((name.trim().to_owned(), settings(rest)))
    };
    code.split("extern ").filter_map(|rest| rest.strip_prefix(kind)).filter_map(signature).collect()
}

/// The names in a list of settings, up to its closing bracket.
fn settings(list: &str) -> BTreeSet<String> {
    let mut depth = 1;
    let mut parts = vec![String::new()];
    for letter in list.chars() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 1 => parts.push(String::new()),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        parts.last_mut().unwrap().push(letter);
    }
    let name = |part: &String| -> String {
        part.trim_start_matches(',')
            .trim()
            .chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect()
    };
    parts.iter().map(name).filter(|name| !name.is_empty()).collect()
}

fn declared(kind: &str) -> Signatures {
    MODULES.iter().flat_map(|module| externs(module.text, kind)).collect()
}

fn differences(kind: &str, declared: &Signatures, built_in: &Signatures) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, settings) in declared {
        match built_in.get(name) {
            None => problems.push(format!("{kind} {name} is declared and not built in")),
            Some(own) if own != settings => {
                problems.push(format!("{kind} {name} is declared with {settings:?} and built in with {own:?}"));
            }
            Some(_) => {}
        }
    }
    let undeclared = built_in.keys().filter(|name| !declared.contains_key(*name));
    problems.extend(undeclared.map(|name| format!("{kind} {name} is built in and not declared")));
    problems
}

fn signatures(list: &[(&str, &[&str])]) -> Signatures {
    list.iter()
        .map(|(name, settings)| ((*name).to_owned(), settings.iter().map(|s| (*s).to_owned()).collect()))
        .collect()
}

fn optimizer_settings(optimizer: &Optimizer) -> &'static [&'static str] {
    match optimizer.rule {
        UpdateRule::Sgd { momentum: _, nesterov: _, weight_decay: _ } => {
            &["lr", "momentum", "nesterov", "weight_decay"]
        }
        UpdateRule::Adam { beta1: _, beta2: _, eps: _, weight_decay: _ }
        | UpdateRule::AdamW { beta1: _, beta2: _, eps: _, weight_decay: _ } => {
            &["lr", "beta1", "beta2", "eps", "weight_decay"]
        }
    }
}

fn augmentation_settings(augment: &Augment) -> &'static [&'static str] {
    match augment {
        Augment::RandomCrop { size: _, padding: _ } => &["size", "padding"],
        Augment::HorizontalFlip { p: _ } => &["p"],
    }
}

/// `Constant` is what leaving the schedule out means; it has no name in the language.
fn schedule_signature(schedule: &Schedule) -> Option<(&'static str, &'static [&'static str])> {
    match schedule {
        Schedule::Constant => None,
        Schedule::Step { every: _, factor: _ } => Some(("step", &["every", "factor"])),
        Schedule::Cosine { min: _ } => Some(("cosine", &["min"])),
        Schedule::Warmup { epochs: _, then: _ } => Some(("warmup", &["epochs", "then"])),
    }
}

/// The names alone: an initializer's settings may be fixed by the shape of what it fills.
fn initializer_name(init: &Init) -> &'static str {
    match init {
        Init::Constant(_) => "constant",
        Init::KaimingNormal => "kaiming_normal",
        Init::KaimingUniform { a: _ } => "kaiming_uniform",
        Init::XavierNormal => "xavier_normal",
        Init::XavierUniform => "xavier_uniform",
        Init::Uniform { low: _, high: _ } => "uniform",
        Init::Normal { mean: _, std: _ } => "normal",
    }
}

#[test]
fn data_sets_are_those_of_the_runtime() {
    let built_in = SOURCES.iter().map(|source| {
        let path = source.takes_path.then_some("path");
        (source.name.to_owned(), path.iter().chain(source.settings).map(|s| (*s).to_owned()).collect())
    });
    assert_none("data sets", &differences("dataset", &declared("dataset "), &built_in.collect()));
}

#[test]
fn optimizers_are_those_of_the_runtime() {
    let (beta1, beta2, eps, weight_decay) = (0.9, 0.9, 0.1, 0.0);
    let all = [
        UpdateRule::Sgd { momentum: 0.9, nesterov: false, weight_decay },
        UpdateRule::Adam { beta1, beta2, eps, weight_decay },
        UpdateRule::AdamW { beta1, beta2, eps, weight_decay },
    ]
    .map(|rule| Optimizer { lr: 0.1, rule });
    let built_in: Vec<(&str, &[&str])> = all.iter().map(|one| (one.name(), optimizer_settings(one))).collect();
    assert_none("optimizers", &differences("optimizer", &declared("optimizer "), &signatures(&built_in)));
}

#[test]
fn augmentations_are_those_of_the_runtime() {
    let all = [Augment::RandomCrop { size: 32, padding: 4 }, Augment::HorizontalFlip { p: 0.5 }];
    let built_in: Vec<(&str, &[&str])> = all.iter().map(|one| (one.name(), augmentation_settings(one))).collect();
    assert_none("augmentations", &differences("augmentation", &declared("augmentation "), &signatures(&built_in)));
}

#[test]
fn schedules_are_those_of_the_runtime() {
    let all = [
        Schedule::Constant,
        Schedule::Step { every: 1.0, factor: 0.1 },
        Schedule::Cosine { min: 0.0 },
        Schedule::Warmup { epochs: 1.0, then: Box::new(Schedule::Constant) },
    ];
    let built_in: Vec<(&str, &[&str])> = all.iter().filter_map(schedule_signature).collect();
    assert_none("schedules", &differences("schedule", &declared("schedule "), &signatures(&built_in)));
}

#[test]
fn initializers_are_those_of_the_graph() {
    let all = [
        Init::Constant(0.0),
        Init::KaimingNormal,
        Init::KaimingUniform { a: 0.0 },
        Init::XavierNormal,
        Init::XavierUniform,
        Init::Uniform { low: 0.0, high: 1.0 },
        Init::Normal { mean: 0.0, std: 1.0 },
    ];
    let built_in: BTreeSet<&str> = all.iter().map(initializer_name).collect();
    let declared = declared("initializer ");
    assert_eq!(declared.keys().map(String::as_str).collect::<BTreeSet<_>>(), built_in);
}

#[test]
fn the_rules_can_fail() {
    let text = "/// extern dataset no()\nextern dataset idx(\n    /// A, b(c).\n    images: string,\n    n = f(1, 2) in (0, 1),\n) {\n}\n\
                extern dataset digits() {\n}\nextern optimizer sgd(lr in [0, inf))\n";
    let declared = externs(text, "dataset ");
    assert_eq!(declared, signatures(&[("idx", &["images", "n"]), ("digits", &[])]));
    assert_eq!(externs(text, "optimizer "), signatures(&[("sgd", &["lr"])]));
    let expected = [
        "dataset digits is declared and not built in",
        "dataset idx is declared with {\"images\", \"n\"} and built in with {\"images\"}",
        "dataset shd is built in and not declared",
    ];
    assert_eq!(differences("dataset", &declared, &signatures(&[("idx", &["images"]), ("shd", &[])])), expected);
}
