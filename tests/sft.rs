//! Tuning on conversations, against transformers and against itself: packed, padded, alone, on ranks, cut.

use crate::common::{column, fixture, llama_train, metrics, stderr_of};
use crate::distributed::ranks;
use crate::runs::{cut_run_is_the_straight_one, run_to_the_end};
use llama_train::config::OnTooLong;
use llama_train::data::manifest::Kind::Instruct;
use llama_train::data::{Dataset, InstructDataset, PreparedFolder, RowLayout, Split};
use llama_train::model::{Layout, ModelOptions, Pass, Tokens, Transformer};
use llama_train::objective::{CausalLm, Objective};
use llama_train::weights::Pretrained;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tch::{Device, Kind, Tensor, nn};

fn json(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(fixture(name)).unwrap()).unwrap()
}

/// The five conversations of `9_stream`, as `prep-data instruct` makes them: `c_train_000000.npy` and what lies beside it;
/// the same again as the val split where that is asked for.
pub(crate) fn write_folder(dir: &Path, splits: &[&str]) {
    let (input, tokenizer) = (
        fixture("9_stream/conversations.jsonl"),
        fixture("tokenizer"),
    );
    llama_train(Path::new("."))
        .args([
            "prep-data",
            "instruct",
            "--val-fraction",
            "0",
            "--prefix",
            "c",
        ])
        .args([
            Path::new("--input"),
            &input,
            Path::new("--tokenizer"),
            &tokenizer,
        ])
        .args([Path::new("--out"), dir])
        .assert()
        .success();
    if splits.contains(&"val") {
        for end in ["npy", "mask.npy", "index.npy"] {
            let name = |split: &str| dir.join(format!("c_{split}_000000.{end}"));
            fs::copy(name("train"), name("val")).unwrap();
        }
        fs::remove_file(dir.join("manifest.json")).unwrap(); // it knows of no such split
    }
}

fn checkpoint() -> String {
    fixture("1_checkpoints/a_mha_untied").display().to_string()
}

pub(crate) fn sft(name: &str, settings: &[&str]) -> Vec<String> {
    let fixed = ["data.path=data", "run.device=cpu", "train.seq_len=128"];
    let name = format!("run.name={name}");
    let settings = fixed.iter().chain(settings).copied().chain([name.as_str()]);
    let settings = settings.flat_map(|setting| ["--set".to_owned(), setting.to_owned()]);
    ["sft", "--init-from", &checkpoint()]
        .map(str::to_owned)
        .into_iter()
        .chain(settings)
        .collect()
}

/// One step over all five: however they lie in rows, the loss is transformers'.
#[test]
fn the_loss_of_a_step_is_that_of_transformers() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("data"), &["train"]);
    let expected = json("9_stream/expected.json")["sft"]["loss"]
        .as_f64()
        .unwrap();
    let still = ["optim.max_lr=0", "train.max_steps=1", "data.shuffle=false"];
    let cuts: [&[&str]; 5] = [
        &["train.micro_batch_size=3"],
        &["train.micro_batch_size=1", "train.total_batch_tokens=384"],
        &["sft.packing=false", "train.micro_batch_size=5"],
        &[
            "sft.packing=false",
            "train.micro_batch_size=1",
            "train.total_batch_examples=5",
        ],
        // Tokens that another source counts are passed over, whatever they leave.
        &[
            "sft.packing=false",
            "train.micro_batch_size=5",
            "train.total_batch_examples=5",
            "train.total_batch_tokens=100",
        ],
    ];
    for (number, cut) in cuts.iter().enumerate() {
        let name = format!("cut{number}");
        run_to_the_end(dir.path(), &sft(&name, &[&still, *cut].concat()));
        let records = metrics(&dir.path().join("runs").join(name), "train");
        let loss = records[0]["loss"].as_f64().unwrap();
        assert!(
            (loss / expected - 1.0).abs() < 1e-5,
            "{cut:?}: {loss} {expected}"
        );
        assert_eq!(
            records[0]["tokens_seen"],
            39 + 78 + 95 + 47 + 68 - 5,
            "{cut:?}"
        );
    }
}

/// Its own conversations, and the score of each.
#[test]
fn conversations_score_as_in_transformers_on_any_number_of_ranks() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("data"), &["train"]);
    let expected = json("9_stream/expected.json");
    let arguments = [
        ["eval", "--json", "--tasks", "loss", "--split", "train"].as_slice(),
        &["--data", "data", "--details", "details.jsonl"],
        &["--checkpoint", &checkpoint(), "--set", "run.device=cpu"],
        &["--set", "train.micro_batch_size=2"],
    ];
    let arguments: Vec<String> = arguments.concat().into_iter().map(String::from).collect();
    let score = |world_size| {
        let outputs = ranks::wait(ranks::start(dir.path(), &arguments, world_size));
        assert!(outputs[0].status.success(), "{}", ranks::said(&outputs[0]));
        outputs[0].stdout.clone()
    };
    let (one, two) = (score(1), score(2));
    assert_eq!(one, two);
    let said: Value = serde_json::from_slice(&one).unwrap();
    let loss = said["loss"]["loss"].as_f64().unwrap();
    let reference = expected["sft"]["loss"].as_f64().unwrap();
    assert!((loss / reference - 1.0).abs() < 1e-5, "{loss} {reference}");
    let details = fs::read_to_string(dir.path().join("details.jsonl")).unwrap();
    let per_conversation = expected["sft"]["per_conversation"].as_array().unwrap();
    assert_eq!(details.lines().count(), per_conversation.len());
    for (line, expected) in details.lines().zip(per_conversation) {
        let line: Value = serde_json::from_str(line).unwrap();
        let sum = |value: &Value| value["sum_logprob"].as_f64().unwrap();
        assert!(
            (sum(&line) - sum(expected)).abs() < 2e-3,
            "{line} {expected}"
        );
        assert_eq!(line["num_targets"], expected["num_targets"]);
    }
}

struct Tuned {
    store: nn::VarStore,
    model: Transformer,
    conversations: tempfile::TempDir,
}

impl Tuned {
    fn new() -> Self {
        let conversations = tempfile::tempdir().unwrap();
        write_folder(conversations.path(), &["train"]);
        let pretrained = Pretrained::open(Path::new(&checkpoint()), None, 0.0).unwrap();
        let store = nn::VarStore::new(Device::Cpu);
        let options = ModelOptions {
            compute: Kind::Float,
            lora: None,
        };
        let model = Transformer::new(&store.root(), pretrained.config(), &options).unwrap();
        pretrained.fill(&store).unwrap();
        Self {
            store,
            model,
            conversations,
        }
    }

    fn rows(&self, layout: RowLayout) -> InstructDataset {
        let folder =
            PreparedFolder::open(self.conversations.path(), Split::Train, Instruct).unwrap();
        let shards = folder.into_instruct_shards().unwrap();
        InstructDataset::new(shards, 128, 640, layout, OnTooLong::Error).unwrap()
    }

    /// Of all rows in one batch.
    fn gradients(&mut self, layout: RowLayout) -> BTreeMap<String, Tensor> {
        let rows = self.rows(layout);
        let batch = rows.collate(&(0..rows.len()).collect::<Vec<_>>()).unwrap();
        assert_eq!((batch.counts.targets, batch.counts.examples), (87, 5));
        let sums = CausalLm.loss_sum(&self.model, &batch, Pass::Train);
        (&sums.loss[0].value / 87.0).backward();
        let variables = self.store.variables().into_iter();
        let gradients = variables.map(|(name, weight)| {
            let gradient = weight.grad().copy();
            let _ = weight.grad().zero_();
            (name, gradient)
        });
        gradients.collect()
    }
}

#[test]
fn gradients_are_the_same_packed_and_padded() {
    let mut tuned = Tuned::new();
    let padded = tuned.gradients(RowLayout::Padded);
    let packed = tuned.gradients(RowLayout::Packed);
    for ((name, padded), (_, packed)) in padded.iter().zip(&packed) {
        let distance = (padded - packed).norm().double_value(&[]);
        let norm = padded.norm().double_value(&[]);
        assert!(distance <= 1e-5 * norm, "{name}: {distance} of {norm}");
    }
}

#[test]
fn a_packed_conversation_sees_itself_alone() {
    let tuned = Tuned::new();
    let (alone, packed) = (tuned.rows(RowLayout::Padded), tuned.rows(RowLayout::Packed));
    let _no_grad = tch::no_grad_guard();
    let hidden = |tokens: &Tokens| tuned.model.hidden(tokens, Pass::Eval);
    let logits = |states: &Tensor| tuned.model.head().logits(states);
    let mut compared = 0;
    for row in 0..packed.len() {
        let batch = packed.collate(&[row]).unwrap();
        let Layout::Packed(documents) = &batch.tokens.layout else {
            panic!("a packed row is not packed");
        };
        let states = hidden(&batch.tokens).squeeze_dim(0); // [S, D]
        let mut start = 0;
        for &length in &documents.lengths {
            let ids = batch.tokens.ids.narrow(1, start, length);
            for example in 0..alone.len() {
                let single = alone.collate(&[example]).unwrap();
                if single.tokens.ids.equal(&ids) {
                    let here = logits(&states.narrow(0, start, length));
                    let there = logits(&hidden(&single.tokens).squeeze_dim(0));
                    let distance = (here - there).abs().max().double_value(&[]);
                    assert!(distance < 2e-4, "row {row}: {distance}");
                    compared += 1;
                }
            }
            start += length;
        }
    }
    assert_eq!((compared, packed.len()), (5, 3));
}

#[test]
fn a_killed_tuning_resumes_bit_for_bit() {
    let data = tempfile::tempdir().unwrap();
    write_folder(data.path(), &["train", "val"]);
    let path = format!("data.path={}", data.path().display());
    for lora in ["lora.enabled=false", "lora.enabled=true"] {
        let weights = match lora {
            "lora.enabled=true" => "adapter_model.safetensors",
            _ => "model.safetensors",
        };
        let settings = [
            path.as_str(),
            lora,
            "train.max_steps=40",
            "train.micro_batch_size=4",
            "checkpoint.every=5",
            "validate.every=10",
        ];
        cut_run_is_the_straight_one(|name| sft(name, &settings), weights, 40);
    }
}

#[test]
fn what_is_too_long_goes_by_the_rule() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("data"), &["train"]);
    let short = ["train.seq_len=60", "train.max_steps=1", "optim.max_lr=0"];
    let run = |name: &str, rule: &str| {
        let rule = format!("sft.on_too_long={rule}");
        let arguments = sft(name, &[&short[..], &[&rule]].concat());
        llama_train(dir.path()).args(arguments).assert()
    };
    let dropped = stderr_of(&run("drop", "drop").success());
    assert!(
        dropped.contains("train: 2 conversations in 2 rows; 3 were longer"),
        "{dropped}"
    );
    let cut = stderr_of(&run("truncate", "truncate").success());
    assert!(
        cut.contains("train: 5 conversations in 5 rows; 3 were longer"),
        "{cut}"
    );
    let refused = stderr_of(&run("error", "error").code(2));
    assert!(
        refused.contains("example 1 has 78 tokens, more than train.seq_len = 60"),
        "{refused}"
    );
}

/// Rows are as long as the model reads where nothing else is asked for; its checkpoints say how it was spoken to.
#[test]
fn a_chat_model_can_be_opened_and_spoken_to() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("data"), &["train"]);
    let path = dir.path().join("data/tokenizer_config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config
        .as_object_mut()
        .unwrap()
        .remove("chat_template")
        .unwrap();
    fs::write(&path, config.to_string()).unwrap();
    let model = dir.path().join("model");
    crate::common::copy_folder(&fixture("1_checkpoints/a_mha_untied"), &model);
    let path = model.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["max_position_embeddings"] = 90.into();
    fs::write(&path, config.to_string()).unwrap();
    let settings = [
        "data.path=data",
        "run.name=run",
        "train.max_steps=1",
        "run.device=cpu",
    ];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    llama_train(dir.path())
        .args(["sft", "--init-from", "model"])
        .args(settings)
        .assert()
        .success();
    let latest = dir.path().join("runs/run/checkpoints/latest");
    let config = fs::read_to_string(latest.join("config.toml")).unwrap();
    assert!(config.contains("seq_len = 90"), "{config}");
    let template = fs::read_to_string(latest.join("chat_template.jinja")).unwrap();
    assert!(template.contains("<|start_header_id|>"), "{template}");
}

/// An answer that is all cut off teaches nothing.
#[test]
fn a_cut_example_without_an_answer_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("data"), &["train"]);
    let settings = [
        "train.seq_len=8",
        "train.max_steps=1",
        "sft.on_too_long=truncate",
    ];
    let said = stderr_of(
        &llama_train(dir.path())
            .args(sft("cut", &settings))
            .assert()
            .code(2),
    );
    assert!(said.contains("no conversation"), "{said}");
}

#[test]
fn impossible_requests_say_why() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("data"), &["train"]);
    let refused = |settings: &[&str], message: &str| {
        let arguments = sft("refused", settings);
        let said = stderr_of(&llama_train(dir.path()).args(arguments).assert().code(2));
        assert!(said.contains(message), "{said}");
    };
    refused(
        &["train.total_batch_examples=4"],
        "a packed row holds several",
    );
    refused(
        &["sft.packing=false", "train.total_batch_tokens=512"],
        "set train.total_batch_examples",
    );
    refused(
        &[
            "sft.packing=false",
            "train.total_batch_examples=7",
            "train.micro_batch_size=2",
        ],
        "7 is not a multiple of micro_batch_size 2 x world size 1 = 2; 6 and 8 work",
    );
    let text = format!("data.path={}", fixture("9_stream/data").display());
    refused(&[&text], "holds plain text");
    let beside = |name: &str| fs::remove_file(dir.path().join("data").join(name)).unwrap();
    beside("manifest.json");
    beside("c_train_000000.mask.npy");
    refused(&[], "holds pairs of answers");
    beside("c_train_000000.index.npy");
    refused(&[], "holds plain text");
    let base = checkpoint();
    let chats = ["--set", "data.path=chats", "--set", "train.seq_len=64"];
    let pretrain = [
        &["pretrain", "--init-from", base.as_str()],
        chats.as_slice(),
    ]
    .concat();
    write_folder(&dir.path().join("chats"), &["train"]);
    let said = stderr_of(&llama_train(dir.path()).args(pretrain).assert().code(2));
    assert!(
        said.contains("holds conversations; train on it with `llama-train sft`"),
        "{said}"
    );
    assert!(column(&metrics(&dir.path().join("runs/llama"), "train"), "loss").is_empty());
}
