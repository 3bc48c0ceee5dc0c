//! Meta's folders, in and out, and files of torch.save that want to do harm.

use crate::common::{fixture, llama_train, load_weights};
use flate2::Crc;
use llama_train::config::ModelConfig;
use llama_train::weights;
use llama_train::weights::torch_save::{self, TorchFile};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tch::{Device, Kind, Tensor, nn};

fn assert_equal(a: &nn::VarStore, b: &nn::VarStore) {
    let (a, b) = (a.variables(), b.variables());
    assert_eq!(a.len(), b.len());
    for (name, tensor) in a {
        assert!(tensor.equal(&b[&name]), "{name}");
    }
}

fn pickled(path: &Path) -> BTreeMap<String, Tensor> {
    let mut tensors = BTreeMap::new();
    let file = TorchFile::open(path).unwrap();
    file.for_each(|name, tensor| {
        tensors.insert(name.to_owned(), tensor);
        Ok(())
    })
    .unwrap();
    tensors
}

/// `vectors/8_meta` is checkpoint a as Meta ships it.
#[test]
fn a_meta_folder_is_the_same_model() {
    let (meta, _) = load_weights(&fixture("8_meta")).unwrap();
    let (hub, _) = load_weights(&fixture("1_checkpoints/a_mha_untied")).unwrap();
    assert_equal(&meta, &hub);
}

#[test]
fn an_export_to_meta_and_back_is_bit_equal_and_the_references() {
    let dir = tempfile::tempdir().unwrap();
    let export = |from: &Path, to: &str, format: &str| {
        let mut command = llama_train(dir.path());
        command.arg("export").arg("--checkpoint").arg(from);
        command
            .args(["--out", to, "--format", format])
            .assert()
            .success();
    };
    for name in ["a_mha_untied", "b_gqa_tied", "d_sharded_bf16"] {
        let source = fixture("1_checkpoints").join(name);
        let (there, back) = (format!("{name}-meta"), format!("{name}-hf"));
        export(&source, &there, "meta");
        export(&dir.path().join(&there), &back, "hf");
        let (source, source_config) = load_weights(&source).unwrap();
        let (copy, config) = load_weights(&dir.path().join(&back)).unwrap();
        assert_equal(&source, &copy);
        let max_seq_len = source_config.max_seq_len; // has no place in Meta's files
        assert_eq!(
            ModelConfig {
                max_seq_len,
                ..config
            },
            source_config
        );
    }
    let kind = |folder: &str| weights::stored_kind(&dir.path().join(folder)).unwrap();
    assert_eq!(
        (kind("a_mha_untied-meta"), kind("d_sharded_bf16-hf")),
        (Kind::Float, Kind::BFloat16)
    );
    let ours = pickled(&dir.path().join("a_mha_untied-meta/consolidated.00.pth"));
    let theirs = pickled(&fixture("8_meta/consolidated.00.pth"));
    assert!(ours.keys().eq(theirs.keys()));
    assert!(
        ours.iter()
            .all(|(name, tensor)| tensor.equal(&theirs[name]))
    );
}

/// Meta's larger models come in one file a rank.
#[test]
fn tensor_parallel_files_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(
        fixture("8_meta/params.json"),
        dir.path().join("params.json"),
    )
    .unwrap();
    let whole = pickled(&fixture("8_meta/consolidated.00.pth"));
    for rank in 0..2 {
        let part = |(name, tensor): (&String, &Tensor)| {
            let by_columns = name.ends_with("wo.weight") || name.ends_with("w2.weight");
            let part = match tensor.dim() {
                1 => tensor.shallow_clone(),
                _ => tensor.chunk(2, i64::from(by_columns))[rank].contiguous(),
            };
            (name.clone(), part)
        };
        let parts: Vec<_> = whole.iter().map(part).collect();
        let path = dir.path().join(format!("consolidated.{rank:02}.pth"));
        torch_save::write(&path, &parts).unwrap();
    }
    assert_equal(
        &load_weights(dir.path()).unwrap().0,
        &load_weights(&fixture("8_meta")).unwrap().0,
    );
}

#[test]
fn text_comes_from_a_meta_folder() {
    let outcome = llama_train(Path::new("."))
        .args([
            "generate",
            "--prompt",
            "def ",
            "--max-new-tokens",
            "4",
            "--json",
            "--checkpoint",
        ])
        .arg(fixture("8_meta"))
        .assert()
        .success();
    let said: serde_json::Value = serde_json::from_slice(&outcome.get_output().stdout).unwrap();
    assert_eq!(said["completions"][0]["tokens"], 4);
}

#[test]
fn what_does_not_fit_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(
        fixture("8_meta/params.json"),
        dir.path().join("params.json"),
    )
    .unwrap();
    let path = dir.path().join("consolidated.00.pth");
    let mut tensors = pickled(&fixture("8_meta/consolidated.00.pth"));
    tensors.remove("norm.weight");
    tensors.insert(
        "vision.weight".into(),
        Tensor::zeros([2], (Kind::Float, Device::Cpu)),
    );
    torch_save::write(&path, &tensors.into_iter().collect::<Vec<_>>()).unwrap();
    let error = format!("{:#}", load_weights(dir.path()).unwrap_err());
    assert!(
        error.contains("norm.weight is missing") && error.contains("vision.weight is not part"),
        "{error}"
    );
    fs::remove_file(&path).unwrap();
    let error = format!("{:#}", load_weights(dir.path()).unwrap_err());
    assert!(error.contains("no consolidated.00.pth"), "{error}");
}

/// A zip archive of stored entries, as torch.save writes it.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut body, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let mut crc = Crc::new();
        crc.update(data);
        let mut common = vec![0; 6];
        common.extend([0; 4]); // flags to date: version comes before
        common.extend(crc.sum().to_le_bytes());
        common.extend((data.len() as u32).to_le_bytes());
        common.extend((data.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0; 2]);
        let offset = body.len() as u32;
        body.extend(b"PK\x03\x04");
        body.extend(&common);
        body.extend(name.as_bytes());
        body.extend(*data);
        directory.extend(b"PK\x01\x02\x00\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, length) = (body.len() as u32, directory.len() as u32);
    let count = entries.len() as u16;
    body.extend(directory);
    body.extend(b"PK\x05\x06\0\0\0\0");
    body.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    body.extend([length.to_le_bytes(), start.to_le_bytes()].concat());
    body.extend([0; 2]);
    body
}

fn error_of(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(
        fixture("8_meta/params.json"),
        dir.path().join("params.json"),
    )
    .unwrap();
    fs::write(dir.path().join("consolidated.00.pth"), bytes).unwrap();
    let error = format!("{:#}", load_weights(dir.path()).unwrap_err());
    assert!(error.contains("consolidated.00.pth"), "{error}");
    error
}

/// `pickle.dumps` of something whose `__reduce__` is `os.system`.
#[test]
fn a_pickle_that_calls_something_is_refused_and_not_executed() {
    let touched = tempfile::tempdir().unwrap();
    let marker = touched.path().join("executed");
    let command = format!("touch {}", marker.display());
    let mut bytes = b"\x80\x02cos\nsystem\nX".to_vec();
    bytes.extend((command.len() as u32).to_le_bytes());
    bytes.extend(command.as_bytes());
    bytes.extend(b"\x85R.");
    let error = error_of(&archive(&[
        ("archive/data.pkl", &bytes),
        ("archive/version", b"3\n"),
    ]));
    assert!(error.contains("it names os.system"), "{error}");
    assert!(!marker.exists());
}

/// A module's `state_dict()` as protocol 2 has it: an OrderedDict of one tensor, with an attribute.
#[test]
fn an_ordered_dictionary_is_a_dictionary() {
    let pickle = [
        b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01X\x01\0\0\0a".as_slice(),
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n",
        b"X\x01\0\0\x000X\x03\0\0\0cpuK\x06tQK\x01K\x02K\x02\x86K\x01K\x02\x86\x89h\x00)RtRs",
        b"}X\x09\0\0\0_metadatah\x00)Rsb.",
    ];
    let numbers: Vec<u8> = (0..6_u8)
        .flat_map(|number| f32::from(number).to_le_bytes())
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.pt");
    let bytes = archive(&[("a/data.pkl", &pickle.concat()), ("a/data/0", &numbers)]);
    fs::write(&path, bytes).unwrap();
    let tensors = pickled(&path);
    let expected = Tensor::from_slice(&[1.0_f32, 3.0, 2.0, 4.0]).view([2, 2]);
    assert!(
        tensors.len() == 1 && tensors["a"].equal(&expected),
        "{tensors:?}"
    );
}

#[test]
fn damaged_files_are_errors() {
    let whole = fs::read(fixture("8_meta/consolidated.00.pth")).unwrap();
    error_of(&whole[..whole.len() / 2]);
    error_of(b"");
    error_of(b"\x80\x02}q\0.");
    error_of(&archive(&[
        ("archive/data.pkl", b"garbage"),
        ("archive/version", b"3\n"),
    ]));
}

/// The pickle says that a tensor of 640 by 64 numbers is there; its record holds one.
#[test]
fn a_tensor_larger_than_its_record_is_refused() {
    let whole = fs::read(fixture("8_meta/consolidated.00.pth")).unwrap();
    let start = whole
        .windows(4)
        .position(|bytes| bytes == b"PK\x03\x04")
        .unwrap();
    let field = |at: usize, size: usize| {
        whole[start + at..start + at + size]
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let begins = start + 30 + field(26, 2) + field(28, 2);
    // The pickle comes first, its size either here or in a descriptor behind it.
    let end = whole[begins..]
        .windows(4)
        .position(|bytes| bytes == b"PK\x07\x08" || bytes == b"PK\x03\x04")
        .unwrap();
    let pickle = &whole[begins..begins + end];
    let records: Vec<(String, [u8; 4])> = (0..21)
        .map(|index| (format!("archive/data/{index}"), [0; 4]))
        .collect();
    let mut entries: Vec<(&str, &[u8])> =
        vec![("archive/data.pkl", pickle), ("archive/version", b"3\n")];
    entries.extend(
        records
            .iter()
            .map(|(name, data)| (name.as_str(), data.as_slice())),
    );
    let error = error_of(&archive(&entries));
    assert!(
        error.contains("is larger than what is stored of it"),
        "{error}"
    );
}
