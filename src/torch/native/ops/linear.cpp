// y = x Wᵀ for several matrices W of one input, side by side in y: one product where the matrices lie one after another
// in memory.
#include "../abi.h"
#include "../product.h"

#include <ATen/ops/cat.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// The matrices [outᵢ, in] as one [Σ outᵢ, in]; a copy only where they do not follow each other in memory.
at::Tensor stacked(at::TensorList weights) {
  const auto& first = weights.front();
  if (weights.size() == 1) return first;
  int64_t rows = 0;
  bool adjacent = first.is_contiguous();
  const char* end = static_cast<const char*>(first.const_data_ptr());
  for (const auto& weight : weights) {
    adjacent = adjacent && weight.is_contiguous() && weight.const_data_ptr() == end && weight.is_alias_of(first);
    end += weight.nbytes();
    rows += weight.size(0);
  }
  return adjacent ? first.as_strided({rows, first.size(1)}, {first.size(1), 1}) : at::cat(weights, 0);
}

struct Linear : Function<Linear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, at::TensorList weights) {
    at::AutoDispatchBelowADInplaceOrView no_views;
    const auto rows = x.reshape({-1, x.size(-1)});  // [N, in]
    const auto weight = stacked(weights);
    auto saved = variable_list{rows};
    saved.insert(saved.end(), weights.begin(), weights.end());
    context->save_for_backward(saved);
    auto shape = x.sizes().vec();
    shape.back() = weight.size(0);
    context->saved_data["shape"] = x.sizes();
    return product(rows, weight.t()).view(shape);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const variable_list weights(saved.begin() + 1, saved.end());
    const auto dy = grads[0].reshape({-1, grads[0].size(-1)});  // [N, Σ out]
    variable_list out(1 + weights.size());
    if (context->needs_input_grad(0)) {
      out[0] = product(dy, stacked(weights)).view(context->saved_data["shape"].toIntVector());
    }
    int64_t column = 0;
    bool all = true;
    for (size_t i = 0; i < weights.size(); ++i) all = all && context->needs_input_grad(1 + i);
    const auto whole = all ? product(dy.t(), saved[0]) : at::Tensor();  // [Σ out, in]
    for (size_t i = 0; i < weights.size(); ++i) {
      const int64_t rows = weights[i].size(0);
      if (all) {
        out[1 + i] = whole.narrow(0, column, rows);
      } else if (context->needs_input_grad(1 + i)) {
        out[1 + i] = product(dy.narrow(1, column, rows).t(), saved[0]);
      }
      column += rows;
    }
    return out;
  }
};

}  // namespace

extern "C" {

// `x` [.., in] and matrices [outᵢ, in], all of one kind: [.., Σ outᵢ].
char* lt_linear(const at::Tensor* x, TensorList weights, size_t count, at::Tensor** out) {
  return guarded([&] { 
    const auto list = to_vector(weights, count);
    *out = new at::Tensor(Linear::apply(*x, at::TensorList(list)));
   });
}

// Moves matrices of one width to places one after another; their values and names stay.
char* lt_make_adjacent(TensorList weights, size_t count) {
  return guarded([&] {
    auto list = to_vector(weights, count);
    variable_list values;
    for (auto& weight : list) values.push_back(weight.detach());
    const auto all = at::cat(values, 0);
    int64_t row = 0;
    for (auto& weight : list) {
      weight.set_data(all.narrow(0, row, weight.size(0)));
      row += weight.size(0);
    }
  });
}

}  // extern "C"
