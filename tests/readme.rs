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
