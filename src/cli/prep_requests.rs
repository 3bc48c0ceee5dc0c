//! From the flags of `prep-data` to what it takes.

use super::args::Common;
use super::assignments::Assignments;
use super::prep_args::{
    Examples, Input, PrepData, PrepInstruct, PrepPreference, PrepPretrain, PrepTokenizer, Shards,
    TextField,
};
use crate::commands::Output;
use crate::commands::prep_data::{self, ShardsRequest, TokenizerRequest};
use crate::config::Purpose;
use crate::data::manifest::Kind;
use crate::prepare::Job;
use anyhow::Result;

impl Input {
    fn assign(&self, flags: &mut Assignments) {
        flags.list("--input", "prepare.input", &self.input);
        flags.text("--mix", "prepare.mix", self.mix.as_ref());
        match (self.input.as_slice(), &self.mix) {
            ([_, ..], _) => flags.reset("--input", "prepare.mix"),
            ([], Some(_)) => flags.reset("--mix", "prepare.input"),
            ([], None) => {}
        }
        flags.value("--max-bad-rows", "prepare.max_bad_rows", self.max_bad_rows);
        flags.value(
            "--max-documents",
            "prepare.max_documents",
            self.max_documents,
        );
        let keep_files = self.keep_files.then_some(true);
        flags.value("--keep-files", "prepare.keep_files", keep_files);
        flags.value("--workers", "prepare.workers", self.workers);
    }
}

impl TextField {
    fn assign(&self, flags: &mut Assignments) {
        let name = self.text_field.as_ref();
        flags.text("--text-field", "prepare.text_field", name);
    }
}

impl Shards {
    fn assign(&self, flags: &mut Assignments) {
        flags.text("--tokenizer", "tokenizer.path", self.tokenizer.as_ref());
        flags.text("--out", "prepare.out", self.out.as_ref());
        flags.text("--prefix", "prepare.prefix", self.prefix.as_ref());
        flags.value("--shard-tokens", "prepare.shard_tokens", self.shard_tokens);
        flags.value("--val-fraction", "prepare.val_fraction", self.val_fraction);
        let pretokenized = self.pretokenized.then_some(true);
        flags.value("--pretokenized", "prepare.pretokenized", pretokenized);
        match (self.val_fraction, self.val_tokens) {
            (Some(_), None) => flags.reset("--val-fraction", "prepare.val_tokens"),
            (_, tokens) => flags.value("--val-tokens", "prepare.val_tokens", tokens),
        }
        flags.text("--dedup", "prepare.dedup", self.dedup.as_ref());
        flags.value("--max-tokens", "prepare.max_tokens", self.max_tokens);
        flags.value("--seed", "prepare.seed", self.seed);
    }
}

impl Examples {
    fn assign(&self, flags: &mut Assignments) {
        let rule = self.on_too_long.as_ref();
        flags.text("--on-too-long", "prepare.on_too_long", rule);
        flags.value("--seq-len", "train.seq_len", self.seq_len);
    }
}

/// What a preparation of this kind is asked to do.
fn request(
    common: &Common,
    flags: Assignments,
    kind: Kind,
    inspect: Option<usize>,
) -> Result<ShardsRequest> {
    let config = common.load(
        flags,
        match kind {
            Kind::Pretrain => Purpose::PrepPretrain,
            Kind::Instruct => Purpose::PrepInstruct,
            Kind::Preference => Purpose::PrepPreference,
        },
    )?;
    Ok(ShardsRequest {
        job: Job {
            kind,
            config: config.prepare,
            system_prompt: config.sft.system_prompt,
            seq_len: config.train.seq_len(),
        },
        tokenizer: config.tokenizer,
        inspect,
    })
}

impl PrepData {
    pub(super) fn common(&self) -> &Common {
        match self {
            Self::Pretrain(args) => &args.common,
            Self::Instruct(args) => &args.common,
            Self::Preference(args) => &args.common,
            Self::Tokenizer(args) => &args.common,
            Self::Eval(args) => &args.common,
        }
    }

    pub(super) fn run(&self) -> Result<Output> {
        match self {
            Self::Pretrain(args) => args.run(),
            Self::Instruct(args) => args.run(),
            Self::Preference(args) => args.run(),
            Self::Tokenizer(args) => args.run(),
            Self::Eval(args) => args.run(),
        }
    }
}

impl PrepPretrain {
    fn run(&self) -> Result<Output> {
        let mut flags = Assignments::default();
        self.input.assign(&mut flags);
        self.text.assign(&mut flags);
        self.shards.assign(&mut flags);
        prep_data::run_shards(&request(&self.common, flags, Kind::Pretrain, None)?)
    }
}

impl PrepInstruct {
    fn run(&self) -> Result<Output> {
        let mut flags = Assignments::default();
        self.input.assign(&mut flags);
        self.shards.assign(&mut flags);
        self.examples.assign(&mut flags);
        let name = self.messages_field.as_ref();
        flags.text("--messages-field", "prepare.messages_field", name);
        let inspect = self.examples.inspect;
        prep_data::run_shards(&request(&self.common, flags, Kind::Instruct, inspect)?)
    }
}

impl PrepPreference {
    fn run(&self) -> Result<Output> {
        let mut flags = Assignments::default();
        self.input.assign(&mut flags);
        self.shards.assign(&mut flags);
        self.examples.assign(&mut flags);
        let fields = [
            ("--prompt-field", "prepare.prompt_field", &self.prompt_field),
            ("--chosen-field", "prepare.chosen_field", &self.chosen_field),
            (
                "--rejected-field",
                "prepare.rejected_field",
                &self.rejected_field,
            ),
        ];
        for (flag, key, name) in fields {
            flags.text(flag, key, name.as_ref());
        }
        let inspect = self.examples.inspect;
        prep_data::run_shards(&request(&self.common, flags, Kind::Preference, inspect)?)
    }
}

impl PrepTokenizer {
    fn run(&self) -> Result<Output> {
        let mut flags = Assignments::default();
        self.input.assign(&mut flags);
        self.text.assign(&mut flags);
        flags.value("--vocab-size", "prepare.vocab_size", self.vocab_size);
        let prepare = self.common.load(flags, Purpose::PrepPretrain)?.prepare;
        prep_data::run_tokenizer(&TokenizerRequest {
            vocab_size: prepare.vocab_size,
            prepare,
            out: self.out.clone(),
        })
    }
}
