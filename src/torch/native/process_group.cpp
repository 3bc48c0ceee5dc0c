// torch's process group: Gloo for tensors on the CPU, NCCL for those on a GPU.
#include "abi.h"

#define USE_C10D_GLOO 1
#include "c10d.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/comm.hpp>

namespace {

// What goes into one message: enough for the network, and little beside the weights that are copied into it.
constexpr size_t kBroadcastBytes = 64 << 20;

using c10d::ProcessGroup;
using c10d::ProcessGroupGloo;

c10::intrusive_ptr<ProcessGroupGloo::Options> gloo_options(const char* interface, std::chrono::milliseconds timeout) {
  auto options = ProcessGroupGloo::Options::create(timeout);
  options->devices.push_back(interface == nullptr ? ProcessGroupGloo::createDefaultDevice()
                                                  : ProcessGroupGloo::createDeviceForInterface(interface));
  return options;
}

}  // namespace

extern "C" {

// Joins the group. `interface` is the network interface of Gloo or null; `new_nccl` is null on a CPU.
char* lt_group_join(const StoreHandle* store, int rank, int size, int64_t timeout_ms, const char* interface,
                    NewNccl new_nccl, int cuda_index, GroupHandle** out) {
  return guarded([&] {
    auto timeout = std::chrono::milliseconds(timeout_ms);
    auto group = c10::make_intrusive<ProcessGroup>(store->store, rank, size);
    auto gloo = c10::make_intrusive<ProcessGroupGloo>(c10::make_intrusive<c10d::PrefixStore>("gloo", store->store),
                                                      rank, size, gloo_options(interface, timeout));
    group->setBackend(at::kCPU, ProcessGroup::BackendType::GLOO, gloo);
    group->setDefaultBackend(ProcessGroup::BackendType::GLOO);
    if (new_nccl != nullptr) {
      c10::intrusive_ptr<c10d::Store> nccl_store = c10::make_intrusive<c10d::PrefixStore>("nccl", store->store);
      c10::intrusive_ptr<c10d::Backend> nccl;
      if (char* message = new_nccl(&nccl_store, rank, size, timeout_ms, cuda_index, &nccl)) {
        std::string text(message);
        free(message);
        throw std::runtime_error(text);
      }
      group->setBoundDeviceId(at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(cuda_index)));
      group->setBackend(at::kCUDA, ProcessGroup::BackendType::NCCL, nccl);
      group->setDefaultBackend(ProcessGroup::BackendType::NCCL);
    }
    group->setGroupName("world");
    group->setSequenceNumberForGroup();
    *out = new GroupHandle{std::move(group)};
  });
}

void lt_group_free(GroupHandle* handle) { delete handle; }

// Replaces the tensor by its sum over the ranks.
char* lt_all_reduce_sum(GroupHandle* handle, const at::Tensor* tensor) {
  return guarded([&] {
    std::vector<at::Tensor> tensors{*tensor};
    handle->group->allreduce(tensors)->wait();
  });
}

// Replaces the tensors by those of `root`.
char* lt_broadcast(const GroupHandle* handle, TensorList tensors, size_t count, int root) {
  return guarded([&] {
    c10::NoGradGuard no_grad;
    c10d::broadcast_coalesced(handle->group, to_vector(tensors, count), kBroadcastBytes, root);
  });
}

// Fills `out` [ranks, ...] with the tensors of all ranks, which are of one shape.
char* lt_all_gather(GroupHandle* handle, const at::Tensor* tensor, const at::Tensor* out) {
  return guarded([&] {
    std::vector<std::vector<at::Tensor>> outputs{out->unbind(0)};
    std::vector<at::Tensor> inputs{*tensor};
    handle->group->allgather(outputs, inputs)->wait();
  });
}

}  // extern "C"
