//! Names of functions: equal texts get equal names.
//!
//! Must never know what a text says.

/// Stands for the name in a text that is to be named.
pub(crate) const PLACEHOLDER: &str = "SNN_NAME";

/// A name for a text, made of what it says (FNV-1a, 64 bits).
pub(crate) fn unique(kind: &str, text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{kind}_{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_texts() {
        assert_eq!(unique("nest", "a"), unique("nest", "a"));
        assert_ne!(unique("nest", "a"), unique("nest", "b"));
        assert_eq!(unique("k", ""), "k_cbf29ce484222325");
    }
}
