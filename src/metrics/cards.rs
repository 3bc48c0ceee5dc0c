//! Cards whose data sheets are known.

use crate::config::Precision;

/// What NVIDIA's data sheets say of a card, without sparsity; fp32 without TF32.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Card {
    /// As `plan --device` takes it.
    pub name: &'static str,
    /// A part of the name that the driver gives it.
    chip: &'static str,
    /// Memory, in units of 10^9 bytes.
    gigabytes: u64,
    bf16_tflops: f64,
    fp32_tflops: f64,
}

const fn card(
    [name, chip]: [&'static str; 2],
    gigabytes: u64,
    [bf16_tflops, fp32_tflops]: [f64; 2],
) -> Card {
    Card {
        name,
        chip,
        gigabytes,
        bf16_tflops,
        fp32_tflops,
    }
}

/// Of cards of one chip the first stands for all where only the chip's name is known.
pub const CARDS: [Card; 7] = [
    card(["h200", "H200"], 141, [989.0, 67.0]),
    card(["h100", "H100"], 80, [989.0, 67.0]),
    card(["a100-80gb", "A100"], 80, [312.0, 19.5]),
    card(["a100-40gb", "A100"], 40, [312.0, 19.5]),
    card(["b200", "B200"], 180, [2250.0, 75.0]),
    card(["l40s", "L40S"], 48, [362.0, 91.6]),
    card(["rtx4090", "RTX 4090"], 24, [165.2, 82.6]),
];

impl Card {
    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        CARDS.iter().find(|card| card.name == name)
    }

    /// Bytes of its memory, as it is sold.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.gigabytes * 1_000_000_000
    }

    /// Dense peak in FLOP/s for matrix products of this precision.
    #[must_use]
    pub fn peak_flops(&self, precision: Precision) -> f64 {
        1e12 * match precision {
            Precision::Fp32 => self.fp32_tflops,
            Precision::Bf16 | Precision::Auto => self.bf16_tflops, // auto is bf16 on a GPU
            Precision::Fp8 => 2.0 * self.bf16_tflops,              // of all chips that have it
        }
    }
}

/// Dense peak of a device in FLOP/s by the name that its driver gives it, where it is known. A CPU has none.
#[must_use]
pub fn peak_flops(device_name: &str, precision: Precision) -> Option<f64> {
    let card = CARDS.iter().find(|card| device_name.contains(card.chip))?;
    Some(card.peak_flops(precision))
}
