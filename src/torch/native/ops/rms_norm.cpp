// The residual stream's addition and its norm in one pass: h = x + branch, y = w h / √(mean(h²) + ε) over the last
// dimension (Zhang & Sennrich 2019). Sums are fp32 whatever the kind of x.
#include "../abi.h"
#include "../kernels.h"
#include "rows.h"
#include "simd.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <optional>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// h = x + branch (x alone where there is none); the sum of squares.
LT_CLONES float add_row(const float* x, const float* branch, float* h, int64_t width) {
  float squares = 0.0f;
  if (branch) {
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < width; ++i) {
      h[i] = x[i] + branch[i];
      squares += h[i] * h[i];
    }
  } else {
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < width; ++i) squares += x[i] * x[i];
  }
  return squares;
}

LT_CLONES void scale_row(const float* h, const float* weight, float factor, float* y, int64_t width) {
#pragma omp simd
  for (int64_t i = 0; i < width; ++i) y[i] = h[i] * factor * weight[i];
}

// With r = 1/√(mean(h²) + ε): dh = r w dy - h r³ mean(w dy h) (+ what else h was used for); dw += r h dy.
LT_CLONES void backward_row(const float* h, const float* weight, const float* dy, const float* other, float r,
                            float* dh, float* dweight, int64_t width) {
  float dot = 0.0f;
#pragma omp simd reduction(+ : dot)
  for (int64_t i = 0; i < width; ++i) dot += dy[i] * weight[i] * h[i];
  const float along = dot * r * r * r / static_cast<float>(width);
  if (other) {
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) dh[i] = r * weight[i] * dy[i] - along * h[i] + other[i];
  } else {
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) dh[i] = r * weight[i] * dy[i] - along * h[i];
  }
#pragma omp simd
  for (int64_t i = 0; i < width; ++i) dweight[i] += r * h[i] * dy[i];
}

void forward_by_loops(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& weight, double eps,
                      const at::Tensor& h, const at::Tensor& y, const at::Tensor& factors) {
  const int64_t width = x.size(-1), rows = factors.numel();
  const float* w = weight.const_data_ptr<float>();
  float* factor = factors.data_ptr<float>();
  at::parallel_for(0, rows, grain(width), [&](int64_t first, int64_t last) {
    RowReader read_x(x, width), read_branch(branch.defined() ? branch : x, width), read_h(h, width);
    RowWriter write_h(h, width), write_y(y, width);
    for (int64_t row = first; row < last; ++row) {
      const float* added = branch.defined() ? read_branch.read(row) : nullptr;
      const float squares = add_row(read_x.read(row), added, write_h.begin(row), width);
      if (added) write_h.done(row);
      factor[row] = 1.0f / std::sqrt(squares / static_cast<float>(width) + static_cast<float>(eps));
      scale_row(read_h.read(row), w, factor[row], write_y.begin(row), width);
      write_y.done(row);
    }
  });
}

// Gives the weight's gradient, fp32.
at::Tensor backward_by_loops(const at::Tensor& h, const at::Tensor& dy, const at::Tensor& other,
                             const at::Tensor& weight, const at::Tensor& factors, const at::Tensor& dh) {
  const int64_t width = h.size(-1), rows = factors.numel();
  auto dweights = at::zeros({at::get_num_threads(), width}, factors.options());
  const float *w = weight.const_data_ptr<float>(), *factor = factors.const_data_ptr<float>();
  at::parallel_for(0, rows, grain(width), [&](int64_t first, int64_t last) {
    RowReader read_h(h, width), read_dy(dy, width), read_other(other.defined() ? other : dy, width);
    RowWriter write_dh(dh, width);
    float* dweight = dweights.data_ptr<float>() + at::get_thread_num() * width;
    for (int64_t row = first; row < last; ++row) {
      const float* also = other.defined() ? read_other.read(row) : nullptr;
      backward_row(read_h.read(row), w, read_dy.read(row), also, factor[row], write_dh.begin(row), dweight, width);
      write_dh.done(row);
    }
  });
  return dweights.sum(0);
}

// Blocks of the backward kernel, each of which sums the weight's gradient over its rows: about two for each
// multiprocessor of today's GPUs.
constexpr int64_t kMostPartialSums = 256;

void forward_by_kernel(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& weight, double eps,
                       const at::Tensor& h, const at::Tensor& y, const at::Tensor& factors) {
  const int64_t width = x.size(-1);
  const bool packed = kernels::are_packed(width, {x, branch, weight, h, y});
  kernels::AddRmsNorm arguments{};
  arguments.x = x.const_data_ptr();
  arguments.branch = branch.defined() ? branch.const_data_ptr() : nullptr;
  arguments.weight = weight.const_data_ptr<float>();
  arguments.h = h.data_ptr();
  arguments.y = y.data_ptr();
  arguments.factors = factors.data_ptr<float>();
  arguments.eps = static_cast<float>(eps);
  arguments.width = static_cast<int>(width);
  arguments.packed = packed;
  kernels::launch(x, kernels::block_for_each_row(factors.numel(), width, packed ? kernels::pack_of(x) : 1), arguments);
}

// Gives the weight's gradient, fp32.
at::Tensor backward_by_kernel(const at::Tensor& h, const at::Tensor& dy, const at::Tensor& other,
                              const at::Tensor& weight, const at::Tensor& factors, const at::Tensor& dh) {
  const int64_t width = h.size(-1), rows = factors.numel();
  const bool packed = kernels::are_packed(width, {h, dy, other, weight, dh});
  const int at_once = packed ? kernels::pack_of(h) : 1;
  auto geometry = kernels::block_for_each_row(std::min(rows, kMostPartialSums), width, at_once);
  const int64_t step = static_cast<int64_t>(geometry.threads) * at_once;
  geometry.shared_bytes = static_cast<size_t>((width + step - 1) / step * step) * sizeof(float);
  auto dweights = at::empty({geometry.blocks, width}, factors.options());
  kernels::AddRmsNormBackward arguments{};
  arguments.h = h.const_data_ptr();
  arguments.dy = dy.const_data_ptr();
  arguments.other = other.defined() ? other.const_data_ptr() : nullptr;
  arguments.weight = weight.const_data_ptr<float>();
  arguments.factors = factors.const_data_ptr<float>();
  arguments.dh = dh.data_ptr();
  arguments.dweights = dweights.data_ptr<float>();
  arguments.rows = rows;
  arguments.width = static_cast<int>(width);
  arguments.packed = packed;
  kernels::launch(h, geometry, arguments);
  return dweights.sum(0);
}

struct AddRmsNorm : Function<AddRmsNorm> {
  static variable_list forward(AutogradContext* context, const at::Tensor& x_in,
                               const std::optional<at::Tensor>& branch_in, const at::Tensor& weight_in, double eps) {
    at::AutoDispatchBelowADInplaceOrView no_views;
    const auto x = x_in.contiguous();
    const auto weight = weight_in.to(at::kFloat).contiguous();
    const auto branch = branch_in ? branch_in->contiguous() : at::Tensor();
    const int64_t width = x.size(-1), rows = width ? x.numel() / width : 0;
    auto h = branch.defined() ? at::empty_like(x) : x;
    auto y = at::empty_like(x);
    auto factors = at::empty({rows}, x.options().dtype(at::kFloat));
    if (kernels::take(x)) {
      forward_by_kernel(x, branch, weight, eps, h, y, factors);
    } else {
      forward_by_loops(x, branch, weight, eps, h, y, factors);
    }
    context->save_for_backward({h, factors, weight_in});
    context->saved_data["branch"] = branch.defined();
    if (!branch.defined()) return {y};
    return {y, h};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const auto &h = saved[0], &factors = saved[1];
    const auto weight = saved[2].to(at::kFloat).contiguous();
    const bool has_branch = context->saved_data["branch"].toBool();
    const auto dy = grads[0].contiguous();
    const auto other = has_branch && grads[1].defined() ? grads[1].contiguous() : at::Tensor();
    auto dh = at::empty_like(h);
    const auto dweight = kernels::take(h) ? backward_by_kernel(h, dy, other, weight, factors, dh)
                                          : backward_by_loops(h, dy, other, weight, factors, dh);
    return {dh, has_branch ? dh : at::Tensor(), dweight.to(saved[2].scalar_type()), at::Tensor()};
  }
};

}  // namespace

extern "C" {

// `x` and `branch` (may be null) [.., D] of one kind, fp32 or bf16, `weight` [D]: their norm, and their sum where there
// is a branch.
char* lt_add_rms_norm(const at::Tensor* x, const at::Tensor* branch, const at::Tensor* weight, double eps,
                      at::Tensor** normed, at::Tensor** sum) {
  return guarded([&] {
    const auto added = branch ? std::optional<at::Tensor>(*branch) : std::nullopt;
    const auto out = AddRmsNorm::apply(*x, added, *weight, eps);
    *normed = new at::Tensor(out[0]);
    *sum = out.size() > 1 ? new at::Tensor(out[1]) : nullptr;
  });
}

}  // extern "C"
