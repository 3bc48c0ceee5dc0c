//! The laws, one function each: what breaks it in a file, in words that say where and what to do.

use super::Layers;
use super::source::Source;

const FILE_LINES: usize = 300;
const NATIVE_LINES: usize = 400;
const FUNCTION_LINES: usize = 50;
const PARAMETERS: usize = 6;

/// Signed exceptions: file, what it may do, why.
const EXCEPTIONS: [(&str, &str, &str); 2] = [
    (
        "torch/ffi.rs",
        "parameters",
        "declarations of C functions: tensors and constants have to cross one by one",
    ),
    (
        "cli/requests.rs",
        "config",
        "the flags become configuration here, before a command sees it",
    ),
];

fn is_excepted(source: &Source, what: &str) -> bool {
    let excepted = |(file, thing, _): &(&str, &str, &str)| *file == source.name && *thing == what;
    EXCEPTIONS.iter().any(excepted)
}

/// Law 3: a file uses its own module and lower layers, nothing else.
pub(super) fn dependencies_point_down(source: &Source, layers: &Layers) -> Vec<String> {
    let Some(own) = layers.of(source.module()) else {
        return Vec::new(); // lib.rs, main.rs
    };
    let mut breaches = Vec::new();
    for (line, used) in source.uses() {
        match layers.of(&used) {
            Some(layer) if used != source.module() && layer >= own => breaches.push(format!(
                "{}:{line} (layer {own}) uses `{used}` (layer {layer}): move the shared type down",
                source.name
            )),
            _ => {}
        }
    }
    breaches
}

/// House numbers: files, functions, parameters, traits.
pub(super) fn files_and_functions_are_small(source: &Source) -> Vec<String> {
    let mut breaches = Vec::new();
    let limit = if source.name.ends_with(".rs") {
        FILE_LINES
    } else {
        NATIVE_LINES
    };
    let mut check = |holds: bool, breach: String| {
        if !holds {
            breaches.push(format!("{}: {breach}", source.name));
        }
    };
    let lines = source.lines.len();
    check(
        lines <= limit,
        format!("{lines} lines, at most {limit}: split it by what it does"),
    );
    if !source.name.ends_with(".rs") {
        return breaches;
    }
    let is_trait = |line: &&String| line.trim_start_matches("pub ").starts_with("trait ");
    let traits = source.lines.iter().filter(is_trait).count();
    check(
        traits <= 1,
        format!("{traits} traits, at most one to a file"),
    );
    for function in source.functions() {
        let (name, lines, count) = (&function.name, function.lines, function.parameters.len());
        check(
            lines <= FUNCTION_LINES,
            format!("`{name}` has {lines} lines, at most {FUNCTION_LINES}"),
        );
        let few = count <= PARAMETERS || is_excepted(source, "parameters");
        check(
            few,
            format!("`{name}` takes {count} parameters, at most {PARAMETERS}"),
        );
        let is_bool = |parameter: &String| parameter.ends_with(": bool");
        let flagged = function.is_public && function.parameters.iter().any(is_bool);
        check(
            !flagged,
            format!("`{name}` takes a bool: an enum says at the call what it means"),
        );
    }
    breaches
}

/// No module is named after nothing.
pub(super) fn names_say_what_is_inside(source: &Source) -> Vec<String> {
    const BANNED: [&str; 8] = [
        "utils", "common", "helpers", "misc", "manager", "engine", "core", "context",
    ];
    let parts = source
        .name
        .split('/')
        .map(|part| part.split('.').next().unwrap_or(part));
    let banned = parts.filter(|part| BANNED.contains(part));
    banned
        .map(|part| {
            format!(
                "{}: the name `{part}` says nothing; name it after what it makes",
                source.name
            )
        })
        .collect()
}

/// Law 4: only `config`, `commands` and `train/parts.rs` see the whole configuration.
pub(super) fn the_configuration_is_dissolved(source: &Source) -> Vec<String> {
    let may = ["config", "commands"].contains(&source.module()) || source.name == "train/parts.rs";
    let text = source.lines.join(" ");
    let imports = text
        .match_indices("config::")
        .map(|(at, found)| &text[at + found.len()..]);
    let names_it = imports.into_iter().any(|rest| {
        let listed = rest
            .strip_prefix('{')
            .map_or(rest, |group| group.split('}').next().unwrap_or(group));
        let first = if rest.starts_with('{') {
            listed
        } else {
            listed.split([';', ',', ' ', '(']).next().unwrap_or("")
        };
        first
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|name| name == "Config")
    });
    if may || !names_it || is_excepted(source, "config") {
        return Vec::new();
    }
    vec![format!(
        "{}: names the whole `Config`; take your own section instead",
        source.name
    )]
}

/// Law 2: the loop never asks which objective it is running.
pub(super) fn the_trainer_knows_no_method(source: &Source) -> Vec<String> {
    if source.name != "train/trainer.rs" {
        return Vec::new();
    }
    let text = source.lines.join("\n").to_lowercase();
    let words = [
        "dpo",
        "lora",
        "hellaswag",
        "wandb",
        "cuda",
        "sft",
        "distill",
    ];
    let found = words.iter().filter(|word| text.contains(*word));
    found
        .map(|word| format!("{}: says `{word}`; the loop knows no method", source.name))
        .collect()
}

/// Law 9: `unsafe` lives behind the C interface, and where a file is mapped.
pub(super) fn unsafe_has_its_room(source: &Source) -> Vec<String> {
    let may = source.module() == "torch" || source.name == "storage/mapped_file.rs";
    let is_unsafe = |line: &String| {
        line.split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|word| word == "unsafe")
    };
    if may || !source.name.ends_with(".rs") || !source.lines.iter().any(is_unsafe) {
        return Vec::new();
    }
    vec![format!("{}: `unsafe` outside src/torch", source.name)]
}

/// Law 2: one backward pass and one update in the whole tree.
pub(super) fn one_loop(sources: &[Source]) -> Vec<String> {
    let count = |what: &str| {
        let lines = sources.iter().flat_map(|source| &source.lines);
        lines.filter(|line| line.contains(what)).count()
    };
    let backward = count(".backward()") + count(".f_backward()");
    let update = count("optimizer.step(");
    let mut breaches = Vec::new();
    if backward != 1 {
        breaches.push(format!(
            "backward() is called in {backward} places: there is one loop"
        ));
    }
    if update != 1 {
        breaches.push(format!(
            "optimizer.step() is called in {update} places: there is one loop"
        ));
    }
    breaches
}
