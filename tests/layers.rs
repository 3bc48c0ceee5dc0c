//! The laws of the house, held against the sources: dependencies point down, files and functions stay small, and what
//! may happen in one place only happens there.

mod laws;
mod source;

use source::Source;
use std::fs;
use std::path::{Path, PathBuf};

/// The layer of each module, as `src/lib.rs` lists them.
struct Layers(Vec<(String, usize)>);

impl Layers {
    fn parse(lib: &str) -> Self {
        let mut layer = 0;
        let mut modules = Vec::new();
        for line in lib.lines() {
            if let Some(number) = line.strip_prefix("// Layer ") {
                let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
                layer = digits.parse().unwrap();
            } else if let Some(name) = line.strip_prefix("pub mod ") {
                modules.push((name.trim_end_matches(';').to_owned(), layer));
            }
        }
        Self(modules)
    }

    fn of(&self, module: &str) -> Option<usize> {
        let found = self.0.iter().find(|(name, _)| name == module);
        found.map(|(_, layer)| *layer)
    }
}

/// Every breach of a law in the tree.
fn breaches(sources: &[Source], layers: &Layers) -> Vec<String> {
    let in_each = |source| {
        let laws = [
            laws::dependencies_point_down(source, layers),
            laws::files_and_functions_are_small(source),
            laws::names_say_what_is_inside(source),
            laws::the_configuration_is_dissolved(source),
            laws::the_trainer_knows_no_method(source),
            laws::unsafe_has_its_room(source),
        ];
        laws.concat()
    };
    let mut all: Vec<String> = sources.iter().flat_map(in_each).collect();
    all.extend(laws::one_loop(sources));
    all
}

fn tree() -> (Vec<Source>, Layers) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(root.join("src")).unwrap();
        Source::new(&name.to_string_lossy(), &fs::read_to_string(path).unwrap())
    };
    let lib = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    (files.iter().map(read).collect(), Layers::parse(&lib))
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

#[test]
fn the_laws_hold() {
    let (sources, layers) = tree();
    assert!(sources.len() > 80 && layers.0.len() > 15);
    let breaches = breaches(&sources, &layers);
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

/// What each law says about a planted breach: a law that cannot fail guards nothing.
#[test]
fn planted_breaches_are_seen() {
    let (sources, layers) = tree();
    let long_function = format!("fn long() {{\n{}}}\n", "    step();\n".repeat(50));
    let planted = [
        (
            "data/x.rs",
            "use crate::train::Trainer;\n",
            "data/x.rs:1 (layer 2) uses `train` (layer 5)",
        ),
        (
            "data/x.rs",
            "use crate::{\n    config::DataConfig,\n    optim::AdamW,\n};\n",
            "(layer 2) uses `optim` (layer 2)",
        ),
        (
            "model/x.rs",
            "fn f() { crate::data::open() }\n",
            "(layer 1) uses `data` (layer 2)",
        ),
        ("data/x.rs", &"// line\n".repeat(301), "301 lines"),
        ("data/x.rs", &long_function, "`long` has 52 lines"),
        (
            "data/x.rs",
            "fn wide(a: u8, b: u8, c: u8, d: u8, e: u8, f: (u8, u8), g: u8) {}\n",
            "`wide` takes 7 parameters",
        ),
        (
            "data/x.rs",
            "pub fn open(path: &Path, is_new: bool) {}\n",
            "`open` takes a bool",
        ),
        ("data/x.rs", "trait A {}\ntrait B {}\n", "2 traits"),
        ("data/utils.rs", "", "`utils` says nothing"),
        (
            "optim/x.rs",
            "use crate::config::{Config, OptimConfig};\n",
            "names the whole `Config`",
        ),
        ("train/trainer.rs", "if self.lora {}\n", "`lora`"),
        ("data/x.rs", "let x = unsafe { read() };\n", "`unsafe`"),
        ("train/x.rs", "loss.backward();\n", "backward"),
        (
            "train/x.rs",
            "self.optimizer.step(&lr, &skip)?;\n",
            "optimizer.step",
        ),
    ];
    for (name, text, expected) in planted {
        let mut sources = sources.clone();
        sources.push(Source::new(name, text));
        let breaches = breaches(&sources, &layers).join("\n");
        assert!(
            breaches.contains(expected),
            "{name}: {text}\nexpected: {expected}\nfound: {breaches}"
        );
    }
}
