//! The enumerated values of configuration keys.

use serde::{Deserialize, Deserializer, Serialize, de::Error};

macro_rules! choices {
    ($(#[doc = $doc:literal])* $name:ident { $( $(#[doc = $variant_doc:literal])* $variant:ident = $text:literal ),* $(,)? }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        pub enum $name { $( $(#[doc = $variant_doc])* #[serde(rename = $text)] $variant, )* }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = toml::Value::deserialize(deserializer)?;
                match value.as_str() {
                    $( Some($text) => Ok(Self::$variant), )*
                    _ => Err(D::Error::custom(not_one_of(&value, &[$($text),*]))),
                }
            }
        }
    };
}

fn not_one_of(value: &toml::Value, texts: &[&str]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    match quoted.as_slice() {
        [only] => format!("{value} is not {only}, the one value that this version takes"),
        several => format!("{value} is not one of {}", several.join(", ")),
    }
}

choices! {
    /// A key whose value the program chooses.
    Auto {
        /// Decided by the program.
        Auto = "auto",
    }
}

choices! {
    /// Which operations are computed by kernels of our own.
    Kernels {
        /// Those that are proven on the device.
        Auto = "auto",
        /// All there are.
        Fused = "fused",
        /// None.
        Composed = "composed",
    }
}

choices! {
    /// Something that a GPU may do, or be left to do without.
    OnGpu {
        /// Done where it is proven on a GPU.
        Auto = "auto",
        /// Done.
        On = "on",
        /// Not done.
        Off = "off",
    }
}

choices! {
    /// Arithmetic of the forward and backward pass.
    Precision {
        /// fp32 on CPU, bf16 on CUDA.
        Auto = "auto",
        /// 32-bit floats.
        Fp32 = "fp32",
        /// bfloat16, with fp32 norms and losses.
        Bf16 = "bf16",
        /// The same, but that the blocks' matrices are multiplied in fp8.
        Fp8 = "fp8",
    }
}

choices! {
    /// What trained weights and their gradients are kept in.
    Weights {
        /// 32-bit floats.
        Fp32 = "fp32",
        /// bfloat16, with what is missing to fp32 in the optimizer's state.
        Bf16 = "bf16",
    }
}

choices! {
    /// What backward recomputes instead of keeping.
    Recompute {
        /// Everything is kept.
        None = "none",
        /// The feed-forward blocks, which keep most.
        Selective = "selective",
        /// Whole blocks: only the residual stream between them is kept.
        Full = "full",
    }
}

choices! {
    /// Course of the learning rate after warm-up.
    ScheduleKind {
        /// Half a cosine from `max_lr` to `min_lr`.
        Cosine = "cosine",
        /// Warm-up, stable, decay.
        Wsd = "wsd",
        /// A straight line from `max_lr` to `min_lr`.
        Linear = "linear",
        /// `max_lr` throughout.
        Constant = "constant",
    }
}

choices! {
    /// Whether and how Weights & Biases is told.
    WandbMode {
        /// Not at all.
        Disabled = "disabled",
        /// As the run goes.
        Online = "online",
        /// Into a file, to be sent later.
        Offline = "offline",
    }
}

choices! {
    /// What is done about documents that come twice.
    Dedup {
        /// Nothing.
        None = "none",
        /// The first of those with the same text is kept.
        Exact = "exact",
    }
}

choices! {
    /// Which libraries encode text.
    TokenizerBackend {
        /// The fastest that gives the stable library's ids.
        Auto = "auto",
        /// Released libraries only.
        Stable = "stable",
    }
}

choices! {
    /// Which of the assistant's turns are trained on.
    TrainOn {
        /// All of them.
        All = "all",
        /// The last one.
        Last = "last",
    }
}

choices! {
    /// What becomes of an example that is longer than a row.
    OnTooLong {
        /// It is left out, and counted.
        Drop = "drop",
        /// Its end is cut off.
        Truncate = "truncate",
        /// It is an error.
        Error = "error",
    }
}

choices! {
    /// Losses over preferences.
    DpoLoss {
        /// DPO's own; with label smoothing, cDPO.
        Sigmoid = "sigmoid",
        /// TRL's IPO: log-ratios divided by the completion's length.
        Ipo = "ipo",
        /// IPO as published.
        IpoPaper = "ipo_paper",
        /// A hinge on the margin.
        Hinge = "hinge",
        /// Robust DPO.
        Robust = "robust",
        /// Anchored preference optimisation.
        ApoZero = "apo_zero",
        /// SimPO: no reference.
        Simpo = "simpo",
        /// ORPO: no reference.
        Orpo = "orpo",
    }
}

impl DpoLoss {
    /// Whether it compares the policy with a reference.
    #[must_use]
    pub fn needs_reference(self) -> bool {
        !matches!(self, Self::Simpo | Self::Orpo)
    }

    /// Whether it has a place for labels that are wrong.
    #[must_use]
    pub fn takes_label_smoothing(self) -> bool {
        matches!(self, Self::Sigmoid | Self::Robust)
    }
}

choices! {
    /// Divergences between student and teacher.
    DistillKind {
        /// KL(teacher ‖ student).
        ForwardKl = "forward_kl",
        /// KL(student ‖ teacher).
        ReverseKl = "reverse_kl",
        /// Jensen-Shannon.
        Js = "js",
    }
}

choices! {
    /// Data of a distillation.
    DistillOn {
        /// Token shards.
        Pretrain = "pretrain",
        /// Conversations.
        Instruct = "instruct",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_none_is_told_those_that_are() {
        let message =
            |refused: Result<String, toml::de::Error>| refused.unwrap_err().message().to_owned();
        let precision = Precision::deserialize(toml::Value::from("fp16"));
        let precision = precision.map(|found| format!("{found:?}"));
        assert_eq!(
            message(precision),
            r#""fp16" is not one of "auto", "fp32", "bf16", "fp8""#
        );
        let auto = Auto::deserialize(toml::Value::from(true)).map(|found| format!("{found:?}"));
        assert_eq!(
            message(auto),
            r#"true is not "auto", the one value that this version takes"#
        );
    }
}
