//! The model against transformers (`vectors/1_checkpoints`): logits, loss and every gradient, and itself with a cache.

use crate::common::fixture;
use llama_train::config::{GenerateConfig, ModelConfig};
use llama_train::data::{Counts, TokenBatch};
use llama_train::generate::{EndedBy, generate};
use llama_train::model::{Layout, ModelOptions, Pass, Tokens, Transformer, flops};
use llama_train::objective::{CausalLm, Objective};
use llama_train::weights::hf;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor, nn};

const CHECKPOINTS: [&str; 4] = [
    "a_mha_untied",
    "b_gqa_tied",
    "c_gqa_rope_llama3",
    "d_sharded_bf16",
];

struct Loaded {
    dir: PathBuf,
    config: ModelConfig,
    store: nn::VarStore,
    model: Transformer,
}

fn load(name: &str, compute: Kind) -> Loaded {
    let dir = fixture("1_checkpoints").join(name);
    let config = hf::read_config(&dir).unwrap();
    let store = nn::VarStore::new(Device::Cpu);
    let model = Transformer::new(
        &store.root(),
        &config,
        &ModelOptions {
            compute,
            lora: None,
        },
    )
    .unwrap();
    hf::load(&dir, &store, &config).unwrap();
    Loaded {
        dir,
        config,
        store,
        model,
    }
}

impl Loaded {
    fn ids(&self) -> Tensor {
        Tensor::read_npy(self.dir.join("input_ids.npy"))
            .unwrap()
            .to_kind(Kind::Int64)
    }

    fn logits(&self) -> Tensor {
        let tokens = Tokens {
            ids: self.ids(),
            layout: Layout::Causal,
        };
        self.model
            .head()
            .logits(&self.model.hidden(&tokens, Pass::Eval))
    }

    fn expected(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.dir.join("expected.json")).unwrap()).unwrap()
    }
}

fn furthest(ours: &Tensor, theirs: &Path) -> f64 {
    let theirs = Tensor::read_npy(theirs).unwrap();
    (ours - theirs).abs().max().double_value(&[])
}

fn assert_relative(name: &str, ours: f64, theirs: &Value, tolerance: f64) {
    let theirs = theirs.as_f64().unwrap();
    assert!(
        (ours - theirs).abs() / theirs < tolerance,
        "{name}: {ours}, expected {theirs}"
    );
}

#[test]
fn logits_are_those_of_transformers() {
    for name in CHECKPOINTS {
        let loaded = load(name, Kind::Float);
        let off = furthest(&loaded.logits(), &loaded.dir.join("logits.npy"));
        println!("{name}: logits within {off:.1e}");
        assert!(off < 2e-4, "{name}: logits are off by {off}");
    }
}

/// The reference's own distance between bf16 and fp32 arithmetic is the yardstick.
#[test]
fn bf16_logits_are_as_close_as_those_of_transformers() {
    let loaded = load("d_sharded_bf16", Kind::BFloat16);
    let exact = loaded.dir.join("logits.npy");
    let theirs = Tensor::read_npy(loaded.dir.join("logits_bf16_compute.npy")).unwrap();
    let (ours, theirs) = (
        furthest(&loaded.logits(), &exact),
        furthest(&theirs, &exact),
    );
    assert!(
        ours < 1.5 * theirs,
        "off by {ours}, transformers by {theirs}"
    );
}

#[test]
fn the_loss_and_every_gradient_are_those_of_transformers() {
    for name in CHECKPOINTS {
        let loaded = load(name, Kind::Float);
        let expected = loaded.expected();
        let ids = loaded.ids();
        let (rows, length) = ids.size2().unwrap();
        let part = |start| ids.narrow(1, start, length - 1);
        let targets = rows * (length - 1);
        let batch = TokenBatch {
            tokens: Tokens {
                ids: part(0),
                layout: Layout::Causal,
            },
            targets: part(1),
            counts: Counts {
                targets,
                examples: rows,
                tokens: targets,
            },
        };
        let sums = CausalLm.loss_sum(&loaded.model, &batch, Pass::Train);
        let loss = &sums.loss[0].value / targets as f64;
        assert_relative(name, loss.double_value(&[]), &expected["mean_ce"], 1e-5);
        loss.backward();
        let norms = expected["per_tensor_grad_norm"].as_object().unwrap();
        let gradients = hf::by_hub_name(&loaded.store).unwrap();
        assert_eq!(gradients.len(), norms.len());
        let mut squares = 0.0;
        for (tensor, weight) in gradients {
            let norm = weight.grad().norm().double_value(&[]);
            squares += norm * norm;
            assert_relative(&format!("{name} {tensor}"), norm, &norms[&tensor], 1e-4);
        }
        assert_relative(name, squares.sqrt(), &expected["grad_global_norm"], 1e-4);
    }
}

#[test]
fn parameters_are_counted_as_transformers_counts_them() {
    for name in CHECKPOINTS {
        let loaded = load(name, Kind::Float);
        assert_eq!(
            Some(flops::parameters(&loaded.config)),
            loaded.expected()["n_params"].as_u64(),
            "{name}"
        );
        let held: usize = loaded.store.variables().values().map(Tensor::numel).sum();
        assert_eq!(held as u64, flops::parameters(&loaded.config), "{name}");
    }
}

/// Rows of different lengths, read in uneven pieces through the cache, give what whole rows give.
#[test]
fn cached_rows_equal_whole_rows() {
    for name in CHECKPOINTS {
        let loaded = load(name, Kind::Float);
        let whole = loaded.model.hidden(
            &Tokens {
                ids: loaded.ids(),
                layout: Layout::Causal,
            },
            Pass::Eval,
        );
        let _no_grad = tch::no_grad_guard();
        let mut cache = loaded.model.new_cache(2, 48);
        for counts in [[5, 9], [1, 1], [4, 2], [1, 3]] {
            let starts = cache.lengths().to_vec();
            let width = *counts.iter().max().unwrap();
            let rows: Vec<Tensor> = starts
                .iter()
                .enumerate()
                .map(|(row, &start)| loaded.ids().get(row as i64).narrow(0, start, width))
                .collect();
            let hidden = loaded
                .model
                .extend(&Tensor::stack(&rows, 0), &counts, &mut cache);
            for (row, (&start, &count)) in starts.iter().zip(&counts).enumerate() {
                let part = |of: &Tensor, start| of.get(row as i64).narrow(0, start, count);
                let off = (part(&hidden, 0) - part(&whole, start))
                    .abs()
                    .max()
                    .double_value(&[]);
                assert!(off < 1e-5, "{name}, row {row} from {start}: off by {off}");
            }
        }
    }
}

/// Row by row, without a cache: the next token is the most likely one after the whole text so far.
#[test]
fn greedy_decoding_equals_reading_everything_again() {
    let loaded = load("c_gqa_rope_llama3", Kind::Float);
    let prompts: Vec<Vec<u32>> = vec![vec![5, 6, 7], vec![200], (1..30).collect()];
    let config = GenerateConfig {
        temperature: 0.0,
        max_new_tokens: 12,
        ..GenerateConfig::default()
    };
    let completions = generate(&loaded.model, &prompts, &config, &[]).unwrap();
    for (prompt, completion) in prompts.iter().zip(completions) {
        let mut text: Vec<i64> = prompt.iter().map(|&id| i64::from(id)).collect();
        for &token in &completion.tokens {
            let ids = Tensor::from_slice(&text).unsqueeze(0);
            let hidden = loaded.model.hidden(
                &Tokens {
                    ids,
                    layout: Layout::Causal,
                },
                Pass::Eval,
            );
            let logits = loaded.model.head().logits(&hidden.select(1, -1));
            assert_eq!(i64::from(token), logits.argmax(-1, false).int64_value(&[0]));
            text.push(token.into());
        }
        assert_eq!(completion.ended_by, EndedBy::Length);
    }
}

#[test]
fn a_row_is_sampled_alike_in_any_batch_and_stops_at_a_stop_token() {
    let loaded = load("a_mha_untied", Kind::Float);
    let config = GenerateConfig {
        max_new_tokens: 16,
        ..GenerateConfig::default()
    };
    let first = vec![1_u32, 2, 3];
    let alone = generate(&loaded.model, std::slice::from_ref(&first), &config, &[]).unwrap();
    let beside = generate(&loaded.model, &[first.clone(), vec![9; 20]], &config, &[]).unwrap();
    assert_eq!(alone[0], beside[0]);
    let stop = alone[0].tokens[5];
    let stopped = generate(&loaded.model, &[first], &config, &[stop]).unwrap();
    let until = alone[0]
        .tokens
        .iter()
        .position(|&token| token == stop)
        .unwrap();
    assert_eq!(stopped[0].tokens, alone[0].tokens[..until]);
    assert_eq!(stopped[0].ended_by, EndedBy::StopToken);
}

#[test]
fn impossible_prompts_are_refused() {
    let loaded = load("a_mha_untied", Kind::Float);
    let refuse = |prompt: Vec<u32>| {
        generate(&loaded.model, &[prompt], &GenerateConfig::default(), &[])
            .unwrap_err()
            .to_string()
    };
    assert!(refuse(Vec::new()).contains("no token to begin with"));
    assert!(refuse(vec![1; 500]).contains("max_seq_len"));
}
