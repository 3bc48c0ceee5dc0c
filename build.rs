//! Compiles `src/torch/native` against the libtorch that torch-sys found, and tells the linker where that is, so that
//! the binary runs without `LD_LIBRARY_PATH`.

#![allow(clippy::expect_used)] // a build script has no better way to say what is missing

use std::path::{Path, PathBuf};
use std::{env, fs};

const NATIVE: &str = "src/torch/native";

fn main() {
    println!("cargo:rerun-if-changed={NATIVE}");
    // Set by torch-sys, a direct dependency for this reason.
    let lib = env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from);
    let lib = lib.expect(
        "torch-sys did not say where libtorch is: run scripts/setup.sh, or see README.md, Set-up",
    );
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    let torch = lib.parent().unwrap_or(Path::new("/"));
    let mut build = cc::Build::new();
    for include in ["include", "include/torch/csrc/api/include"] {
        build.flag("-isystem").flag(torch.join(include));
    }
    build
        .cpp(true)
        .std("c++17")
        .warnings(true)
        .warnings_into_errors(true)
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .define("GLOG_USE_GLOG_EXPORT", None)
        .files(cpp_files())
        .compile("llama_train_native");
}

/// In name order, so that the same sources give the same library.
fn cpp_files() -> Vec<PathBuf> {
    let entries = fs::read_dir(NATIVE).expect("the package has its native sources");
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "cpp"))
        .collect();
    files.sort();
    files
}
