//! The kernels' sources, compiled for one architecture at first use and kept on disk.

use super::nvrtc::{Files, Nvrtc};
use anyhow::Result;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::{env, fs, process};

macro_rules! source {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../native/cuda/kernels/", $name)),
        )
    };
}

/// The program, and what it includes.
const FILES: Files<'_> = &[
    (
        "kernels.cu",
        "#include \"rms_norm.cuh\"\n#include \"rotate.cuh\"\n#include \"swiglu.cuh\"\n\
         #include \"cross_entropy.cuh\"\n#include \"fp8.cuh\"\n#include \"split_adamw.cuh\"\n",
    ),
    source!("arguments.h"),
    source!("numbers.cuh"),
    source!("block.cuh"),
    source!("rms_norm.cuh"),
    source!("rotate.cuh"),
    source!("swiglu.cuh"),
    source!("cross_entropy.cuh"),
    source!("fp8.cuh"),
    source!("split_adamw.cuh"),
];

/// Bytes of a digest.
const DIGEST: usize = 32;

/// The compiler, as in "NVRTC 13.0".
///
/// # Errors
/// Where it would have to be, when it is not there.
pub fn compiler() -> Result<String> {
    Ok(format!("NVRTC {}", Nvrtc::open()?.version()?))
}

/// Machine code of all kernels for an architecture ("sm_90a"), compiled anew. Needs no GPU.
///
/// # Errors
/// When the compiler is not there, or refuses.
pub fn compile(architecture: &str) -> Result<Vec<u8>> {
    Nvrtc::open()?.compile(FILES, &options(architecture))
}

/// The same, from the disk where it has been compiled before.
pub(super) fn cubin(architecture: &str) -> Result<Vec<u8>> {
    let nvrtc = Nvrtc::open()?;
    let options = options(architecture);
    let mut digest = Sha256::new();
    digest.update(nvrtc.version()?);
    for text in options
        .iter()
        .map(String::as_str)
        .chain(FILES.iter().map(|file| file.1))
    {
        digest.update(text.len().to_le_bytes());
        digest.update(text);
    }
    let key = digest.finalize();
    let key: String = key[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{architecture}-{key}.cubin");
    kept(folder().as_deref(), &name, || {
        nvrtc.compile(FILES, &options)
    })
}

fn options(architecture: &str) -> Vec<String> {
    vec![
        format!("--gpu-architecture={architecture}"),
        "--std=c++17".into(),
    ]
}

fn folder() -> Option<PathBuf> {
    let given = env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty());
    let cache = given
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cache")))?;
    Some(cache.join("llama-train/kernels"))
}

/// What `make` gives, kept as `name` in the folder, its digest before it: a file that was cut short is made again. A
/// folder that cannot be written to costs only time.
fn kept(
    folder: Option<&Path>,
    name: &str,
    make: impl FnOnce() -> Result<Vec<u8>>,
) -> Result<Vec<u8>> {
    let Some(folder) = folder else {
        return make();
    };
    let path = folder.join(name);
    if let Some(code) = fs::read(&path).ok().and_then(whole) {
        return Ok(code);
    }
    let code = make()?;
    let temporary = folder.join(format!("{name}.{}", process::id()));
    let content = [Sha256::digest(&code).as_slice(), &code].concat();
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&temporary, content))
        .and_then(|()| fs::rename(&temporary, &path)); // several ranks may do this at once
    if let Err(error) = written {
        log::debug!("compiled kernels are not kept: {}: {error}", path.display());
    }
    Ok(code)
}

/// What follows the digest, if it is its own.
fn whole(mut content: Vec<u8>) -> Option<Vec<u8>> {
    let code = content.split_off(content.len().min(DIGEST));
    (Sha256::digest(&code).as_slice() == content).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn compiled_once_kept_and_made_again_where_it_was_cut_short() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("deep/kernels");
        let kept_as = |make: Result<Vec<u8>>| kept(Some(&folder), "a.cubin", || make);
        assert!(kept_as(Err(anyhow::anyhow!("no compiler"))).is_err());
        assert_eq!(kept_as(Ok(vec![1, 2, 3])).unwrap(), [1, 2, 3]);
        assert_eq!(kept_as(Ok(vec![4])).unwrap(), [1, 2, 3]);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1); // no temporary file is left
        let path = folder.join("a.cubin");
        let content = fs::read(&path).unwrap();
        for cut in [content.len() - 1, DIGEST, 5, 0] {
            fs::write(&path, &content[..cut]).unwrap();
            assert_eq!(kept_as(Ok(vec![4])).unwrap(), [4], "cut to {cut} bytes");
        }
        let nowhere = dir.path().join("file");
        fs::write(&nowhere, "").unwrap();
        assert_eq!(kept(Some(&nowhere), "a", || Ok(vec![5])).unwrap(), [5]);
        assert!(kept(None, "a", || bail!("not made")).is_err());
    }
}
