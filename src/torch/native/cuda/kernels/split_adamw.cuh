// AdamW of fp32 numbers in two halves, each a bf16 number and the 16 bits that are missing; see ops/split_adamw.cpp.
#pragma once

#include "arguments.h"
#include "numbers.cuh"

// T is the gradient's.
template <typename T, int N>
__device__ void split_adamw(const kernels::SplitAdamW& of) {
  if (*of.found_inf == 1.0f) return;
  const double updates = *of.step;  // 1 - beta^t loses its digits in fp32
  const float lr = *of.lr, step_size = static_cast<float>(lr / (1.0 - pow(of.beta1, updates)));
  const float correction = static_cast<float>(sqrt(1.0 - pow(of.beta2, updates)));
  const float beta1 = static_cast<float>(of.beta1), beta2 = static_cast<float>(of.beta2);
  const float other1 = static_cast<float>(1.0 - of.beta1), other2 = static_cast<float>(1.0 - of.beta2);
  const float kept = 1.0f - lr * of.weight_decay;
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x * N;
  for (long long i = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * N; i < of.count; i += stride) {
    auto rounded = *reinterpret_cast<const Pack<unsigned short, N>*>(of.rounded + i);
    auto remainders = *reinterpret_cast<const Pack<short, N>*>(of.remainders + i);
    const auto grad = load<N>(static_cast<const T*>(of.grad) + i);
    auto exp_avg = load<N>(of.exp_avg + i), exp_avg_sq = load<N>(of.exp_avg_sq + i);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      exp_avg[k] = beta1 * exp_avg[k] + other1 * grad[k];
      exp_avg_sq[k] = beta2 * exp_avg_sq[k] + other2 * grad[k] * grad[k];
      const unsigned before = (static_cast<unsigned>(rounded.values[k]) << 16) + static_cast<unsigned>(static_cast<int>(remainders.values[k]));
      const float moved = step_size * exp_avg[k] / (sqrtf(exp_avg_sq[k]) / correction + of.eps);
      const unsigned whole = __float_as_uint(__uint_as_float(before) * kept - moved), high = (whole + 0x8000u) >> 16;
      rounded.values[k] = static_cast<unsigned short>(high);
      remainders.values[k] = static_cast<short>(whole - (high << 16));
    }
    *reinterpret_cast<Pack<unsigned short, N>*>(of.rounded + i) = rounded;
    *reinterpret_cast<Pack<short, N>*>(of.remainders + i) = remainders;
    store<N>(of.exp_avg + i, exp_avg);
    store<N>(of.exp_avg_sq + i, exp_avg_sq);
  }
}

LT_KERNEL(split_adamw, split_adamw, SplitAdamW)
