// Launching what is in cuda/kernels: by the CUDA part on a GPU, or by an emulation, for the tests, on the CPU.
#pragma once

#include "cuda/kernels/arguments.h"

#include <ATen/core/Tensor.h>

#include <initializer_list>
#include <string>

namespace kernels {

// Runs a kernel on a device's current stream: nullptr, or a message that the caller frees. `arguments` are the structure
// that the kernel takes.
using Launch = char* (*)(const char* name, int device, unsigned blocks, unsigned threads, size_t shared_bytes,
                         const void* arguments);

// Whether tensors like this one go to the kernels: those on a GPU, or all while this thread emulates.
bool take(const at::Tensor& tensor);

struct Geometry {
  int64_t blocks;
  int threads;
  size_t shared_bytes = 0;
};

void launch_named(const std::string& name, const at::Tensor& on, const Geometry& geometry, const void* arguments);

// Runs the kernel of these arguments for the kind of `on`.
template <typename Arguments>
void launch(const at::Tensor& on, const Geometry& geometry, const Arguments& arguments) {
  const char* kind = on.scalar_type() == at::kFloat ? "_f32" : "_bf16";
  launch_named(std::string(Arguments::kName) + kind, on, geometry, &arguments);
}

// Numbers that a thread moves at once where it can, 16 bytes.
inline int pack_of(const at::Tensor& tensor) { return tensor.scalar_type() == at::kFloat ? 4 : 8; }

// Whether rows of `width` may be moved so: all tensors, of one kind or fp32, begin where they may. Undefined ones are
// none.
bool are_packed(int64_t width, std::initializer_list<at::Tensor> tensors);

constexpr int kMostThreads = 512;

// A block for each row, whose threads share its numbers.
Geometry block_for_each_row(int64_t rows, int64_t numbers, int at_once);

// As many threads as `numbers` take at so many at once, up to a GPU's fill; blocks take more of them in turn.
Geometry blocks_for_all(int64_t numbers, int at_once);

}  // namespace kernels
