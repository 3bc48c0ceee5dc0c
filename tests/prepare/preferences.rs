//! `prep-data preference`: the forms that pairs may have, and what becomes of those that prefer nothing.

use super::*;
use crate::common::fixture;
use llama_train::data::{Dtype, index_path};
use serde_json::{Value, json};

impl Case {
    fn preferences(rows: &[Value]) -> Self {
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        Self::of_kind(Kind::Preference, &[("a.jsonl", lines.as_bytes())])
    }

    /// Prompt, chosen and rejected of each pair.
    pub(super) fn pairs(&self) -> Vec<[Vec<i64>; 3]> {
        let folder = PreparedFolder::open(&self.out(), Split::Train, self.kind).unwrap();
        let pairs = folder.shards().iter().flat_map(|shard| {
            let index = Shard::open_as(&index_path(shard.path()), &[Dtype::Uint64]).unwrap();
            let offsets = index.read(0, index.len() as usize);
            assert_eq!((offsets[0], offsets.len() % 3), (0, 1));
            assert_eq!(offsets[offsets.len() - 1], shard.len() as i64);
            let parts = offsets.windows(2);
            let parts: Vec<Vec<i64>> = parts
                .map(|part| shard.read(part[0] as u64, (part[1] - part[0]) as usize))
                .collect();
            let pairs = parts.chunks(3);
            pairs
                .map(|pair| [pair[0].clone(), pair[1].clone(), pair[2].clone()])
                .collect::<Vec<_>>()
        });
        pairs.collect()
    }

    fn texts(&self) -> Vec<[String; 3]> {
        let tokenizer = Tokenizer::load(Path::new(TOKENIZER)).unwrap();
        let text = |ids: Vec<i64>| {
            let ids: Vec<u32> = ids.into_iter().map(|id| id as u32).collect();
            tokenizer.decode(&ids).unwrap()
        };
        self.pairs()
            .into_iter()
            .map(|pair| pair.map(text))
            .collect()
    }
}

#[test]
fn pairs_that_are_tokenized_stay_as_they_are() {
    let rows = fs::read(fixture("9_stream/preferences_tokenized.jsonl")).unwrap();
    let expected = fs::read_to_string(fixture("3_dpo/expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let expected = expected["pairs"].as_array().unwrap();
    for shard_tokens in [1, 1000] {
        let mut case = Case::of_kind(Kind::Preference, &[("a.jsonl", &rows)]);
        case.config.pretokenized = true;
        case.config.shard_tokens = shard_tokens;
        let summary = case.run().unwrap();
        let made: Vec<Value> = case
            .pairs()
            .into_iter()
            .map(|[prompt, chosen, rejected]| json!({"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected}))
            .collect();
        assert_eq!(&made, expected);
        assert_eq!(
            (&summary["documents"], &summary["longest"]),
            (&json!(4), &json!(17))
        );
        let manifest = Manifest::read(&case.out()).unwrap().unwrap();
        assert_eq!(manifest.kind, Kind::Preference);
        assert_eq!(
            manifest.split(Split::Train).shards.len(),
            if shard_tokens == 1 { 4 } else { 1 }
        );
    }
}

/// The same pair in each form; the ids are those that 7_chat has for such turns.
#[test]
fn every_form_of_a_pair_is_the_same() {
    let turn = |role: &str, content: &str| json!({"role": role, "content": content});
    let (user, good, bad) = (
        || turn("user", "Who?"),
        || turn("assistant", "Me."),
        || turn("assistant", "You!"),
    );
    let (asked, dialogue) = ("Who?", "\n\nHuman: Who?\n\nAssistant:");
    let rows = [
        json!({"prompt": asked, "chosen": "Me.", "rejected": "You!"}),
        json!({"prompt": [user()], "chosen": [good()], "rejected": [bad()]}),
        json!({"chosen": [user(), good()], "rejected": [user(), bad()]}),
        // UltraFeedback's: the prompt beside lists that begin with it.
        json!({"prompt": asked, "chosen": [user(), good()], "rejected": [user(), bad()], "score_chosen": 8.5}),
        json!({"prompt": [user()], "chosen": [user(), good()], "rejected": [user(), bad()]}),
        json!({"chosen": format!("{dialogue} Me."), "rejected": format!("{dialogue} You!")}),
        json!({"prompt": dialogue, "chosen": " Me.", "rejected": " You!"}),
        json!({"question": asked, "chosen": "Me.", "rejected": "You!"}),
        json!({"chosen": [{"from": "human", "value": asked}, {"from": "gpt", "value": "Me."}], "rejected": [user(), bad()]}),
    ];
    let case = Case::preferences(&rows);
    case.run().unwrap();
    let texts = case.texts();
    let header = |role: &str| format!("<|start_header_id|>{role}<|end_header_id|>\n\n");
    let prompt = format!(
        "<|begin_of_text|>{}Who?<|eot_id|>{}",
        header("user"),
        header("assistant")
    );
    let expected = [
        prompt,
        "Me.<|eot_id|>".to_owned(),
        "You!<|eot_id|>".to_owned(),
    ];
    assert_eq!(texts, vec![expected; rows.len()]);
    let conversation = Case::conversations(&[json!({"prompt": asked, "completion": "Me."})]);
    conversation.run().unwrap();
    let [prompt, chosen, _] = case.pairs()[0].clone();
    assert_eq!(
        conversation.masked(Split::Train)[0].0,
        [prompt, chosen].concat()
    );
}

/// hh-rlhf: the dialogue is shared up to the last turn, which is the assistant's.
#[test]
fn dialogues_are_split_at_the_last_turn_of_the_assistant() {
    let start = "\n\nHuman: One?\n\nAssistant: Yes: Human: one.\n\nTwo lines.\n\nHuman: Two?\n\nAssistant: ";
    let mut case = Case::preferences(&[
        json!({"chosen": format!("{start}Two.\n\nTruly."), "rejected": format!("{start}No")}),
    ]);
    case.system_prompt = Some("Be kind.".into());
    case.run().unwrap();
    let [prompt, chosen, rejected] = case.texts().remove(0);
    assert!(
        prompt.contains("\n\nBe kind.<|eot_id|>")
            && prompt.contains("Yes: Human: one.\n\nTwo lines.<|eot_id|>"),
        "{prompt}"
    );
    assert_eq!(
        (chosen.as_str(), rejected.as_str()),
        ("Two.\n\nTruly.<|eot_id|>", "No<|eot_id|>")
    );
}

#[test]
fn pairs_that_prefer_nothing_are_left_out_and_counted() {
    let rows = [
        json!({"prompt": "1", "chosen": "same", "rejected": " same "}),
        json!({"prompt": "2", "chosen": "", "rejected": "a"}),
        json!({"prompt": "3", "chosen": "a", "rejected": " \n"}),
        json!({"prompt": "4", "chosen": "a", "rejected": "b"}),
        json!({"chosen": "\n\nHuman: 5\n\nAssistant: a", "rejected": "\n\nHuman: 5\n\nAssistant:"}),
    ];
    let summary = Case::preferences(&rows).run().unwrap();
    assert_eq!(
        (&summary["documents"], &summary["nothing_to_learn"]),
        (&json!(1), &json!(4))
    );
    let ids = |chosen: &[u32], rejected: &[u32]| json!({"prompt_ids": [1], "chosen_ids": chosen, "rejected_ids": rejected});
    let mut case = Case::preferences(&[ids(&[1], &[1]), ids(&[], &[1]), ids(&[1], &[2])]);
    case.config.pretokenized = true;
    let summary = case.run().unwrap();
    assert_eq!(
        (&summary["documents"], &summary["nothing_to_learn"]),
        (&json!(1), &json!(2))
    );
}

#[test]
fn malformed_pairs_are_named() {
    let turn = |role: &str, content: &str| json!({"role": role, "content": content});
    for (row, reason) in [
        (
            json!({"chosen": "\n\nHuman: a\n\nAssistant: x", "rejected": "\n\nHuman: b\n\nAssistant: y"}),
            "`chosen` and `rejected` differ before their last turns",
        ),
        (
            json!({"chosen": "\n\nHuman: a\n\nAssistant: x\n\nHuman: b", "rejected": "y"}),
            "`chosen` does not end with the assistant's turn",
        ),
        (
            json!({"chosen": [turn("user", "a")], "rejected": [turn("user", "a")]}),
            "`chosen` does not end with the assistant's turn",
        ),
        (
            json!({"chosen": "x", "rejected": "y"}),
            "there is no prompt",
        ),
        (
            json!({"prompt": "a", "chosen": null, "rejected": "y"}),
            "`chosen` is null",
        ),
        (
            json!({"prompt": "a", "chosen": "x", "rejected": 5}),
            "`rejected` is no text or list of turns but 5",
        ),
        (
            json!({"prompt": 5, "chosen": "x", "rejected": "y"}),
            "`prompt` is no string but 5",
        ),
        (
            json!({"chosen": [turn("user", "a"), null], "rejected": "y"}),
            "`chosen[1]` is no turn",
        ),
    ] {
        let mut case =
            Case::preferences(&[row, json!({"prompt": "a", "chosen": "x", "rejected": "y"})]);
        let (message, bad_request) = case.error();
        assert!(
            !bad_request
                && message.contains("a.jsonl:1: malformed row: ")
                && message.contains(reason),
            "{message}"
        );
        case.config.max_bad_rows = 1;
        assert_eq!(case.run().unwrap()["bad_rows"], 1);
    }
    let mut case = Case::preferences(&[json!({"prompt": "a", "better": "x", "worse": "y"})]);
    let (message, bad_request) = case.error();
    assert!(
        bad_request && message.contains("no field `chosen` (--chosen-field, prepare.chosen_field)"),
        "{message}"
    );
    case.config.chosen_field = "better".into();
    assert!(case.error().0.contains("no field `rejected`"));
    case.config.rejected_field = "worse".into();
    case.run().unwrap();
    let mut case =
        Case::preferences(&[json!({"prompt_ids": [], "chosen_ids": [1], "rejected_ids": [2]})]);
    case.config.pretokenized = true;
    assert!(case.error().0.contains("`prompt_ids` is empty"));
}
