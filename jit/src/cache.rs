//! Machine code that is already there: equal nests of one program, or of programs that are alive at the same time, share it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use crate::call::NestCode;
use crate::canonical::Key;

/// Dead entries are swept when the table has doubled, from this size on.
const SWEEP_FROM: usize = 256;

#[derive(Default)]
struct Cache {
    codes: HashMap<Key, Weak<NestCode>>,
    sweep_at: usize,
}

static CACHE: LazyLock<Mutex<Cache>> = LazyLock::new(Mutex::default);

/// The code of a nest, if something that is alive has it.
pub(crate) fn find(key: &Key) -> Option<Arc<NestCode>> {
    let cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    cache.codes.get(key).and_then(Weak::upgrade)
}

/// Offers code to others for as long as something keeps it alive.
pub(crate) fn offer(key: Key, code: &Arc<NestCode>) {
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    cache.codes.insert(key, Arc::downgrade(code));
    if cache.codes.len() >= cache.sweep_at.max(SWEEP_FROM) {
        cache.codes.retain(|_, code| code.strong_count() > 0);
        cache.sweep_at = 2 * cache.codes.len();
    }
}
