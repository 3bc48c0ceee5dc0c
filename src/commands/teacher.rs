//! The model that a student learns from.

use super::second_model::{Role, SecondModel, recorded};
use super::training::{self, TrainingRequest};
use super::{fit, pretrain};
use crate::bad_request;
use crate::config::{Config, ModelConfig};
use crate::data::{Dataset, DistillDataset, PreparedFolder, Split, TeacherFiles, TokenBatch};
use crate::dist::{self, ProcessGroup, Rendezvous};
use crate::objective::{Question, Teacher, keep_teacher};
use crate::storage;
use crate::tokenizer::Tokenizer;
use crate::train::{Parts, compute_kind};
use crate::weights::{ModelRecord, Pretrained};
use anyhow::Result;
use serde_json::{Value, json};
use std::path::PathBuf;
use tch::Device;

const ROLE: Role = Role {
    name: "teacher",
    key: "distill.teacher",
};

/// Found and recognised, but not loaded.
#[derive(Debug)]
pub(super) struct TeacherModel {
    record: Option<ModelRecord>,
    opened: Result<Pretrained>,
    /// Where what it says is kept, where it is asked only once.
    kept: Option<Kept>,
}

/// What the teacher says about the data, or will once it has been asked.
#[derive(Debug)]
struct Kept {
    /// The prepared data's.
    folder: PathBuf,
    /// What it depends on, apart from the kind of arithmetic.
    depends_on: Value,
}

impl TeacherModel {
    /// The one that `distill.teacher` names; for a resumed run the one that it started with.
    ///
    /// # Errors
    /// A bad request when there is none, or it does not fit the student.
    pub(super) fn find<D>(
        request: &TrainingRequest,
        parts: &Parts<D>,
        rendezvous: &Rendezvous,
    ) -> Result<Self> {
        let recorded = recorded(&training::checkpoints(&parts.folder, &parts.start)?)?;
        let named = request.config.distill.teacher.clone();
        let remembered = recorded.as_ref().map(|recorded| recorded.model.clone());
        let path = named.or(remembered).ok_or_else(|| {
            bad_request!(
                "there is no teacher: name one with --set distill.teacher=PATH (or hf://org/name)"
            )
        })?;
        let path = PathBuf::from(path);
        let student = &parts.model;
        let SecondModel { opened, record } =
            SecondModel::find(ROLE, &path, student, recorded, request, rendezvous)?;
        if let Ok(teacher) = &opened {
            check_tokenizer(teacher, parts.tokenizer.as_deref())?;
            fit::check_seq_len(parts.config.train.seq_len(), teacher.config())?;
        }
        let kept = match &record {
            Some(record) if request.config.distill.cache_teacher => {
                Some(Kept::find(&parts.config, record, student, rendezvous)?)
            }
            _ => None,
        };
        Ok(Self {
            record,
            opened,
            kept,
        })
    }

    /// What the run's checkpoints remember of it.
    pub(super) fn record(&self) -> Option<&ModelRecord> {
        self.record.as_ref()
    }

    /// The shape of the model that will be held beside the student, if one will.
    pub(super) fn held(&self) -> Option<&ModelConfig> {
        let teacher = self.opened.as_ref().ok()?;
        self.kept.is_none().then(|| teacher.config())
    }

    /// Loads it, or gives the data what it says about them.
    ///
    /// # Errors
    /// When its weights cannot be read, or what it says not kept.
    pub(super) fn load<D: Dataset<Batch = TokenBatch>>(
        self,
        parts: &Parts<DistillDataset<D>>,
        device: Device,
        group: &dyn ProcessGroup,
    ) -> Result<Teacher> {
        let kind = compute_kind(parts.config.train.precision, device);
        let Some(kept) = self.kept else {
            let model = self.opened?.model(device, kind)?;
            return Ok(Teacher::Model(Box::new(model)));
        };
        let key = storage::sha256(format!("{} {kind:?}", kept.depends_on).as_bytes());
        let question = question(parts);
        let files = |split: Split| {
            let name = format!("teacher-{}_{split}", &key[..16]);
            TeacherFiles::new(&kept.folder, name, question.kept.unsigned_abs())
        };
        let splits = [
            (&parts.train, files(Split::Train)),
            (&parts.val, files(Split::Val)),
        ];
        let are_there = splits.iter().all(|(_, files)| files.are_there());
        let are_there = dist::broadcast_text(group, if are_there { "kept" } else { "" })?;
        if are_there.is_empty() {
            let teacher = self.opened?.model(device, kind)?;
            for (data, files) in &splits {
                keep_teacher((&teacher, device), data.rows(), question, files, group)?;
            }
        }
        log::info!(
            "teacher: its likeliest tokens are in {}/teacher-{}*",
            kept.folder.display(),
            &key[..16]
        );
        for (data, files) in splits {
            data.set_teacher(files.open(data.len())?);
        }
        Ok(Teacher::Cached)
    }
}

impl Kept {
    fn find(
        config: &Config,
        teacher: &ModelRecord,
        student: &ModelConfig,
        rendezvous: &Rendezvous,
    ) -> Result<Self> {
        let folder =
            pretrain::folder(config).ok_or_else(|| bad_request!("data.path is not set"))?;
        let data = rendezvous
            .rank_zero_says("data fingerprint", || PreparedFolder::fingerprint(&folder))?;
        let depends_on = json!({
            "teacher": teacher.fingerprint,
            "data": data,
            "seq_len": config.train.seq_len(),
            "packing": config.sft.packing,
            "on_too_long": config.sft.on_too_long,
            "temperature": config.distill.temperature,
            "top_k": config.distill.top_k.min(student.vocab_size.unsigned_abs()),
        });
        Ok(Self { folder, depends_on })
    }
}

fn question<D>(parts: &Parts<D>) -> Question {
    let config = &parts.config.distill;
    let vocab_size = parts.model.vocab_size;
    Question {
        kept: config.top_k.min(vocab_size.unsigned_abs()).cast_signed(),
        temperature: config.temperature,
        batch_size: parts.batch.micro_batch_size,
    }
}

/// Where both tokenizers are known, they have to be one.
fn check_tokenizer(teacher: &Pretrained, ours: Option<&Tokenizer>) -> Result<()> {
    let (Some(folder), Some(ours)) = (teacher.tokenizer_folder(), ours) else {
        return Ok(());
    };
    let theirs = Tokenizer::load(folder)?;
    match theirs.fingerprint() == ours.fingerprint() {
        true => Ok(()),
        false => Err(bad_request!(
            "{}: the teacher has another tokenizer than the student (fingerprint {}, the student's is {}): its \
             distributions are over other tokens",
            teacher.name(),
            theirs.fingerprint(),
            ours.fingerprint()
        )),
    }
}
