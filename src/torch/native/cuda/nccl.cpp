// Makes torch's NCCL backend. In a library of its own, because it needs libtorch_cuda, which is opened only where there
// is a GPU; see ../c10d.h.
#include <cstring>

#define USE_C10D_NCCL 1
#include "../c10d.h"

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

extern "C" char* lt_new_nccl(const c10::intrusive_ptr<c10d::Store>* store, int rank, int size, int64_t timeout_ms,
                             int cuda_index, c10::intrusive_ptr<c10d::Backend>* out) noexcept {
  try {
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = std::chrono::milliseconds(timeout_ms);
    auto nccl = c10::make_intrusive<c10d::ProcessGroupNCCL>(*store, rank, size, std::move(options));
    nccl->setBoundDeviceId(at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(cuda_index)));
    *out = std::move(nccl);
    return nullptr;
  } catch (const std::exception& error) {
    return strdup(error.what());
  } catch (...) {
    return strdup("an exception of an unknown type was thrown");
  }
}
