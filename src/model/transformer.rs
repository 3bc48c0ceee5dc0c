//! The decoder.
//!
//! Where kinds change: weights are cast to the activations' kind at each use (`linear.rs`); training keeps them in fp32,
//! evaluation in the activations' kind, to the same result. Norms and rotations compute in fp32 and
//! give back the activations' kind; logits are fp32.

use super::attention::Sight;
use super::block::Block;
use super::kv_cache::KvCache;
use super::linear::initialize_normal;
use super::rms_norm::RmsNorm;
use super::rope::Rope;
use super::{Layout, ModelOptions, Pass, Products, Stream, Tokens};
use crate::config::{ModelConfig, Recompute};
use crate::torch::ops::{self, Spans};
use anyhow::{Result, bail};
use tch::{Device, Kind, Tensor, nn};

/// Standard deviation of fresh weights.
const INIT_STD: f64 = 0.02;

/// Token ids in, hidden states out; logits are a second step ([`Head`]), so that nobody has to hold [B, S, V].
#[derive(Debug)]
pub struct Transformer {
    config: ModelConfig,
    compute: Kind,
    device: Device,
    tok_embeddings: Tensor,
    layers: Vec<Block>,
    recompute: Recompute,
    norm: RmsNorm,
    rope: Rope,
    head: Head,
}

/// The output matrix.
#[derive(Debug)]
pub struct Head {
    weight: Tensor,
}

impl Head {
    /// Hidden states `[.., D]` to fp32 logits `[.., V]`.
    pub fn logits(&self, hidden: &Tensor) -> Tensor {
        ops::linear(hidden, &[self.weight.to_kind(hidden.kind())]).to_kind(Kind::Float)
    }

    /// The matrix itself: [V, D].
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }
}

impl Transformer {
    /// Declares the weights below `path` under Meta's names, in the order in which the forward pass uses them, as zeros
    /// (norms: ones) in the store's kind; fill them with [`Self::initialize`] or from a file. Queries and keys are in the
    /// half-split rotary layout.
    ///
    /// # Errors
    /// When the shape is impossible: everything that is wrong with it, at once.
    pub fn new(path: &nn::Path, config: &ModelConfig, options: &ModelOptions) -> Result<Self> {
        let problems = config.problems();
        if !problems.is_empty() {
            bail!("the model's shape is impossible: {}", problems.join("; "));
        }
        let matrix = |name: &str| {
            (path / name).var(
                "weight",
                &[config.vocab_size, config.dim],
                nn::Init::Const(0.0),
            )
        };
        let tok_embeddings = matrix("tok_embeddings");
        let block = |index| Block::new(&(path / "layers" / index), config, options.lora.as_ref());
        let layers = (0..config.n_layers).map(block).collect();
        let norm = RmsNorm::new(&(path / "norm"), config.dim, config.norm_eps);
        let weight = if config.tie_embeddings {
            tok_embeddings.shallow_clone()
        } else {
            matrix("output")
        };
        Ok(Self {
            config: config.clone(),
            compute: options.compute,
            device: path.device(),
            tok_embeddings,
            layers,
            recompute: Recompute::None,
            norm,
            rope: Rope::new(config, path.device()),
            head: Head { weight },
        })
    }

    /// Fresh weights: normal with deviation 0.02, and 0.02/√(2·layers) where a block writes into the residual stream
    /// (Radford et al. 2019). The same on every device.
    pub fn initialize(&self, seed: u64) {
        tch::manual_seed(i64::from_ne_bytes(seed.to_ne_bytes()));
        let residual_std = INIT_STD / (2.0 * self.config.n_layers as f64).sqrt();
        initialize_normal(&self.tok_embeddings, INIT_STD);
        for layer in &self.layers {
            layer.initialize(INIT_STD, residual_std);
        }
        if !self.config.tie_embeddings {
            initialize_normal(&self.head.weight, INIT_STD);
        }
    }

    /// Fresh adapters that add nothing at first. The same on every device.
    pub fn initialize_adapters(&self, seed: u64) {
        tch::manual_seed(i64::from_ne_bytes(seed.to_ne_bytes()));
        self.layers.iter().for_each(Block::initialize_adapters);
    }

    /// The same model, whose training passes keep less for backward and compute it again there.
    #[must_use]
    pub fn with_recompute(self, recompute: Recompute) -> Self {
        Self { recompute, ..self }
    }

    /// The same model, whose blocks multiply so in training passes; the head and the embedding do not.
    #[must_use]
    pub fn with_products(mut self, products: Products) -> Self {
        for layer in &mut self.layers {
            layer.set_products(products);
        }
        self
    }

    /// The shape.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The output matrix: [V, D], tied or not.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// An empty cache for this model.
    #[must_use]
    pub fn new_cache(&self, rows: i64, capacity: i64) -> KvCache {
        KvCache::new(&self.config, rows, capacity, (self.compute, self.device))
    }

    /// Hidden states after the last norm: [B, S, D].
    pub fn hidden(&self, tokens: &Tokens, pass: Pass) -> Tensor {
        let embedded = self.embed(&tokens.ids);
        match &tokens.layout {
            Layout::Causal => {
                let sight = Sight::Before(self.rope.first(tokens.ids.size()[1]));
                self.blocks(embedded, &sight, pass)
            }
            Layout::Packed(documents) => {
                let all = embedded.flatten(0, 1).unsqueeze(0); // [1, B·S, D]
                let rotation = self.rope.at(&documents.positions.view([1, -1]));
                let spans = Spans::new(&documents.lengths, self.device);
                let sight = Sight::BeforeInDocument(rotation, spans);
                self.blocks(all, &sight, pass).view_as(&embedded)
            }
            Layout::Branched(branches) => {
                let rotation = self.rope.at(&branches.positions);
                self.blocks(embedded, &Sight::Masked(rotation, branches.mask()), pass)
            }
        }
    }

    /// All blocks and the last norm.
    fn blocks(&self, embedded: Tensor, sight: &Sight, pass: Pass) -> Tensor {
        let recompute = match pass {
            Pass::Train => self.recompute,
            _ => Recompute::None,
        };
        let through = |stream, block: &Block| block.forward(stream, sight, pass, recompute);
        let stream = self.layers.iter().fold(Stream::begin(embedded), through);
        self.norm.forward(&stream).normed
    }

    /// Hidden states [B, T, D] of tokens `ids` [B, T] that follow those in the cache; each row has `counts[b]` of them
    /// and padding beyond, whose states mean nothing.
    ///
    /// # Panics
    /// When the cache is full.
    pub fn extend(&self, ids: &Tensor, counts: &[i64], cache: &mut KvCache) -> Tensor {
        let slots = cache.slots(ids.size()[1]);
        let rotation = self.rope.at(slots.positions());
        let mut stream = Stream::begin(self.embed(ids));
        for (block, layer) in self.layers.iter().zip(&mut cache.layers) {
            stream = block.extend(stream, |attention, x| {
                attention.cached(x, &rotation, &slots, layer)
            });
        }
        cache.advance(counts);
        self.norm.forward(&stream).normed
    }

    fn embed(&self, ids: &Tensor) -> Tensor {
        Tensor::embedding(&self.tok_embeddings, ids, -1, false, false).to_kind(self.compute)
    }
}
