//! A block of the decoder.

use super::attention::{Attention, Sight};
use super::feed_forward::FeedForward;
use super::linear::Linear;
use super::rms_norm::RmsNorm;
use super::{LoraOptions, Pass, Products, Stream};
use crate::config::{ModelConfig, Recompute};
use crate::torch::ops::Normed;
use crate::torch::{Randomness, recompute};
use tch::{Tensor, nn};

/// `h = x + attention(norm(x))`, then `h + feed_forward(norm(h))`.
#[derive(Debug)]
pub(super) struct Block {
    attention_norm: RmsNorm,
    attention: Attention,
    ffn_norm: RmsNorm,
    feed_forward: FeedForward,
}

impl Block {
    pub(super) fn new(path: &nn::Path, config: &ModelConfig, lora: Option<&LoraOptions>) -> Self {
        Self {
            attention_norm: RmsNorm::new(&(path / "attention_norm"), config.dim, config.norm_eps),
            attention: Attention::new(&(path / "attention"), config, lora),
            ffn_norm: RmsNorm::new(&(path / "ffn_norm"), config.dim, config.norm_eps),
            feed_forward: FeedForward::new(&(path / "feed_forward"), config, lora),
        }
    }

    pub(super) fn initialize(&self, std: f64, residual_std: f64) {
        self.attention.initialize(std, residual_std);
        self.feed_forward.initialize(std, residual_std);
    }

    pub(super) fn set_products(&mut self, products: Products) {
        self.attention.set_products(products);
        self.feed_forward.set_products(products);
    }

    pub(super) fn initialize_adapters(&self) {
        self.linears().for_each(Linear::initialize_adapter);
    }

    /// Whole rows; the stream is [B, S, D].
    pub(super) fn forward(
        &self,
        stream: Stream,
        sight: &Sight,
        pass: Pass,
        recomputed: Recompute,
    ) -> Stream {
        match recomputed {
            Recompute::None => self.through(stream, sight, pass, FeedForward::forward),
            Recompute::Selective => self.through(stream, sight, pass, recomputed_feed_forward),
            Recompute::Full => self.recomputed(&stream, sight, pass),
        }
    }

    /// Tokens that follow those in a cache.
    pub(super) fn extend(
        &self,
        stream: Stream,
        attend: impl FnOnce(&Attention, &Tensor) -> Tensor,
    ) -> Stream {
        let feed = |feed_forward: &FeedForward, x: &Tensor| feed_forward.forward(x, Pass::Eval);
        self.pass_through(stream, attend, feed)
    }

    fn through(
        &self,
        stream: Stream,
        sight: &Sight,
        pass: Pass,
        feed: fn(&FeedForward, &Tensor, Pass) -> Tensor,
    ) -> Stream {
        let attend = |attention: &Attention, x: &Tensor| attention.forward(x, sight, pass);
        let feed = |feed_forward: &FeedForward, x: &Tensor| feed(feed_forward, x, pass);
        self.pass_through(stream, attend, feed)
    }

    fn pass_through(
        &self,
        stream: Stream,
        attend: impl FnOnce(&Attention, &Tensor) -> Tensor,
        feed: impl FnOnce(&FeedForward, &Tensor) -> Tensor,
    ) -> Stream {
        let Normed { normed, sum: x } = self.attention_norm.forward(&stream);
        let stream = Stream {
            sum: x,
            branch: Some(attend(&self.attention, &normed)),
        };
        let Normed { normed, sum: h } = self.ffn_norm.forward(&stream);
        Stream {
            sum: h,
            branch: Some(feed(&self.feed_forward, &normed)),
        }
    }

    /// Only the stream is kept for backward.
    fn recomputed(&self, stream: &Stream, sight: &Sight, pass: Pass) -> Stream {
        let inputs: Vec<_> = stream.tensors().map(Tensor::shallow_clone).collect();
        let (block, sight) = (self.share(), sight.share());
        let randomness = randomness(self.linears());
        let [sum, branch] = recompute(
            &inputs,
            &shared(self.weights()),
            randomness,
            move |inputs| {
                let stream = block.through(Stream::of(inputs), &sight, pass, FeedForward::forward);
                let Stream { sum, branch } = stream;
                [sum, branch.unwrap_or_else(Tensor::new)]
            },
        );
        Stream {
            sum,
            branch: Some(branch),
        }
    }

    fn weights(&self) -> impl Iterator<Item = &Tensor> {
        [self.attention_norm.weight(), self.ffn_norm.weight()]
            .into_iter()
            .chain(self.linears().flat_map(Linear::weights))
    }

    /// In the order of their use.
    fn linears(&self) -> impl Iterator<Item = &Linear> {
        let of_attention = self.attention.linears().into_iter();
        of_attention.chain(self.feed_forward.linears())
    }

    /// Another handle on the same weights.
    fn share(&self) -> Self {
        Self {
            attention_norm: self.attention_norm.share(),
            attention: self.attention.share(),
            ffn_norm: self.ffn_norm.share(),
            feed_forward: self.feed_forward.share(),
        }
    }
}

/// Only its input is kept for backward.
fn recomputed_feed_forward(feed_forward: &FeedForward, x: &Tensor, pass: Pass) -> Tensor {
    let linears = feed_forward.linears();
    let weights = shared(linears.into_iter().flat_map(Linear::weights));
    let randomness = randomness(linears.into_iter());
    let feed_forward = feed_forward.share();
    let inputs = [x.shallow_clone()];
    let [out] = recompute(&inputs, &weights, randomness, move |inputs| {
        [feed_forward.forward(&inputs[0], pass)]
    });
    out
}

/// What a training pass through these takes from the random generators.
fn randomness<'a>(mut linears: impl Iterator<Item = &'a Linear>) -> Randomness {
    match linears.any(Linear::drops) {
        true => Randomness::Drawn,
        false => Randomness::None,
    }
}

fn shared<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Vec<Tensor> {
    tensors.map(Tensor::shallow_clone).collect()
}
