// Loads the compiled kernels and launches them on torch's current stream; see ../kernels.h. By the runtime's library
// functions, which ask for no context and serve every device of one generation.
#include "../abi.h"

#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <mutex>
#include <stdexcept>
#include <string>
#include <unordered_map>

namespace {

constexpr size_t kSharedWithoutAsking = 48 << 10;  // bytes of a block; CUDA's own limit

std::mutex mutex;
cudaLibrary_t library = nullptr;
std::unordered_map<std::string, cudaKernel_t> found;

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // it is told here, and not again by torch's next call
  throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

const void* kernel_named(const char* name) {
  const std::lock_guard<std::mutex> lock(mutex);
  auto& kernel = found[name];
  if (kernel == nullptr) check(cudaLibraryGetKernel(&kernel, library, name), "cudaLibraryGetKernel");
  return kernel;
}

}  // namespace

extern "C" {

// The generation of a GPU, as in sm_90: 90.
char* lt_cuda_generation(int device, int* out) {
  return guarded([&] {
    int major = 0, minor = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "cudaDeviceGetAttribute");
    check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "cudaDeviceGetAttribute");
    *out = 10 * major + minor;
  });
}

// Takes the kernels from a cubin, which is copied.
char* lt_load_kernels(const void* cubin) {
  return guarded([&] {
    const std::lock_guard<std::mutex> lock(mutex);
    if (library != nullptr) return;
    check(cudaLibraryLoadData(&library, cubin, nullptr, nullptr, 0, nullptr, nullptr, 0), "cudaLibraryLoadData");
  });
}

// `Launch` of ../kernels.h.
char* lt_launch_kernel(const char* name, int device, unsigned blocks, unsigned threads, size_t shared_bytes,
                       const void* arguments) {
  return guarded([&] {
    const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
    const void* kernel = kernel_named(name);
    if (shared_bytes > kSharedWithoutAsking) {
      check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
            "shared memory");
    }
    void* parameters[] = {const_cast<void*>(arguments)};
    const auto stream = c10::cuda::getCurrentCUDAStream(static_cast<c10::DeviceIndex>(device)).stream();
    check(cudaLaunchKernel(kernel, dim3(blocks), dim3(threads), parameters, shared_bytes, stream), "cudaLaunchKernel");
  });
}

}  // extern "C"
