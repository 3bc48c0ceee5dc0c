//! Answers: a message at a time, and conversations that go on.

use crate::common::{fixture, llama_train};
use llama_train::config::GenerateConfig;
use llama_train::generate::{Dialogue, generate};
use llama_train::model::Transformer;
use llama_train::tokenizer::{ChatFormat, Message, Tokenizer};
use llama_train::weights::Pretrained;
use serde_json::Value;
use std::path::Path;
use tch::{Device, Kind};

fn options() -> GenerateConfig {
    GenerateConfig {
        max_new_tokens: 6,
        temperature: 0.0,
        ..GenerateConfig::default()
    }
}

fn load() -> (Transformer, Tokenizer) {
    let pretrained = Pretrained::open(&fixture("8_meta"), None, 1.0).unwrap();
    let model = pretrained.model(Device::Cpu, Kind::Float).unwrap();
    (model, pretrained.tokenizer(None).unwrap())
}

fn generate_command(more: &[&str]) -> assert_cmd::Command {
    let mut command = llama_train(Path::new("."));
    command.args(["generate", "--max-new-tokens", "6", "--temperature", "0"]);
    command.args(["--set", "run.device=cpu", "--checkpoint"]);
    command.arg(fixture("8_meta")).args(more);
    command
}

#[test]
fn chat_puts_the_prompt_as_a_message() {
    let (model, tokenizer) = load();
    let format = ChatFormat::of(&tokenizer).unwrap();
    let messages = [
        Message::new("system", "Be brief."),
        Message::new("user", "2 and 3?"),
    ];
    let prompt = format.prompt(&messages).unwrap();
    let expected = generate(&model, &[prompt], &options(), &tokenizer.stop_tokens()).unwrap();
    let chat = ["--chat", "--prompt", "2 and 3?", "--json"];
    let system = ["--set", "sft.system_prompt=Be brief."];
    let outcome = generate_command(&[&chat[..], &system].concat())
        .assert()
        .success();
    let said: Value = serde_json::from_slice(&outcome.get_output().stdout).unwrap();
    let text = tokenizer.decode(&expected[0].tokens).unwrap();
    assert_eq!(said["completions"][0]["text"], text);
}

#[test]
fn a_prompt_comes_from_standard_input() {
    let text = |command: &mut assert_cmd::Command| {
        let outcome = command.arg("--json").assert().success();
        let said: Value = serde_json::from_slice(&outcome.get_output().stdout).unwrap();
        said["completions"].clone()
    };
    let given = ["--prompt", "one\n two", "--prompt", "three"];
    let piped = ["--prompt", "-", "--prompt", "three"];
    let mut reads = generate_command(&piped);
    assert_eq!(
        text(reads.write_stdin("one\n two\n")),
        text(&mut generate_command(&given))
    );
    let refused = generate_command(&piped).write_stdin(*b"\xff").assert();
    let refused = refused.code(2).stdout("").get_output().stderr.clone();
    assert!(String::from_utf8_lossy(&refused).contains("--prompt -: standard input"));
}

/// Whatever of it was read before, the answer is that to the whole conversation.
#[test]
fn a_dialogue_answers_as_if_it_read_everything_again() {
    let (model, tokenizer) = load();
    let format = ChatFormat::of(&tokenizer).unwrap();
    let stop = tokenizer.stop_tokens();
    let mut dialogue = Dialogue::new(&model, options(), stop.clone());
    let mut messages = Vec::new();
    for said in ["First?", "And a second, longer one?", "Third."] {
        messages.push(Message::new("user", said));
        let prompt = format.prompt(&messages).unwrap();
        let mut seen = 0;
        let answer = dialogue.answer(&prompt, |tokens| {
            seen = tokens.len();
            Ok(())
        });
        let answer = answer.unwrap();
        let whole = generate(&model, &[prompt], &options(), &stop).unwrap();
        assert_eq!(answer, whole[0], "{said}");
        assert_eq!(seen, answer.tokens.len());
        messages.push(Message::new(
            "assistant",
            &tokenizer.decode(&answer.tokens).unwrap(),
        ));
    }
    // Something else entirely: the cache is cut back to where the two agree.
    let other = format.prompt(&[Message::new("user", "Anew")]).unwrap();
    let answer = dialogue.answer(&other, |_| Ok(())).unwrap();
    assert_eq!(
        answer,
        generate(&model, &[other], &options(), &stop).unwrap()[0]
    );
}

#[test]
fn lines_are_answered_until_they_end() {
    let outcome = generate_command(&["--interactive"])
        .write_stdin("Hello\n\nAnd now?\n")
        .assert()
        .success();
    let stdout = String::from_utf8(outcome.get_output().stdout.clone()).unwrap();
    let (_, tokenizer) = load();
    assert!(stdout.ends_with('\n') && stdout.len() > 2, "{stdout:?}");
    assert!(!stdout.contains("<|eot_id|>"), "{stdout:?}");
    assert!(tokenizer.encode(&stdout).unwrap().len() > 4);
}

#[test]
fn a_conversation_without_room_starts_anew() {
    let (long, half) = ("word ".repeat(20_000), "word ".repeat(2_000));
    let outcome = generate_command(&["--interactive"])
        .write_stdin(format!("{long}\n{half}\n{half}\n"))
        .assert()
        .success();
    let said = crate::common::stderr_of(&outcome);
    assert!(said.contains("the model reads at most 8192"), "{said}");
    assert!(said.contains("the conversation starts anew"), "{said}");
    let answers = String::from_utf8_lossy(&outcome.get_output().stdout);
    assert_eq!(
        answers.lines().count(),
        2,
        "the message that finds no room begins anew: {answers:?}"
    );
}
