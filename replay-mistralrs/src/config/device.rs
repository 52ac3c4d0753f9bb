//! Devices by name, each opened once.
use std::sync::{Mutex, PoisonError};

use candle_core::{Device, Result};

/// A device by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevicePlace {
    /// The first CUDA or Metal device this program was built for, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// A CUDA device.
    Cuda(usize),
    /// A Metal device.
    Metal(usize),
}

/// What this process has opened. A tensor goes from one handle of a GPU to another by way of the CPU, and on Metal two models share no
/// tensor across handles: both get the same one.
static OPENED: Opened = Opened(Mutex::new(Vec::new()));

struct Opened(Mutex<Vec<(DevicePlace, Device)>>);

impl DevicePlace {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (kind, ordinal) = name.split_once(':').unwrap_or((name, "0"));
        let ordinal = ordinal.parse().ok()?;
        match kind {
            "auto" if !name.contains(':') => Some(Self::Auto),
            "cpu" if !name.contains(':') => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda(ordinal)),
            "metal" => Some(Self::Metal(ordinal)),
            _ => None,
        }
    }

    /// # Errors
    /// There is no such device, or this program was not built for its kind.
    pub(crate) fn open(self) -> Result<Device> {
        OPENED.get(self.chosen(), |place| match place {
            Self::Cuda(ordinal) => Device::new_cuda(ordinal),
            Self::Metal(ordinal) => Device::new_metal(ordinal),
            Self::Auto | Self::Cpu => Ok(Device::Cpu),
        })
    }

    fn chosen(self) -> Self {
        match self {
            Self::Auto if cfg!(feature = "cuda") => Self::Cuda(0),
            Self::Auto if cfg!(feature = "metal") => Self::Metal(0),
            Self::Auto => Self::Cpu,
            named => named,
        }
    }
}

impl Opened {
    fn get(&self, place: DevicePlace, open: impl FnOnce(DevicePlace) -> Result<Device>) -> Result<Device> {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, device)) = opened.iter().find(|(known, _)| *known == place) {
            return Ok(device.clone());
        }
        let device = open(place)?;
        opened.push((place, device.clone()));
        Ok(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_opened_once_and_a_failure_is_not_kept() {
        let opened = Opened(Mutex::new(Vec::new()));
        let place = DevicePlace::Cuda(1);
        assert!(opened.get(place, |_| candle_core::bail!("no such device")).is_err());
        assert!(opened.get(place, |_| Ok(Device::Cpu)).is_ok());
        assert!(opened.get(place, |_| candle_core::bail!("opened again")).is_ok());
        assert!(opened.get(DevicePlace::Cuda(2), |_| candle_core::bail!("another")).is_err());
    }

    #[test]
    fn names_are_read() {
        let expected = [
            ("auto", Some(DevicePlace::Auto)),
            ("cpu", Some(DevicePlace::Cpu)),
            ("cuda", Some(DevicePlace::Cuda(0))),
            ("metal:3", Some(DevicePlace::Metal(3))),
            ("cpu:0", None),
            ("auto:0", None),
            ("cuda:", None),
            ("tpu", None),
        ];
        for (name, place) in expected {
            assert_eq!(DevicePlace::parse(name), place, "{name}");
        }
    }
}
