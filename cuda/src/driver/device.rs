//! A device that programs run on.
//!
//! Must never know programs.

use std::fmt;
use std::sync::Arc;

use super::handles::{Context, Stream};
use super::probe;
use crate::availability::{Availability, DeviceInfo};
use crate::error::CudaError;
use crate::target::Arch;

/// An opened device. Cheap to clone; clones share it, on any thread.
#[derive(Clone)]
pub struct Device {
    context: Arc<Context>,
    info: Arc<DeviceInfo>,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Device {
    /// Opens the device of this number, from 0.
    ///
    /// # Errors
    /// If no device can be used, or none has this number.
    pub fn open(ordinal: usize) -> Result<Device, CudaError> {
        let driver = probe::driver()?;
        let devices = match probe::availability() {
            Availability::Ready(devices) => devices,
            Availability::Absent(reason) => return Err(CudaError::Absent(reason.clone())),
        };
        let Some(info) = devices.iter().find(|device| device.ordinal == ordinal) else {
            return Err(CudaError::NoSuchDevice {
                ordinal,
                usable: devices.iter().map(|device| device.ordinal).collect(),
            });
        };
        let context = Context::new(driver, i32::try_from(ordinal).unwrap_or(i32::MAX))?;
        Ok(Device { context, info: Arc::new(info.clone()) })
    }

    /// What is known of it.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// What text for it may use.
    pub fn arch(&self) -> Arch {
        self.info.arch()
    }

    /// Bytes of its memory that are free now, if the driver says.
    pub fn free_bytes(&self) -> Option<usize> {
        self.context.free_bytes()
    }

    /// Whether this process can no longer use it: a kernel touched memory that is not its own, or the device fell out. Only
    /// another process can use it then.
    pub fn is_lost(&self) -> bool {
        let tried = Stream::new(&self.context).and_then(|stream| stream.wait());
        tried.is_err_and(|error| error.is_lost())
    }

    /// The architecture of its own code.
    pub(super) fn code_target(&self) -> String {
        match (self.arch(), self.info.capability) {
            (Arch::Sm90a, _) => Arch::Sm90a.name().to_owned(),
            (_, (major, minor)) => format!("sm_{major}{minor}"),
        }
    }

    /// The architecture of the intermediate form that its driver compiles further.
    pub(super) fn virtual_target(&self) -> &'static str {
        if self.arch() == Arch::Sm80 { "compute_80" } else { "compute_90" }
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.context
    }
}
