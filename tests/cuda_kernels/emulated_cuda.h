// What a kernel finds on a GPU, for the host's compiler: a block's threads are coroutines of one thread of the host, which
// run one after another, in an order drawn anew each time, up to where they wait for each other. Shared memory is
// therefore a static variable, and a missing barrier gives wrong numbers.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __shared__ static
#define LT_SHARED_FLOATS(name) float* name = emulated::shared_floats()

namespace emulated {

struct Index {
  unsigned x = 0, y = 0, z = 0;
};

float* shared_floats();
void wait_for_block();
// The bits that the thread `mask` lanes away gave to this call.
uint32_t exchange(uint32_t bits, int mask);

template <typename To, typename From>
To bits_of(From value) {
  static_assert(sizeof(To) == sizeof(From), "one word");
  To out;
  std::memcpy(&out, &value, sizeof out);
  return out;
}

}  // namespace emulated

extern emulated::Index threadIdx, blockIdx, blockDim, gridDim;

inline void __syncthreads() { emulated::wait_for_block(); }

template <typename T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return emulated::bits_of<T>(emulated::exchange(emulated::bits_of<uint32_t>(value), mask));
}

inline float __uint_as_float(unsigned bits) { return emulated::bits_of<float>(bits); }
inline unsigned __float_as_uint(float value) { return emulated::bits_of<unsigned>(value); }

inline unsigned atomicMax(unsigned* at, unsigned value) {
  const unsigned before = *at;
  if (before < value) *at = value;
  return before;
}
