//! Reading prepared folders: with and without a manifest, whole and damaged.

use super::*;

#[test]
fn a_folder_without_a_manifest_is_read_in_name_order() {
    let open = |split| {
        let dir = Path::new("tests/fixtures/9_stream/data");
        PreparedFolder::open(dir, split, Kind::Pretrain).unwrap()
    };
    let folder = open(Split::Train);
    let sizes: Vec<u64> = folder.shards().iter().map(Shard::len).collect();
    assert_eq!(
        (sizes, folder.vocab_size(), folder.tokenizer_fingerprint()),
        (vec![1286, 1281], None, None)
    );
    assert_eq!(folder.shards()[0].read(0, 1), [378]);
    assert_eq!(folder.shards()[1].read(0, 1), [316]);
    let val = open(Split::Val);
    assert_eq!(val.shards()[0].read(487, 1).len(), 1);
}

#[test]
fn damaged_shards_are_named_with_the_remedy() {
    let mut case = Case::new(&[("a.jsonl", &jsonl(50))]);
    case.config.shard_tokens = 100;
    case.run().unwrap();
    let path = case.out().join("data_train_000001.npy");
    let whole = fs::read(&path).unwrap();
    let error = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let error = PreparedFolder::open(&case.out(), Split::Train, case.kind).unwrap_err();
        (
            format!("{error:#}"),
            error.downcast::<ShardError>().unwrap(),
        )
    };
    let (message, kind) = error(&whole[..300]);
    assert!(
        message.contains("truncated: expected 328 bytes, found 300; prepare the folder again"),
        "{message}"
    );
    assert!(matches!(
        kind,
        ShardError::WrongSize {
            expected: 328,
            found: 300,
            ..
        }
    ));
    assert!(matches!(error(b"PAR1").1, ShardError::Foreign { .. }));
    let other = fs::read(case.out().join("data_train_000000.npy")).unwrap();
    let shorter = llama_train::data::npy::Header::encode(llama_train::data::Dtype::Uint16, 7);
    let shorter = [&shorter[..], &other[128..142]].concat();
    let (message, kind) = error(&shorter);
    assert!(
        message.contains("holds 7 tokens where manifest.json says 100"),
        "{message}"
    );
    assert!(matches!(kind, ShardError::NotAsListed { .. }));
    fs::remove_file(&path).unwrap();
    let error = PreparedFolder::open(&case.out(), Split::Train, case.kind).unwrap_err();
    assert!(
        format!("{error:#}")
            .contains("data_train_000001.npy: this shard, which the manifest lists, is not there"),
        "{error:#}"
    );
    assert!(
        case.error().0.contains("damaged; delete the folder"),
        "{}",
        case.error().0
    );
}

#[test]
fn unknown_manifests_and_empty_folders_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let open = |dir: &Path, split| PreparedFolder::open(dir, split, Kind::Instruct).unwrap_err();
    let message = |split| format!("{:#}", open(dir.path(), split));
    assert!(
        message(Split::Train).contains("holds no shard")
            && message(Split::Train).contains("prep-data instruct --out"),
        "{}",
        message(Split::Train)
    );
    fs::write(dir.path().join("manifest.json"), "{\"format_version\": 99}").unwrap();
    let unknown = message(Split::Val);
    assert!(
        unknown.contains("manifest.json: format version 99")
            && unknown.contains("prepare the folder again"),
        "{unknown}"
    );
    fs::write(dir.path().join("manifest.json"), "{").unwrap();
    assert!(message(Split::Val).contains("prepare the folder again"));
    let missing = open(&dir.path().join("no"), Split::Train);
    assert!(
        missing.is::<BadRequest>() && missing.to_string().contains("prep-data instruct --out"),
        "{missing}"
    );
}
