// Rotary position embedding of queries and keys where they stand; see ops/rotate.cpp.
#pragma once

#include "arguments.h"
#include "numbers.cuh"

template <typename T, int N>
__device__ void rotate(const kernels::Rotate& of) {
  const long long row = blockIdx.x, table = row % of.tables * of.half;
  T* values = static_cast<T*>(of.rows) + row * of.width;
  const int steps = of.half / N;  // of one head
  for (int step = static_cast<int>(threadIdx.x); step < of.heads * steps; step += static_cast<int>(blockDim.x)) {
    const int j = step % steps * N;
    T* head = values + static_cast<long long>(step / steps) * 2 * of.half + j;
    const auto a = load<N>(head), b = load<N>(head + of.half);
    const auto cos = load<N>(of.cos + table + j), sin = load<N>(of.sin + table + j);
    Floats<N> turned_a, turned_b;
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const float s = of.direction * sin[k];
      turned_a[k] = a[k] * cos[k] - b[k] * s;
      turned_b[k] = b[k] * cos[k] + a[k] * s;
    }
    store<N>(head, turned_a);
    store<N>(head + of.half, turned_b);
  }
}

LT_KERNEL(rotate, rotate, Rotate)
