// What losses over a vocabulary share: logits a few rows at a time, and the gradients that come back through them. No
// more than one such piece of the logits [N, V] is ever held.
#pragma once

#include "abi.h"
#include "product.h"

#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

// A target that is not trained on, as in torch's cross_entropy.
constexpr int64_t kIgnoredTarget = -100;

// fp32 logits [C, V] of some rows of hidden states [C, D]; the weight [V, D] is of their kind.
inline at::Tensor logits_of(const at::Tensor& hidden, const at::Tensor& weight) {
  return product(hidden, weight.t()).to(at::kFloat);
}

template <typename Body>
void for_each_piece(int64_t rows, int64_t at_once, Body&& body) {
  for (int64_t first = 0; first < rows; first += at_once) body(first, std::min(at_once, rows - first));
}

// Gradients of `hidden · weightᵀ`, filled piece by piece; what is not wanted stays undefined and costs nothing.
class LinearGradients {
 public:
  at::Tensor hidden, weight;

  LinearGradients(const at::Tensor& hidden_in, const at::Tensor& weight_in, bool wants_hidden, bool wants_weight)
      : hidden_(hidden_in), weight_(weight_in.to(hidden_in.scalar_type())) {
    if (wants_hidden) hidden = at::zeros_like(hidden_in);
    if (wants_weight) weight = at::zeros_like(weight_in);
  }

  at::Tensor logits(int64_t first, int64_t rows) const { return logits_of(hidden_.narrow(0, first, rows), weight_); }

  // Takes in the gradient [C, V] of the logits of some rows.
  void add(int64_t first, const at::Tensor& of_logits) {
    auto grad = of_logits.to(hidden_.scalar_type());
    auto rows = hidden_.narrow(0, first, grad.size(0));
    if (hidden.defined()) {
      product_into(hidden.narrow(0, first, grad.size(0)), grad, weight_, /*accumulate=*/false);
    }
    if (!weight.defined()) return;
    if (weight.scalar_type() == grad.scalar_type()) {
      product_into(weight, grad.t(), rows, /*accumulate=*/true);
    } else {
      weight.add_(product(grad.t(), rows));  // summed in the weight's own kind
    }
  }

 private:
  at::Tensor hidden_, weight_;
};
