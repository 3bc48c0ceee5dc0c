// Memory of tensors on the CPU.
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace {

constexpr size_t kAlignment = 64;  // as torch's own, for its widest instructions

// What malloc gave stands just before the data.
void free_data(void* data) {
  if (data) free(static_cast<void**>(data)[-1]);
}

// glibc's posix_memalign, which torch's own allocator calls, looks for a place larger than asked for by the alignment:
// it never takes the one that a tensor of the same size has just left, and a training step of one size after another
// holds a fifth more than lives at once. Malloc does take it; the alignment is ours.
struct ReusingAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    const c10::Device cpu(c10::kCPU);
    if (bytes == 0) return {nullptr, nullptr, &free_data, cpu};
    void* place = bytes > SIZE_MAX - kAlignment ? nullptr : malloc(bytes + kAlignment);
    TORCH_CHECK_WITH(OutOfMemoryError, place, "can't allocate memory: you tried to allocate ", bytes, " bytes");
    const auto address = reinterpret_cast<std::uintptr_t>(place);
    static_assert(alignof(std::max_align_t) >= sizeof(void*));  // so there is room for a pointer before the data
    auto* data = reinterpret_cast<void*>((address + kAlignment) / kAlignment * kAlignment);
    static_cast<void**>(data)[-1] = place;
    return {data, data, &free_data, cpu};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &free_data; }

  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
};

}  // namespace

extern "C" {

// From now on freed memory is kept for the next tensor, and found again by it. The system would fill every large one's
// pages with zeros, which costs a tenth of a training step.
void lt_keep_freed_memory() {
#if defined(__GLIBC__)
  static auto* reusing = new ReusingAllocator;  // outlives every tensor
  c10::SetCPUAllocator(reusing);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the largest that glibc takes
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // extern "C"
