//! The faults that proofs plant still find their places in the sources: a proof that plants nothing
//! proves nothing. That a test sees each is for `scripts/prove` to show.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn look(proof: &Path) -> (bool, String) {
    let looked = Command::new("bash")
        .args(["-euo", "pipefail"])
        .arg(proof)
        .env("PLANTS", "look")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = [looked.stdout, looked.stderr].concat();
    (
        looked.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn each_planted_fault_has_its_place() {
    let proofs = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/proofs");
    let all = fs::read_dir(proofs)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let plants = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.contains("planted_faults.sh") || text.contains("PLANTS")
    };
    let plants: Vec<_> = all.filter(plants).collect();
    assert!(plants.len() >= 9);
    for proof in plants {
        let (holds, said) = look(&proof);
        assert!(holds, "{}:\n{said}", proof.display());
    }
}

#[test]
fn one_without_a_place_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let proof = dir.path().join("x_faults.sh");
    let text = ". scripts/planted_faults.sh\nplant a src/main.rs 's/no such line//' \"nothing\"\nplanted\n";
    fs::write(&proof, text).unwrap();
    let (holds, said) = look(&proof);
    assert!(
        !holds && said.contains("NOT PLANTED in src/main.rs: nothing"),
        "{said}"
    );
}
