// Rotary position embedding (Su et al. 2021) of queries and keys where they stand: behind each other in the rows of one
// projection, the values after them. Component j of a head turns together with component j + P/2.
#include "../abi.h"
#include "../kernels.h"
#include "rows.h"
#include "simd.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Turns `heads` heads of 2 * `half` components, the other way round where `direction` is -1. `out` may be `row`.
LT_CLONES void turn_row(const float* row, const float* cos, const float* sin, float direction, float* out,
                        int64_t heads, int64_t half) {
  for (int64_t head = 0; head < heads; ++head, row += 2 * half, out += 2 * half) {
#pragma omp simd
    for (int64_t j = 0; j < half; ++j) {
      const float a = row[j], b = row[j + half], s = direction * sin[j];
      out[j] = a * cos[j] - b * s;
      out[j + half] = b * cos[j] + a * s;
    }
  }
}

struct Heads {
  int64_t queries, keys, size;
  int64_t turned() const { return queries + keys; }
  int64_t width() const { return (queries + 2 * keys) * size; }
};

void turn_by_kernel(const at::Tensor& rows_of, const at::Tensor& cos, const at::Tensor& sin, float direction,
                    Heads heads) {
  const int64_t half = heads.size / 2, rows = rows_of.numel() / heads.width();
  const bool packed = kernels::are_packed(half, {rows_of, cos, sin});
  kernels::Rotate arguments{};
  arguments.rows = rows_of.data_ptr();
  arguments.cos = cos.const_data_ptr<float>();
  arguments.sin = sin.const_data_ptr<float>();
  arguments.tables = cos.numel() / half;
  arguments.width = static_cast<int>(heads.width());
  arguments.heads = static_cast<int>(heads.turned());
  arguments.half = static_cast<int>(half);
  arguments.direction = direction;
  arguments.packed = packed;
  const int at_once = packed ? kernels::pack_of(rows_of) : 1;
  kernels::launch(rows_of, kernels::block_for_each_row(rows, heads.turned() * half, at_once), arguments);
}

// Turns the queries and keys in the rows of `both` [B, S, width]; row t by row t modulo their number of the tables.
void turn(const at::Tensor& rows_of, const at::Tensor& cos, const at::Tensor& sin, float direction, Heads heads) {
  if (kernels::take(rows_of)) return turn_by_kernel(rows_of, cos, sin, direction, heads);
  const int64_t half = heads.size / 2, rows = rows_of.numel() / heads.width(), table = cos.numel() / half;
  const float *cosines = cos.const_data_ptr<float>(), *sines = sin.const_data_ptr<float>();
  at::parallel_for(0, rows, grain(heads.width()), [&](int64_t first, int64_t last) {
    RowReader read(rows_of, heads.width());
    RowWriter write(rows_of, heads.width());
    const bool copies = rows_of.scalar_type() != at::kFloat;
    for (int64_t row = first; row < last; ++row) {
      const int64_t at = row % table * half;
      const float* in = read.read(row);
      float* out = write.begin(row);
      turn_row(in, cosines + at, sines + at, direction, out, heads.turned(), half);
      if (copies) {  // the values go through the buffer as well
        std::copy(in + heads.turned() * heads.size, in + heads.width(), out + heads.turned() * heads.size);
      }
      write.done(row);
    }
  });
}

struct Rotate : Function<Rotate> {
  static variable_list forward(AutogradContext* context, const at::Tensor& both, const at::Tensor& cos_in,
                               const at::Tensor& sin_in, int64_t queries, int64_t keys) {
    at::AutoDispatchBelowADInplaceOrView no_views;
    const Heads heads{queries, keys, both.size(-1) / (queries + 2 * keys)};
    const auto cos = cos_in.contiguous(), sin = sin_in.contiguous();
    turn(both, cos, sin, 1.0f, heads);
    context->save_for_backward({cos, sin});
    context->saved_data["queries"] = queries;
    context->saved_data["keys"] = keys;
    const auto by_head = both.view({both.size(0), both.size(1), -1, heads.size}).transpose(1, 2);
    return {by_head.narrow(1, 0, queries), by_head.narrow(1, queries, keys), by_head.narrow(1, queries + keys, keys)};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const int64_t queries = context->saved_data["queries"].toInt(), keys = context->saved_data["keys"].toInt();
    const auto& dq = grads[0];
    const Heads heads{queries, keys, dq.size(3)};
    auto dboth = at::empty({dq.size(0), dq.size(2), heads.width()}, dq.options());
    const auto by_head = dboth.view({dq.size(0), dq.size(2), -1, heads.size}).transpose(1, 2);
    by_head.narrow(1, 0, queries).copy_(dq);
    by_head.narrow(1, queries, keys).copy_(grads[1]);
    by_head.narrow(1, queries + keys, keys).copy_(grads[2]);
    turn(dboth, saved[0], saved[1], -1.0f, heads);
    return {dboth, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

extern "C" {

// Takes `both` [B, S, (H + 2K) P] over, contiguous, fp32 or bf16, and turns its queries and keys in place by the fp32
// tables [S or B·S, P/2]. Queries [B, H, S, P], keys and values [B, K, S, P] are parts of it.
char* lt_rotate(const at::Tensor* both, const at::Tensor* cos, const at::Tensor* sin, int64_t queries, int64_t keys,
                at::Tensor** out) {
  return guarded([&] {
    const auto parts = Rotate::apply(*both, *cos, *sin, queries, keys);
    for (size_t i = 0; i < 3; ++i) out[i] = new at::Tensor(parts[i]);
  });
}

}  // extern "C"
