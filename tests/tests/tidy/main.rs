//! The house rules, checked by machine: `cargo test -p snn-tests --test tidy`.
//!
//! A rule is a function from what it looks at to the list of its violations. One test runs it over the repository, another
//! over something planted, so that a rule that cannot fail is noticed. Rules never know who breaks them for which reason:
//! where a rule has exceptions, they stand in one list beside it.

mod crates;
mod diagnostics;
mod documents;
mod externs;
mod registry;
mod repository;
mod rust_rules;
mod rust_text;
mod text_rules;
mod unsafe_fence;
