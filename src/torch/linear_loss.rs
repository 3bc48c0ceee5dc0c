//! Losses over a vocabulary that hold the logits of some rows at a time, and compute them again in backward.

use super::{check, ffi};
use anyhow::Result;
use std::ptr;
use tch::Tensor;

/// Hidden states [N, D], the output matrix [V, D] above them, and how many rows' logits are held at once.
#[derive(Debug, Clone, Copy)]
pub struct LinearRows<'a> {
    /// Of any kind.
    pub hidden: &'a Tensor,
    /// Of any kind; it is cast to that of the hidden states.
    pub weight: &'a Tensor,
    /// Rows of logits, fp32.
    pub at_once: i64,
}

/// What a student is held against.
#[derive(Debug, Clone, Copy)]
pub enum TeacherRows<'a> {
    /// Hidden states [N, D'] and the output matrix [V, D'].
    Hidden(&'a Tensor, &'a Tensor),
    /// Log-probabilities [N, K + 1] of the tokens `ids` [N, K] and, last, of all others together.
    Likeliest {
        /// At the same temperature.
        log_probs: &'a Tensor,
        /// int64.
        ids: &'a Tensor,
    },
}

/// How far one distribution is from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum DivergenceKind {
    /// KL(teacher ‖ student).
    Forward = 0,
    /// KL(student ‖ teacher).
    Reverse = 1,
    /// Jensen-Shannon.
    JensenShannon = 2,
}

/// `log p(target)` of each row, fp32 [N]; 0 where the target is -100. Differentiable in hidden states and matrix.
///
/// # Errors
/// When libtorch refuses the tensors, or has no memory.
pub fn linear_log_probs(rows: LinearRows<'_>, targets: &Tensor) -> Result<Tensor> {
    let mut out = ptr::null_mut();
    // SAFETY: live tensors in, and on success `out` is a new tensor that we own.
    unsafe {
        check(ffi::lt_linear_log_probs(
            rows.hidden.as_ptr(),
            rows.weight.as_ptr(),
            targets.as_ptr(),
            rows.at_once,
            &raw mut out,
        ))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// `log p(target)` of the student and its divergence from the teacher with both softened by `temperature`: fp32 [N]
/// twice. Differentiable in the student's hidden states and matrix. No target may be -100.
///
/// # Errors
/// When libtorch refuses the tensors, or has no memory.
pub fn linear_divergence(
    student: LinearRows<'_>,
    targets: &Tensor,
    teacher: TeacherRows<'_>,
    kind: DivergenceKind,
    temperature: f64,
) -> Result<(Tensor, Tensor)> {
    let null = ptr::null;
    let teacher = match teacher {
        TeacherRows::Hidden(hidden, weight) => ffi::DivergenceTeacher {
            hidden: hidden.as_ptr(),
            weight: weight.as_ptr(),
            log_probs: null(),
            ids: null(),
        },
        TeacherRows::Likeliest { log_probs, ids } => ffi::DivergenceTeacher {
            hidden: null(),
            weight: null(),
            log_probs: log_probs.as_ptr(),
            ids: ids.as_ptr(),
        },
    };
    let (mut log_probs, mut divergence) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: live tensors in, and on success both outputs are new tensors that we own.
    unsafe {
        check(ffi::lt_linear_divergence(
            student.hidden.as_ptr(),
            student.weight.as_ptr(),
            targets.as_ptr(),
            &raw const teacher,
            kind as i32,
            temperature,
            student.at_once,
            &raw mut log_probs,
            &raw mut divergence,
        ))?;
        Ok((Tensor::from_ptr(log_probs), Tensor::from_ptr(divergence)))
    }
}
