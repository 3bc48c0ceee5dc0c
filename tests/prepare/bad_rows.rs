//! What becomes of each kind of bad row of conversations: what the README says, counted and with its place.

use super::*;
use serde_json::{Value, json};

fn turn(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

fn good() -> Value {
    json!({"messages": [turn("user", "Hi"), turn("assistant", "Ho")]})
}

/// Rows that no program can make sense of: an error with file, line and reason, or skipped where that is allowed.
#[test]
fn malformed_conversations_are_named_and_skipped_where_that_is_allowed() {
    let with = |value: Value| json!({ "messages": value });
    let user = || turn("user", "Hi");
    for (row, reason) in [
        (
            with(json!([user(), turn("narrator", "Ho")])),
            "`messages[1]` is said by an unknown role, `narrator`; known are system, user, human, assistant, gpt, tool",
        ),
        (with(Value::Null), "`messages` is null"),
        (
            with(json!([user(), null])),
            "`messages[1]` is no turn (an object with `role` and `content`) but null",
        ),
        (
            with(json!([user(), {"role": "assistant", "content": null}])),
            "`messages[1].content` is null",
        ),
        (
            with(json!([user(), {"role": null, "content": "Ho"}])),
            "`messages[1].role` is null",
        ),
        (
            with(json!([user(), {"role": "assistant"}])),
            "`messages[1]` has no `content`",
        ),
        (
            with(json!([user(), {"content": "Ho"}])),
            "`messages[1]` has no `role`",
        ),
        (
            with(json!([user(), {"role": "assistant", "content": ["Ho"]}])),
            "`messages[1].content` is no string but [\"Ho\"]",
        ),
        (
            with(json!("Hi")),
            "`messages` is no list of turns but \"Hi\"",
        ),
        (
            json!({"prompt": "Hi", "response": null}),
            "`response` is null",
        ),
        (
            json!({"system": 5, "prompt": "Hi", "response": "Ho"}),
            "`system` is no string but 5",
        ),
    ] {
        let mut case = Case::conversations(&[good(), row, good()]);
        let (message, bad_request) = case.error();
        let expected = format!("a.jsonl:2: malformed row: {reason}");
        assert!(!bad_request && message.contains(&expected), "{message}");
        assert!(message.contains("--max-bad-rows"), "{message}");
        case.config.max_bad_rows = 1;
        let summary = case.run().unwrap();
        assert_eq!(
            (&summary["bad_rows"], &summary["documents"]),
            (&json!(1), &json!(2))
        );
    }
    let (message, bad_request) =
        Case::conversations(&[json!({"text": "Hi", "mesages": []})]).error();
    assert!(bad_request, "{message}");
    assert!(message.contains("no field `messages` (--messages-field, prepare.messages_field, nor `conversations`, nor a prompt"), "{message}");
    assert!(message.contains("did you mean `mesages`?"), "{message}");
}

/// Rows that are sound and teach nothing: left out and counted, no error.
#[test]
fn conversations_without_an_answer_are_left_out_and_counted() {
    let rows = [
        json!({"messages": [turn("user", "no assistant")]}),
        json!({"messages": [turn("user", "Hi"), turn("assistant", "")]}),
        json!({"messages": [turn("user", "Hi"), turn("assistant", " \n"), turn("user", "?"), turn("assistant", "Ho")]}),
        json!({"messages": []}),
        good(),
    ];
    let mut case = Case::conversations(&rows);
    let summary = case.run().unwrap();
    let counts = [
        "documents",
        "nothing_to_learn",
        "empty_documents",
        "bad_rows",
    ]
    .map(|key| summary[key].as_u64().unwrap());
    assert_eq!(counts, [1, 3, 1, 0]);
    let counted = Manifest::read(&case.out())
        .unwrap()
        .unwrap()
        .examples
        .unwrap();
    assert_eq!(counted.nothing_to_learn, 3);
    // Where the last answer alone is trained on, the others may be empty.
    case.config.train_on = llama_train::config::TrainOn::Last;
    case.config.out = Some(case.dir.path().join("last"));
    assert_eq!(case.run().unwrap()["nothing_to_learn"], 2);
    let (message, bad_request) = Case::conversations(&rows[..2]).error();
    assert!(
        bad_request
            && message.contains("nothing is left: 2 conversations have nothing to learn from"),
        "{message}"
    );
}

/// Empty words of others stay: an empty turn is a turn.
#[test]
fn empty_questions_are_kept() {
    let case = Case::conversations(&[
        json!({"messages": [turn("system", ""), turn("user", ""), turn("assistant", "Ho")]}),
    ]);
    assert_eq!(case.run().unwrap()["documents"], 1);
    assert_eq!(case.said()[0].matches("<|eot_id|>").count(), 3);
}

/// Nobody ends a turn, or begins one, by writing the name of a token.
#[test]
fn special_tokens_that_people_type_are_text() {
    let typed = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nYes<|end_of_text|>";
    let case = Case::conversations(&[json!({"prompt": typed, "completion": typed})]);
    case.run().unwrap();
    let (ids, _) = &case.masked(Split::Train)[0];
    let tokenizer = Tokenizer::load(Path::new(TOKENIZER)).unwrap();
    let count = |name: &str| {
        let id = i64::from(tokenizer.token_id(name).unwrap());
        ids.iter().filter(|found| **found == id).count()
    };
    let names = [
        "<|eot_id|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|end_of_text|>",
        "<|begin_of_text|>",
    ];
    assert_eq!(names.map(count), [2, 2, 2, 0, 1]);
    assert_eq!(case.trained(), [format!("{typed}<|eot_id|>")]);
}

#[test]
fn a_message_of_a_megabyte_is_one_message() {
    let long = "It's a long story, told on 12345 pages.\n".repeat(26_215);
    assert!(long.len() > 1 << 20);
    let case = Case::conversations(&[good(), json!({"prompt": long, "completion": long}), good()]);
    let summary = case.run().unwrap();
    assert_eq!(summary["documents"], 3);
    assert_eq!(case.trained()[1], format!("{}<|eot_id|>", long.trim()));
    assert_eq!(case.trained()[2], "Ho<|eot_id|>");
}

/// What a tokenizer's own template refuses is a bad row as well, counted together with those that cannot be read.
#[test]
fn what_the_template_refuses_is_a_bad_row() {
    let refused =
        json!({"messages": [turn("user", "Hi"), turn("user", "Hi"), turn("assistant", "Ho")]});
    let mut case = Case::conversations(&[good(), refused, good(), json!({"messages": null})]);
    let tokenizer = case.dir.path().join("tokenizer");
    fs::create_dir(&tokenizer).unwrap();
    fs::copy(
        "tests/fixtures/tokenizer/tokenizer.json",
        tokenizer.join("tokenizer.json"),
    )
    .unwrap();
    let template = "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must \
                    alternate') }}{% endif %}{{ m.content + '<|eot_id|>' }}{% endfor %}";
    fs::write(
        tokenizer.join("tokenizer_config.json"),
        json!({"chat_template": template}).to_string(),
    )
    .unwrap();
    let run = |case: &Case| {
        let mut request = case.request(None);
        request.tokenizer.path = Some(tokenizer.display().to_string());
        prep_data::run_shards(&request)
            .map(|output| output.json)
            .map_err(|error| format!("{error:#}"))
    };
    let message = run(&case).unwrap_err();
    assert!(message.contains("malformed row"), "{message}");
    case.config.max_bad_rows = 1;
    let message = run(&case).unwrap_err();
    assert!(
        message.contains("a.jsonl:2: malformed row: the chat template refuses this conversation"),
        "{message}"
    );
    // Also where rows that cannot be read come much later.
    let mut later = Case::conversations(&[]);
    let refused =
        json!({"messages": [turn("user", "Hi"), turn("user", "Hi"), turn("assistant", "Ho")]});
    let many = vec![json!({"prompt": "long ".repeat(2000), "completion": "Ho"}); 100];
    let rows = [vec![refused], many, vec![json!({"messages": null})]].concat();
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    fs::write(later.dir.path().join("input/a.jsonl"), lines).unwrap();
    later.config.max_bad_rows = 1;
    let message = run(&later).unwrap_err();
    assert!(message.contains("2 malformed rows in all"), "{message}");
    case.config.max_bad_rows = 2;
    assert_eq!(run(&case).unwrap()["bad_rows"], 2);
    assert_eq!(case.masked(Split::Train).len(), 2);
}
