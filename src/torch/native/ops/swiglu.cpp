// silu(g) ⊙ u (Shazeer 2020) of gates and values side by side.
#include "../abi.h"
#include "../kernels.h"
#include "../product.h"
#include "rows.h"
#include "simd.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

LT_CLONES void forward_row(const float* gates, const float* values, float* out, int64_t width) {
#pragma omp simd
  for (int64_t i = 0; i < width; ++i) out[i] = gates[i] / (1.0f + exp_float(-gates[i])) * values[i];
}

// With s = sigmoid(g): silu'(g) = s (1 + g (1 - s)).
LT_CLONES void backward_row(const float* gates, const float* values, const float* dout, float* dgates, float* dvalues,
                            int64_t width) {
#pragma omp simd
  for (int64_t i = 0; i < width; ++i) {
    const float sigmoid = 1.0f / (1.0f + exp_float(-gates[i]));
    dvalues[i] = dout[i] * gates[i] * sigmoid;
    dgates[i] = dout[i] * values[i] * sigmoid * (1.0f + gates[i] * (1.0f - sigmoid));
  }
}

int64_t half_width(const at::Tensor& both) { return both.size(-1) / 2; }

at::Tensor gated(const at::Tensor& both) {
  const int64_t width = half_width(both), rows = width ? both.numel() / (2 * width) : 0;
  auto shape = both.sizes().vec();
  shape.back() = width;
  auto out = at::empty(shape, both.options());
  if (kernels::take(both)) {
    const bool packed = kernels::are_packed(width, {both, out});
    kernels::launch(both, kernels::block_for_each_row(rows, width, packed ? kernels::pack_of(both) : 1),
                    kernels::SwiGlu{both.const_data_ptr(), out.data_ptr(), static_cast<int>(width), packed});
    return out;
  }
  at::parallel_for(0, rows, grain(width), [&](int64_t first, int64_t last) {
    RowReader read(both, 2 * width);
    RowWriter write(out, width);
    for (int64_t row = first; row < last; ++row) {
      const float* gates = read.read(row);
      forward_row(gates, gates + width, write.begin(row), width);
      write.done(row);
    }
  });
  return out;
}

at::Tensor gated_backward(const at::Tensor& both, const at::Tensor& dout) {
  const int64_t width = half_width(both), rows = width ? both.numel() / (2 * width) : 0;
  auto dboth = at::empty_like(both);
  if (kernels::take(both)) {
    const bool packed = kernels::are_packed(width, {both, dout, dboth});
    kernels::launch(both, kernels::block_for_each_row(rows, width, packed ? kernels::pack_of(both) : 1),
                    kernels::SwiGluBackward{both.const_data_ptr(), dout.const_data_ptr(), dboth.data_ptr(),
                                            static_cast<int>(width), packed});
    return dboth;
  }
  at::parallel_for(0, rows, grain(width), [&](int64_t first, int64_t last) {
    RowReader read(both, 2 * width), read_dout(dout, width);
    RowWriter write(dboth, 2 * width);
    for (int64_t row = first; row < last; ++row) {
      const float* gates = read.read(row);
      float* dgates = write.begin(row);
      backward_row(gates, gates + width, read_dout.read(row), dgates, dgates + width, width);
      write.done(row);
    }
  });
  return dboth;
}

struct SwiGlu : Function<SwiGlu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& both_in) {
    at::AutoDispatchBelowADInplaceOrView no_views;
    const auto both = both_in.contiguous();
    context->save_for_backward({both});
    return gated(both);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    return {gated_backward(context->get_saved_variables()[0], grads[0].contiguous())};
  }
};

// The product that follows: its input is not kept, as it is soon computed again.
struct GatedLinear : Function<GatedLinear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& both_in, const at::Tensor& weight) {
    at::AutoDispatchBelowADInplaceOrView no_views;
    const auto both = both_in.contiguous();
    context->save_for_backward({both, weight});
    auto shape = both.sizes().vec();
    shape.back() = weight.size(0);
    return product(gated(both).view({-1, half_width(both)}), weight.t()).view(shape);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const auto &both = saved[0], &weight = saved[1];
    const auto dy = grads[0].reshape({-1, weight.size(0)});
    variable_list out(2);
    if (context->needs_input_grad(0)) out[0] = gated_backward(both, product(dy, weight));
    if (context->needs_input_grad(1)) out[1] = product(dy.t(), gated(both).view({-1, half_width(both)}));
    return out;
  }
};

}  // namespace

extern "C" {

// Gates and values [.., 2F], fp32 or bf16: [.., F].
char* lt_swiglu(const at::Tensor* both, at::Tensor** out) {
  return guarded([&] { *out = new at::Tensor(SwiGlu::apply(*both)); });
}

// The same, times a matrix [out, F] of the same kind: [.., out].
char* lt_gated_linear(const at::Tensor* both, const at::Tensor* weight, at::Tensor** out) {
  return guarded([&] { *out = new at::Tensor(GatedLinear::apply(*both, *weight)); });
}

}  // extern "C"
