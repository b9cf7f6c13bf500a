//! What crosses crates: house rules, messages, golden values, differential runs. Everything lives in `tests/`; this
//! library is empty and only gives the tests a package.
