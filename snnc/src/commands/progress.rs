//! What is seen of a training while it goes on: a bar on a terminal, a line an epoch everywhere; and Ctrl-C.
//!
//! Must never know how a training works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use snnc::runtime::metrics::EpochRecord;
use snnc::{Error, Event, Observer, Result, RuntimeError};

use super::terminal::{note, say};

/// What the shell calls a process that was ended by Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Shows a training and stops it when the user wants.
pub struct Progress {
    bar: ProgressBar,
    epochs: u64,
    interrupted: Arc<AtomicBool>,
}

impl Progress {
    /// Begins to listen for Ctrl-C: the first lets the batch be finished, the second ends the process.
    ///
    /// # Errors
    /// If the system gives no notice of signals.
    pub fn begin(epochs: u64) -> Result<Progress> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&interrupted);
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(INTERRUPTED);
            }
            note("finishing the batch; once more ends at once");
        })
        .map_err(|error| Error::from(RuntimeError::new(format!("cannot listen for Ctrl-C: {error}"))))?;
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len}  {msg}  eta {eta}") {
            bar.set_style(style);
        }
        Ok(Progress { bar, epochs, interrupted })
    }

    /// Removes the bar.
    pub fn end(self) {
        self.bar.finish_and_clear();
    }

    fn epoch(&self, record: &EpochRecord) {
        let accuracy =
            |accuracy: Option<f64>| accuracy.map(|a| format!(" accuracy {:.2}%", 100.0 * a)).unwrap_or_default();
        let line = format!(
            "epoch {:>width$}/{}  train loss {:.4}{}  test loss {:.4}{}  {:.1} s, {:.0} samples/s",
            record.epoch,
            self.epochs,
            record.train_loss,
            accuracy(record.train_accuracy),
            record.test_loss,
            accuracy(record.test_accuracy),
            record.seconds,
            record.samples_per_second,
            width = self.epochs.to_string().len(),
        );
        self.bar.suspend(|| say(line));
    }
}

impl Observer for Progress {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Batch { epoch, done, of, loss, samples_per_second } => {
                let (done, of) = (done as u64, of as u64);
                self.bar.set_length(self.epochs * of);
                self.bar.set_position((epoch - 1) * of + done);
                self.bar.set_prefix(format!("epoch {epoch}/{}", self.epochs));
                self.bar.set_message(format!("loss {loss:.4}  {samples_per_second:.0} samples/s"));
            }
            Event::Epoch(record) => self.epoch(record),
        }
    }

    fn stop(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }
}
