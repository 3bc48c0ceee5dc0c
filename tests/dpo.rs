//! Learning from preferences, against TRL's and the papers' numbers and against itself: cut, on ranks, cached.

pub(crate) mod references;

use crate::common::{fixture, llama_train, metrics};
use crate::distributed::ranks;
use crate::runs::{cut_run_is_the_straight_one, run_to_the_end};
use llama_train::data::{Dataset, Pair, PreferenceBatch, PreferenceDataset, PreparedFolder, Split};
use llama_train::model::Pass;
use llama_train::objective::{Dpo, Objective, Reference};
use llama_train::weights::Pretrained;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tch::{Device, Kind};

fn expected() -> Value {
    serde_json::from_str(&fs::read_to_string(fixture("3_dpo/expected.json")).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|number| number.as_f64().unwrap()).collect()
}

pub(crate) fn model(name: &str) -> String {
    fixture("3_dpo").join(name).display().to_string()
}

/// The reference's pairs, `times` over, as `prep-data preference` makes them: `p_train_000000.npy` and its index; the same
/// again as the val split where that is asked for.
pub(crate) fn write_folder(dir: &Path, splits: &[&str], times: usize) {
    let pairs = fs::read_to_string(fixture("9_stream/preferences_tokenized.jsonl")).unwrap();
    let rows = tempfile::Builder::new()
        .suffix(".jsonl")
        .tempfile()
        .unwrap();
    fs::write(rows.path(), pairs.repeat(times)).unwrap();
    llama_train(Path::new("."))
        .args(["prep-data", "preference", "--pretokenized", "--prefix", "p"])
        .args(["--val-fraction", "0", "--tokenizer"])
        .arg(fixture("tokenizer"))
        .args([Path::new("--input"), rows.path(), Path::new("--out"), dir])
        .assert()
        .success();
    if splits.contains(&"val") {
        for end in ["npy", "index.npy"] {
            let name = |split: &str| dir.join(format!("p_{split}_000000.{end}"));
            fs::copy(name("train"), name("val")).unwrap();
        }
        fs::remove_file(dir.join("manifest.json")).unwrap(); // it knows of no such split
    }
}

fn dpo(name: &str, settings: &[&str]) -> Vec<String> {
    let fixed = ["data.path=data", "run.device=cpu", "train.seq_len=64"];
    let name = format!("run.name={name}");
    let settings = fixed.iter().chain(settings).copied().chain([name.as_str()]);
    let settings = settings.flat_map(|setting| ["--set".to_owned(), setting.to_owned()]);
    let verb = ["dpo".to_owned(), "--init-from".to_owned(), model("policy")];
    verb.into_iter().chain(settings).collect()
}

/// One step at a learning rate of 0 over all four pairs, or with other settings.
fn still(name: &str, settings: &[&str]) -> Vec<String> {
    let reference = format!("dpo.reference={}", model("reference"));
    let fixed = [
        reference.as_str(),
        "optim.max_lr=0",
        "train.max_steps=1",
        "train.micro_batch_size=4",
        "data.shuffle=false",
    ];
    dpo(name, &[&fixed[..], settings].concat())
}

fn first_record(dir: &Path, name: &str) -> Value {
    metrics(&dir.join("runs").join(name), "train")[0].clone()
}

fn assert_relative(record: &Value, field: &str, expected: f64, tolerance: f64) {
    let found = record[field].as_f64().unwrap();
    assert!(
        (found / expected - 1.0).abs() < tolerance,
        "{field}: {found} {expected}"
    );
}

fn assert_absolute(record: &Value, field: &str, expected: f64, tolerance: f64) {
    let found = record[field].as_f64().unwrap();
    assert!(
        (found - expected).abs() < tolerance,
        "{field}: {found} {expected}"
    );
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// The losses of `vectors/3_dpo`, and our settings for them.
const LOSSES: [(&str, &[&str]); 5] = [
    ("sigmoid", &[]),
    ("sigmoid_label_smoothing_0p1", &["dpo.label_smoothing=0.1"]),
    (
        "robust_label_smoothing_0p1",
        &["dpo.loss=robust", "dpo.label_smoothing=0.1"],
    ),
    ("ipo", &["dpo.loss=ipo"]),
    ("ipo_unnormalised", &["dpo.loss=ipo_paper"]),
];

#[test]
fn losses_gradients_and_rewards_are_those_of_the_reference() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("data"), &["train", "val"], 1);
    let expected = expected();
    for (name, settings) in LOSSES {
        run_to_the_end(dir.path(), &still(name, settings));
        let record = first_record(dir.path(), name);
        let of_loss = &expected["losses"][name];
        let loss = of_loss["loss"].as_f64().unwrap();
        let norm = of_loss["policy_grad_norm"].as_f64().unwrap();
        assert_relative(&record, "loss", loss, 1e-5);
        assert_relative(&record, "grad_norm", norm, 1e-4);
        let val = metrics(&dir.path().join("runs").join(name), "val")[0].clone();
        assert_relative(&val, "loss", loss, 1e-5);
        assert!(val.get("perplexity").is_none());
        for record in [&record, &val] {
            for (field, values, tolerance) in [
                ("logps/chosen", "policy_logps_chosen", 1e-4),
                ("logps/rejected", "policy_logps_rejected", 1e-4),
                ("rewards/chosen", "rewards_chosen", 1e-5),
                ("rewards/rejected", "rewards_rejected", 1e-5),
                ("rewards/margins", "margins", 1e-5),
            ] {
                assert_absolute(record, field, mean(&numbers(&expected[values])), tolerance);
            }
            assert_absolute(record, "rewards/accuracies", 0.25, 1e-9);
        }
    }
}

#[test]
fn each_pair_by_itself_is_that_of_the_reference() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("data"), &["train"], 1);
    let expected = expected();
    let one_by_one = ["train.micro_batch_size=1", "train.total_batch_examples=1"];
    for (name, settings) in LOSSES {
        let settings = [&one_by_one[..], &["train.max_steps=4"], settings].concat();
        run_to_the_end(dir.path(), &still(name, &settings));
        let records = metrics(&dir.path().join("runs").join(name), "train");
        let losses = numbers(&expected["losses"][name]["per_pair"]);
        assert_eq!(records.len(), losses.len());
        for (pair, record) in records.iter().enumerate() {
            let of = |key: &str| expected[key][pair].as_f64().unwrap();
            assert_relative(record, "loss", losses[pair], 1e-5);
            assert_absolute(record, "logps/chosen", of("policy_logps_chosen"), 1e-4);
            assert_absolute(record, "logps/rejected", of("policy_logps_rejected"), 1e-4);
            assert_absolute(record, "rewards/chosen", of("rewards_chosen"), 1e-5);
            assert_absolute(record, "rewards/margins", of("margins"), 1e-5);
        }
    }
}

#[test]
fn how_the_batch_is_cut_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("data"), &["train", "val"], 1);
    run_to_the_end(dir.path(), &still("whole", &[]));
    let whole = |split: &str| metrics(&dir.path().join("runs/whole"), split)[0].clone();
    for (world_size, rows) in [(1, 2), (1, 1), (2, 2), (2, 1)] {
        let name = format!("cut-{world_size}x{rows}");
        let rows = format!("train.micro_batch_size={rows}");
        let cut = still(&name, &[&rows, "train.total_batch_examples=4"]);
        ranks::run(dir.path(), &cut, world_size);
        for split in ["train", "val"] {
            let record = metrics(&dir.path().join("runs").join(&name), split)[0].clone();
            let whole = whole(split);
            let fields = whole.as_object().unwrap().iter();
            let fields = fields.filter(|(name, _)| {
                name.contains('/') || ["loss", "grad_norm", "tokens_seen"].contains(&name.as_str())
            });
            for (field, value) in fields {
                let value = value.as_f64().unwrap();
                assert_absolute(&record, field, value, 1e-5 * value.abs().max(1.0));
            }
        }
    }
}

/// A row's log-probability does not know what stands beside it, or how much padding follows.
#[test]
fn a_longer_neighbour_changes_nothing() {
    let policy = Pretrained::open(Path::new(&model("policy")), None, 0.0).unwrap();
    let policy = policy.model(Device::Cpu, Kind::Float).unwrap();
    let pair = |answer: i64, length: usize| Pair {
        prompt: vec![5, 6, 7],
        chosen: vec![answer; 4],
        rejected: vec![answer + 1; length],
    };
    let objective = Dpo::new(Default::default(), Reference::None);
    let score = |pairs: &[Pair]| {
        let batch = PreferenceBatch::new(pairs, None);
        let sums = tch::no_grad(|| objective.loss_sum(&policy, &batch, Pass::Eval));
        let sums = sums.loss.into_iter().chain(sums.metrics);
        sums.map(|sum| sum.value.double_value(&[]))
            .collect::<Vec<_>>()
    };
    let (first, second) = (pair(20, 2), pair(30, 50));
    let (one, other) = (score(std::slice::from_ref(&first)), score(&[pair(30, 50)]));
    for ((one, other), both) in one.iter().zip(other).zip(score(&[first, second])) {
        assert!((one + other - both).abs() < 1e-4, "{one} {other} {both}");
    }
}

/// Each further loss from the reference's log-probabilities, by its paper's formula in f64.
#[test]
fn further_losses_are_those_of_their_papers() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("data"), &["train"], 1);
    let expected = expected();
    let of = |key: &str| numbers(&expected[key]);
    let lengths = |part: &str| -> Vec<f64> {
        let pairs = expected["pairs"].as_array().unwrap().iter();
        pairs
            .map(|pair| pair[part].as_array().unwrap().len() as f64)
            .collect()
    };
    let (chosen, rejected) = (of("policy_logps_chosen"), of("policy_logps_rejected"));
    let (ref_chosen, ref_rejected) = (of("reference_logps_chosen"), of("reference_logps_rejected"));
    let (len_chosen, len_rejected) = (lengths("chosen_ids"), lengths("rejected_ids"));
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let log_sigmoid = |x: f64| -(-x).exp().ln_1p();
    let log_odds = |log_p: f64| log_p - (1.0 - log_p.exp()).ln();
    let beta = 0.3;
    // A pair's mean log-probabilities per token and log-ratios, chosen and rejected.
    type Formula<'a> = Box<dyn Fn([f64; 2], [f64; 2]) -> f64 + 'a>;
    let cases: [(&str, &[&str], Formula<'_>); 6] = [
        (
            "hinge",
            &[],
            Box::new(|_, [w, l]| (1.0 - beta * (w - l)).max(0.0)),
        ),
        (
            "apo_zero",
            &[],
            Box::new(|_, [w, l]| 1.0 - sigmoid(beta * w) + sigmoid(beta * l)),
        ),
        (
            "simpo",
            &[],
            Box::new(|[w, l], _| -log_sigmoid(beta * w - beta * l - 0.5 * beta)),
        ),
        (
            "simpo",
            &["dpo.simpo_gamma=1.4"],
            Box::new(|[w, l], _| -log_sigmoid(beta * w - beta * l - 1.4)),
        ),
        (
            "orpo",
            &[],
            Box::new(|[w, l], _| -w - beta * log_sigmoid(log_odds(w) - log_odds(l))),
        ),
        (
            "sigmoid",
            &["dpo.sft_weight=0.7"],
            Box::new(|[mean, _], [w, l]| -log_sigmoid(beta * (w - l)) - 0.7 * mean),
        ),
    ];
    for (number, (loss, settings, formula)) in cases.iter().enumerate() {
        let name = format!("{loss}-{number}");
        let reference = format!("dpo.reference={}", model("reference"));
        let (loss, beta) = (format!("dpo.loss={loss}"), format!("dpo.beta={beta}"));
        let mut all = vec![
            "optim.max_lr=0",
            "train.max_steps=1",
            "train.micro_batch_size=4",
            loss.as_str(),
            beta.as_str(),
        ];
        if !["dpo.loss=simpo", "dpo.loss=orpo"].contains(&loss.as_str()) {
            all.push(&reference);
        }
        run_to_the_end(dir.path(), &dpo(&name, &[&all[..], settings].concat()));
        let losses: Vec<f64> = (0..chosen.len())
            .map(|pair| {
                formula(
                    [
                        chosen[pair] / len_chosen[pair],
                        rejected[pair] / len_rejected[pair],
                    ],
                    [
                        chosen[pair] - ref_chosen[pair],
                        rejected[pair] - ref_rejected[pair],
                    ],
                )
            })
            .collect();
        assert_relative(
            &first_record(dir.path(), &name),
            "loss",
            mean(&losses),
            1e-5,
        );
    }
}

#[test]
fn a_killed_run_resumes_bit_for_bit() {
    let data = tempfile::tempdir().unwrap();
    write_folder(data.path(), &["train", "val"], 10);
    let path = format!("data.path={}", data.path().display());
    for (lora, cache, weights) in [
        ("false", "false", "model.safetensors"),
        ("true", "true", "adapter_model.safetensors"),
    ] {
        let settings = [
            path.as_str(),
            &format!("lora.enabled={lora}"),
            &format!("dpo.cache_reference={cache}"),
            "train.max_steps=40",
            "train.micro_batch_size=4",
            "train.total_batch_examples=8",
            "optim.max_lr=1e-3",
            "checkpoint.every=5",
            "validate.every=10",
        ];
        cut_run_is_the_straight_one(|name| dpo(name, &settings), weights, 40);
    }
}

#[test]
fn what_is_too_long_goes_by_the_rule() {
    use llama_train::config::OnTooLong;
    use llama_train::data::manifest::Kind::Preference;
    let dir = tempfile::tempdir().unwrap();
    write_folder(dir.path(), &["train"], 1);
    let open = |rule| {
        let folder = PreparedFolder::open(dir.path(), Split::Train, Preference).unwrap();
        PreferenceDataset::new(folder.into_preference_shards().unwrap(), 14, 640, rule)
    };
    // Rows of 7 + 9, 3 + 12, 11 + 6 and 5 + 8 tokens, of which 15 fit.
    let dropped = open(OnTooLong::Drop).unwrap();
    assert_eq!((dropped.len(), dropped.too_long()), (2, 2));
    let cut = open(OnTooLong::Truncate).unwrap();
    assert_eq!((cut.len(), cut.too_long()), (4, 2));
    let batch = cut.collate(&[0, 2]).unwrap();
    assert_eq!(batch.tokens.ids.size(), [4, 14]);
    assert_eq!(batch.counts.targets, 9 + 1 + 5 + 6, "no answer is cut here");
    let ids = Vec::<i64>::try_from(&batch.tokens.ids.get(0)).unwrap();
    assert_eq!(
        ids[..3],
        [572, 630, 396],
        "the prompt has lost its first token"
    );
    let refused = format!("{:#}", open(OnTooLong::Error).unwrap_err());
    assert!(
        refused.contains("pair 0 has a row of 16 tokens"),
        "{refused}"
    );
}
