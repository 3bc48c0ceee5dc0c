// How far a student's next-token distribution is from a teacher's, row by row, and the student's log p(target) from the
// same logits; neither model's are held.
#include "linear_loss.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/softmax.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <limits>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

enum Kind : int { kForwardKl = 0, kReverseKl = 1, kJensenShannon = 2 };

// Stands for log 0: its exponential is 0, and 0 times it as well.
constexpr double kLogZero = -1e4;

// The teacher: hidden states and output matrix, or the log-probabilities [N, K + 1] of its likeliest tokens `ids` [N, K]
// and, last, of all others together, at the same temperature.
struct Teacher {
  at::Tensor hidden, weight, log_probs, ids;

  bool is_cached() const { return log_probs.defined(); }
};

// Both distributions of some rows over the same outcomes: all tokens, or the teacher's likeliest and all others as one.
struct Outcomes {
  at::Tensor log_p;         // the teacher's [C, O]
  at::Tensor log_q;         // the student's [C, O]
  at::Tensor log_q_tokens;  // the student's over tokens [C, V]
  at::Tensor ids;           // of the likeliest tokens [C, K], where they are cached

  Outcomes(const Teacher& teacher, const at::Tensor& logits, double temperature, int64_t first) {
    int64_t rows = logits.size(0);
    log_q_tokens = at::log_softmax(logits / temperature, 1);
    if (!teacher.is_cached()) {
      auto of_teacher = logits_of(teacher.hidden.narrow(0, first, rows), teacher.weight);
      log_p = at::log_softmax(of_teacher.div_(temperature), 1);
      log_q = log_q_tokens;
      return;
    }
    ids = teacher.ids.narrow(0, first, rows);
    log_p = teacher.log_probs.narrow(0, first, rows).clamp_min(kLogZero);
    auto others = log_q_tokens.scatter(1, ids, -std::numeric_limits<double>::infinity());
    log_q = at::cat({log_q_tokens.gather(1, ids), at::logsumexp(others, 1, /*keepdim=*/true)}, 1).clamp_min_(kLogZero);
  }

  at::Tensor log_mean() const { return at::logaddexp(log_p, log_q).sub_(std::log(2.0)); }

  // Σ p log(p/q), Σ q log(q/p), or half of both against their mean m.
  at::Tensor divergence(int kind) const {
    auto relative = [](const at::Tensor& log_a, const at::Tensor& log_b) {
      return (log_a - log_b).mul_(log_a.exp()).sum(1);
    };
    if (kind == kForwardKl) return relative(log_p, log_q);
    if (kind == kReverseKl) return relative(log_q, log_p);
    auto log_m = log_mean();
    return relative(log_p, log_m).add_(relative(log_q, log_m)).mul_(0.5);
  }

  // ∂ divergence / ∂ log q of each outcome: −p, q (log(q/p) + 1), ½ q log(q/m).
  at::Tensor slope(int kind) const {
    if (kind == kForwardKl) return log_p.exp().neg_();
    auto q = log_q.exp();
    if (kind == kReverseKl) return (log_q - log_p).add_(1).mul_(q);
    return (log_q - log_mean()).mul_(q).mul_(0.5);
  }

  // The same by the student's logits over the temperature [C, V]: sₒ of the token's outcome, in proportion to the
  // token's part of it, less the token's probability times Σₒ sₒ.
  at::Tensor slope_of_logits(int kind) const {
    auto of_outcomes = slope(kind);
    auto total = of_outcomes.sum(1, /*keepdim=*/true);
    if (!ids.defined()) return of_outcomes.sub_(log_q_tokens.exp().mul_(total));
    int64_t likeliest = ids.size(1);
    auto part_of_others = (log_q_tokens - log_q.narrow(1, likeliest, 1)).exp_();
    auto all = part_of_others.mul_(of_outcomes.narrow(1, likeliest, 1));
    all.scatter_(1, ids, of_outcomes.narrow(1, 0, likeliest));
    return all.sub_(log_q_tokens.exp().mul_(total));
  }
};

struct Divergence : torch::autograd::Function<Divergence> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& hidden, const at::Tensor& weight,
                               const at::Tensor& targets, const Teacher& teacher, int kind, double temperature,
                               int64_t rows_at_once) {
    auto cast = weight.to(hidden.scalar_type());
    auto fp32 = hidden.options().dtype(at::kFloat);
    auto divergences = at::zeros({hidden.size(0)}, fp32);
    auto log_probs = at::zeros({hidden.size(0)}, fp32);
    for_each_piece(hidden.size(0), rows_at_once, [&](int64_t first, int64_t rows) {
      auto logits = logits_of(hidden.narrow(0, first, rows), cast);
      auto target = targets.narrow(0, first, rows).unsqueeze(1);
      auto chosen = logits.gather(1, target).squeeze(1);
      log_probs.narrow(0, first, rows).copy_(chosen - at::logsumexp(logits, 1));
      Outcomes outcomes(teacher, logits, temperature, first);
      divergences.narrow(0, first, rows).copy_(outcomes.divergence(kind));
    });
    ctx->save_for_backward({hidden, weight, targets, teacher.hidden, teacher.weight, teacher.log_probs, teacher.ids});
    ctx->saved_data["kind"] = kind;
    ctx->saved_data["temperature"] = temperature;
    ctx->saved_data["rows_at_once"] = rows_at_once;
    return {log_probs, divergences};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    auto saved = ctx->get_saved_variables();
    const auto &hidden = saved[0], &weight = saved[1], &targets = saved[2];
    Teacher teacher{saved[3], saved[4], saved[5], saved[6]};
    auto kind = static_cast<int>(ctx->saved_data["kind"].toInt());
    auto temperature = ctx->saved_data["temperature"].toDouble();
    LinearGradients out(hidden, weight, ctx->needs_input_grad(0), ctx->needs_input_grad(1));
    for_each_piece(hidden.size(0), ctx->saved_data["rows_at_once"].toInt(), [&](int64_t first, int64_t rows) {
      auto of_piece = [&](const at::Tensor& all) { return all.narrow(0, first, rows).unsqueeze(1); };
      auto logits = out.logits(first, rows);
      Outcomes outcomes(teacher, logits, temperature, first);
      auto of_logits = outcomes.slope_of_logits(kind).mul_(of_piece(grads[1]) / temperature);
      auto of_log_prob = of_piece(grads[0]);
      of_logits.sub_(at::softmax(logits, 1).mul_(of_log_prob));
      of_logits.scatter_add_(1, of_piece(targets), of_log_prob);
      out.add(first, of_logits);
    });
    variable_list all(7);
    all[0] = out.hidden;
    all[1] = out.weight;
    return all;
  }
};

at::Tensor or_undefined(const at::Tensor* tensor) { return tensor == nullptr ? at::Tensor() : *tensor; }

}  // namespace

extern "C" {

// A teacher's tensors: the first two or the last two, the others null.
struct DivergenceTeacher {
  const at::Tensor* hidden;
  const at::Tensor* weight;
  const at::Tensor* log_probs;
  const at::Tensor* ids;
};

// fp32 [N] twice: log p(target) of the student, and the divergence of both softmaxes at the temperature. Differentiable
// in the student's hidden states [N, D] and matrix [V, D].
char* lt_linear_divergence(const at::Tensor* hidden, const at::Tensor* weight, const at::Tensor* targets,
                           const DivergenceTeacher* teacher, int kind, double temperature, int64_t rows_at_once,
                           at::Tensor** log_probs, at::Tensor** divergence) {
  return guarded([&] {
    Teacher of{or_undefined(teacher->hidden), or_undefined(teacher->weight), or_undefined(teacher->log_probs),
               or_undefined(teacher->ids)};
    if (of.weight.defined()) of.weight = of.weight.to(of.hidden.scalar_type());
    auto both = Divergence::apply(*hidden, *weight, *targets, of, kind, temperature, rows_at_once);
    *log_probs = new at::Tensor(both[0]);
    *divergence = new at::Tensor(both[1]);
  });
}

}  // extern "C"
