//! Compiles `src/torch/native` against the libtorch that torch-sys found, and tells the linker where that is, so that
//! the binary runs without `LD_LIBRARY_PATH`. Where the headers of CUDA and NCCL are beside libtorch (as torch's wheels
//! for CUDA and scripts/libtorch.sh put them), the CUDA part is built too: a shared library that goes into the binary as
//! bytes, to be opened where there is a GPU.

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
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    write_gloo_headers(&out.join("gloo_headers"));
    compiler(torch)
        .include(out.join("gloo_headers"))
        .files(cpp_files(NATIVE))
        .files(cpp_files(&format!("{NATIVE}/ops")))
        .compile("llama_train_native");
    println!("cargo:rustc-check-cfg=cfg(cuda_part)");
    if let Some(headers) = cuda_headers(torch) {
        let library = out.join("libllama_train_cuda.so");
        build_cuda_part(torch, &headers, &library);
        println!("cargo:rustc-cfg=cuda_part");
        println!("cargo:rustc-env=CUDA_PART={}", library.display());
    } else if lib.join("libtorch_cuda.so").exists() {
        println!(
            "cargo:warning=no CUDA part: pip install nvidia-cuda-crt==13.0.88 nvidia-cuda-cccl==13.0.85 beside torch"
        );
    }
}

fn compiler(torch: &Path) -> cc::Build {
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
        .flag("-fopenmp-simd"); // vector loops, no threads: those are torch's
    build
}

/// The folders of CUDA's and NCCL's headers, if all are there.
fn cuda_headers(torch: &Path) -> Option<Vec<PathBuf>> {
    let packages = torch.parent()?.join("nvidia");
    if packages.exists() {
        println!("cargo:rerun-if-changed={}", packages.display());
    }
    let wanted = [
        ("cu13/include", "crt/host_defines.h"),
        ("cu13/include/cccl", "cuda/std/version"),
        ("nccl/include", "nccl.h"),
    ];
    let folders = wanted.iter().map(|(folder, header)| {
        let folder = packages.join(folder);
        folder.join(header).exists().then_some(folder)
    });
    folders.collect()
}

/// What it needs of libtorch is found when it is opened.
fn build_cuda_part(torch: &Path, headers: &[PathBuf], library: &Path) {
    let mut build = compiler(torch);
    for folder in headers {
        build.flag("-isystem").flag(folder);
    }
    let objects = build
        .files(cpp_files(&format!("{NATIVE}/cuda")))
        .compile_intermediates();
    let mut link = build.get_compiler().to_command();
    link.arg("-shared").args(objects).arg("-o").arg(library);
    let status = link.status().expect("the C++ compiler links");
    assert!(status.success(), "the CUDA part does not link");
}

/// In name order, so that the same sources give the same library.
fn cpp_files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the package has its native sources");
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "cpp"))
        .collect();
    files.sort();
    files
}

/// The headers of Gloo that torch's own include, which its wheel leaves out: each is `native/gloo.h`.
fn write_gloo_headers(dir: &Path) {
    let declarations = fs::canonicalize(Path::new(NATIVE).join("gloo.h"));
    let declarations = declarations.expect("the package has its native sources");
    let text = format!("#include \"{}\"\n", declarations.display());
    for name in [
        "algorithm.h",
        "common/error.h",
        "context.h",
        "rendezvous/store.h",
        "transport/device.h",
    ] {
        let path = dir.join("gloo").join(name);
        fs::create_dir_all(path.parent().unwrap_or(dir)).expect("OUT_DIR can be written to");
        fs::write(&path, &text).expect("OUT_DIR can be written to");
    }
}
