//! Where the peer is wrong: what cannot match, why, and how far it is off at most. Everything else must match.

/// One deviation that is the peer's.
pub struct Known {
    /// How the file's name begins.
    file: &'static str,
    /// The case within the file.
    pub case: &'static str,
    /// What of the case.
    pub quantity: &'static str,
    /// How far it is off at most.
    pub at_most: f64,
    /// Why.
    reason: &'static str,
}

/// All of them. A test fails if one of these agrees, or anything else does not.
const KNOWN: &[Known] = &[
    Known {
        file: "norse_lif",
        case: "lif.heavi_erfc",
        quantity: "gx",
        at_most: 1e-7,
        reason: "norse rounds sqrt(pi) in the derivative of its error function to single precision",
    },
    Known {
        file: "snntorch_synaptic_alpha",
        case: "synaptic.subtract.nodelay",
        quantity: "gx",
        at_most: 1e-6,
        reason: "snnTorch casts spikes to single precision, through which the gradient of an immediate reset passes",
    },
    Known {
        file: "snntorch_synaptic_alpha",
        case: "synaptic.zero.nodelay",
        quantity: "gx",
        at_most: 1e-6,
        reason: "snnTorch casts spikes to single precision, through which the gradient of an immediate reset passes",
    },
];

impl Known {
    /// The entries for a file.
    pub fn of(file: &str) -> impl Iterator<Item = &'static Known> {
        KNOWN.iter().filter(move |known| file.starts_with(known.file))
    }

    /// The entry for a quantity of a case.
    pub fn find(file: &str, case: &str, quantity: &str) -> Option<&'static Known> {
        Known::of(file).find(|known| known.case == case && known.quantity == quantity)
    }
}

#[test]
fn every_deviation_has_its_reason_and_is_listed_once() {
    for (at, known) in KNOWN.iter().enumerate() {
        assert!(known.reason.len() > 20, "{} {}", known.file, known.case);
        let same = |other: &Known| (other.file, other.case, other.quantity) == (known.file, known.case, known.quantity);
        assert!(!KNOWN[..at].iter().any(same), "{} {} is listed twice", known.file, known.case);
    }
}
