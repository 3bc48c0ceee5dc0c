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
    /// Direct preference optimisation (Rafailov et al. 2023) and its relatives. A row is a pair, and pairs are counted
    /// (`train.total_batch_examples`).
    DpoConfig in "dpo" {
        /// How strongly the policy is held to the reference; for "orpo" the weight of the odds ratio.
        beta: f64 = 0.1,
        /// "sigmoid" (with label smoothing: cDPO), "ipo" (log-ratios divided by the answer's length), "ipo_paper" (not
        /// divided), "hinge", "robust", "apo_zero"; without a reference "simpo" and "orpo".
        loss: DpoLoss = DpoLoss::Sigmoid,
        /// Part of the labels taken as wrong, below a half ("sigmoid" and "robust").
        label_smoothing: f64 = 0.0,
        /// Margin that "simpo" asks for between the answers' rewards (default: half of `beta`, the paper's ratio).
        simpo_gamma: Option<f64> = None,
        /// Weight of the chosen answer's negative log-likelihood per token, added to any loss (Pang et al. 2024, "RPO").
        sft_weight: f64 = 0.0,
        /// Reference model: a folder, a file or `hf://org/name[@revision]`; "none" for none (default: what the run started
        /// from, also after a resume; for adapters on a model without any, that model).
        reference: Option<String> = None,
        /// Compute the reference's log-probabilities once, keep them beside the data, and hold no second model.
        cache_reference: bool = false,
        /// What becomes of a pair with a row (prompt and answer) longer than `train.seq_len`: "drop"; "truncate": the prompt
        /// loses its beginning, an answer that still does not fit its end; or "error".
        on_too_long: OnTooLong = OnTooLong::Drop,
    }
}

section! {
    /// Distillation from a teacher (Hinton et al. 2015): `alpha · T² · divergence + (1 - alpha) · cross-entropy` over the
    /// trained-on tokens.
    DistillConfig in "distill" {
        /// The teacher: a folder, a file or `hf://org/name[@revision]`, of the student's vocabulary.
        teacher: Option<String> = None,
        /// T: softens both distributions.
        temperature: f64 = 2.0,
        /// Weight of the divergence; the cross-entropy has the rest.
        alpha: f64 = 0.5,
        /// "forward_kl" (teacher from student), "reverse_kl" or "js" (Jensen-Shannon).
        kind: DistillKind = DistillKind::ForwardKl,
        /// "pretrain" (text) or "instruct" (conversations): what the data is.
        on: DistillOn = DistillOn::Pretrain,
        /// Ask the teacher once, keep its likeliest tokens at each place beside the data, and train without it.
        cache_teacher: bool = false,
        /// How many tokens are kept at each place; all others count as one (at most the vocabulary: then nothing is lost).
        top_k: u64 = 64,
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
