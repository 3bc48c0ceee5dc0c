//! The original project's variables (`MAX_LR`, `DIM`, `TOTAL_BATCH_SIZE`, …), in `.env` and in the environment, as
//! aliases of our keys. Some mean another key for each verb, and three name the verb.

use super::original_names::Form::{self, HubName, Text};
use super::original_names::{ALIASES, OF_PREPARATION, OF_TRAINING, is_on};
use super::variable::{Named, Variable};
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

/// The variables of all sources; a later one is stronger.
pub(super) struct Originals {
    purpose: Purpose,
    seen: BTreeMap<String, Named>,
}

impl Originals {
    pub(super) fn new(purpose: Purpose, sources: &[Vec<Named>]) -> Self {
        let named = sources.iter().flatten();
        let seen = named.map(|named| (named.name.to_uppercase(), named.clone()));
        Self {
            purpose,
            seen: seen.collect(),
        }
    }

    /// What the variables of one source set.
    pub(super) fn set_by(&self, source: &[Named]) -> Vec<Variable> {
        let names: Vec<String> = source
            .iter()
            .map(|named| named.name.to_uppercase())
            .collect();
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
        let is_named = |wanted: &str| names.iter().any(|name| name == wanted);
        if is_named("TOTAL_BATCH_SIZE") || is_named("MAX_SEQ_LEN") {
            variables.extend(self.pairs());
        }
        if is_named("HELLASWAG_EVERY_X_STEPS") {
            variables.extend(self.hellaswag());
        }
        if is_named("IS_INSTRUCT_TRAINING") {
            variables.extend(self.distilled_on());
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
        let passed_over = match name {
            "TOTAL_BATCH_SIZE" => self.purpose == Purpose::Dpo, // see `pairs`
            "HELLASWAG_EVERY_X_STEPS" => self.tunes(), // the original scores in pretraining alone
            _ => false,
        };
        if passed_over {
            return None;
        }
        let general = || Some(name.replacen(self.stage()?, "*", 1));
        find(&ALIASES, name).or_else(|| find(of_stage, &general()?))
    }

    fn prepares(&self) -> bool {
        use Purpose::{PrepInstruct, PrepPreference, PrepPretrain};
        matches!(self.purpose, PrepPretrain | PrepInstruct | PrepPreference)
    }

    fn tunes(&self) -> bool {
        matches!(self.purpose, Purpose::Sft | Purpose::Dpo | Purpose::Distill)
    }

    /// The original scores HellaSwag where its items are, and nothing else.
    fn hellaswag(&self) -> Option<Variable> {
        let every = self.seen.get("HELLASWAG_EVERY_X_STEPS")?;
        let folder = self.seen.get("HELLASWAG_PATH")?;
        let items = Path::new(&folder.value).join("hellaswag_val.jsonl");
        let is_meant = self.purpose == Purpose::Pretrain && items.is_file();
        is_meant.then(|| every.sets("eval.tasks", Ok("[\"hellaswag\"]".to_owned())))
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

    /// For `dpo` the original counts a pair as one row of `MAX_SEQ_LEN` tokens of the `TOTAL_BATCH_SIZE`.
    fn pairs(&self) -> Option<Variable> {
        let total = self.seen.get("TOTAL_BATCH_SIZE")?;
        let number = |named: &Named| named.value.parse::<u64>().ok();
        let row = self.seen.get("MAX_SEQ_LEN").and_then(number);
        let pairs = match (number(total), row) {
            (Some(total), Some(row)) if row > 0 && total.is_multiple_of(row) => {
                Ok((total / row).to_string())
            }
            _ => Err(
                "expected a multiple of MAX_SEQ_LEN, which says how many tokens a pair counts for"
                    .to_owned(),
            ),
        };
        (self.purpose == Purpose::Dpo).then(|| total.sets("train.total_batch_examples", pairs))
    }

    /// Beside `IS_MODEL_DISTILLATION`, `IS_INSTRUCT_TRAINING` says what is distilled on.
    fn distilled_on(&self) -> Option<Variable> {
        let named = self.seen.get("IS_INSTRUCT_TRAINING")?;
        let is_meant = self.purpose == Purpose::Distill && self.is_set("IS_MODEL_DISTILLATION");
        let on = |is_on| {
            if is_on {
                "\"instruct\""
            } else {
                "\"pretrain\""
            }
            .to_owned()
        };
        is_meant.then(|| named.sets("distill.on", is_on(&named.value).map(on)))
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

    /// What the three switches of the original have against the verb: the right one is named.
    pub(super) fn contradiction(&self) -> Option<String> {
        const SWITCHES: [(&str, Purpose, &str); 3] = [
            ("IS_DPO_TRAINING", Purpose::Dpo, "dpo"),
            ("IS_MODEL_DISTILLATION", Purpose::Distill, "distill"),
            ("IS_INSTRUCT_TRAINING", Purpose::Sft, "sft"),
        ];
        use Purpose::{Distill, Dpo, Pretrain, Sft};
        if !matches!(self.purpose, Pretrain | Sft | Dpo | Distill) {
            return None;
        }
        if let Some((name, right, verb)) = SWITCHES.iter().find(|(name, ..)| self.is_set(name)) {
            let named = self.seen.get(*name)?;
            return (*right != self.purpose).then(|| asks_for(named, verb));
        }
        let own = SWITCHES
            .iter()
            .find(|(_, purpose, _)| *purpose == self.purpose);
        let off = own.and_then(|(name, ..)| self.seen.get(*name));
        off.map(|named| asks_for(named, "pretrain"))
    }
}

fn asks_for(named: &Named, verb: &str) -> String {
    let Named {
        name,
        value,
        origin,
    } = named;
    format!(
        "{origin}: {name}={value} asks for `llama-train {verb}`; use that verb, or take the variable away"
    )
}
