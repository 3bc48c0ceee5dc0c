//! The README's table of the configuration is the code's.

use llama_train::config::reference;
use std::path::Path;
use std::{env, fs};

const BEGIN: &str =
    "<!-- configuration: made by UPDATE_README=1 cargo test --release configuration_table -->\n";
const END: &str = "<!-- configuration: end -->";

#[test]
fn the_configuration_table_is_the_codes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    let wanted = format!("\n{}\n", reference());
    if env::var_os("UPDATE_README").is_some() {
        fs::write(&file, [before, BEGIN, &wanted, END, after].concat()).unwrap();
    } else {
        assert!(table == wanted, "README.md is behind the code: {BEGIN}");
    }
    assert!(
        wanted.lines().count() > 100
            && wanted
                .contains("| `train.micro_batch_size` | `4` | Rows per forward pass and rank. |")
    );
}

/// The commands of the README, one a line.
fn commands(text: &str) -> Vec<String> {
    let fenced = text.split("```").skip(1).step_by(2);
    let lines = fenced.flat_map(|block| {
        let whole = block.replace("\\\n", " ");
        whole.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    let is_ours = |line: &String| {
        let words = ["llama-train ", "scripts/llama-train ", "WANDB_API_KEY="];
        words.iter().any(|word| line.starts_with(word))
    };
    lines.filter(is_ours).collect()
}

/// Each is one that the program takes, up to what it would do: its verb, its flags, and the configuration it names.
#[test]
fn the_commands_can_be_given() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let commands = commands(&fs::read_to_string(root.join("README.md")).unwrap());
    assert!(commands.len() >= 35, "{}", commands.len());
    for command in commands {
        let command = command.trim_start_matches("scripts/");
        let script =
            format!("llama-train() {{ \"$BINARY\" \"$@\" --help >/dev/null; }}; {command}");
        let run = std::process::Command::new("bash")
            .args(["-c", &script])
            .env("BINARY", env!("CARGO_BIN_EXE_llama-train"))
            .current_dir(tempfile::tempdir().unwrap().path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{command}: {said}");
        let mut named = command
            .split_whitespace()
            .skip_while(|word| *word != "--config");
        if let Some(file) = named.nth(1) {
            assert!(root.join(file).is_file(), "{command}: there is no {file}");
        }
    }
}
