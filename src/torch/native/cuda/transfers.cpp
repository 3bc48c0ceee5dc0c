// Copies between the CPU and a GPU beside the GPU's work: from and to pinned memory, those to the GPU on a stream of their
// own.
#include "../abi.h"

#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <memory>

namespace {

struct CopyStream {
  c10::cuda::CUDAStream stream;
  c10::cuda::CUDAEvent arrived;
};

using Event = c10::cuda::CUDAEvent;

}  // namespace

extern "C" {

char* lt_copy_stream_new(int device, CopyStream** out) {
  return guarded([&] {
    *out = new CopyStream{c10::cuda::getStreamFromPool(false, static_cast<c10::DeviceIndex>(device)), {}};
  });
}

void lt_copy_stream_free(CopyStream* copies) { delete copies; }

// Begins to copy tensors of the CPU to the stream's GPU. The results are not to be touched before lt_copies_arrive.
char* lt_copies_send(CopyStream* copies, TensorList tensors, size_t count, at::Tensor** out) {
  return guarded([&] {
    const c10::cuda::CUDAStreamGuard guard(copies->stream);
    const at::Device device(c10::kCUDA, copies->stream.device_index());
    std::vector<at::Tensor> sent;
    for (size_t i = 0; i < count; ++i) {
      // torch keeps the pinned copy until the GPU has read it
      sent.push_back(tensors[i]->pin_memory().to(device, tensors[i]->scalar_type(), /*non_blocking=*/true));
    }
    copies->arrived.record(copies->stream);
    for (size_t i = 0; i < count; ++i) out[i] = new at::Tensor(sent[i]);
  });
}

// What the current stream does from now on comes after what was sent last, and its memory is not reused before that.
char* lt_copies_arrive(CopyStream* copies, TensorList tensors, size_t count) {
  return guarded([&] {
    const auto current = c10::cuda::getCurrentCUDAStream(copies->stream.device_index());
    copies->arrived.block(current);
    for (size_t i = 0; i < count; ++i) tensors[i]->record_stream(current);
  });
}

// Begins to copy a tensor of a GPU, after what is queued on its current stream: `out` is not to be read before
// lt_fetched has waited for the event.
char* lt_fetch(const at::Tensor* tensor, at::Tensor** out, Event** event) {
  return guarded([&] {
    const auto current = c10::cuda::getCurrentCUDAStream(tensor->get_device());
    auto on_cpu = at::empty_like(*tensor, tensor->options().device(c10::kCPU).pinned_memory(true));
    on_cpu.copy_(*tensor, /*non_blocking=*/true);
    auto done = std::make_unique<Event>();
    done->record(current);
    *out = new at::Tensor(on_cpu);
    *event = done.release();
  });
}

// Waits for it, and for nothing that was launched later.
char* lt_fetched(Event* event) {
  return guarded([&] { event->synchronize(); });
}

void lt_event_free(Event* event) { delete event; }

}  // extern "C"
