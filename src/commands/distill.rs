//! `llama-train distill`: a student that learns what a teacher says, on text or conversations.

use super::Output;
use super::pretrain;
use super::sft::{self, Beginning};
use super::teacher::TeacherModel;
use super::training::{self, TrainingRequest};
use crate::config::DistillOn;
use crate::data::{Dataset, DistillDataset, TokenBatch};
use crate::dist::Rendezvous;
use crate::objective::Distill;
use crate::train::Parts;
use anyhow::Result;

/// Checks the request, trains, and tells what came of it.
///
/// # Errors
/// A bad request before a device is touched; later what the device, the disk or the data do.
pub fn run(request: &TrainingRequest) -> Result<Output> {
    let rendezvous = training::meet(request)?;
    match request.config.distill.on {
        DistillOn::Pretrain => {
            let parts = pretrain::parts(request, &rendezvous, DistillDataset::new)?;
            learn(request, parts, rendezvous)
        }
        DistillOn::Instruct => {
            let beginning = Beginning::WeightsOrShape;
            let parts = sft::parts(request, beginning, &rendezvous, DistillDataset::new)?;
            learn(request, parts, rendezvous)
        }
    }
}

fn learn<D: Dataset<Batch = TokenBatch>>(
    request: &TrainingRequest,
    mut parts: Parts<DistillDataset<D>>,
    rendezvous: Rendezvous,
) -> Result<Output> {
    let teacher = TeacherModel::find(request, &parts, &rendezvous)?;
    parts.reference = teacher.record().cloned();
    let parts = parts.beside(teacher.held());
    training::run(request, parts, rendezvous, |parts, device, group| {
        let teacher = teacher.load(parts, device, group)?;
        Ok(Distill::new(request.config.distill.clone(), teacher))
    })
}
