#include "kernels.h"
#include "abi.h"


#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <limits>

namespace kernels {
namespace {

std::atomic<Launch> of_device{nullptr};
thread_local Launch of_emulation = nullptr;

}  // namespace

bool take(const at::Tensor& tensor) { return tensor.is_cuda() || of_emulation != nullptr; }

void launch_named(const std::string& name, const at::Tensor& on, const Geometry& geometry, const void* arguments) {
  const Launch launch = of_emulation ? of_emulation : of_device.load();
  TORCH_CHECK(launch, "the CUDA kernels have not been loaded");
  if (geometry.blocks == 0) return;  // nothing to do, which no GPU takes for a grid
  TORCH_CHECK(geometry.blocks <= std::numeric_limits<int>::max(), geometry.blocks, " rows are more than a GPU takes");
  const int device = on.is_cuda() ? on.get_device() : 0;
  char* message = launch(name.c_str(), device, static_cast<unsigned>(geometry.blocks),
                         static_cast<unsigned>(geometry.threads), geometry.shared_bytes, arguments);
  if (message == nullptr) return;
  const std::string text(message);
  free(message);
  TORCH_CHECK(false, name, ": ", text);
}

bool are_packed(int64_t width, std::initializer_list<at::Tensor> tensors) {
  for (const auto& tensor : tensors) {
    if (!tensor.defined()) continue;
    const bool begins = reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % 16 == 0;
    if (!begins || width % pack_of(tensor) != 0) return false;
  }
  return true;
}

Geometry block_for_each_row(int64_t rows, int64_t numbers, int at_once) {
  const int64_t steps = (numbers + at_once - 1) / at_once, warps = std::max<int64_t>(1, (steps + kWarp - 1) / kWarp);
  return {rows, static_cast<int>(std::min<int64_t>(warps * kWarp, kMostThreads))};
}

Geometry blocks_for_all(int64_t numbers, int at_once) {
  constexpr int64_t kMostBlocks = 1024;
  const int64_t of_block = kMostThreads * at_once, blocks = (numbers + of_block - 1) / of_block;
  return {std::max<int64_t>(1, std::min(blocks, kMostBlocks)), kMostThreads};
}

}  // namespace kernels

extern "C" {

// From now on GPUs' tensors go to the kernels by this function, of the CUDA part.
void lt_set_kernels(kernels::Launch launch) { kernels::of_device = launch; }

// From now on this thread's tensors go to the kernels by this function, wherever they are; null ends that.
void lt_emulate_kernels(kernels::Launch launch) { kernels::of_emulation = launch; }

}  // extern "C"
