//! Compiles `src/torch/native` against the libtorch that torch-sys found, and tells the linker where that is, so that
//! the binary runs without `LD_LIBRARY_PATH`.
use std::path::PathBuf;
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/torch/native");
    let lib = PathBuf::from(std::env::var("DEP_TCH_LIBTORCH_LIB").unwrap());
    let torch = lib.parent().unwrap();
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    let files: Vec<_> = std::fs::read_dir("src/torch/native")
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "cpp"))
        .collect();
    cc::Build::new()
        .cpp(true)
        .flag("-std=c++17")
        .flag("-D_GLIBCXX_USE_CXX11_ABI=1")
        .flag("-DGLOG_USE_GLOG_EXPORT")
        .flag("-isystem")
        .flag(torch.join("include").to_str().unwrap())
        .flag("-isystem")
        .flag(
            torch
                .join("include/torch/csrc/api/include")
                .to_str()
                .unwrap(),
        )
        .files(files)
        .compile("llama_train_native");
}
