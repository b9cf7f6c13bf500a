//! Options that several commands share: the machine, settings from outside.
//!
//! Must never know which command takes them.

use clap::{Args, ValueEnum};
use snnc::{Device, Override};

/// Which machine, and how much of it.
#[derive(Args)]
pub struct Machine {
    /// Threads to use, 0 for one a core. No result depends on it.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = threads)]
    pub threads: usize,
}

/// The kinds of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The processor, through compiled code.
    Cpu,
    /// The interpreter that defines what compiled code must do; slow.
    Reference,
}

impl Machine {
    /// The machine of a kind.
    pub fn device(&self, kind: Kind) -> Device {
        match kind {
            Kind::Cpu => Device::Cpu { threads: self.threads },
            Kind::Reference => Device::Reference,
        }
    }
}

/// Settings given from outside the program.
#[derive(Args)]
pub struct Settings {
    /// Overrides a setting of `train`, of what it calls, or of the model: `epochs=3`, `optimizer.lr=1e-3`,
    /// `model.steps=2`. May be given several times.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub overrides: Vec<Override>,
}

fn setting(text: &str) -> Result<Override, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("write a name, `=` and a value, such as epochs=3".to_owned()),
    }
}

/// A count of at least 1.
pub fn positive(text: &str) -> Result<usize, String> {
    const MOST: usize = 1 << 24;
    match text.parse() {
        Ok(count) if (1..=MOST).contains(&count) => Ok(count),
        _ => Err(format!("a number from 1 to {MOST}")),
    }
}

fn threads(text: &str) -> Result<usize, String> {
    const MOST: usize = 1024;
    match text.parse() {
        Ok(threads) if threads <= MOST => Ok(threads),
        _ => Err(format!("a number from 0 to {MOST}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_names_and_values() {
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(setting("epochs=3"), pair("epochs", "3"));
        assert_eq!(setting(" loss = a == b "), pair("loss", "a == b"));
        for wrong in ["epochs", "=3", "epochs=", ""] {
            assert!(setting(wrong).is_err(), "{wrong}");
        }
    }
}
