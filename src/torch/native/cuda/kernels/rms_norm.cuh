// The residual stream's addition and its norm in one pass, and what comes back through both; see ops/rms_norm.cpp.
#pragma once

#include "arguments.h"
#include "block.cuh"
#include "numbers.cuh"

// What is normalised is h as it is stored, as in torch's own addition and norm.
template <typename T, int N>
__device__ void add_rms_norm(const kernels::AddRmsNorm& of) {
  const long long start = static_cast<long long>(blockIdx.x) * of.width;
  const int first = static_cast<int>(threadIdx.x) * N, step = static_cast<int>(blockDim.x) * N;
  const T* x = static_cast<const T*>(of.x) + start;
  const T* branch = of.branch ? static_cast<const T*>(of.branch) + start : nullptr;
  T* h = static_cast<T*>(of.h) + start;
  float squares = 0.0f;
  for (int i = first; i < of.width; i += step) {
    auto values = load<N>(x + i);
    if (branch) {
      const auto added = load<N>(branch + i);
#pragma unroll
      for (int k = 0; k < N; ++k) values[k] = to_float(from_float<T>(values[k] + added[k]));
      store<N>(h + i, values);
    }
#pragma unroll
    for (int k = 0; k < N; ++k) squares += values[k] * values[k];
  }
  const float factor = 1.0f / sqrtf(block_sum(squares) / static_cast<float>(of.width) + of.eps);
  if (threadIdx.x == 0) of.factors[blockIdx.x] = factor;
  const T* normed = branch ? h : x;  // each thread reads what it wrote itself
  T* y = static_cast<T*>(of.y) + start;
  for (int i = first; i < of.width; i += step) {
    auto values = load<N>(normed + i);
    const auto weight = load<N>(of.weight + i);
#pragma unroll
    for (int k = 0; k < N; ++k) values[k] *= factor * weight[k];
    store<N>(y + i, values);
  }
}

// With r = 1/√(mean(h²) + ε): dh = r w dy - h r³ mean(w dy h) (+ what else h was used for); dw += r h dy.
template <typename T, int N>
__device__ void add_rms_norm_backward(const kernels::AddRmsNormBackward& of) {
  LT_SHARED_FLOATS(sums);  // of dweight: each thread's columns at places of its own, a warp's side by side
  const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  const int first = thread * N, step = threads * N;
  for (int place = thread; place < (of.width + step - 1) / step * step; place += threads) sums[place] = 0.0f;
  for (long long row = blockIdx.x; row < of.rows; row += gridDim.x) {
    const T* h = static_cast<const T*>(of.h) + row * of.width;
    const T* dy = static_cast<const T*>(of.dy) + row * of.width;
    const T* other = of.other ? static_cast<const T*>(of.other) + row * of.width : nullptr;
    T* dh = static_cast<T*>(of.dh) + row * of.width;
    float dot = 0.0f;
    for (int i = first; i < of.width; i += step) {
      const auto at = load<N>(h + i), slope = load<N>(dy + i), weight = load<N>(of.weight + i);
#pragma unroll
      for (int k = 0; k < N; ++k) dot += slope[k] * weight[k] * at[k];
    }
    const float r = of.factors[row];
    const float along = block_sum(dot) * r * r * r / static_cast<float>(of.width);
    for (int i = first, place = thread; i < of.width; i += step, place += step) {
      const auto at = load<N>(h + i), slope = load<N>(dy + i), weight = load<N>(of.weight + i);
      Floats<N> out;
#pragma unroll
      for (int k = 0; k < N; ++k) {
        out[k] = r * weight[k] * slope[k] - along * at[k];
        sums[place + k * threads] += r * at[k] * slope[k];
      }
      if (other) {
        const auto also = load<N>(other + i);
#pragma unroll
        for (int k = 0; k < N; ++k) out[k] += also[k];
      }
      store<N>(dh + i, out);
    }
  }
  float* dweight = of.dweights + static_cast<long long>(blockIdx.x) * of.width;
  for (int i = first, place = thread; i < of.width; i += step, place += step) {
    Floats<N> out;
#pragma unroll
    for (int k = 0; k < N; ++k) out[k] = sums[place + k * threads];
    store<N>(dweight + i, out);
  }
}

LT_KERNEL(add_rms_norm, add_rms_norm, AddRmsNorm)
LT_KERNEL(add_rms_norm_backward, add_rms_norm_backward, AddRmsNormBackward)
