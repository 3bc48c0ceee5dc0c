//! Learning from a teacher (Hinton et al. 2015, "Distilling the knowledge in a neural network").

use super::{LossSum, Objective, Per, Sum};
use crate::config::{DistillConfig, DistillKind};
use crate::data::DistillBatch;
use crate::loss::{DivergenceKind, TeacherView, TokenScores, token_divergence};
use crate::model::{Pass, Transformer};
use tch::Tensor;

/// Who says what the student should say.
#[derive(Debug)]
pub enum Teacher {
    /// A second model.
    Model(Box<Transformer>),
    /// It was asked before, and each batch carries its likeliest tokens.
    Cached,
}

/// `α T² D(teacher, student) + (1 − α) CE`, D the divergence of both softmaxes at temperature T, CE the cross-entropy of
/// the targets at temperature 1; both are means over the trained-on tokens. T² keeps the size of D's gradient as T grows.
#[derive(Debug)]
pub struct Distill {
    config: DistillConfig,
    teacher: Teacher,
}

impl Distill {
    /// The loss of `config` with this teacher.
    #[must_use]
    pub fn new(config: DistillConfig, teacher: Teacher) -> Self {
        Self { config, teacher }
    }

    fn kind(&self) -> DivergenceKind {
        match self.config.kind {
            DistillKind::ForwardKl => DivergenceKind::Forward,
            DistillKind::ReverseKl => DivergenceKind::Reverse,
            DistillKind::Js => DivergenceKind::JensenShannon,
        }
    }

    fn scores(&self, student: &Transformer, batch: &DistillBatch, pass: Pass) -> TokenScores {
        let (tokens, scored) = (&batch.rows.tokens, &batch.scored);
        let hidden = scored.pick(&student.hidden(tokens, pass)); // [M, D]
        let scores = |teacher| {
            let student = (&hidden, student.head());
            let (kind, temperature) = (self.kind(), self.config.temperature);
            token_divergence(student, &scored.targets, teacher, kind, temperature)
        };
        match (&self.teacher, &batch.teacher) {
            (Teacher::Model(teacher), _) => {
                let hidden = tch::no_grad(|| scored.pick(&teacher.hidden(tokens, Pass::Eval)));
                scores(TeacherView::Hidden(&hidden, teacher.head()))
            }
            (Teacher::Cached, Some(kept)) => scores(TeacherView::Likeliest {
                ids: &kept.ids,
                log_probs: &kept.log_probs,
            }),
            (Teacher::Cached, None) => panic!("a batch without what its teacher says"),
        }
    }
}

impl Objective for Distill {
    type Batch = DistillBatch;

    fn loss_sum(&self, model: &Transformer, batch: &DistillBatch, pass: Pass) -> LossSum {
        let DistillConfig {
            alpha, temperature, ..
        } = self.config;
        let scores = self.scores(model, batch, pass);
        let cross_entropy = -scores.log_probs.sum(None);
        let divergence = scores.divergence.sum(None) * temperature.powi(2);
        let per_target = |name, value: Tensor| Sum {
            name,
            value,
            per: Per::Target,
        };
        let loss = &divergence * alpha + &cross_entropy * (1.0 - alpha);
        LossSum {
            loss: vec![per_target("loss", loss)],
            metrics: vec![
                per_target("ce_loss", cross_entropy),
                per_target("kd_loss", divergence),
            ],
        }
    }

    fn cross_entropy(&self) -> Option<&'static str> {
        Some("ce_loss")
    }
}
