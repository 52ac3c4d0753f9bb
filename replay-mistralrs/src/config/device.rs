//! Devices by name. Each device is created once per process.
use std::sync::{Mutex, PoisonError};

use candle_core::{Device, Result};

/// A device that a configuration names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevicePlace {
    /// The first CUDA or Metal device this program was built for, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device with this ordinal.
    Cuda(usize),
    /// The Metal device with this ordinal.
    Metal(usize),
}

/// The devices that this process has created. Both models get the same handle of a device: between two handles of one GPU a tensor is copied
/// through the CPU, and on Metal no tensor can be shared.
static DEVICES: DeviceCache = DeviceCache(Mutex::new(Vec::new()));

struct DeviceCache(Mutex<Vec<(DevicePlace, Device)>>);

impl DevicePlace {
    /// Parses `auto`, `cpu`, `cuda`, `cuda:N`, `metal` or `metal:N`.
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

    /// Returns the device, which is created on first use.
    ///
    /// # Errors
    /// If there is no such device, or this program was not built for its kind.
    pub(crate) fn device(self) -> Result<Device> {
        DEVICES.get_or_create(self.resolve_auto(), |place| match place {
            Self::Cuda(ordinal) => Device::new_cuda(ordinal),
            Self::Metal(ordinal) => Device::new_metal(ordinal),
            Self::Auto | Self::Cpu => Ok(Device::Cpu),
        })
    }

    fn resolve_auto(self) -> Self {
        match self {
            Self::Auto if cfg!(feature = "cuda") => Self::Cuda(0),
            Self::Auto if cfg!(feature = "metal") => Self::Metal(0),
            Self::Auto => Self::Cpu,
            named => named,
        }
    }
}

impl DeviceCache {
    fn get_or_create(&self, place: DevicePlace, create: impl FnOnce(DevicePlace) -> Result<Device>) -> Result<Device> {
        let mut devices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, device)) = devices.iter().find(|(known, _)| *known == place) {
            return Ok(device.clone());
        }
        let device = create(place)?;
        devices.push((place, device.clone()));
        Ok(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_created_once_and_a_failure_is_not_cached() {
        let devices = DeviceCache(Mutex::new(Vec::new()));
        let place = DevicePlace::Cuda(1);
        assert!(devices.get_or_create(place, |_| candle_core::bail!("no such device")).is_err());
        assert!(devices.get_or_create(place, |_| Ok(Device::Cpu)).is_ok());
        assert!(devices.get_or_create(place, |_| candle_core::bail!("created again")).is_ok());
        assert!(devices.get_or_create(DevicePlace::Cuda(2), |_| candle_core::bail!("another")).is_err());
    }

    #[test]
    fn device_names_are_parsed() {
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
