// log p(target) of rows of logits, and its gradient in their place; see ops/cross_entropy.cpp. The largest logit and the
// sum of exponentials are found in one pass (Milakov & Gimelshein 2018).
#pragma once

#include "arguments.h"
#include "block.cuh"
#include "numbers.cuh"

template <typename T, int N>
__device__ void fill_row(T* row, int width, float value) {
  Floats<N> filled;
#pragma unroll
  for (int k = 0; k < N; ++k) filled[k] = value;
  for (int i = static_cast<int>(threadIdx.x) * N; i < width; i += static_cast<int>(blockDim.x) * N) {
    store<N>(row + i, filled);
  }
}

template <typename T, int N>
__device__ void cross_entropy(const kernels::CrossEntropy& of) {
  const long long row = blockIdx.x, target = of.targets[row];
  const int first = static_cast<int>(threadIdx.x) * N, step = static_cast<int>(blockDim.x) * N;
  const float infinity = __uint_as_float(0x7f800000u);
  T* logits = static_cast<T*>(of.logits) + row * of.vocab;
  if (target < 0 || target >= of.vocab) {
    if (threadIdx.x == 0) of.log_probs[row] = target == -100 ? 0.0f : infinity - infinity;
    if (of.gradients) fill_row<T, N>(logits, of.vocab, 0.0f);
    return;
  }
  const float wanted = to_float(logits[target]);  // before it is overwritten: the sums below wait for all threads
  float most = -infinity, sum = 0.0f;
  for (int i = first; i < of.vocab; i += step) {
    const auto x = load<N>(logits + i);
    float larger = most;
#pragma unroll
    for (int k = 0; k < N; ++k) larger = larger < x[k] ? x[k] : larger;
    if (larger != most) sum *= expf(most - larger);
    most = larger;
    const float taken_off = most == -infinity ? 0.0f : most;  // while there is nothing but log 0 and what is no number
#pragma unroll
    for (int k = 0; k < N; ++k) sum += expf(x[k] - taken_off);
  }
  const float most_of_all = over_block(most, Larger{}, -infinity);
  sum = block_sum(most == -infinity ? sum : sum * expf(most - most_of_all));
  if (threadIdx.x == 0) of.log_probs[row] = wanted - most_of_all - logf(sum);
  if (!of.gradients) return;
  for (int i = first; i < of.vocab; i += step) {
    auto x = load<N>(logits + i);
#pragma unroll
    for (int k = 0; k < N; ++k) x[k] = (i + k == target ? 1.0f : 0.0f) - expf(x[k] - most_of_all) / sum;
    store<N>(logits + i, x);
  }
}

LT_KERNEL(cross_entropy, cross_entropy, CrossEntropy)
