// A tensor in fp8 with one scale, taken from its own largest magnitude; see ops/fp8.cpp.
#pragma once

#include "arguments.h"
#include "block.cuh"
#include "numbers.cuh"

constexpr float kLargestE4m3 = 448.0f, kLargestE5m2 = 57344.0f;
constexpr float kSmallestAmax = 1e-12f;  // a tensor of zeros is scaled as well

template <typename T, int N>
__device__ void amax(const kernels::Amax& of) {
  const T* x = static_cast<const T*>(of.x);
  const long long step = static_cast<long long>(gridDim.x) * blockDim.x * N;
  unsigned most = 0;
  for (long long i = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * N; i < of.count; i += step) {
    const auto values = load<N>(x + i);
#pragma unroll
    for (int k = 0; k < N; ++k) most = Larger{}(most, __float_as_uint(values[k]) & 0x7fffffffu);
  }
  most = over_block(most, Larger{}, 0u);
  if (threadIdx.x == 0) atomicMax(of.bits, most);
}

template <typename T, int N>
__device__ void cast_fp8(const kernels::CastFp8& of) {
  const T* x = static_cast<const T*>(of.x);
  const float amax = __uint_as_float(*of.amax_bits), most = amax < kSmallestAmax ? kSmallestAmax : amax;
  const float largest = of.e5m2 ? kLargestE5m2 : kLargestE4m3, scale = largest / most;
  const long long step = static_cast<long long>(gridDim.x) * blockDim.x * N;
  for (long long i = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * N; i < of.count; i += step) {
    const auto values = load<N>(x + i);
    Pack<unsigned char, N> codes;
#pragma unroll
    for (int k = 0; k < N; ++k) codes.values[k] = of.e5m2 ? to_e5m2(values[k] * scale) : to_e4m3(values[k] * scale);
    *reinterpret_cast<Pack<unsigned char, N>*>(of.out + i) = codes;
  }
  if (blockIdx.x == 0 && threadIdx.x == 0) *of.inverse_scale = most / largest;
}

LT_KERNEL(amax, amax, Amax)
LT_KERNEL(cast_fp8, cast_fp8, CastFp8)
