// y = x Wᵀ for several matrices W of one input, side by side in y: one product where the matrices lie one after another
// in memory. An adapter (Hu et al. 2021) adds s B A dropout(x) to its matrix's part where that is.
#include "../abi.h"
#include "../product.h"
#include "dropout.h"

#include <ATen/ops/cat.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

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

// The columns of each matrix's part of y.
struct Columns {
  int64_t first, count;
};

std::vector<Columns> columns_of(at::TensorList weights) {
  std::vector<Columns> out;
  int64_t first = 0;
  for (const auto& weight : weights) {
    out.push_back({first, weight.size(0)});
    first += weight.size(0);
  }
  return out;
}

at::Tensor part(const at::Tensor& y, const Columns& columns) { return y.narrow(1, columns.first, columns.count); }

struct Linear : Function<Linear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, at::TensorList weights) {
    at::AutoDispatchBelowADInplaceOrView no_views;
    const auto rows = x.reshape({-1, x.size(-1)});  // [N, in]
    const auto weight = stacked(weights);
    const auto learns = [](const at::Tensor& matrix) { return matrix.requires_grad(); };
    const bool reads = std::any_of(weights.begin(), weights.end(), learns);  // whether backward reads x
    auto saved = variable_list{reads ? rows : at::Tensor()};
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
    const auto columns = columns_of(weights);
    bool all = true;
    for (size_t i = 0; i < weights.size(); ++i) all = all && context->needs_input_grad(1 + i);
    const auto whole = all ? product(dy.t(), saved[0]) : at::Tensor();  // [Σ out, in]
    for (size_t i = 0; i < weights.size(); ++i) {
      if (all) {
        out[1 + i] = whole.narrow(0, columns[i].first, columns[i].count);
      } else if (context->needs_input_grad(1 + i)) {
        out[1 + i] = product(part(dy, columns[i]).t(), saved[0]);
      }
    }
    return out;
  }
};

// Adapters A [rank, in], B [out, rank] of some of the matrices, which are frozen.
struct AdaptedLinear : Function<AdaptedLinear> {
  // `of` says whose the adapters are, in order.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, at::TensorList weights, at::TensorList as,
                            at::TensorList bs, const std::vector<int64_t>& of, double scale, double dropout) {
    at::AutoDispatchBelowADInplaceOrView no_views;
    const auto rows = x.reshape({-1, x.size(-1)}).contiguous();  // [N, in]
    const auto weight = stacked(weights), y = product(rows, weight.t());
    const auto columns = columns_of(weights);
    const double factor = scale / (1.0 - dropout);
    std::vector<int64_t> seeds;
    auto saved = variable_list{rows};
    for (const auto list : {weights, as, bs}) saved.insert(saved.end(), list.begin(), list.end());
    for (size_t i = 0; i < as.size(); ++i) {
      seeds.push_back(dropout > 0.0 ? Dropout::seed() : 0);
      const auto seen = dropout > 0.0 ? Dropout(seeds.back(), dropout)(rows) : rows;
      const auto low = product(seen, as[i].t()).mul_(factor);  // [N, rank]
      product_into(part(y, columns[of[i]]), low, bs[i].t(), /*accumulate=*/true);
      saved.push_back(low);
    }
    context->save_for_backward(saved);
    context->saved_data["of"] = of;
    context->saved_data["seeds"] = seeds;
    context->saved_data["dropout"] = dropout;
    context->saved_data["factor"] = factor;
    context->saved_data["shape"] = x.sizes();
    auto shape = x.sizes().vec();
    shape.back() = weight.size(0);
    return y.view(shape);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const auto of = context->saved_data["of"].toIntVector(), seeds = context->saved_data["seeds"].toIntVector();
    const double factor = context->saved_data["factor"].toDouble(), p = context->saved_data["dropout"].toDouble();
    const size_t adapters = of.size(), first_a = saved.size() - 3 * adapters, first_b = first_a + adapters;
    const variable_list weights(saved.begin() + 1, saved.begin() + static_cast<std::ptrdiff_t>(first_a));
    const auto columns = columns_of(weights);
    const auto dy = grads[0].reshape({-1, grads[0].size(-1)});  // [N, Σ out]
    variable_list out(1 + weights.size() + 2 * adapters + 3);
    const bool passes_on = context->needs_input_grad(0);
    const auto dx = passes_on ? product(dy, stacked(weights)) : at::Tensor();
    for (size_t i = 0; i < adapters; ++i) {
      const auto &a = saved[first_a + i], &b = saved[first_b + i], &low = saved[first_b + adapters + i];
      const Dropout dropout(seeds[i], p);
      const auto own = part(dy, columns[of[i]]);
      const auto dlow = product(own, b).mul_(factor);  // [N, rank]
      out[first_a + i] = product(dlow.t(), p > 0.0 ? dropout(saved[0]) : saved[0]);
      out[first_b + i] = product(own.t(), low);
      if (!passes_on) continue;
      if (p > 0.0) {
        const auto passed = product(dlow, a);
        dropout.in_place(passed);
        dx.add_(passed);
      } else {
        product_into(dx, dlow, a, /*accumulate=*/true);
      }
    }
    if (passes_on) out[0] = dx.view(context->saved_data["shape"].toIntVector());
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

// The same with adapters, all of x's kind: `as` and `bs` hold null where a matrix has none. `scale` stands before B A x,
// of which a part `dropout` is left out. The matrices get no gradient.
char* lt_adapted_linear(const at::Tensor* x, TensorList weights, TensorList as, TensorList bs, size_t count,
                        double scale, double dropout, at::Tensor** out) {
  return guarded([&] {
    variable_list a_list, b_list;
    std::vector<int64_t> of;
    for (size_t i = 0; i < count; ++i) {
      if (as[i] == nullptr) continue;
      a_list.push_back(*as[i]);
      b_list.push_back(*bs[i]);
      of.push_back(static_cast<int64_t>(i));
    }
    const auto list = to_vector(weights, count);
    *out = new at::Tensor(AdaptedLinear::apply(*x, at::TensorList(list), at::TensorList(a_list),
                                               at::TensorList(b_list), of, scale, dropout));
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
