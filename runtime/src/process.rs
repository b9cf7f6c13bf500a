//! What the operating system knows about this process.
//!
//! Must never know what the process does.

use std::fs;

/// The most memory that the process has had at once, in bytes; `None` where the system does not say.
pub fn peak_memory() -> Option<u64> {
    peak_of(&fs::read_to_string("/proc/self/status").ok()?)
}

/// The peak in a status file: `VmHWM: 1234 kB`.
fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read() {
        assert_eq!(peak_of("Name:\tsnnc\nVmHWM:\t    1234 kB\nVmRSS:\t 1000 kB\n"), Some(1234 * 1024));
        for other in ["", "VmRSS: 1 kB", "VmHWM: many kB", "VmHWM: 12"] {
            assert_eq!(peak_of(other), None, "{other}");
        }
    }
}
