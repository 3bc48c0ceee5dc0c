//! `prep-data instruct`: ids and masks against transformers, and the forms that rows may have.

use super::*;
use crate::common::fixture;
use serde_json::{Value, json};

impl Case {
    /// Rows of conversations, one JSON object a line.
    pub(super) fn conversations(rows: &[Value]) -> Self {
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        Self::of_kind(Kind::Instruct, &[("a.jsonl", lines.as_bytes())])
    }

    pub(super) fn of_kind(kind: Kind, files: &[(&str, &[u8])]) -> Self {
        let mut case = Self::new(files);
        case.kind = kind;
        case
    }

    /// The ids of each conversation, and its mask.
    pub(super) fn masked(&self, split: Split) -> Vec<(Vec<i64>, Vec<i64>)> {
        let folder = PreparedFolder::open(&self.out(), split, self.kind).unwrap();
        let shards = folder.into_instruct_shards().unwrap();
        let examples = |shard: &llama_train::data::InstructShard| {
            let all = 0..shard.len();
            let read = |example| shard.read(example, shard.length(example) as usize);
            all.map(read).collect::<Vec<_>>()
        };
        shards.iter().flat_map(examples).collect()
    }

    /// The words that are trained on in each conversation.
    pub(super) fn trained(&self) -> Vec<String> {
        let tokenizer = Tokenizer::load(Path::new(TOKENIZER)).unwrap();
        let words = |(ids, mask): (Vec<i64>, Vec<i64>)| {
            let trained = ids.into_iter().zip(mask).filter(|(_, on)| *on == 1);
            let ids: Vec<u32> = trained.map(|(id, _)| id as u32).collect();
            tokenizer.decode(&ids).unwrap()
        };
        self.masked(Split::Train).into_iter().map(words).collect()
    }

    /// Each conversation as a text.
    pub(super) fn said(&self) -> Vec<String> {
        let tokenizer = Tokenizer::load(Path::new(TOKENIZER)).unwrap();
        let text = |(ids, _): (Vec<i64>, Vec<i64>)| {
            let ids: Vec<u32> = ids.into_iter().map(|id| id as u32).collect();
            tokenizer.decode(&ids).unwrap()
        };
        self.masked(Split::Train).into_iter().map(text).collect()
    }
}

fn reference() -> Vec<Value> {
    let text = fs::read_to_string(fixture("7_chat/expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// How a conversation lies in a shard of any size: whole.
#[test]
fn ids_and_masks_are_those_of_transformers() {
    let rows = fs::read(fixture("9_stream/conversations.jsonl")).unwrap();
    for shard_tokens in [39, 100, 100_000] {
        let mut case = Case::of_kind(Kind::Instruct, &[("a.jsonl", &rows)]);
        case.config.shard_tokens = shard_tokens;
        let summary = case.run().unwrap();
        let expected: Vec<(Value, Value)> = reference()
            .into_iter()
            .map(|mut row| (row["input_ids"].take(), row["loss_mask"].take()))
            .collect();
        let made = case.masked(Split::Train).into_iter();
        let made: Vec<(Value, Value)> = made.map(|(ids, mask)| (json!(ids), json!(mask))).collect();
        assert_eq!(made, expected);
        let manifest = Manifest::read(&case.out()).unwrap().unwrap();
        let split = manifest.split(Split::Train);
        let sizes: Vec<(u64, u64)> = split
            .shards
            .iter()
            .map(|shard| (shard.tokens, shard.documents))
            .collect();
        match shard_tokens {
            39 => assert_eq!(sizes, [(39, 1), (78, 1), (95, 1), (47, 1), (68, 1)]),
            100 => assert_eq!(sizes, [(117, 2), (142, 2), (68, 1)]),
            _ => assert_eq!(sizes, [(327, 5)]),
        }
        assert_eq!(manifest.kind, Kind::Instruct);
        assert_eq!(
            (
                summary["trained_tokens"].as_u64(),
                summary["longest"].as_u64()
            ),
            (Some(87), Some(95))
        );
    }
}

/// What lies beside the tokens is what numpy saves, and the manifest knows it.
#[test]
fn masks_and_offsets_are_what_numpy_saves() {
    let case = Case::conversations(&[
        json!({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}),
        json!({"prompt": "1", "completion": "2"}),
    ]);
    case.run().unwrap();
    let files = case.files();
    let header = |name: &str| String::from_utf8_lossy(&files[name][10..80]).into_owned();
    let (mask, index) = ("data_train_000000.mask.npy", "data_train_000000.index.npy");
    assert!(
        header(mask).starts_with("{'descr': '|u1'"),
        "{}",
        header(mask)
    );
    assert!(
        header(index).contains("'<u8'") && header(index).contains("(3,)"),
        "{}",
        header(index)
    );
    let manifest = Manifest::read(&case.out()).unwrap().unwrap();
    let shard = &manifest.split(Split::Train).shards[0];
    let names: Vec<&String> = shard.companions.keys().collect();
    assert_eq!(names, [index, mask]);
    for (name, sha256) in &shard.companions {
        let found = llama_train::storage::sha256_file(&case.out().join(name)).unwrap();
        assert_eq!(&found, sha256);
    }
    assert_eq!(case.run().unwrap()["already_prepared"], true);
    fs::write(case.out().join(mask), &files[mask][..130]).unwrap();
    assert!(
        case.error().0.contains("damaged; delete the folder"),
        "{}",
        case.error().0
    );
}

/// The same conversation in each form: the same ids, and the same conversation to the eyes of `--dedup` and the split.
#[test]
fn every_form_of_a_conversation_is_the_same() {
    let (asked, answered, system) = ("Who?\n\nYou.", "Me.", "Be brief.");
    let turns = |role: [&str; 3], keys: [&str; 2]| {
        let turn =
            |role: &str, said: &str| json!({(keys[0]): role, (keys[1]): said, "weight": null});
        json!([
            turn(role[0], system),
            turn(role[1], asked),
            turn(role[2], answered)
        ])
    };
    let (ours, shared) = (["system", "user", "assistant"], ["system", "human", "gpt"]);
    let rows = [
        json!({"messages": turns(ours, ["role", "content"]), "prompt": "not looked at", "id": 1}),
        json!({"conversations": turns(shared, ["from", "value"])}),
        json!({"conversation": turns(ours, ["role", "content"])}),
        json!({"system": system, "messages": turns(ours, ["role", "content"]).as_array().unwrap()[1..]}),
        json!({"prompt": asked, "completion": answered, "system": system}),
        json!({"prompt": asked, "response": answered, "system_prompt": system}),
        json!({"instruction": "Who?", "input": "You.", "output": answered, "system": system}),
        json!({"instruction": asked, "input": "", "output": answered, "system": system}),
        json!({"question": asked, "answer": answered, "system": system}),
        json!({
            "prompt": turns(ours, ["role", "content"]).as_array().unwrap()[..2],
            "completion": [{"role": "assistant", "content": answered}]
        }),
    ];
    let mut case = Case::conversations(&rows);
    case.run().unwrap();
    let said = case.said();
    assert_eq!(said.len(), rows.len());
    assert!(said.iter().all(|text| *text == said[0]), "{said:#?}");
    assert!(
        said[0].contains("Be brief.<|eot_id|>") && said[0].ends_with("Me.<|eot_id|>"),
        "{}",
        said[0]
    );
    case.config.dedup = llama_train::config::Dedup::Exact;
    case.config.out = Some(case.dir.path().join("once"));
    let summary = case.run().unwrap();
    assert_eq!(
        (&summary["documents"], &summary["duplicate_documents"]),
        (&json!(1), &json!(9))
    );
    let named = [json!({"talk": turns(shared, ["from", "value"]), "messages": "no list"})];
    let mut case = Case::conversations(&named);
    case.config.messages_field = "talk".into();
    case.run().unwrap();
    assert_eq!(case.said(), said[..1]);
}

#[test]
fn the_system_prompt_goes_where_the_system_says_nothing() {
    let turns = |system: Option<&str>| {
        let system = system.map(|said| json!({"role": "system", "content": said}));
        let others = [
            json!({"role": "user", "content": "Hi"}),
            json!({"role": "assistant", "content": "Ho"}),
        ];
        json!({"messages": system.into_iter().chain(others).collect::<Vec<_>>()})
    };
    let mut case = Case::conversations(&[turns(None), turns(Some("Own.")), turns(Some(""))]);
    case.system_prompt = Some("Given.".into());
    case.run().unwrap();
    let system: Vec<String> = case
        .said()
        .iter()
        .map(|text| {
            text.split("<|eot_id|>")
                .next()
                .unwrap()
                .rsplit("\n\n")
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(system, ["Given.", "Own.", ""]);
    case.system_prompt = None;
    let (message, _) = case.error();
    assert!(
        message.contains("system_prompt was \"Given.\", is null"),
        "{message}"
    );
}

#[test]
fn the_last_answer_alone_may_be_trained_on() {
    let rows = fs::read(fixture("9_stream/conversations.jsonl")).unwrap();
    let mut case = Case::of_kind(Kind::Instruct, &[("a.jsonl", &rows)]);
    case.config.train_on = llama_train::config::TrainOn::Last;
    case.run().unwrap();
    assert_eq!(case.trained()[1], "15<|eot_id|>");
}

/// Ids as they are, marked by a mask or by labels.
#[test]
fn conversations_that_are_tokenized_stay_as_they_are() {
    let rows = reference();
    let masked = rows
        .iter()
        .map(|row| json!({"input_ids": row["input_ids"], "loss_mask": row["loss_mask"]}));
    let labelled = rows
        .iter()
        .map(|row| json!({"input_ids": row["input_ids"], "labels": row["labels"]}));
    let rows: Vec<Value> = masked.chain(labelled).collect();
    let mut case = Case::conversations(&rows);
    case.config.pretokenized = true;
    case.run().unwrap();
    let made = case.masked(Split::Train);
    assert_eq!(made.len(), 10);
    for (row, made) in reference().iter().cycle().zip(made) {
        assert_eq!(
            (json!(made.0), json!(made.1)),
            (row["input_ids"].clone(), row["loss_mask"].clone())
        );
    }
    for (row, reason) in [
        (
            json!({"input_ids": [1, 2], "loss_mask": [1]}),
            "`loss_mask` has 1 entries for 2 ids",
        ),
        (
            json!({"input_ids": [1, 2], "loss_mask": [0, 2]}),
            "`loss_mask` is no list of 0 and 1",
        ),
        (
            json!({"input_ids": [1, 2, 3], "labels": [-100, 3, -100]}),
            "`labels[1]` is 3, neither -100 nor the id of its place, 2",
        ),
        (
            json!({"input_ids": null, "labels": [1]}),
            "`input_ids` is no list of token ids but null",
        ),
    ] {
        let mut case = Case::conversations(&[row]);
        case.config.pretokenized = true;
        let (message, bad_request) = case.error();
        assert!(
            !bad_request
                && message.contains("a.jsonl:1: malformed row: ")
                && message.contains(reason),
            "{message}"
        );
    }
    let mut case = Case::conversations(&[json!({"input_ids": [640], "labels": [640]})]);
    case.config.pretokenized = true;
    assert!(
        case.error()
            .0
            .contains("token 640 is outside the tokenizer's vocabulary of 640"),
        "{}",
        case.error().0
    );
    let mut case = Case::conversations(&[json!({"input_ids": [1], "label": [1]})]);
    case.config.pretokenized = true;
    let (message, bad_request) = case.error();
    assert!(
        bad_request && message.contains("found `input_ids`, `label`"),
        "{message}"
    );
}

/// What is held out is decided by what was said, and what is left out is in no split.
#[test]
fn conversations_are_held_out_by_what_was_said() {
    let row = |index: usize, form: &str| match form {
        "list" => {
            json!({"messages": [{"role": "user", "content": format!("q{index}")}, {"role": "assistant", "content": "a"}]})
        }
        _ => json!({"question": format!("q{index}"), "answer": "a", "source": index}),
    };
    let held_out = |form: &str| {
        let rows: Vec<Value> = (0..300).map(|index| row(index, form)).collect();
        let mut case = Case::conversations(&rows);
        case.config.val_fraction = 0.2;
        let summary = case.run().unwrap();
        assert_eq!(summary["documents"], 300);
        case.masked(Split::Val)
    };
    let lists = held_out("list");
    assert!((35..90).contains(&lists.len()), "{}", lists.len());
    assert_eq!(held_out("columns"), lists);
    // Of two that can be used, one is held out, however many others there are.
    let unusable = (0..50).map(|index| json!({"question": format!("q{index}"), "answer": " "}));
    let rows: Vec<Value> = unusable.chain([row(50, "list"), row(51, "list")]).collect();
    let mut case = Case::conversations(&rows);
    case.config.val_fraction = 0.01;
    let summary = case.run().unwrap();
    assert_eq!(
        (&summary["train"]["documents"], &summary["val"]["documents"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(summary["nothing_to_learn"], 50);
}

/// A template of the tokenizer's own decides, and another one makes another folder.
#[test]
fn another_template_is_another_request() {
    let case = Case::conversations(&[json!({"prompt": "Hi", "completion": "Ho"})]);
    let tokenizer = case.dir.path().join("tokenizer");
    fs::create_dir(&tokenizer).unwrap();
    fs::copy(
        fixture("tokenizer/tokenizer.json"),
        tokenizer.join("tokenizer.json"),
    )
    .unwrap();
    let run = |template: &str| {
        fs::write(
            tokenizer.join("tokenizer_config.json"),
            json!({"chat_template": template}).to_string(),
        )
        .unwrap();
        let mut request = case.request(None);
        request.tokenizer.path = Some(tokenizer.display().to_string());
        prep_data::run_shards(&request)
    };
    run("{% for m in messages %}{{ m.role + ': ' + m.content + '<|eot_id|>' }}{% endfor %}")
        .unwrap();
    assert_eq!(case.said(), ["user: Hi<|eot_id|>assistant: Ho<|eot_id|>"]);
    let error = run("{{ messages[0].content }}").unwrap_err().to_string();
    assert!(error.contains("chat_template was "), "{error}");
}

#[test]
fn a_tokenizer_without_a_chat_format_is_refused() {
    let case = Case::conversations(&[json!({"prompt": "Hi", "completion": "Ho"})]);
    let mut request = case.request(None);
    request.tokenizer.path = Some("tiktoken:r50k_base".into());
    let error = prep_data::run_shards(&request).unwrap_err();
    let message = error.to_string();
    assert!(
        error.is::<BadRequest>() && message.contains("no chat template of its own"),
        "{message}"
    );
    assert!(!case.out().exists());
    let mut case = Case::conversations(&[json!({"prompt": "Hi", "completion": "Ho"})]);
    case.config.vocab_size = 300;
    assert!(
        case.error()
            .0
            .contains("a tokenizer is trained on plain text, not on conversations"),
        "{}",
        case.error().0
    );
}
