// Process-wide state of libtorch that tch does not bind: generators, determinism, the allocator's peak.
#include "abi.h"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Logging.h>
#include <torch/version.h>

#include <cstdlib>

namespace {

at::Generator generator(int cuda_index) {
  auto device = cuda_index < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(cuda_index));
  return at::globalContext().defaultGenerator(device);
}

}  // namespace

extern "C" {

void lt_free_message(char* message) { free(message); }

// The version that this was compiled against, which the linker has held the library to.
const char* lt_torch_version() { return TORCH_VERSION; }

// libtorch's own log: errors only, unless TORCH_CPP_LOG_LEVEL says otherwise. Its warnings come with C++ stacks, and
// what they are about reaches the user as an error of ours.
char* lt_quiet_log() {
  return guarded([] {
    setenv("TORCH_CPP_LOG_LEVEL", "ERROR", /*overwrite=*/0);
    setenv("KINETO_LOG_LEVEL", "99", /*overwrite=*/0);  // torch's profiler calls it an error that there is no GPU
    c10::initLogging();
  });
}

// State of the default generator of the CPU (cuda_index -1) or of a GPU: a uint8 tensor on the CPU.
char* lt_rng_state(int cuda_index, at::Tensor** out) {
  return guarded([&] {
    auto gen = generator(cuda_index);
    std::lock_guard<std::mutex> lock(gen.mutex());
    *out = new at::Tensor(gen.get_state());
  });
}

char* lt_set_rng_state(int cuda_index, const at::Tensor* state) {
  return guarded([&] {
    auto gen = generator(cuda_index);
    std::lock_guard<std::mutex> lock(gen.mutex());
    gen.set_state(*state);
  });
}

// Operations without a deterministic implementation raise an error instead of running.
char* lt_require_determinism() {
  return guarded([] { at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false); });
}

// Most bytes that libtorch's allocator held on the GPU since the process started.
char* lt_cuda_peak_bytes(int cuda_index, int64_t* out) {
  return guarded([&] {
    auto stats = at::getDeviceAllocator(at::kCUDA)->getDeviceStats(static_cast<c10::DeviceIndex>(cuda_index));
    *out = stats.allocated_bytes[0].peak;
  });
}

}  // extern "C"
