//! The gradient's global norm, and its limit, without asking the device.

use crate::torch;
use anyhow::Result;
use tch::{Kind, Tensor};

/// What clipping found: scalars on the gradients' device.
#[derive(Debug)]
pub struct GradNorm {
    /// 2-norm over all gradients before clipping.
    pub norm: Tensor,
    /// float32: 1 if the norm is not finite, else 0; the optimizer's `found_inf`.
    pub non_finite: Tensor,
}

/// Scales the gradients by `min(1, max_norm / (norm + 1e-6))` (Pascanu et al. 2013, with torch's epsilon), in place.
/// A `max_norm` of 0 only measures.
///
/// # Errors
/// When libtorch refuses the tensors.
pub fn clip_grad_norm(grads: &[Tensor], max_norm: f64) -> Result<GradNorm> {
    let norm = torch::global_norm(grads)?;
    if max_norm > 0.0 {
        let factor = ((&norm + 1e-6).reciprocal() * max_norm).clamp_max(1.0);
        torch::scale(grads, &factor)?;
    }
    let non_finite = norm.isfinite().logical_not().to_kind(Kind::Float);
    Ok(GradNorm { norm, non_finite })
}
