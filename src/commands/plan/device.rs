//! What a plan's ranks run on; nothing is looked for.

use crate::config::DeviceChoice;
use crate::metrics::Card;

/// What a rank runs on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Device {
    /// Processors.
    Cpu,
    /// A GPU of which nothing is known.
    Gpu,
    /// A card whose data sheet is.
    Card(&'static Card),
}

impl Device {
    /// As the command line has it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Gpu),
            name => Card::named(name).map(Self::Card),
        }
    }

    /// No device is looked for: `auto` is planned as the CPU that is everywhere.
    pub(super) fn of(choice: DeviceChoice) -> Self {
        match choice {
            DeviceChoice::Cuda(_) => Self::Gpu,
            DeviceChoice::Auto | DeviceChoice::Cpu => Self::Cpu,
        }
    }

    /// As torch has it.
    pub(super) fn of_torch(self) -> tch::Device {
        match self {
            Self::Cpu => tch::Device::Cpu,
            Self::Gpu | Self::Card(_) => tch::Device::Cuda(0),
        }
    }

    pub(super) fn card(self) -> Option<&'static Card> {
        match self {
            Self::Card(card) => Some(card),
            Self::Cpu | Self::Gpu => None,
        }
    }
}
