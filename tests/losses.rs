//! Losses over the vocabulary, computed in pieces, against the same formulas over whole logits in f64.

use llama_train::config::ModelConfig;
use llama_train::loss::{self, DivergenceKind, Likeliest, TeacherView};
use llama_train::model::{Head, ModelOptions, Transformer};
use llama_train::torch::{LinearRows, TeacherRows, linear_divergence, linear_log_probs};
use tch::{Device, Kind, Tensor, nn};

use DivergenceKind::{Forward, JensenShannon, Reverse};

const TEMPERATURE: f64 = 1.7;

/// Numbers between -2 and 2 that look random, other ones for each count, and the same in each run.
fn random(size: &[i64]) -> Tensor {
    let count: i64 = size.iter().product();
    let places = Tensor::arange(count, (Kind::Double, Device::Cpu)) + (count * 7919) as f64;
    let noise = ((places * 12.9898).sin() * 43758.5453).frac();
    (noise * 2.0).to_kind(Kind::Float).view(size)
}

/// Hidden states and an output matrix that want gradients, and targets of which every `ignored`th is not trained on.
struct Case {
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
}

impl Case {
    fn new([rows, dim, vocab]: [i64; 3], ignored: i64) -> Self {
        let places = Tensor::arange(rows, (Kind::Int64, Device::Cpu));
        let ids = (&places * 7 + 3).remainder(vocab);
        let is_ignored = (places + 1).remainder(ignored).eq(0);
        Self {
            hidden: random(&[rows, dim]).set_requires_grad(true),
            weight: random(&[vocab, dim]).set_requires_grad(true),
            targets: ids.masked_fill(&is_ignored, -100),
        }
    }

    fn rows(&self, at_once: i64) -> LinearRows<'_> {
        LinearRows {
            hidden: &self.hidden,
            weight: &self.weight,
            at_once,
        }
    }

    /// The same numbers in f64, apart from these.
    fn in_f64(&self) -> Self {
        let copy = |tensor: &Tensor| {
            let tensor = tensor.detach().to_kind(Kind::Double);
            tensor.set_requires_grad(true)
        };
        Self {
            hidden: copy(&self.hidden),
            weight: copy(&self.weight),
            targets: self.targets.shallow_clone(),
        }
    }

    fn logits(&self) -> Tensor {
        self.hidden.matmul(&self.weight.tr())
    }

    /// Whole logits, then torch's own softmax and gather.
    fn composed_log_probs(&self) -> Tensor {
        let log_probs = self.logits().log_softmax(1, None);
        let targets = self.targets.clamp_min(0).unsqueeze(1);
        let picked = log_probs.gather(1, &targets, false).squeeze_dim(1);
        picked.masked_fill(&self.targets.eq(-100), 0.0)
    }

    fn gradients(&self) -> [Tensor; 2] {
        [self.hidden.grad(), self.weight.grad()]
    }
}

fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f64, what: &str) {
    assert_eq!(found.size(), expected.size(), "{what}");
    let distance = (found.to_kind(Kind::Double) - expected).norm();
    let (distance, norm) = (
        distance.double_value(&[]),
        expected.norm().double_value(&[]),
    );
    assert!(
        distance <= tolerance * norm.max(1e-12),
        "{what}: off by {distance} of {norm}"
    );
}

/// Each row counts with another weight, as in a loss over sums that is not linear in them.
fn weighted_sum(values: &Tensor) -> Tensor {
    let weights = Tensor::arange(values.size()[0], (values.kind(), Device::Cpu)) - 1.5;
    (values * weights).sum(None)
}

#[test]
fn log_probabilities_in_pieces_are_those_of_whole_logits() {
    for shape in [[7, 6, 11], [1, 4, 5], [64, 8, 33], [13, 3, 1]] {
        for at_once in [1, 3, 1000] {
            let what = format!("{shape:?}, {at_once} at once");
            let case = Case::new(shape, 3);
            let exact = case.in_f64();
            let found = linear_log_probs(case.rows(at_once), &case.targets).unwrap();
            let expected = exact.composed_log_probs();
            assert_close(&found, &expected, 1e-5, &what);
            weighted_sum(&found).backward();
            weighted_sum(&expected).backward();
            for (found, expected) in case.gradients().iter().zip(exact.gradients()) {
                assert_close(found, &expected, 1e-5, &what);
            }
        }
    }
}

/// A model of one layer, for the sake of its head.
fn with_head(vocab_size: i64, kind: Kind) -> (nn::VarStore, Transformer) {
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(kind);
    let config = ModelConfig {
        dim: 8,
        n_layers: 1,
        n_heads: 1,
        n_kv_heads: 1,
        head_dim: 8,
        vocab_size,
        ffn_hidden_dim: 8,
        norm_eps: 1e-5,
        rope_theta: 1e4,
        rope_scaling: None,
        max_seq_len: 8,
        tie_embeddings: false,
    };
    let options = ModelOptions {
        compute: kind,
        lora: None,
    };
    let model = Transformer::new(&store.root(), &config, &options).unwrap();
    model.initialize(1);
    (store, model)
}

/// With a vocabulary of which one piece holds 209 rows.
#[test]
fn pieces_are_cut_by_their_bytes_and_ignored_rows_count_nothing() {
    let (_store, model) = with_head(40_000, Kind::Float);
    let weight = model.head().weight();
    let mut case = Case::new([500, 8, 40_000], 2);
    case.weight = weight.shallow_clone();
    let exact = case.in_f64();
    let found = loss::token_log_probs(&case.hidden, model.head(), &case.targets);
    let expected = exact.composed_log_probs();
    assert_close(&found, &expected, 1e-5, "values");
    weighted_sum(&found).backward();
    weighted_sum(&expected).backward();
    for (found, expected) in case.gradients().iter().zip(exact.gradients()) {
        assert_close(found, &expected, 1e-5, "gradients");
    }
}

#[test]
fn no_target_at_all_still_reaches_every_weight() {
    let (_store, model) = with_head(20, Kind::Float);
    let case = Case::new([6, 8, 20], 1);
    let found = loss::token_log_probs(&case.hidden, model.head(), &case.targets);
    assert_eq!(found.abs().max().double_value(&[]), 0.0);
    found.sum(None).backward();
    for gradient in [case.hidden.grad(), model.head().weight().grad()] {
        assert!(gradient.defined());
        assert_eq!(gradient.abs().max().double_value(&[]), 0.0);
    }
}

#[test]
fn a_frozen_head_gets_no_gradient_and_bf16_states_are_summed_in_fp32() {
    let case = Case::new([40, 16, 50], 7);
    let exact = case.in_f64();
    let half = Case {
        hidden: case
            .hidden
            .detach()
            .to_kind(Kind::BFloat16)
            .set_requires_grad(true),
        weight: case.weight.detach(),
        targets: case.targets.shallow_clone(),
    };
    let found = linear_log_probs(half.rows(9), &half.targets).unwrap();
    assert_eq!(found.kind(), Kind::Float);
    weighted_sum(&found).backward();
    assert!(!half.weight.grad().defined());
    let expected = exact.composed_log_probs();
    weighted_sum(&expected).backward();
    assert_close(&found, &expected, 1e-2, "values");
    assert_eq!(half.hidden.grad().kind(), Kind::BFloat16);
    assert_close(
        &half.hidden.grad(),
        &exact.hidden.grad(),
        2e-2,
        "hidden states",
    );
    // The master weight is fp32, and so is its gradient.
    let master = half.weight.set_requires_grad(true);
    let rows = LinearRows {
        weight: &master,
        ..half.rows(9)
    };
    weighted_sum(&linear_log_probs(rows, &half.targets).unwrap()).backward();
    assert_eq!(master.grad().kind(), Kind::Float);
    assert_close(&master.grad(), &exact.weight.grad(), 2e-2, "matrix");
}

/// Σ p log(p/q), Σ q log(q/p), ½ Σ p log(p/m) + ½ Σ q log(q/m) over outcomes.
fn composed_divergence(log_p: &Tensor, log_q: &Tensor, kind: DivergenceKind) -> Tensor {
    let relative = |a: &Tensor, b: &Tensor| {
        let terms = a.exp() * (a - b);
        terms.masked_fill(&a.exp().eq(0.0), 0.0)
    };
    let mean = ((log_p.exp() + log_q.exp()) / 2.0).log();
    let terms = match kind {
        Forward => relative(log_p, log_q),
        Reverse => relative(log_q, log_p),
        JensenShannon => (relative(log_p, &mean) + relative(log_q, &mean)) / 2.0,
    };
    terms.sum_dim_intlist([1].as_slice(), false, None)
}

/// Softened distributions of both in f64.
fn softened(student: &Case, teacher: &Case) -> [Tensor; 2] {
    [teacher, student].map(|case| (case.logits() / TEMPERATURE).log_softmax(1, None))
}

fn assert_divergence(
    student: &Case,
    teacher: TeacherRows<'_>,
    expected: (&Case, &Tensor),
    kind: DivergenceKind,
    at_once: i64,
) {
    let what = format!("{kind:?}, {at_once} at once");
    let rows = student.rows(at_once);
    let (log_probs, divergence) =
        linear_divergence(rows, &student.targets, teacher, kind, TEMPERATURE).unwrap();
    let (exact, exact_divergence) = expected;
    let exact_log_probs = exact.composed_log_probs();
    assert_close(&log_probs, &exact_log_probs, 1e-5, &what);
    assert_close(&divergence, exact_divergence, 1e-5, &what);
    (weighted_sum(&divergence) * 2.5 - log_probs.sum(None)).backward();
    (weighted_sum(exact_divergence) * 2.5 - exact_log_probs.sum(None)).backward();
    for (found, expected) in student.gradients().iter().zip(exact.gradients()) {
        assert_close(found, &expected, 2e-5, &what);
    }
}

#[test]
fn divergences_in_pieces_are_those_of_whole_logits() {
    for kind in [Forward, Reverse, JensenShannon] {
        for ([rows, dim, vocab], at_once) in [([9, 6, 13], 4), ([1, 4, 5], 1), ([30, 5, 40], 100)] {
            let student = Case::new([rows, dim, vocab], 1000);
            let teacher = Case::new([rows, dim + 3, vocab], 1000);
            let (exact, exact_teacher) = (student.in_f64(), teacher.in_f64());
            let [log_p, log_q] = softened(&exact, &exact_teacher);
            let expected = composed_divergence(&log_p.detach(), &log_q, kind);
            let view = TeacherRows::Hidden(&teacher.hidden, &teacher.weight);
            assert_divergence(&student, view, (&exact, &expected), kind, at_once);
            assert!(!teacher.weight.grad().defined());
        }
    }
}

/// All tokens beyond the teacher's likeliest are one outcome of both.
#[test]
fn the_likeliest_and_the_rest_are_a_distribution_of_their_own() {
    for kind in [Forward, Reverse, JensenShannon] {
        for (count, at_once) in [(1, 2), (5, 4), (12, 100), (13, 4)] {
            let student = Case::new([9, 6, 13], 1000);
            let teacher = Case::new([9, 4, 13], 1000);
            let (exact, exact_teacher) = (student.in_f64(), teacher.in_f64());
            let [log_p, log_q] = softened(&exact, &exact_teacher);
            let (_, ids) = log_p.topk(count, 1, true, true);
            let outcomes = |log: &Tensor| {
                let top = log.gather(1, &ids, false);
                let others = log.exp().scatter_value(1, &ids, 0.0);
                let rest = others.sum_dim_intlist([1].as_slice(), true, None);
                Tensor::cat(&[top, rest.clamp_min(1e-300).log()], 1)
            };
            let (log_p, log_q) = (outcomes(&log_p).detach(), outcomes(&log_q));
            let expected = composed_divergence(&log_p, &log_q, kind);
            let cached = Likeliest {
                ids: ids.shallow_clone(),
                log_probs: log_p.to_kind(Kind::Float),
            };
            let view = TeacherRows::Likeliest {
                log_probs: &cached.log_probs,
                ids: &cached.ids,
            };
            assert_divergence(&student, view, (&exact, &expected), kind, at_once);
        }
    }
}

#[test]
fn with_the_whole_vocabulary_kept_the_teacher_is_not_missed() {
    let (_kept, teacher) = with_head(30, Kind::Float);
    let head: &Head = teacher.head();
    let states = random(&[11, 8]) * 40.0;
    let kept = loss::likeliest(&states, head, 30, TEMPERATURE);
    let (_store, student) = with_head(30, Kind::Float);
    let case = Case::new([11, 8, 30], 1000);
    for kind in [Forward, Reverse, JensenShannon] {
        let divergence = |view| {
            let student = (&case.hidden, student.head());
            let scores = loss::token_divergence(student, &case.targets, view, kind, TEMPERATURE);
            scores.divergence.sum(None).backward();
            let gradient = case.hidden.grad().copy();
            let _ = case.hidden.grad().zero_();
            (scores.divergence.detach().to_kind(Kind::Double), gradient)
        };
        let (whole, of_whole) = divergence(TeacherView::Hidden(&states, head));
        let Likeliest { ids, log_probs } = &kept;
        let (cached, of_cached) = divergence(TeacherView::Likeliest { ids, log_probs });
        assert_close(&cached, &whole, 1e-5, &format!("{kind:?}"));
        let of_whole = of_whole.to_kind(Kind::Double);
        assert_close(
            &of_cached,
            &of_whole,
            2e-5,
            &format!("gradient of {kind:?}"),
        );
    }
}
