// Dropout (Srivastava et al. 2014) that keeps a seed in place of a mask: whether a number is dropped is a hash of its
// place, computed again in backward. Torch's own draws cost more than an adapter's products.
#pragma once

#include "simd.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>

#include <cstdint>
#include <mutex>

// A number's bits, or zero: lowbias32 (Wellons 2018) of its place, keyed before each round.
template <typename Bits>
inline Bits kept_or_zero(Bits bits, uint32_t place, uint32_t key, uint32_t second_key, uint32_t threshold) {
  uint32_t hash = place + key;
  hash = (hash ^ (hash >> 16)) * 0x7feb352du ^ second_key;
  hash = (hash ^ (hash >> 15)) * 0x846ca68bu;
  hash ^= hash >> 16;
  return hash >= threshold ? bits : Bits(0);
}

LT_CLONES inline void keep_floats(const uint32_t* from, uint32_t* to, int64_t first, int64_t last, uint32_t key,
                                  uint32_t second_key, uint32_t threshold) {
#pragma omp simd
  for (int64_t i = first; i < last; ++i) {
    to[i] = kept_or_zero(from[i], static_cast<uint32_t>(i), key, second_key, threshold);
  }
}

LT_CLONES inline void keep_halves(const uint16_t* from, uint16_t* to, int64_t first, int64_t last, uint32_t key,
                                  uint32_t second_key, uint32_t threshold) {
#pragma omp simd
  for (int64_t i = first; i < last; ++i) {
    to[i] = kept_or_zero(from[i], static_cast<uint32_t>(i), key, second_key, threshold);
  }
}

class Dropout {
 public:
  // Draws a seed from torch's generator, so that a run repeats.
  static int64_t seed() {
    auto* generator = at::check_generator<at::CPUGeneratorImpl>(at::detail::getDefaultCPUGenerator());
    const std::lock_guard<std::mutex> lock(generator->mutex_);
    return static_cast<int64_t>(generator->random64());
  }

  // Drops a part `p`, below 1, of a tensor's numbers; those that stay are as they were.
  Dropout(int64_t seed, double p)
      : key_(static_cast<uint32_t>(seed)),
        second_key_(static_cast<uint32_t>(static_cast<uint64_t>(seed) >> 32)),
        threshold_(static_cast<uint32_t>(p * 4294967296.0)) {}

  // What is left of a contiguous tensor on the CPU, fp32 or bf16.
  at::Tensor operator()(const at::Tensor& x) const {
    auto out = at::empty_like(x);
    apply(x, out);
    return out;
  }

  void in_place(const at::Tensor& x) const { apply(x, x); }

 private:
  void apply(const at::Tensor& x, const at::Tensor& out) const {
    constexpr int64_t kGrain = 1 << 15;
    const void* from = x.const_data_ptr();
    void* to = out.mutable_data_ptr();
    const bool wide = x.element_size() == sizeof(uint32_t);
    at::parallel_for(0, x.numel(), kGrain, [&](int64_t first, int64_t last) {
      if (wide) {
        keep_floats(static_cast<const uint32_t*>(from), static_cast<uint32_t*>(to), first, last, key_, second_key_,
                    threshold_);
      } else {
        keep_halves(static_cast<const uint16_t*>(from), static_cast<uint16_t*>(to), first, last, key_, second_key_,
                    threshold_);
      }
    });
  }

  uint32_t key_, second_key_, threshold_;
};
