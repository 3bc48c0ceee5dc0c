// y = x Wᵀ with fp8 factors and sums in fp32 (Micikevicius et al. 2022): x and W in e4m3, the gradient of y in e5m2. What
// is kept of x for backward is its fp8 form, a byte a number; W is scaled again there.
#include "../abi.h"
#include "fp8.h"

#include <ATen/ops/_scaled_mm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// a [M, K], by rows, times b [K, N], by columns, in the kind given. Hopper's fast sums keep fewer bits; those of
// gradients are exact.
enum class Sums { kFast, kExact };

at::Tensor product(const Fp8& a, const Fp8& b, at::ScalarType kind, Sums sums) {
  return at::_scaled_mm(a.values, b.values, a.inverse_scale, b.inverse_scale, /*bias=*/{}, /*scale_result=*/{}, kind,
                        /*use_fast_accum=*/sums == Sums::kFast);
}

Fp8 transposed(const Fp8& x) { return {x.values.t(), x.inverse_scale}; }

// The same matrix, its other dimension the one that lies together.
Fp8 turned(const Fp8& x) { return {x.values.t().contiguous().t(), x.inverse_scale}; }

// Tensor cores take multiples of 16 rows: the rest are zeros.
at::Tensor padded(const at::Tensor& rows) {
  const int64_t missing = (16 - rows.size(0) % 16) % 16;
  return missing ? at::constant_pad_nd(rows, {0, 0, 0, missing}) : rows;
}

struct LinearFp8 : Function<LinearFp8> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, at::TensorList weights, bool by_kernels) {
    at::AutoDispatchBelowADInplaceOrView no_views;
    const auto rows = x.reshape({-1, x.size(-1)});  // [N, in]
    const auto seen = to_fp8(padded(rows), Fp8Format::kE4m3, by_kernels);
    const auto weight = to_fp8(at::cat(weights, 0), Fp8Format::kE4m3, by_kernels);
    auto saved = variable_list{seen.values, seen.inverse_scale};
    saved.insert(saved.end(), weights.begin(), weights.end());
    context->save_for_backward(saved);
    context->saved_data["shape"] = x.sizes();
    context->saved_data["by_kernels"] = by_kernels;
    const auto y = product(seen, transposed(weight), x.scalar_type(), Sums::kFast);
    auto shape = x.sizes().vec();
    shape.back() = y.size(1);
    return y.narrow(0, 0, rows.size(0)).view(shape);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const Fp8 seen{saved[0], saved[1]};
    const variable_list weights(saved.begin() + 2, saved.end());
    const bool by_kernels = context->saved_data["by_kernels"].toBool();
    const auto kind = grads[0].scalar_type();
    const auto rows = grads[0].reshape({-1, grads[0].size(-1)});  // [N, Σ out]
    const auto dy = to_fp8(padded(rows), Fp8Format::kE5m2, by_kernels);
    variable_list out(1 + weights.size() + 1);
    if (context->needs_input_grad(0)) {
      const auto weight = to_fp8(at::cat(weights, 0), Fp8Format::kE4m3, by_kernels);
      const auto dx = product(dy, turned(weight), kind, Sums::kExact);
      out[0] = dx.narrow(0, 0, rows.size(0)).view(context->saved_data["shape"].toIntVector());
    }
    const Fp8 columns{dy.values.t().contiguous(), dy.inverse_scale};  // [Σ out, N]
    const auto dweight = product(columns, turned(seen), weights[0].scalar_type(), Sums::kExact);
    int64_t row = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      out[1 + i] = dweight.narrow(0, row, weights[i].size(0));
      row += weights[i].size(0);
    }
    return out;
  }
};

}  // namespace

extern "C" {

// `x` [.., in] and matrices [outᵢ, in], all fp32 or all bf16: [.., Σ outᵢ]. Their sizes are multiples of 16.
char* lt_linear_fp8(const at::Tensor* x, TensorList weights, size_t count, bool by_kernels, at::Tensor** out) {
  return guarded([&] {
    const auto list = to_vector(weights, count);
    *out = new at::Tensor(LinearFp8::apply(*x, at::TensorList(list), by_kernels));
  });
}

}  // extern "C"
