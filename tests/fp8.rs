//! Training with fp8 products, by torch's own on the CPU: against exact ones, and over a run beside bf16.

use crate::common::{fixture, llama_train, stderr_of, stream_run};
use llama_train::model::{Layout, ModelOptions, Pass, Products, Tokens, Transformer};
use llama_train::torch::ops::{self, Fp8, Fp8Format, composed};
use llama_train::weights::hf;
use tch::{Device, Kind, Tensor, nn};

/// Rows that are no multiple of 16, two matrices: what the fp8 numbers themselves give in f64, but for the rounding of the
/// result to bf16.
#[test]
fn products_and_gradients_are_those_of_the_fp8_numbers() {
    let random = |seed: i64, size: [i64; 2]| {
        tch::manual_seed(seed);
        Tensor::randn(size, (Kind::Float, Device::Cpu)).to_kind(Kind::BFloat16)
    };
    let [x, a, b] = [
        random(1, [37, 64]),
        random(2, [48, 64]),
        random(3, [32, 64]),
    ]
    .map(|leaf| leaf.set_requires_grad(true));
    let mixture = random(4, [37, 80]);
    let y = ops::linear_fp8(&x, &[a.shallow_clone(), b.shallow_clone()]);
    (&y * &mixture).sum(Kind::Float).backward();
    let in_fp8 = |tensor: &Tensor, format: Fp8Format| {
        let Fp8 {
            values,
            inverse_scale,
        } = composed::to_fp8(&tensor.detach(), format);
        values.to_kind(Kind::Double) * inverse_scale
    };
    let seen = in_fp8(&x, Fp8Format::E4m3);
    let weight = in_fp8(&Tensor::cat(&[&a, &b], 0), Fp8Format::E4m3);
    let dy = in_fp8(&mixture, Fp8Format::E5m2);
    let dweight = dy.tr().matmul(&seen);
    let expected = [
        (y.detach(), seen.matmul(&weight.tr())),
        (x.grad(), dy.matmul(&weight)),
        (a.grad(), dweight.narrow(0, 0, 48)),
        (b.grad(), dweight.narrow(0, 48, 32)),
    ];
    for (found, exact) in expected {
        assert_eq!(found.size(), exact.size());
        let off = ((found.to_kind(Kind::Double) - &exact).norm() / exact.norm()).double_value(&[]);
        assert!(off < 3e-3, "{off}");
    }
}

/// The same model and batch: the loss, and where its gradient points. What is not trained is computed in bf16.
#[test]
fn a_model_learns_by_them() {
    let init = fixture("2_train_trace/init");
    let config = hf::read_config(&init).unwrap();
    let run = |products: Products, pass: Pass| {
        let store = nn::VarStore::new(Device::Cpu);
        let options = ModelOptions {
            compute: Kind::BFloat16,
            lora: None,
        };
        let model = Transformer::new(&store.root(), &config, &options).unwrap();
        let model = model.with_products(products);
        hf::load(&init, &store, &config).unwrap();
        let ids = (Tensor::arange(256, (Kind::Int64, Device::Cpu)) * 7)
            .remainder(600)
            .view([8, 32]);
        let tokens = Tokens {
            ids: ids.shallow_clone(),
            layout: Layout::Causal,
        };
        let logits = model
            .head()
            .logits(&model.hidden(&tokens, pass))
            .flatten(0, 1);
        let loss = logits.cross_entropy_for_logits(&(&ids + 1).view(-1));
        loss.backward();
        let mut gradients: Vec<_> = store.variables().into_iter().collect();
        gradients.sort_by(|a, b| a.0.cmp(&b.0));
        let gradients: Vec<_> = gradients
            .iter()
            .map(|(_, weight)| weight.grad().view(-1))
            .collect();
        (
            loss.double_value(&[]),
            Tensor::cat(&gradients, 0).to_kind(Kind::Double),
        )
    };
    let (fp8, bf16) = (
        run(Products::Fp8, Pass::Train),
        run(Products::Plain, Pass::Train),
    );
    assert!((fp8.0 / bf16.0 - 1.0).abs() < 0.005, "{} {}", fp8.0, bf16.0);
    assert!(fp8.0 != bf16.0);
    let cosine = fp8.1.dot(&bf16.1) / (fp8.1.norm() * bf16.1.norm());
    assert!(cosine.double_value(&[]) > 0.9, "{cosine}");
    assert_eq!(
        run(Products::Fp8, Pass::Eval).0,
        run(Products::Plain, Pass::Eval).0
    );
}

#[test]
fn what_cannot_be_multiplied_so_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |settings: &[&str]| {
        let settings = [&["train.precision=fp8"], settings].concat();
        let run = llama_train(dir.path())
            .args(stream_run("run", &settings))
            .assert()
            .code(2);
        stderr_of(&run)
    };
    let said = refused(&[]);
    assert!(said.contains("a CPU has no such products"), "{said}");
    let said = refused(&["lora.enabled=true"]);
    assert!(said.contains("not multiplied in fp8"), "{said}");
    assert!(!dir.path().join("runs").exists());
}
