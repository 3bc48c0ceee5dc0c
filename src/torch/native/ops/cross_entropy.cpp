// Σ log p(target | hidden) over tokens, p the softmax of hidden Wᵀ, in chunks of tokens, so that no more than a
// chunk's logits are ever there. As the sum weighs every token alike, its gradients are computed beside it, once and for
// all up to one factor: the logits are needed once (Hsu et al. 2024, Liger Kernel).
#include "../abi.h"
#include "../kernels.h"
#include "../product.h"
#include "rows.h"
#include "simd.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <limits>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr int64_t kChunkBytes = 24 << 20;  // of fp32 logits
constexpr int64_t kGpuChunkBytes = 256 << 20;
constexpr int64_t kIgnored = -100;

LT_CLONES float max_of(const float* logits, int64_t count) {
  float most = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : most)
  for (int64_t i = 0; i < count; ++i) most = logits[i] > most ? logits[i] : most;
  return most;
}

// logits become e^(logits - most); their sum, of blocks, as a long sum of floats loses digits.
LT_CLONES double exponentials(float* logits, float most, int64_t count) {
  constexpr int64_t kBlock = 512;
  double sum = 0.0;
  for (int64_t first = 0; first < count; first += kBlock) {
    const int64_t last = first + kBlock < count ? first + kBlock : count;
    float block = 0.0f;
#pragma omp simd reduction(+ : block)
    for (int64_t i = first; i < last; ++i) {
      logits[i] = exp_float(logits[i] - most);
      block += logits[i];
    }
    sum += block;
  }
  return sum;
}

// One chunk's rows become Σ · (onehot - p), with 1/Σ aside; ignored rows become 0. The sum of log p.
double score(const at::Tensor& logits, const int64_t* targets, float* inverse_sums) {
  const int64_t rows = logits.size(0), vocab = logits.size(1);
  float* values = logits.data_ptr<float>();
  std::vector<double> log_probs(rows, 0.0);
  at::parallel_for(0, rows, 1, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      float* x = values + row * vocab;
      const int64_t target = targets[row];
      inverse_sums[row] = 0.0f;
      if (target == kIgnored) {
        std::fill(x, x + vocab, 0.0f);
        continue;
      }
      const float most = max_of(x, vocab), wanted = x[target];
      const double sum = exponentials(x, most, vocab);
      log_probs[row] = static_cast<double>(wanted - most) - std::log(sum);
      x[target] = static_cast<float>(x[target] - sum);
      inverse_sums[row] = static_cast<float>(-1.0 / sum);
    }
  });
  double total = 0.0;
  for (const double log_prob : log_probs) total += log_prob;
  return total;
}

void check_targets(const at::Tensor& targets, int64_t tokens, int64_t vocab) {
  TORCH_CHECK(targets.numel() == tokens, targets.numel(), " targets for ", tokens, " tokens");
  const int64_t* ids = targets.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < tokens; ++i) {
    TORCH_CHECK(ids[i] == kIgnored || (ids[i] >= 0 && ids[i] < vocab), "target ", ids[i], " of ", vocab);
  }
}

// Where the gradients go; undefined where they are not wanted.
struct Gradients {
  at::Tensor hidden, weight;

  bool wanted() const { return hidden.defined() || weight.defined(); }
};

int64_t rows_of_chunk(int64_t chunk_bytes, int64_t tokens, int64_t vocab) {
  return std::max<int64_t>(1, std::min<int64_t>(tokens, chunk_bytes / 4 / vocab));
}

at::Tensor sum_by_loops(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets,
                        const Gradients& gradients) {
  const int64_t tokens = hidden.size(0), vocab = weight.size(0);
  check_targets(targets, tokens, vocab);
  const int64_t chunk = rows_of_chunk(kChunkBytes, tokens, vocab);
  auto logits = at::empty({chunk, vocab}, hidden.options());
  auto inverse_sums = at::empty({chunk, 1}, hidden.options().dtype(at::kFloat));
  double total = 0.0;
  for (int64_t first = 0; first < tokens; first += chunk) {
    const int64_t count = std::min(chunk, tokens - first);
    const auto rows = hidden.narrow(0, first, count), out = logits.narrow(0, 0, count);
    product_into(out, rows, weight.t(), /*accumulate=*/false);
    const auto scores = out.to(at::kFloat);  // itself where it is fp32
    total += score(scores, targets.const_data_ptr<int64_t>() + first, inverse_sums.data_ptr<float>());
    if (!gradients.wanted()) continue;
    const auto factors = inverse_sums.narrow(0, 0, count), slopes = scores.to(hidden.scalar_type());
    if (gradients.hidden.defined()) {
      const auto part = gradients.hidden.narrow(0, first, count);
      product_into(part, slopes, weight, /*accumulate=*/false);
      part.mul_(factors);
    }
    if (gradients.weight.defined()) {
      product_into(gradients.weight, slopes.t(), at::mul(rows, factors).to(weight.scalar_type()), /*accumulate=*/true);
    }
  }
  return at::scalar_tensor(total, hidden.options().dtype(at::kFloat));
}

// Nothing is read on the host: a target out of range makes the sum not a number.
at::Tensor sum_by_kernel(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets,
                         const Gradients& gradients) {
  static_assert(sizeof(long long) == sizeof(int64_t), "targets are read as long long");
  const int64_t tokens = hidden.size(0), vocab = weight.size(0);
  TORCH_CHECK(targets.numel() == tokens, targets.numel(), " targets for ", tokens, " tokens");
  const int64_t chunk = rows_of_chunk(kGpuChunkBytes, tokens, vocab);
  auto logits = at::empty({chunk, vocab}, hidden.options());
  auto log_probs = at::empty({tokens}, hidden.options().dtype(at::kFloat));
  const bool packed = kernels::are_packed(vocab, {logits});
  for (int64_t first = 0; first < tokens; first += chunk) {
    const int64_t count = std::min(chunk, tokens - first);
    const auto rows = hidden.narrow(0, first, count), slopes = logits.narrow(0, 0, count);
    product_into(slopes, rows, weight.t(), /*accumulate=*/false);
    kernels::CrossEntropy arguments{};
    arguments.logits = slopes.data_ptr();
    arguments.targets = reinterpret_cast<const long long*>(targets.const_data_ptr<int64_t>() + first);
    arguments.log_probs = log_probs.data_ptr<float>() + first;
    arguments.vocab = static_cast<int>(vocab);
    arguments.gradients = gradients.wanted();
    arguments.packed = packed;
    kernels::launch(logits, kernels::block_for_each_row(count, vocab, packed ? kernels::pack_of(logits) : 1), arguments);
    if (gradients.hidden.defined()) {
      product_into(gradients.hidden.narrow(0, first, count), slopes, weight, /*accumulate=*/false);
    }
    if (gradients.weight.defined()) product_into(gradients.weight, slopes.t(), rows, /*accumulate=*/true);
  }
  return log_probs.sum();
}

struct SumLogProbs : Function<SumLogProbs> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden_in, const at::Tensor& weight,
                            const at::Tensor& targets_in, bool with_gradients) {
    at::AutoDispatchBelowADInplaceOrView no_views;
    const auto hidden = hidden_in.contiguous(), targets = targets_in.contiguous();
    Gradients gradients;
    if (with_gradients && hidden_in.requires_grad()) gradients.hidden = at::empty_like(hidden);
    if (with_gradients && weight.requires_grad()) gradients.weight = at::zeros_like(weight);
    const auto total = kernels::take(hidden) ? sum_by_kernel(hidden, weight, targets, gradients)
                                             : sum_by_loops(hidden, weight, targets, gradients);
    context->save_for_backward({gradients.hidden, gradients.weight});
    return total;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    auto saved = context->get_saved_variables();
    // Nobody else has them: a graph is walked once.
    for (auto& gradient : saved) {
      if (gradient.defined()) gradient.mul_(grads[0]);
    }
    return {saved[0], saved[1], at::Tensor(), at::Tensor()};
  }
};

}  // namespace

extern "C" {

// `hidden` [N, D] and `weight` [V, D] of one kind, `targets` [N] int64, -100 where there is none: a float32
// scalar.
char* lt_sum_log_probs(const at::Tensor* hidden, const at::Tensor* weight, const at::Tensor* targets,
                       at::Tensor** out) {
  return guarded([&] { *out = new at::Tensor(SumLogProbs::apply(*hidden, *weight, *targets, at::GradMode::is_enabled())); });
}

}  // extern "C"
