// silu(g) ⊙ u of gates and values side by side; see ops/swiglu.cpp.
#pragma once

#include "arguments.h"
#include "numbers.cuh"

template <typename T, int N>
__device__ void swiglu(const kernels::SwiGlu& of) {
  const long long row = blockIdx.x;
  const T* gates = static_cast<const T*>(of.both) + 2 * row * of.width;
  T* out = static_cast<T*>(of.out) + row * of.width;
  for (int i = static_cast<int>(threadIdx.x) * N; i < of.width; i += static_cast<int>(blockDim.x) * N) {
    const auto gate = load<N>(gates + i), value = load<N>(gates + of.width + i);
    Floats<N> gated;
#pragma unroll
    for (int k = 0; k < N; ++k) gated[k] = gate[k] / (1.0f + expf(-gate[k])) * value[k];
    store<N>(out + i, gated);
  }
}

// With s = sigmoid(g): silu'(g) = s (1 + g (1 - s)).
template <typename T, int N>
__device__ void swiglu_backward(const kernels::SwiGluBackward& of) {
  const long long row = blockIdx.x;
  const T* gates = static_cast<const T*>(of.both) + 2 * row * of.width;
  const T* dout = static_cast<const T*>(of.dout) + row * of.width;
  T* dgates = static_cast<T*>(of.dboth) + 2 * row * of.width;
  for (int i = static_cast<int>(threadIdx.x) * N; i < of.width; i += static_cast<int>(blockDim.x) * N) {
    const auto gate = load<N>(gates + i), value = load<N>(gates + of.width + i), slope = load<N>(dout + i);
    Floats<N> dgate, dvalue;
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const float sigmoid = 1.0f / (1.0f + expf(-gate[k]));
      dvalue[k] = slope[k] * gate[k] * sigmoid;
      dgate[k] = slope[k] * value[k] * sigmoid * (1.0f + gate[k] * (1.0f - sigmoid));
    }
    store<N>(dgates + i, dgate);
    store<N>(dgates + of.width + i, dvalue);
  }
}

LT_KERNEL(swiglu, swiglu, SwiGlu)
LT_KERNEL(swiglu_backward, swiglu_backward, SwiGluBackward)
