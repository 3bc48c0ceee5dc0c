//! The sections of the configuration, their keys, defaults and documentation.

use super::choices::{
    Auto, Dedup, Kernels, OnGpu, OnTooLong, Precision, Recompute, ScheduleKind, TokenizerBackend,
    TrainOn, Weights,
};
use super::device_choice::DeviceChoice;
use super::model::RopeScaling;
use super::section::section;
use std::path::PathBuf;

section! {
    /// How raw files become token shards (`prep-data`, and `pretrain` when `prepare.input` is given).
    PrepareConfig in "prepare" {
        /// Files, folders or globs (.txt .md .jsonl .json .parquet), `hf://datasets/org/name[@revision][:config/split]`, or
        /// `python-stdlib`: the Python standard library's sources.
        input: Vec<String> = Vec::new(),
        /// File with `[[source]]` tables of `input` and `weight`, in place of `input`: their shares of the text. Ends when
        /// a source is used up.
        mix: Option<PathBuf> = None,
        /// Rows hold ids, which are taken as they are: `input_ids`; for conversations with `loss_mask` or `labels`; for pairs
        /// `prompt_ids`, `chosen_ids`, `rejected_ids`.
        pretokenized: bool = false,
        /// Folder the shards, manifest and tokenizer are written to (default: `data.path`).
        out: Option<PathBuf> = None,
        /// First part of the shards' file names.
        prefix: String = "data".into(),
        /// Field of a row that holds the text.
        text_field: String = "text".into(),
        /// Field of a row that holds a conversation; another than "messages" alone is looked at.
        messages_field: String = "messages".into(),
        /// Fields of a row that hold the two sides of a preference and what comes before them.
        prompt_field: String = "prompt".into(),
        /// The side that is preferred.
        chosen_field: String = "chosen".into(),
        /// The other one.
        rejected_field: String = "rejected".into(),
        /// "all" of the assistant's turns are trained on, or the "last" one.
        train_on: TrainOn = TrainOn::All,
        /// What becomes of an example of more than `train.seq_len` + 1 tokens: "drop", "truncate" or "error" (default: it is
        /// kept, and training decides).
        on_too_long: Option<OnTooLong> = None,
        /// Threads that tokenize (0: all cores).
        workers: usize = 0,
        /// Tokens per shard; one of examples ends with the example that reaches them.
        shard_tokens: u64 = 100_000_000,
        /// Fraction of the documents that go into the val split, chosen by a hash of the document.
        val_fraction: f64 = 0.01,
        /// Tokens of the val split, in place of a fraction (0: by the fraction); it ends with the document that reaches them.
        val_tokens: u64 = 0,
        /// "exact" keeps the first of documents with the same text, at about 20 bytes of memory a document; or "none".
        dedup: Dedup = Dedup::None,
        /// Stop after this many documents (0: all).
        max_documents: u64 = 0,
        /// Stop after this many tokens (0: all); an example is not cut.
        max_tokens: u64 = 0,
        /// Malformed rows to skip before it is an error.
        max_bad_rows: u64 = 0,
        /// Keep what is fetched from the Hub in its cache; else a file goes when it was read.
        keep_files: bool = false,
        /// Seed of the val split's hash.
        seed: u64 = 42,
        /// Vocabulary of the tokenizer to train on `input` where `tokenizer.path` is not given (0: train none).
        vocab_size: usize = 0,
    }
}

section! {
    /// The run: where it is kept and what it runs on.
    RunConfig in "run" {
        /// Name of the run; its folder is `run.dir/run.name`.
        name: String = "llama".into(),
        /// Folder that holds the runs.
        dir: PathBuf = "runs".into(),
        /// Seed of initialisation, shuffling and sampling.
        seed: u64 = 42,
        /// "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:N".
        device: DeviceChoice = DeviceChoice::Auto,
        /// Refuse operations whose result may differ between runs.
        deterministic: bool = false,
        /// CPU threads (0: OMP_NUM_THREADS if set, else cores / local world size).
        threads: usize = 0,
    }
}

section! {
    /// The model's shape: a preset, or Meta's `params.json` fields; fields given beside a preset win over it.
    ModelSection in "model" {
        /// A published shape, for example "llama3-8b" or "llama3.2-1b".
        preset: Option<String> = None,
        /// Folder with weights to start from (a Hugging Face Llama folder or a checkpoint), or `hf://org/name[@revision]`; its
        /// shape wins.
        init_from: Option<String> = None,
        /// Width of the residual stream.
        dim: Option<i64> = None,
        /// Transformer blocks.
        n_layers: Option<i64> = None,
        /// Query heads.
        n_heads: Option<i64> = None,
        /// Key/value heads (default: `n_heads`).
        n_kv_heads: Option<i64> = None,
        /// Size of the vocabulary (default: the prepared data's).
        vocab_size: Option<i64> = None,
        /// The feed-forward's hidden size is rounded up to a multiple of this.
        multiple_of: Option<i64> = None,
        /// Factor on the feed-forward's hidden size.
        ffn_dim_multiplier: Option<f64> = None,
        /// The feed-forward's hidden size itself, in place of the two above.
        ffn_hidden_dim: Option<i64> = None,
        /// Epsilon of RMSNorm.
        norm_eps: Option<f64> = None,
        /// Base of the rotary embedding's frequencies.
        rope_theta: Option<f64> = None,
        /// Llama 3.1's frequency scaling.
        rope_scaling: Option<RopeScaling> = None,
        /// Longest sequence the model is made for, in tokens (default: `train.seq_len`).
        max_seq_len: Option<i64> = None,
        /// Whether the output head shares the embedding's weight.
        tie_embeddings: Option<bool> = None,
    }
}

section! {
    /// The tokenizer.
    TokenizerConfig in "tokenizer" {
        /// A `tokenizer.json`, a Llama 3 `tokenizer.model`, a folder that holds one, `hf://org/name[@revision]`, or
        /// `tiktoken:cl100k_base` and its like (default: the model's own, else the prepared data's).
        path: Option<String> = None,
        /// Which libraries encode text when data are prepared, to the same ids: "auto" (the fastest) or "stable" (released ones
        /// only).
        backend: TokenizerBackend = TokenizerBackend::Auto,
    }
}

section! {
    /// The prepared data.
    DataConfig in "data" {
        /// A folder made by `prep-data`.
        path: Option<PathBuf> = None,
        /// Shuffle the windows by a computed permutation, new each epoch.
        shuffle: bool = true,
        /// Batches read ahead by a background thread (0: none; at most 1024).
        prefetch: usize = 2,
    }
}

section! {
    /// Steps, batches and arithmetic.
    TrainConfig in "train" {
        /// Optimizer steps (-1: one epoch).
        max_steps: i64 = -1,
        /// Tokens per optimizer step over all ranks (default: no accumulation).
        total_batch_tokens: Option<u64> = None,
        /// Examples per optimizer step over all ranks, in place of tokens where a row is one example (default: no
        /// accumulation).
        total_batch_examples: Option<u64> = None,
        /// Rows per forward pass and rank.
        micro_batch_size: u64 = 4,
        /// Tokens per row (default: 1024, or as many as the model reads where that is less).
        seq_len: Option<u64> = None,
        /// What is computed in: "auto" (fp32 on CPU, bf16 on CUDA), "fp32", "bf16", or "fp8" (bf16 but for the products of the
        /// blocks' matrices in training; on NVIDIA's Ada, Hopper and later).
        precision: Precision = Precision::Auto,
        /// What trained weights and their gradients are kept in: "fp32", or "bf16" with the 16 bits that are missing to fp32
        /// beside the moments, so that no update is lost; 14 bytes a parameter instead of 16.
        weights: Weights = Weights::Fp32,
        /// Each rank keeps and updates a part of the optimizer's state (ZeRO's first stage) in place of all of it.
        shard_optimizer: bool = false,
        /// What backward computes again in place of keeping it: "none", "selective" (the feed-forward blocks) or "full" (whole
        /// blocks). The gradients are the same, bit by bit.
        activation_checkpointing: Recompute = Recompute::None,
        /// Non-finite steps in a row before the run stops with a checkpoint.
        max_skipped_steps: u64 = 5,
        /// Steps between comparisons of all ranks' weights, bit by bit (0: only at the start).
        check_replicas_every: u64 = 500,
        /// Operations computed by kernels of our own: "auto" (those that are proven on the device: on a CPU all there are), "fused" (on a
        /// GPU also those that no GPU has run yet; `doctor` lists them) or "composed" (none: torch's own operations).
        kernels: Kernels = Kernels::Auto,
        /// Launch a GPU's whole step as one, as a CUDA graph: "auto" (where that is proven; `doctor` tells), "on" or "off". On
        /// one rank, without dropout, while batches have one shape; other steps are launched piece by piece.
        cuda_graphs: OnGpu = OnGpu::Auto,
        /// Copy batches to a GPU, and a step's numbers back, beside its work: "auto" (where that is proven; `doctor` tells),
        /// "on" or "off".
        async_transfers: OnGpu = OnGpu::Auto,
    }
}

section! {
    /// AdamW and its learning rate.
    OptimConfig in "optim" {
        /// Peak learning rate (0 is legal: nothing is learned).
        max_lr: f64 = 3e-4,
        /// Final learning rate (default: a tenth of `max_lr`).
        min_lr: Option<f64> = None,
        /// Steps of linear warm-up.
        warmup_steps: u64 = 0,
        /// "cosine", "wsd" (stable, then linear decay over `decay_fraction`), "linear" or "constant".
        schedule: ScheduleKind = ScheduleKind::Cosine,
        /// Part of all steps over which "wsd" decays.
        decay_fraction: f64 = 0.2,
        /// Decoupled weight decay of tensors with two or more dimensions.
        weight_decay: f64 = 0.1,
        /// Decay rates of the first and second moment.
        betas: (f64, f64) = (0.9, 0.95),
        /// Added to the denominator of the update.
        eps: f64 = 1e-8,
        /// Largest global norm of the gradient (0: no clipping).
        grad_clip: f64 = 1.0,
        /// Torch's fused kernel: only "auto" in this version.
        fused: Auto = Auto::Auto,
    }
}

impl TrainConfig {
    /// `seq_len`, or its default where the model does not read less.
    #[must_use]
    pub fn seq_len(&self) -> u64 {
        self.seq_len.unwrap_or(1024)
    }
}

impl OptimConfig {
    /// `min_lr`, or its default.
    #[must_use]
    pub fn final_lr(&self) -> f64 {
        self.min_lr.unwrap_or(self.max_lr / 10.0)
    }
}

section! {
    /// Validation and early stopping.
    ValidateConfig in "validate" {
        /// Steps between validations (0: only after the last step).
        every: u64 = 0,
        /// Global batches per validation, from the split's beginning (0: all of it).
        batches: u64 = 0,
        /// Validations without a new best before the run stops (0: never).
        early_stopping_patience: u64 = 0,
        /// Steps at the start during which a validation without a new best is not counted.
        early_stopping_skip_steps: u64 = 0,
    }
}

section! {
    /// Several processes (torchrun): limits of time, and how gradients travel.
    DistConfig in "dist" {
        /// Seconds until ranks that have not come count as missing.
        init_timeout_seconds: u64 = 300,
        /// Seconds that a collective operation may take: more than the slowest checkpoint, less than one would wait.
        timeout_seconds: u64 = 600,
        /// Megabytes (2^20 bytes) of gradients that are all-reduced together.
        bucket_megabytes: u64 = 25,
    }
}

section! {
    /// Checkpoints.
    CheckpointConfig in "checkpoint" {
        /// Whether to save at all.
        save: bool = true,
        /// Steps between checkpoints (0: only the best and the last).
        every: u64 = 0,
        /// Save the untrained model as step 0 as well.
        initial: bool = false,
        /// Newest checkpoints to keep (0: all).
        keep_last: usize = 2,
        /// Keep the checkpoint with the lowest validation loss as well.
        keep_best: bool = true,
        /// Save before exiting on SIGTERM, SIGINT or SIGUSR1.
        on_signal: bool = true,
        /// Folder in which the original project's checkpoint flags name a file.
        load_dir: Option<PathBuf> = None,
    }
}

section! {
    /// Text samples during training, and the defaults of `generate`.
    GenerateConfig in "generate" {
        /// Steps between samples (0: never).
        every: u64 = 0,
        /// Prompts to continue.
        prompts: Vec<String> = Vec::new(),
        /// Tokens to generate per prompt.
        max_new_tokens: usize = 64,
        /// 0: always the most likely token.
        temperature: f64 = 0.8,
        /// Sample from the smallest set of tokens with this much probability (1: off).
        top_p: f64 = 0.95,
        /// Sample from this many most likely tokens (0: off).
        top_k: usize = 0,
        /// Divides the logits of tokens already present, where positive; multiplies them elsewhere (1: off).
        repetition_penalty: f64 = 1.0,
        /// Never repeat an n-gram of this many tokens (0: off).
        no_repeat_ngram_size: usize = 0,
        /// Seed of the sampling.
        seed: u64 = 42,
    }
}
