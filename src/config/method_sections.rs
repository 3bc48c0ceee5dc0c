//! The sections of methods, evaluation and reporting.

use super::choices::{DistillKind, DistillOn, DpoLoss, OnTooLong, WandbMode};
use super::section::section;
use std::collections::BTreeMap;
use std::path::PathBuf;

section! {
    /// Tuning on conversations.
    SftConfig in "sft" {
        /// A row holds whole examples, as many as fit; each sees itself alone. Without it, a row is one example.
        packing: bool = true,
        /// What becomes of an example that is longer than `train.seq_len`: "drop", "truncate" or "error".
        on_too_long: OnTooLong = OnTooLong::Drop,
        /// System message of conversations that have none, when data is prepared and when text is generated.
        system_prompt: Option<String> = None,
    }
}

section! {
    /// Low-rank adapters (Hu et al. 2021): `W x + alpha / rank · B A dropout(x)`, W frozen. They are not decayed.
    LoraConfig in "lora" {
        /// Train adapters in place of the weights.
        enabled: bool = false,
        /// Rank of the two matrices.
        rank: i64 = 16,
        /// The adapter's output is scaled by `alpha / rank`.
        alpha: f64 = 8.0,
        /// Dropout before the adapter.
        dropout: f64 = 0.05,
        /// Matrices that get an adapter, as `wq wk wv wo w1 w2 w3` or as `q_proj` and so on.
        target_modules: Vec<String> = ["wq", "wk", "wv", "wo", "w1", "w3"].map(String::from).into(),
    }
}

section! {
    /// Direct preference optimisation (Rafailov et al. 2023) and its relatives; the verb is not in this version.
    DpoConfig in "dpo" {
        /// How strongly the policy is held to the reference.
        beta: f64 = 0.1,
        /// Which loss.
        loss: DpoLoss = DpoLoss::Sigmoid,
        /// Part of the labels taken as wrong.
        label_smoothing: f64 = 0.0,
        /// Reference model (default: what the run started from).
        reference: Option<String> = None,
        /// Compute the reference's log-probabilities once and keep them on disk.
        cache_reference: bool = false,
    }
}

section! {
    /// Distillation from a teacher (Hinton et al. 2015); the verb is not in this version.
    DistillConfig in "distill" {
        /// The teacher: a folder, or `hf://org/name`.
        teacher: Option<String> = None,
        /// Softens both distributions.
        temperature: f64 = 2.0,
        /// Weight of the divergence; the cross-entropy has the rest.
        alpha: f64 = 0.5,
        /// Which divergence.
        kind: DistillKind = DistillKind::ForwardKl,
        /// Which data is trained on.
        on: DistillOn = DistillOn::Pretrain,
    }
}

section! {
    /// Benchmarks.
    EvalConfig in "eval" {
        /// What to score: "loss", "hellaswag" and the other benchmarks that `llama-train eval --help` lists. During training
        /// the loss is what `[validate]` measures.
        tasks: Vec<String> = Vec::new(),
        /// Where the items of a benchmark are, by its name: a file, a folder, or `hf://datasets/org/name[:config/split]`
        /// (default: its own data set on the Hub).
        task_data: BTreeMap<String, PathBuf> = BTreeMap::new(),
        /// Steps between evaluations during training, and one after the last step (0: never).
        every: u64 = 0,
        /// Items of each benchmark, for MMLU of each subject (0: all).
        limit: u64 = 0,
        /// Tokens of benchmarks that go through the model at once, with padding.
        batch_tokens: usize = 4096,
    }
}

section! {
    /// Weights & Biases.
    WandbConfig in "wandb" {
        /// "disabled", "online" (sent as the run goes), or "offline" (a file in the run folder for `wandb sync`).
        mode: WandbMode = WandbMode::Disabled,
        /// Project (default: `WANDB_PROJECT`, else "llama-train").
        project: Option<String> = None,
        /// User or team (default: `WANDB_ENTITY`, else the key's own).
        entity: Option<String> = None,
        /// Name of the run (default: `WANDB_NAME`, else `run.name`).
        name: Option<String> = None,
        /// Group of runs (default: `WANDB_RUN_GROUP`).
        group: Option<String> = None,
        /// Tags of the run (default: `WANDB_TAGS`, split at commas).
        tags: Vec<String> = Vec::new(),
    }
}
