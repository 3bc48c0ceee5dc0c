// log p(target) of each row, without logits that are held: backward computes them again.
#include "linear_loss.h"

#include <ATen/ops/logsumexp.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// log p = xₜ − log Σᵥ exp xᵥ with x = weight · hidden, so ∂ log p / ∂x = onehot(t) − softmax(x).
struct LogProbs : torch::autograd::Function<LogProbs> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& hidden, const at::Tensor& weight,
                            const at::Tensor& targets, int64_t rows_at_once) {
    auto cast = weight.to(hidden.scalar_type());
    auto fp32 = hidden.options().dtype(at::kFloat);
    auto log_probs = at::zeros({hidden.size(0)}, fp32);
    auto log_sums = at::zeros({hidden.size(0)}, fp32);
    for_each_piece(hidden.size(0), rows_at_once, [&](int64_t first, int64_t rows) {
      auto logits = logits_of(hidden.narrow(0, first, rows), cast);
      auto target = targets.narrow(0, first, rows);
      auto log_sum = at::logsumexp(logits, 1);
      auto chosen = logits.gather(1, target.clamp_min(0).unsqueeze(1)).squeeze(1);
      log_sums.narrow(0, first, rows).copy_(log_sum);
      log_probs.narrow(0, first, rows).copy_((chosen - log_sum).masked_fill_(target.eq(kIgnoredTarget), 0));
    });
    ctx->save_for_backward({hidden, weight, targets, log_sums});
    ctx->saved_data["rows_at_once"] = rows_at_once;
    return log_probs;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    auto saved = ctx->get_saved_variables();
    const auto &hidden = saved[0], &weight = saved[1], &targets = saved[2], &log_sums = saved[3];
    auto grad = grads[0].masked_fill(targets.eq(kIgnoredTarget), 0);
    LinearGradients out(hidden, weight, ctx->needs_input_grad(0), ctx->needs_input_grad(1));
    for_each_piece(hidden.size(0), ctx->saved_data["rows_at_once"].toInt(), [&](int64_t first, int64_t rows) {
      auto of_piece = [&](const at::Tensor& all) { return all.narrow(0, first, rows).unsqueeze(1); };
      auto of_logits = out.logits(first, rows).sub_(of_piece(log_sums)).exp_().mul_(of_piece(grad).neg());
      of_logits.scatter_add_(1, of_piece(targets).clamp_min(0), of_piece(grad));
      out.add(first, of_logits);
    });
    return {out.hidden, out.weight, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

extern "C" {

// fp32 log-probabilities [N] of targets [N] under hidden states [N, D] and an output matrix [V, D] of any kind; 0 where
// the target is ignored. Differentiable in hidden states and matrix.
char* lt_linear_log_probs(const at::Tensor* hidden, const at::Tensor* weight, const at::Tensor* targets,
                          int64_t rows_at_once, at::Tensor** out) {
  return guarded([&] { *out = new at::Tensor(LogProbs::apply(*hidden, *weight, *targets, rows_at_once)); });
}

}  // extern "C"
