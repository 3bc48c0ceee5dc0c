//! From flags to what the verbs take.

use super::args::{Bench, Common, Doctor, Original, Plan, Report, Training};
use super::assignments::{self, Assignments};
use super::model_args::{Export, Generate};
use crate::checkpoint::ResumeFrom;
use crate::commands::original_checkpoint::{OriginalCheckpoint, Stage};
use crate::commands::training::TrainingRequest;
use crate::commands::{
    Output, TrainingVerb, bench, doctor, export, generate, kernel_checks, plan, report,
};
use crate::config::{Config, Purpose, Sources};
use crate::eval::task_names;
use crate::tokenizer::PromptStyle;
use anyhow::Result;
use std::path::PathBuf;
use tch::Kind;

impl Common {
    /// The configuration with the verb's own flags on top.
    pub(super) fn load(&self, flags: Assignments, purpose: Purpose) -> Result<Config> {
        Config::load(&self.sources(flags, purpose)?)
    }

    fn sources(&self, flags: Assignments, purpose: Purpose) -> Result<Sources> {
        let mut assignments = assignments::from_set(&self.set)?;
        assignments.extend(flags.into_inner());
        Ok(Sources {
            file: self.config.clone(),
            env_file: self.env_file.clone(),
            assignments,
            purpose,
            tasks: task_names().collect(),
            world_size: None,
        })
    }
}

impl Original {
    fn given(&self) -> Option<OriginalCheckpoint> {
        let flags = [
            (Stage::Pretrain, &self.pretrain_checkpoint),
            (Stage::Instruct, &self.instruct_checkpoint),
            (Stage::Dpo, &self.dpo_checkpoint),
        ];
        flags.into_iter().find_map(|(stage, file)| {
            let file = file.clone()?;
            Some(OriginalCheckpoint { stage, file })
        })
    }
}

fn purpose_of(verb: TrainingVerb) -> Purpose {
    match verb {
        TrainingVerb::Pretrain => Purpose::Pretrain,
        TrainingVerb::Sft => Purpose::Sft,
        TrainingVerb::Dpo => Purpose::Dpo,
        TrainingVerb::Distill => Purpose::Distill,
    }
}

/// `--init-from`, the same for all verbs that have it.
fn starting_from(init_from: Option<&String>) -> Assignments {
    let mut flags = Assignments::default();
    flags.text("--init-from", "model.init_from", init_from);
    flags
}

impl Training {
    /// What the verb is asked to do.
    pub(super) fn request(&self, verb: TrainingVerb) -> Result<TrainingRequest> {
        let stage = match verb {
            TrainingVerb::Pretrain | TrainingVerb::Distill => Stage::Pretrain,
            TrainingVerb::Sft => Stage::Instruct,
            TrainingVerb::Dpo => Stage::Dpo,
        };
        let flags = starting_from(self.init_from.as_ref());
        let resume = self.resume.as_deref().map(|from| match from {
            "latest" => ResumeFrom::Latest,
            dir => ResumeFrom::Path(dir.into()),
        });
        let mut config = self.common.load(flags, purpose_of(verb))?;
        let start_step = match self.original.given() {
            Some(given) => given.start(&mut config, stage, self.start_step)?,
            None => self.start_step,
        };
        Ok(TrainingRequest {
            verb,
            config,
            resume,
            reset_optimizer: self.reset_optimizer,
            start_step,
            dry_run: self.dry_run,
        })
    }
}

impl Generate {
    pub(super) fn run(&self) -> Result<Output> {
        let mut flags = Assignments::default();
        flags.list("--prompt", "generate.prompts", &self.prompts()?);
        flags.value(
            "--max-new-tokens",
            "generate.max_new_tokens",
            self.max_new_tokens,
        );
        flags.value("--temperature", "generate.temperature", self.temperature);
        flags.value("--top-p", "generate.top_p", self.top_p);
        flags.value("--top-k", "generate.top_k", self.top_k);
        flags.value(
            "--repetition-penalty",
            "generate.repetition_penalty",
            self.repetition_penalty,
        );
        flags.value(
            "--no-repeat-ngram-size",
            "generate.no_repeat_ngram_size",
            self.no_repeat_ngram_size,
        );
        flags.value("--seed", "generate.seed", self.seed);
        let config = self.common.load(flags, Purpose::Other)?;
        generate::run(&generate::Request {
            checkpoint: self.model.checkpoint.clone(),
            adapter: self.model.adapter.clone(),
            lora_alpha: config.lora.alpha,
            tokenizer: config.tokenizer.path.map(PathBuf::from),
            options: config.generate,
            style: match self.chat || self.interactive {
                true => PromptStyle::Chat {
                    system_prompt: config.sft.system_prompt,
                },
                false => PromptStyle::Text,
            },
            turns: match self.interactive {
                true => generate::Turns::Many,
                false => generate::Turns::One,
            },
            device: config.run.device,
            precision: config.train.precision,
            kernels: config.train.kernels,
            threads: config.run.threads,
        })
    }
}

impl Export {
    pub(super) fn run(&self) -> Result<Output> {
        let config = self.common.load(Assignments::default(), Purpose::Other)?;
        let kind = self.dtype.as_deref().map(|name| match name {
            "bf16" => Kind::BFloat16,
            "fp16" => Kind::Half,
            _ => Kind::Float,
        });
        export::run(&export::Request {
            checkpoint: self.model.checkpoint.clone(),
            adapter: self.model.adapter.clone(),
            lora: match self.merge_lora {
                true => export::Lora::Merged,
                false => export::Lora::Alone,
            },
            lora_alpha: config.lora.alpha,
            tokenizer: config.tokenizer.path.map(PathBuf::from),
            out: self.out.clone(),
            format: match self.format.as_str() {
                "meta" => export::Format::Meta,
                _ => export::Format::HuggingFace,
            },
            kind,
        })
    }
}

impl Plan {
    pub(super) fn run(&self) -> Result<Output> {
        let verb = self.verb.as_deref().and_then(TrainingVerb::named);
        let purpose = verb.map_or(Purpose::Other, purpose_of);
        let flags = starting_from(self.init_from.as_ref());
        let config = Config::load(&Sources {
            world_size: self.world_size,
            ..self.common.sources(flags, purpose)?
        })?;
        plan::run(&plan::Request {
            verb,
            device: self.device.as_deref().and_then(plan::Device::named),
            memory_bytes: self.memory,
            world_size: self.world_size,
            mfu: self.mfu,
            config,
        })
    }
}

impl Doctor {
    pub(super) fn run(&self) -> Result<Output> {
        let config = self.common.load(Assignments::default(), Purpose::Other)?;
        match self.kernels {
            true => kernel_checks::run(config.run.device),
            false => Ok(doctor::run(&config.run.dir)),
        }
    }
}

impl Report {
    pub(super) fn run(&self) -> Result<Output> {
        let config = self.common.load(Assignments::default(), Purpose::Other)?;
        report::run(&report::Request {
            runs: self.runs.clone(),
            dir: config.run.dir,
            form: match self.csv {
                true => report::Form::Csv,
                false => report::Form::Page(self.out.clone()),
            },
        })
    }
}

impl Bench {
    pub(super) fn run(&self) -> Result<Output> {
        let flags = starting_from(self.init_from.as_ref());
        let config = self.common.load(flags, Purpose::Other)?;
        bench::run(&bench::Request {
            config,
            steps: self.steps,
            warmup: self.warmup,
            profiled: if self.profile { bench::PROFILED } else { 0 },
        })
    }
}
