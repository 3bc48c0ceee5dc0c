//! A teacher's likeliest tokens at every trained-on place, asked once and kept on disk.

use crate::data::{Batch, Dataset, KeptTeacher, Scored, TeacherFiles, TokenBatch};
use crate::dist::{self, ProcessGroup};
use crate::loss::{Likeliest, likeliest};
use crate::model::{Pass, Transformer};
use anyhow::Result;
use tch::Device;

/// How a teacher is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// Tokens that are kept at each place.
    pub kept: i64,
    /// What its distribution is softened by.
    pub temperature: f64,
    /// Rows per forward pass.
    pub batch_size: u64,
}

/// Asks the teacher about every row and writes what it says; the ranks take turns at the batches.
///
/// # Errors
/// When the data cannot be read, the files not written, or a rank is gone.
pub fn keep_teacher<D: Dataset<Batch = TokenBatch>>(
    teacher: (&Transformer, Device),
    rows: &D,
    question: Question,
    files: &TeacherFiles,
    group: &dyn ProcessGroup,
) -> Result<()> {
    let _no_grad = tch::no_grad_guard();
    let mut offsets = vec![0];
    for row in 0..rows.len() {
        offsets.push(offsets[row as usize] + rows.targets(row)?);
    }
    if group.rank() == 0 {
        files.make_room(offsets[offsets.len() - 1])?;
    }
    dist::barrier(group)?;
    for turn in dist::turns(rows.len(), question.batch_size, group) {
        let first = turn.start as usize;
        let indices: Vec<u64> = turn.collect();
        let found = ask(teacher, rows.collate(&indices)?, question);
        files.write(offsets[first], &found)?;
    }
    dist::barrier(group)?;
    if group.rank() == 0 {
        files.finish(&offsets)?;
    }
    dist::barrier(group)
}

fn ask(
    (teacher, device): (&Transformer, Device),
    batch: TokenBatch,
    question: Question,
) -> KeptTeacher {
    let mut to_device = |tensor: tch::Tensor| tensor.to_device(device);
    let scored = Scored::of(&batch.targets).map(&mut to_device);
    let batch = batch.to_device(device);
    let hidden = scored.pick(&teacher.hidden(&batch.tokens, Pass::Eval)); // [M, D]
    let Likeliest { ids, log_probs } =
        likeliest(&hidden, teacher.head(), question.kept, question.temperature);
    KeptTeacher { ids, log_probs }.map(&mut |tensor| tensor.to_device(Device::Cpu))
}
