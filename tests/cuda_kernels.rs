//! The GPU's kernels where there is no GPU: their sources compile for three generations, and give on the CPU what torch's
//! own operations give, in an emulation of a block's threads (tests/cuda_kernels).

use llama_train::torch::kernels::{self, Emulation};
use llama_train::torch::ops::checks::{self, Case, Placement};
use llama_train::torch::ops::{self, Fp8Format};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tch::{Device, Kind, Tensor};

const ENTRY_POINTS: [&str; 9] = [
    "add_rms_norm",
    "add_rms_norm_backward",
    "rotate",
    "swiglu",
    "swiglu_backward",
    "cross_entropy",
    "amax",
    "cast_fp8",
    "split_adamw",
];

fn compiles_for(architecture: &str) {
    if std::env::var_os("LLAMA_TRAIN_NO_NVRTC").is_some() {
        let _ = writeln!(io::stderr(), "skipped: no NVRTC is meant to be here"); // seen in CI's log
        return;
    }
    let code = kernels::compile(architecture).unwrap();
    assert!(
        code.starts_with(b"\x7fELF"),
        "{architecture}: no machine code"
    );
    for name in ENTRY_POINTS {
        for kind in ["f32", "bf16"] {
            let section = format!(".text.{name}_{kind}\0");
            let found = code
                .windows(section.len())
                .any(|part| part == section.as_bytes());
            assert!(found, "{architecture}: no {name}_{kind}");
        }
    }
}

#[test]
fn compile_for_sm_80() {
    compiles_for("sm_80");
}

#[test]
fn compile_for_sm_90a() {
    compiles_for("sm_90a");
}

#[test]
fn compile_for_sm_100a() {
    compiles_for("sm_100a");
}

#[test]
fn an_unknown_architecture_is_refused_with_the_compilers_words() {
    if kernels::compiler().is_ok() {
        let error = kernels::compile("sm_1").unwrap_err().to_string();
        assert!(error.contains("--gpu-architecture"), "{error}");
    }
}

/// The kernels' sources by the host's compiler, which the build needs as well.
fn emulation() -> Emulation {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cuda_kernels/emulation.cpp");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libemulated_kernels.so");
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
        let outcome = Command::new(compiler)
            .args([
                "-std=c++17",
                "-O2",
                "-fPIC",
                "-shared",
                "-fno-strict-aliasing",
            ])
            .args(["-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-o"])
            .args([&library, &source])
            .output()
            .unwrap();
        assert!(
            outcome.status.success(),
            "{}",
            String::from_utf8_lossy(&outcome.stderr)
        );
        library
    });
    Emulation::begin(library).unwrap()
}

fn agree(operation: &str) {
    let _emulation = emulation();
    let of_operation = |case: &Case| case.operation == operation;
    let cases = checks::small(Device::Cpu).into_iter().filter(of_operation);
    let mut tried = 0;
    for case in cases {
        for kind in [Kind::Float, Kind::BFloat16] {
            for placement in [Placement::Aligned, Placement::Shifted] {
                let outcome = case.compare(kind, placement);
                assert!(
                    outcome.holds(),
                    "{case:?} {kind:?} {placement:?}: {outcome:?}"
                );
                tried += 1;
            }
            // What is timed on a GPU: two forms of the same, and what both do besides.
            let [fused, composed, _] = case.runs(kind).map(|run| run.values_and_gradients());
            assert_eq!(fused.len(), composed.len());
        }
    }
    assert!(tried >= 8, "{operation}: {tried} cases");
}

#[test]
fn add_rms_norm() {
    agree("add_rms_norm");
}

#[test]
fn swiglu() {
    agree("swiglu");
}

#[test]
fn rotate() {
    agree("rotate");
}

#[test]
fn sum_log_probs() {
    agree("sum_log_probs");
}

#[test]
fn split_adamw() {
    agree("split_adamw");
}

#[test]
fn to_fp8() {
    agree("to_fp8");
}

/// What the loops of the CPU and the kernels do beyond the numbers of every day.
#[test]
fn extremes() {
    let _emulation = emulation();
    let gates = Tensor::from_slice(&[-200f32, -90.0, 90.0, 200.0, 1.0, 1.0, 1.0, 1.0]);
    let expected = Tensor::from_slice(&[0f32, 0.0, 90.0, 200.0]);
    let worst = (ops::swiglu(&gates) - expected).abs().max();
    assert!(worst.double_value(&[]) < 1e-30);
    assert!(
        ops::swiglu(&Tensor::from_slice(&[f32::NAN, 1.0]))
            .double_value(&[0])
            .is_nan()
    );
    assert_eq!(
        ops::swiglu(&Tensor::zeros([0, 8], (Kind::Float, Device::Cpu))).size(),
        [0, 4]
    );
    let (infinity, nan) = (f32::INFINITY, f32::NAN);
    let fp8 = |values: &[f32]| {
        let fp8 = ops::to_fp8(&Tensor::from_slice(values), Fp8Format::E4m3);
        (
            fp8.values.to_kind(Kind::Float),
            fp8.inverse_scale.double_value(&[0]),
        )
    };
    assert_eq!(fp8(&[0.0, -0.0, 0.0]).0, Tensor::from_slice(&[0f32; 3]));
    assert_eq!(
        fp8(&[448.0, -447.0, 2.0f32.powi(-9), 2.0f32.powi(-10)]).0,
        Tensor::from_slice(&[448.0, -448.0, 2.0f32.powi(-9), 0.0])
    );
    let wide = [57_344.0, -57_000.0, 2.0f32.powi(-16), 2.0f32.powi(-17)];
    let wide = ops::to_fp8(&Tensor::from_slice(&wide), Fp8Format::E5m2).values;
    assert_eq!(
        wide.to_kind(Kind::Float),
        Tensor::from_slice(&[57_344.0, -57_344.0, 2.0f32.powi(-16), 0.0])
    );
    let (values, worth) = fp8(&[1.0, nan, 3.0]);
    assert!(worth.is_nan() && values.isnan().all().int64_value(&[]) == 1);
    assert_eq!(fp8(&[1.0, infinity]).1, f64::INFINITY);
}

/// The stream is the sum that torch's own bf16 addition gives, bit for bit.
#[test]
fn bf16_is_rounded_as_torch_rounds() {
    let _emulation = emulation();
    let numbers = |factor: f64| {
        let places = Tensor::arange(4000, (Kind::Double, Device::Cpu)) * factor;
        (places.sin() * 300.0)
            .to_kind(Kind::BFloat16)
            .view([10, 400])
    };
    let (x, branch) = (numbers(12.9898), numbers(78.233));
    let weight = Tensor::ones([400], (Kind::Float, Device::Cpu));
    let sum = ops::add_rms_norm(&x, Some(&branch), &weight, 1e-5).sum;
    assert_eq!(sum, x + branch);
}

/// Logits that overflow if their largest is not taken off, an impossible token, a target out of range, none at all.
#[test]
fn log_probs_of_extreme_logits() {
    let _emulation = emulation();
    let one = Tensor::from_slice(&[1f32]).view([1, 1]);
    let of_logits = |logits: &[f32], target: i64| {
        let weight = Tensor::from_slice(logits)
            .view([-1, 1])
            .set_requires_grad(true);
        let sum = ops::sum_log_probs(&one, &weight, &Tensor::from_slice(&[target]));
        let slope = Tensor::run_backward(&[&sum], &[&weight], false, false);
        let slope = Vec::<f64>::try_from(slope[0].view([-1]).to_kind(Kind::Double)).unwrap();
        (sum.double_value(&[]), slope)
    };
    let (sum, slope) = of_logits(&[1000.0, 999.0, f32::NEG_INFINITY], 1);
    let p = 1.0 / (1.0 + (-1f64).exp());
    assert!((sum - (1.0 - p).ln()).abs() < 1e-6, "{sum}");
    let expected = [-p, p, 0.0];
    assert!(
        slope
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-6),
        "{slope:?}"
    );
    assert!(of_logits(&[1.0, f32::NAN, 2.0], 0).0.is_nan());
    let (sum, slope) = of_logits(&[1.0, 2.0], -100);
    assert!(sum == 0.0 && slope == [0.0, 0.0]);
    assert!(of_logits(&[1.0, 2.0], 2).0.is_nan() && of_logits(&[1.0, 2.0], -1).0.is_nan());
}

/// More tokens than one chunk of 256 MiB holds, and no gradient wanted.
#[test]
fn log_probs_in_chunks() {
    let _emulation = emulation();
    let (tokens, vocab) = (70, 1_000_003);
    let options = (Kind::Float, Device::Cpu);
    let hidden = Tensor::linspace(-1.0, 1.0, tokens, options).view([tokens, 1]);
    let weight = Tensor::linspace(-3.0, 3.0, vocab, options).view([vocab, 1]);
    let targets = Tensor::arange(tokens, (Kind::Int64, Device::Cpu)) * 101;
    let fused = tch::no_grad(|| ops::sum_log_probs(&hidden, &weight, &targets)).double_value(&[]);
    let [hidden, weight] = [hidden, weight].map(|of| of.to_kind(Kind::Double));
    let exact =
        tch::no_grad(|| ops::composed::sum_log_probs(&hidden, &weight, &targets)).double_value(&[]);
    assert!((fused / exact - 1.0).abs() < 1e-5, "{fused} {exact}");
}

/// The emulation sees what a GPU would not forgive.
#[test]
fn the_emulation_ends_with_its_guard() {
    let x = Tensor::ones([2, 8], (Kind::Float, Device::Cpu));
    let kind = |x: &Tensor| ops::to_fp8(x, Fp8Format::E4m3).values.kind();
    {
        let _emulation = emulation();
        assert!(kernels::has_kernel(kernels::Operation::ToFp8, &x));
        assert_eq!(kind(&x), Kind::Float8e4m3fn);
    }
    assert!(!kernels::has_kernel(kernels::Operation::ToFp8, &x));
    assert_eq!(kind(&x), Kind::Float8e4m3fn);
}
