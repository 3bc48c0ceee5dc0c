//! torch's process group and its DDP engine by themselves. Each rank is this test binary, started again for the one
//! test: torch's flight recorder does not bear several ranks in one process.

use super::ranks::free_port;
use crate::common::fixture;
use llama_train::config::DistConfig;
use llama_train::data::{Counts, TokenBatch};
use llama_train::dist::{
    GradReducer, LaunchEnv, MicroBatch, ProcessGroup, Rendezvous, broadcast_text, check_replicas,
};
use llama_train::model::{Layout, ModelOptions, Pass, Tokens, Transformer};
use llama_train::objective::{CausalLm, Objective};
use llama_train::optim::{AdamW, param_groups};
use llama_train::weights::hf;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;
use tch::{Device, Kind, Tensor, nn};

/// Set for a process that is a rank.
const IS_RANK: &str = "LLAMA_TRAIN_TEST_IS_RANK";

/// Runs `work` on each of `world_size` ranks, for the test of this name.
fn on_ranks(test: &str, world_size: u64, work: impl Fn(Rc<dyn ProcessGroup>)) {
    if env::var_os(IS_RANK).is_some() {
        let config = DistConfig {
            bucket_megabytes: 1,
            ..DistConfig::default()
        };
        let rendezvous = Rendezvous::meet(LaunchEnv::read().unwrap(), config).unwrap();
        return work(rendezvous.group(Device::Cpu).unwrap());
    }
    let port = free_port();
    let start = |rank: u64| {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", &format!("distributed::groups::{test}")])
            .env(IS_RANK, "1")
            .env("RANK", rank.to_string())
            .env("WORLD_SIZE", world_size.to_string())
            .env("MASTER_ADDR", "127.0.0.1")
            .env("MASTER_PORT", port.to_string())
            .stdout(Stdio::piped())
            .spawn()
    };
    let ranks: Vec<_> = (0..world_size).map(|rank| start(rank).unwrap()).collect();
    for rank in ranks {
        let output = rank.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}"
        );
    }
}

fn parameter(values: &[f32]) -> Tensor {
    Tensor::from_slice(values).set_requires_grad(true)
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor).unwrap()
}

#[test]
fn collective_operations_do_what_they_say() {
    on_ranks("collective_operations_do_what_they_say", 3, |group| {
        let rank = group.rank() as f32;
        let mut sum = Tensor::from_slice(&[rank, 10.0 * rank]);
        group.all_reduce_sum(&mut sum).unwrap();
        assert_eq!(floats(&sum), [3.0, 30.0]);
        let of_one = [
            Tensor::from_slice(&[rank + 5.0]),
            Tensor::from_slice(&[rank + 7.0, rank]),
        ];
        group.broadcast(&of_one, 1).unwrap();
        assert_eq!(of_one.each_ref().map(floats), [vec![6.0], vec![8.0, 1.0]]);
        let all = group.all_gather(&Tensor::from_slice(&[rank])).unwrap();
        assert_eq!(
            (all.size(), floats(&all.view(-1))),
            (vec![3, 1], vec![0.0, 1.0, 2.0])
        );
        let text = if rank > 0.0 { "" } else { "step_00000010" };
        assert_eq!(
            broadcast_text(group.as_ref(), text).unwrap(),
            "step_00000010"
        );
        assert_eq!(broadcast_text(group.as_ref(), "").unwrap(), "");
    });
}

/// Two micro-batches on each of two ranks, one of them without any target.
#[test]
fn gradients_are_the_mean_of_what_the_ranks_added_up() {
    on_ranks(
        "gradients_are_the_mean_of_what_the_ranks_added_up",
        2,
        |group| {
            let weight = parameter(&[1.0, 2.0]);
            let reducer = group
                .grad_reducer(&[weight.shallow_clone()], &["weight".to_owned()])
                .unwrap();
            let place = weight.grad().data_ptr();
            for _ in 0..3 {
                assert!(reducer.adds_in_buckets(2));
                llama_train::torch::zero_grads(&[weight.shallow_clone()]).unwrap();
                accumulate(
                    &reducer,
                    &weight,
                    if group.rank() == 0 {
                        [1.0, 2.0]
                    } else {
                        [5.0, 0.0]
                    },
                );
                assert_eq!(floats(&weight.grad()), [4.0, 4.0]);
                assert_eq!(weight.grad().data_ptr(), place);
            }
        },
    );
}

fn accumulate(reducer: &GradReducer, weight: &Tensor, factors: [f32; 2]) {
    for (factor, place) in factors.iter().zip([MicroBatch::Earlier, MicroBatch::Last]) {
        reducer.before_forward(place).unwrap();
        let loss = (weight * f64::from(*factor)).sum(Kind::Float);
        reducer.before_backward(place).unwrap();
        loss.backward();
    }
    reducer.check().unwrap();
}

/// A sum of three floats depends on their order, and that on an element's place in its bucket. A run that resumes takes
/// its first step where the undisturbed run takes a later one: both must add in one order, whichever gradient comes
/// first.
#[test]
fn the_first_step_adds_as_later_steps_do() {
    on_ranks("the_first_step_adds_as_later_steps_do", 3, |group| {
        let factor = [1e8, -1e8, 1.0][group.rank() as usize];
        let params = [0, 1, 2, 3].map(|_| parameter(&[1.0; 64]));
        let names = ["a", "b", "c", "d"].map(str::to_owned);
        let reducer = group.grad_reducer(&params, &names).unwrap();
        let mut steps = Vec::new();
        for _ in 0..3 {
            llama_train::torch::reset_grads(&params).unwrap();
            reducer.before_forward(MicroBatch::Last).unwrap();
            // The gradients come last first.
            let product = params
                .iter()
                .fold(Tensor::from(factor as f32), |product, param| {
                    product * param
                });
            reducer.before_backward(MicroBatch::Last).unwrap();
            product.sum(Kind::Float).backward();
            reducer.check().unwrap();
            steps.push(params.each_ref().map(|param| floats(&param.grad())));
        }
        let sums: BTreeSet<_> = steps[0].iter().flatten().map(|sum| sum.to_bits()).collect();
        assert!(sums.len() > 1, "every place adds in the same order");
        assert!(steps.iter().all(|step| *step == steps[0]));
    });
}

/// Rank 1's rows are all prompt. It joins, and the gradient is that of rank 0's rows alone.
#[test]
fn a_rank_without_a_target_joins() {
    on_ranks("a_rank_without_a_target_joins", 2, |group| {
        let init = fixture("2_train_trace/init");
        let config = hf::read_config(&init).unwrap();
        let store = nn::VarStore::new(Device::Cpu);
        let model = Transformer::new(
            &store.root(),
            &config,
            &ModelOptions {
                compute: Kind::Float,
                lora: None,
            },
        )
        .unwrap();
        hf::load(&init, &store, &config).unwrap();
        let (names, params): (Vec<_>, Vec<_>) = store
            .variables()
            .into_iter()
            .collect::<BTreeMap<_, _>>()
            .into_iter()
            .unzip();
        let loss = |rank: u64| {
            let ids = Tensor::arange(64, (Kind::Int64, Device::Cpu)).view([2, 32]);
            let targets = if rank == 0 {
                &ids + 1
            } else {
                ids.full_like(-100)
            };
            let counts = Counts {
                targets: 64,
                examples: 2,
                tokens: 64,
            };
            let batch = TokenBatch {
                tokens: Tokens {
                    ids,
                    layout: Layout::Causal,
                },
                targets,
                counts,
            };
            let sums = CausalLm.loss_sum(&model, &batch, Pass::Train);
            &sums.loss[0].value / counts.targets as f64
        };
        loss(0).backward();
        let expected: Vec<Tensor> = params.iter().map(|param| param.grad().copy()).collect();
        llama_train::torch::reset_grads(&params).unwrap();
        let reducer = group.grad_reducer(&params, &names).unwrap();
        reducer.before_forward(MicroBatch::Last).unwrap();
        let loss = loss(group.rank()) * 2.0;
        reducer.before_backward(MicroBatch::Last).unwrap();
        loss.backward();
        reducer.check().unwrap();
        for (param, expected) in params.iter().zip(expected) {
            assert!(param.grad().allclose(&expected, 1e-6, 1e-9, false));
        }
    });
}

#[test]
fn a_parameter_without_a_gradient_is_named() {
    on_ranks("a_parameter_without_a_gradient_is_named", 2, |group| {
        let (used, idle) = (parameter(&[1.0]), parameter(&[1.0]));
        let params = [used.shallow_clone(), idle.shallow_clone()];
        let names = ["used", "idle"].map(str::to_owned);
        let reducer = group.grad_reducer(&params, &names).unwrap();
        reducer.before_forward(MicroBatch::Last).unwrap();
        let loss = used.sum(Kind::Float);
        reducer.before_backward(MicroBatch::Last).unwrap();
        loss.backward();
        let error = format!("{:#}", reducer.check().unwrap_err());
        assert!(
            error.contains("idle") && !error.contains("used,"),
            "{error}"
        );
    });
}

#[test]
fn parameters_that_differ_are_refused() {
    on_ranks("parameters_that_differ_are_refused", 2, |group| {
        let param = parameter(&vec![0.0; 2 + group.rank() as usize]);
        let result = group.grad_reducer(&[param], &["weight".to_owned()]);
        let error = result.err().map(|error| error.to_string());
        let says = |error: String| error.contains("sizes [3]");
        assert!(group.rank() == 0 || error.is_some_and(says));
    });
}

#[test]
fn replicas_that_differ_are_named_on_every_rank() {
    on_ranks("replicas_that_differ_are_named_on_every_rank", 3, |group| {
        let names = ["a", "b", "c"].map(str::to_owned);
        let tensors = [0, 1, 2].map(|_| Tensor::from_slice(&[1.0_f32, 2.0, 3.0]));
        assert!(check_replicas(group.as_ref(), &names, &tensors).is_ok());
        if group.rank() == 2 {
            let _ = tensors[1].get(0).fill_(1.000_000_1);
        }
        let error = check_replicas(group.as_ref(), &names, &tensors)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("1 of 3 tensors, first `b`, on rank(s) [2]"),
            "{error}"
        );
    });
}

/// The wheel has no headers of Gloo; what we declare in their place must never become an object of ours.
#[test]
fn our_objects_hold_nothing_of_gloo() {
    let library = PathBuf::from(env!("OUT_DIR")).join("libllama_train_native.a");
    let Ok(names) = std::process::Command::new("nm").arg(&library).output() else {
        eprintln!("skipped: there is no nm");
        return;
    };
    let names = String::from_utf8_lossy(&names.stdout).into_owned();
    assert!(names.contains("lt_group_join"), "{}", library.display());
    let of_gloo: Vec<&str> = names
        .lines()
        .filter(|line| {
            let is_type = ["_ZTV", "_ZTI", "_ZTS"]
                .iter()
                .any(|kind| line.contains(kind));
            is_type && (line.contains("4gloo") || line.contains("GlooStore"))
        })
        .collect();
    assert!(of_gloo.is_empty(), "{of_gloo:?}");
}

/// A large matrix, which no rank has alone, and small vectors.
#[test]
fn each_rank_holds_its_part_of_the_moments() {
    on_ranks("each_rank_holds_its_part_of_the_moments", 4, |group| {
        let store = nn::VarStore::new(Device::Cpu);
        for (name, size) in [("a", vec![300, 64]), ("b", vec![64]), ("c", vec![64, 64])] {
            let _ = store.root().zeros(name, &size);
        }
        let groups = || param_groups(&store, 0.1);
        let whole = AdamW::new(groups(), (0.9, 0.95), 1e-8).state_bytes();
        let part = AdamW::sharded(groups(), (0.9, 0.95), 1e-8, group).state_bytes();
        let off = part as f64 * 4.0 / whole as f64 - 1.0;
        assert!(off.abs() < 0.02, "{part} of {whole} bytes");
    });
}
