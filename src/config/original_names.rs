//! What the original project's variables are called, and which keys they set.

use std::path::Path;

/// How a value is written.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Number,
    Text,
    /// true/false, 1/0, yes/no, on/off
    Flag,
    /// A JSON array of strings.
    List,
    /// A folder here, or else a name on the Hub.
    HubName,
}
use Form::{Flag, HubName, List, Number, Text};

/// Variables that mean the same key for every verb.
#[rustfmt::skip] // a table
pub(super) const ALIASES: [(&str, Form, &str); 36] = [
    ("NUMBER_OF_CPU_PROCESSES", Number, "prepare.workers"),
    ("HELLASWAG_PATH", Text, "eval.task_data.hellaswag"),
    ("SAVE_CHECKPOINTS", Flag, "checkpoint.save"),
    ("WNB_PROJECT_NAME", Text, "wandb.project"),
    ("TOTAL_BATCH_SIZE", Number, "train.total_batch_tokens"),
    ("MAX_LR", Number, "optim.max_lr"),
    ("MIN_LR", Number, "optim.min_lr"),
    ("WARMUP_STEPS", Number, "optim.warmup_steps"),
    ("WEIGHT_DECAY", Number, "optim.weight_decay"),
    ("MAX_STEPS", Number, "train.max_steps"),
    ("EARLY_STOPPING_PATIENCE", Number, "validate.early_stopping_patience"),
    ("EARLY_STOPPING_PATIENCE_SKIP_STEPS", Number, "validate.early_stopping_skip_steps"),
    ("DPO_BETA", Number, "dpo.beta"),
    ("DISTILLATION_TEMPERATURE", Number, "distill.temperature"),
    ("TEACHER_MODEL_CHECKPOINT", HubName, "distill.teacher"),
    ("LORA_ENABLED", Flag, "lora.enabled"),
    ("LORA_RANK", Number, "lora.rank"),
    ("LORA_ALPHA", Number, "lora.alpha"),
    ("LORA_DROPOUT", Number, "lora.dropout"),
    ("LORA_TARGET_MODULES", List, "lora.target_modules"),
    ("VALIDATE_EVERY_X_STEPS", Number, "validate.every"),
    ("VAL_STEPS", Number, "validate.batches"),
    ("HELLASWAG_EVERY_X_STEPS", Number, "eval.every"),
    ("HELLASWAG_NUMBER_OF_EXAMPLES", Number, "eval.limit"),
    ("GENERATE_EVERY_X_STEPS", Number, "generate.every"),
    ("MAX_TEST_GEN_LEN", Number, "generate.max_new_tokens"),
    ("DIM", Number, "model.dim"),
    ("N_LAYERS", Number, "model.n_layers"),
    ("N_HEADS", Number, "model.n_heads"),
    ("N_KV_HEADS", Number, "model.n_kv_heads"),
    ("MULTIPLE_OF", Number, "model.multiple_of"),
    ("FFN_DIM_MULTIPLIER", Number, "model.ffn_dim_multiplier"),
    ("NORM_EPS", Number, "model.norm_eps"),
    ("ROPE_THETA", Number, "model.rope_theta"),
    ("MAX_BATCH_SIZE", Number, "train.micro_batch_size"),
    ("MAX_SEQ_LEN", Number, "train.seq_len"),
];

/// Variables of one stage, `*` standing for PRETRAIN, INSTRUCT or DPO, when data is prepared.
#[rustfmt::skip] // a table
pub(super) const OF_PREPARATION: [(&str, Form, &str); 3] = [
    ("HF_*_DATASET_TARGET_PATH", Text, "prepare.out"),
    ("HF_*_DATASET_SHARD_PREFIX", Text, "prepare.prefix"),
    ("HF_*_DATASET_SELECTOR_KEY", Text, "prepare.messages_field"),
];

/// The same when a model is trained.
#[rustfmt::skip] // a table
pub(super) const OF_TRAINING: [(&str, Form, &str); 4] = [
    ("*_DATALOADER_ROOT_PATH", Text, "data.path"),
    ("*_SAVE_CHECKPOINTS_PATH", Text, "run.dir"),
    ("*_LOAD_CHECKPOINTS_PATH", Text, "checkpoint.load_dir"),
    ("TEST_*_GENERATION_PROMPTS", List, "generate.prompts"),
];

impl Form {
    /// The value as TOML, or what is wrong with it.
    pub(super) fn toml(self, value: &str) -> Result<String, String> {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        match self {
            Number => Ok(value.to_owned()),
            Text => Ok(quoted(value)),
            Flag => Ok(is_on(value)?.to_string()),
            List => match serde_json::from_str::<Vec<String>>(value) {
                Ok(list) => Ok(toml::Value::from(list).to_string()),
                Err(_) => Err(format!(
                    "expected a JSON array of strings, for example [\"a\", \"b\"], found {value}"
                )),
            },
            HubName if Path::new(value).exists() => Ok(quoted(value)),
            HubName => Ok(quoted(&format!("hf://{value}"))),
        }
    }
}

/// What a switch says, or what is wrong with it.
pub(super) fn is_on(value: &str) -> Result<bool, String> {
    match value.to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("expected True or False, found {value}")),
    }
}
