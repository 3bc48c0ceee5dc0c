//! The original project's variables (`MAX_LR`, `DIM`, `TOTAL_BATCH_SIZE`, …), in `.env` and in the environment, as
//! aliases of our keys. Some mean another key for each verb, and three name the verb.

use super::variable::{Named, Variable};
use crate::bad_request;
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::Path;

/// What a configuration is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// `prep-data pretrain`
    PrepPretrain,
    /// `prep-data instruct`
    PrepInstruct,
    /// `prep-data preference`
    PrepPreference,
    /// `pretrain`
    Pretrain,
    /// `sft`
    Sft,
    /// `dpo`
    Dpo,
    /// `distill`
    Distill,
    /// Anything else: variables of a stage are passed over.
    #[default]
    Other,
}

/// How a value is written.
#[derive(Clone, Copy)]
enum Form {
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
const ALIASES: [(&str, Form, &str); 36] = [
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
const OF_PREPARATION: [(&str, Form, &str); 3] = [
    ("HF_*_DATASET_TARGET_PATH", Text, "prepare.out"),
    ("HF_*_DATASET_SHARD_PREFIX", Text, "prepare.prefix"),
    ("HF_*_DATASET_SELECTOR_KEY", Text, "prepare.messages_field"),
];

/// The same when a model is trained.
#[rustfmt::skip] // a table
const OF_TRAINING: [(&str, Form, &str); 4] = [
    ("*_DATALOADER_ROOT_PATH", Text, "data.path"),
    ("*_SAVE_CHECKPOINTS_PATH", Text, "run.dir"),
    ("*_LOAD_CHECKPOINTS_PATH", Text, "checkpoint.load_dir"),
    ("TEST_*_GENERATION_PROMPTS", List, "generate.prompts"),
];

impl Form {
    /// The value as TOML.
    fn toml(self, value: &str) -> Result<String, String> {
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

fn is_on(value: &str) -> Result<bool, String> {
    match value.to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("expected True or False, found {value}")),
    }
}

/// The variables met so far; a later source is stronger.
pub(super) struct Originals {
    purpose: Purpose,
    seen: BTreeMap<String, Named>,
}

impl Originals {
    pub(super) fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            seen: BTreeMap::new(),
        }
    }

    /// What the variables of one source set.
    pub(super) fn take(&mut self, source: &[Named]) -> Vec<Variable> {
        let names: Vec<String> = source
            .iter()
            .map(|named| named.name.to_uppercase())
            .collect();
        for (name, named) in names.iter().zip(source) {
            self.seen.insert(name.clone(), named.clone());
        }
        let mut variables = Vec::new();
        for (name, named) in names.iter().zip(source) {
            if let Some((form, key)) = self.meaning(name) {
                variables.push(named.sets(key, form.toml(&named.value)));
            }
        }
        let dataset = self.stage().map(|stage| format!("HF_{stage}_DATASET"));
        if names.iter().any(|name| {
            dataset
                .as_ref()
                .is_some_and(|dataset| name.starts_with(dataset))
        }) {
            variables.extend(self.dataset());
        }
        if names
            .iter()
            .any(|name| name == "TOKENIZER_CHECKPOINT_PATH" || name == "HUGGINGFACE_TOKENIZER")
        {
            variables.extend(self.tokenizer());
        }
        if let (true, Some(named)) = (
            names.iter().any(|name| name == "WNB_ENABLED"),
            self.seen.get("WNB_ENABLED"),
        ) {
            let mode = is_on(&named.value)
                .map(|on| if on { "\"online\"" } else { "\"disabled\"" }.to_owned());
            variables.push(named.sets("wandb.mode", mode));
        }
        variables
    }

    fn meaning(&self, name: &str) -> Option<(Form, &'static str)> {
        let find = |table: &[(&str, Form, &'static str)], name: &str| {
            let found = table.iter().find(|(known, ..)| *known == name);
            found.map(|(_, form, key)| (*form, *key))
        };
        let of_stage: &[_] = if self.prepares() {
            &OF_PREPARATION
        } else {
            &OF_TRAINING
        };
        let general = || Some(name.replacen(self.stage()?, "*", 1));
        find(&ALIASES, name).or_else(|| find(of_stage, &general()?))
    }

    fn prepares(&self) -> bool {
        use Purpose::{PrepInstruct, PrepPreference, PrepPretrain};
        matches!(self.purpose, PrepPretrain | PrepInstruct | PrepPreference)
    }

    /// The stage in the variables' names that this verb listens to.
    fn stage(&self) -> Option<&'static str> {
        match self.purpose {
            Purpose::PrepPretrain | Purpose::Pretrain => Some("PRETRAIN"),
            Purpose::PrepInstruct | Purpose::Sft => Some("INSTRUCT"),
            Purpose::PrepPreference | Purpose::Dpo => Some("DPO"),
            Purpose::Distill if self.is_set("IS_INSTRUCT_TRAINING") => Some("INSTRUCT"),
            Purpose::Distill => Some("PRETRAIN"),
            Purpose::Other => None,
        }
    }

    fn is_set(&self, name: &str) -> bool {
        self.seen
            .get(name)
            .is_some_and(|named| is_on(&named.value) == Ok(true))
    }

    /// `hf://datasets/org/name:config/split` from three variables.
    fn dataset(&self) -> Option<Variable> {
        let stage = self.stage().filter(|_| self.prepares())?;
        let part = |suffix: &str| self.seen.get(&format!("HF_{stage}_DATASET{suffix}"));
        let id = part("")?;
        let text =
            |suffix, default| part(suffix).map_or(default, |named: &Named| named.value.as_str());
        let (name, split) = (text("_NAME", "default"), text("_SPLIT", "train"));
        let input = format!("hf://datasets/{}:{name}/{split}", id.value);
        Some(id.sets(
            "prepare.input",
            Ok(toml::Value::from(vec![input]).to_string()),
        ))
    }

    /// With `HUGGINGFACE_TOKENIZER` the path may be a name on the Hub.
    fn tokenizer(&self) -> Option<Variable> {
        let path = self.seen.get("TOKENIZER_CHECKPOINT_PATH")?;
        let form = if self.is_set("HUGGINGFACE_TOKENIZER") {
            HubName
        } else {
            Text
        };
        Some(path.sets("tokenizer.path", form.toml(&path.value)))
    }

    /// Holds the three switches of the original against the verb.
    ///
    /// # Errors
    /// A bad request that names the right verb.
    pub(super) fn check_purpose(&self) -> Result<()> {
        const SWITCHES: [(&str, Purpose, &str); 3] = [
            ("IS_DPO_TRAINING", Purpose::Dpo, "dpo"),
            ("IS_MODEL_DISTILLATION", Purpose::Distill, "distill"),
            ("IS_INSTRUCT_TRAINING", Purpose::Sft, "sft"),
        ];
        use Purpose::{Distill, Dpo, Pretrain, Sft};
        if !matches!(self.purpose, Pretrain | Sft | Dpo | Distill) {
            return Ok(());
        }
        if let Some((name, right, verb)) = SWITCHES.iter().find(|(name, ..)| self.is_set(name)) {
            return match self.seen.get(*name) {
                Some(named) if *right != self.purpose => Err(bad_request!(
                    "{}: {name}={} asks for `llama-train {verb}`; use that verb, or take the variable away",
                    named.origin,
                    named.value
                )),
                _ => Ok(()),
            };
        }
        let own = SWITCHES
            .iter()
            .find(|(_, purpose, _)| *purpose == self.purpose);
        match own.and_then(|(name, ..)| Some((name, self.seen.get(*name)?))) {
            Some((name, named)) => Err(bad_request!(
                "{}: {name}={} asks for `llama-train pretrain`; use that verb, or take the variable away",
                named.origin,
                named.value
            )),
            None => Ok(()),
        }
    }
}
