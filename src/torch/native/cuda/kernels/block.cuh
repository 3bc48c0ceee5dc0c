// What the threads of a block do together. Every thread of it calls these, at the same place.
#pragma once

// Shared memory whose size the launch says.
#ifndef LT_SHARED_FLOATS
#define LT_SHARED_FLOATS(name) extern __shared__ float name[]
#endif

struct Plus {
  __device__ float operator()(float a, float b) const { return a + b; }
};

struct Larger {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};

template <typename T, typename Combine>
__device__ inline T over_warp(T value, Combine combine) {
#pragma unroll
  for (int distance = kernels::kWarp / 2; distance > 0; distance /= 2) {
    value = combine(value, __shfl_xor_sync(0xffffffffu, value, distance));
  }
  return value;
}

// All threads get the same. `nothing` combined with a value is that value.
template <typename T, typename Combine>
__device__ inline T over_block(T value, Combine combine, T nothing) {
  __shared__ T of_warps[kernels::kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kernels::kWarp, warp = static_cast<int>(threadIdx.x) / kernels::kWarp;
  value = over_warp(value, combine);
  if (lane == 0) of_warps[warp] = value;
  __syncthreads();
  const int warps = static_cast<int>(blockDim.x) / kernels::kWarp;
  value = over_warp(lane < warps ? of_warps[lane] : nothing, combine);  // each warp for itself
  __syncthreads();  // before the next call writes there
  return value;
}

__device__ inline float block_sum(float value) { return over_block(value, Plus{}, 0.0f); }
