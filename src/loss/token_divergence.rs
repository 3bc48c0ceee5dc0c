//! How far a student's next-token distributions are from a teacher's.

use super::or_panic;
use super::rows_at_once::rows_at_once;
use crate::model::Head;
use crate::torch::{DivergenceKind, LinearRows, TeacherRows, linear_divergence};
use tch::Tensor;

/// Pieces as large as the logits that are held at once, besides them: both distributions and what is made of them.
const PIECES: i64 = 4;

/// A teacher's tokens with the highest probability at each position, at one temperature.
#[derive(Debug)]
pub struct Likeliest {
    /// Their ids [N, K], int64.
    pub ids: Tensor,
    /// Their log-probabilities and, last, that of all other tokens together [N, K + 1], fp32.
    pub log_probs: Tensor,
}

/// What is known of a teacher.
#[derive(Debug, Clone, Copy)]
pub enum TeacherView<'a> {
    /// Its hidden states `[N, D]`, and its head; no gradient goes into either.
    Hidden(&'a Tensor, &'a Head),
    /// Its likeliest tokens. All others count as one outcome, of both models: less than the whole divergence, and all of
    /// it where K is the size of the vocabulary.
    Likeliest {
        /// Their ids `[N, K]`.
        ids: &'a Tensor,
        /// Their log-probabilities at the same temperature and, last, that of all others `[N, K + 1]`.
        log_probs: &'a Tensor,
    },
}

/// Two numbers for each position, fp32 [N].
#[derive(Debug)]
pub struct TokenScores {
    /// `log p(target)` of the student at temperature 1.
    pub log_probs: Tensor,
    /// Its divergence from the teacher.
    pub divergence: Tensor,
}

/// With p and q the teacher's and the student's softmax of logits / T (Hinton et al. 2015): `Σ p log(p/q)`,
/// `Σ q log(q/p)` (Gu et al. 2024, "MiniLLM"), or `½ Σ p log(p/m) + ½ Σ q log(q/m)` with m their mean (Lin 1991), at
/// each position; and the student's log-probability of its target, from the same logits. Hidden states `[N, D]` and ids
/// `[N]`, none ignored. Neither model's logits are held, as in [`super::token_log_probs`].
///
/// # Panics
/// As plain operations of tch do: on shapes that do not fit, or without memory.
pub fn token_divergence(
    student: (&Tensor, &Head),
    targets: &Tensor,
    teacher: TeacherView<'_>,
    kind: DivergenceKind,
    temperature: f64,
) -> TokenScores {
    let (hidden, head) = student;
    let rows = LinearRows {
        hidden,
        weight: head.weight(),
        at_once: (rows_at_once(head) / PIECES).max(1),
    };
    let teacher = match teacher {
        TeacherView::Hidden(hidden, head) => TeacherRows::Hidden(hidden, head.weight()),
        TeacherView::Likeliest { ids, log_probs } => TeacherRows::Likeliest { log_probs, ids },
    };
    let scores = linear_divergence(rows, targets, teacher, kind, temperature);
    let (log_probs, divergence) = or_panic(scores);
    TokenScores {
        log_probs,
        divergence,
    }
}

/// The `count` likeliest tokens at each position, from hidden states `[N, D]`.
///
/// # Panics
/// As plain operations of tch do: when `count` is above the size of the vocabulary, or without memory.
#[must_use]
pub fn likeliest(hidden: &Tensor, head: &Head, count: i64, temperature: f64) -> Likeliest {
    let rows = (rows_at_once(head) / PIECES).max(1);
    let pieces = hidden.split(rows, 0);
    let pieces = pieces.iter().map(|hidden| {
        let log_probs = (head.logits(hidden) / temperature).log_softmax(1, None); // [C, V]
        let (values, ids) = log_probs.topk(count, 1, true, true); // [C, K]
        let others = log_probs.scatter_value(1, &ids, f64::NEG_INFINITY);
        let others = others.logsumexp([1].as_slice(), true);
        (ids, Tensor::cat(&[values, others], 1))
    });
    let (ids, log_probs): (Vec<_>, Vec<_>) = pieces.unzip();
    Likeliest {
        ids: Tensor::cat(&ids, 0),
        log_probs: Tensor::cat(&log_probs, 0),
    }
}
