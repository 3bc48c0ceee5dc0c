//! Llama 3 (Grattafiori et al. 2024, "The Llama 3 Herd of Models"), in Meta's names.
//!
//! Shapes: B rows, S tokens a row, D `dim`, H `n_heads`, K `n_kv_heads`, P `head_dim`, V `vocab_size`.

mod attention;
mod block;
mod feed_forward;
pub mod flops;
mod kv_cache;
mod linear;
mod lora;
pub mod memory;
mod rms_norm;
mod rope;
mod transformer;

pub use kv_cache::KvCache;
pub use lora::LoraOptions;
pub use transformer::{Head, Transformer};

use tch::{Kind, Tensor};

/// Which tokens of a row may see which.
#[derive(Debug)]
pub enum Layout {
    /// Each token sees those before it in its row; positions count from the row's beginning.
    Causal,
    /// Each token sees those before it in its document; the documents lie one after another in all rows together.
    Packed(Documents),
    /// A row is a text and several ways on, each of which sees the text and itself.
    Branched(Branches),
}

/// Where documents lie in B·S tokens, the rows one after another.
#[derive(Debug)]
pub struct Documents {
    /// Tokens of each in turn; together B·S.
    pub lengths: Vec<i64>,
    /// Of each token within its document [B, S], int64.
    pub positions: Tensor,
}

/// What the tokens of branched rows are.
#[derive(Debug)]
pub struct Branches {
    /// Of each token in its own text [B, S], int64: every way on begins where the shared text ends.
    pub positions: Tensor,
    /// Which way on a token belongs to, counted from 1 [B, S], int64; 0 is the shared text, which comes first.
    pub branch: Tensor,
}

impl Branches {
    /// Whether a token sees another [B, 1, S, S]: an earlier one of the shared text or of its own branch, or itself.
    fn mask(&self) -> Tensor {
        let (branch, size) = (&self.branch, self.branch.size()[1]);
        let of_text = branch.eq(0).unsqueeze(1); // [B, 1, S]
        let of_own = branch.unsqueeze(2).eq_tensor(&branch.unsqueeze(1)); // [B, S, S]
        let earlier = Tensor::ones([size, size], (Kind::Bool, branch.device())).tril(0); // [S, S]
        of_own
            .logical_or(&of_text)
            .logical_and(&earlier)
            .unsqueeze(1)
    }
}

/// A target that is not trained on.
pub const IGNORED_TARGET: i64 = -100;

/// What the model reads.
#[derive(Debug)]
pub struct Tokens {
    /// Token ids [B, S], int64, each below the size of the vocabulary.
    pub ids: Tensor,
    /// What they may see.
    pub layout: Layout,
}

/// The residual stream: what was added up, and what the last branch wrote, which the next norm adds on its way.
#[derive(Debug)]
struct Stream {
    sum: Tensor,
    branch: Option<Tensor>,
}

impl Stream {
    /// As the first block finds it.
    fn begin(embedded: Tensor) -> Self {
        Self {
            sum: embedded,
            branch: None,
        }
    }

    /// Its parts; [`Self::of`] puts them together again.
    fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        std::iter::once(&self.sum).chain(&self.branch)
    }

    fn of(tensors: &[Tensor]) -> Self {
        Self {
            sum: tensors[0].shallow_clone(),
            branch: tensors.get(1).map(Tensor::shallow_clone),
        }
    }
}

/// What a forward pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Gradients will be taken.
    Train,
    /// They will not.
    Eval,
    /// As [`Self::Eval`], with the adapters off: the model below them.
    Base,
}

/// How the blocks' matrices are multiplied with activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Products {
    /// In the activations' kind.
    Plain,
    /// With factors in fp8.
    Fp8,
}

/// How the model computes, as opposed to what it is.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelOptions {
    /// Kind of the activations; weights are cast to it at each use.
    pub compute: Kind,
    /// Adapters beside the matrices.
    pub lora: Option<LoraOptions>,
}
