// Work of a GPU that is recorded once, as a CUDA graph, and from then on launched as a whole. What it allocates while it is
// recorded stays its own.
#include "../abi.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <memory>

namespace {

struct Graph {
  explicit Graph(c10::DeviceIndex device)
      : before(c10::cuda::getCurrentCUDAStream(device)), recorded(c10::cuda::getStreamFromPool(false, device)) {}

  at::cuda::CUDAGraph work;
  c10::cuda::CUDAStream before;    // of this thread, which gets it back
  c10::cuda::CUDAStream recorded;  // torch's default stream cannot be
};

}  // namespace

extern "C" {

// From now on what this thread launches is recorded and not run. It must have run before: nothing is compiled, and no
// handle of a library is made, while it is recorded. Other threads may allocate meanwhile.
char* lt_graph_begin(int device, Graph** out) {
  return guarded([&] {
    const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
    c10::cuda::device_synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache();  // the record cannot use what is kept for others
    auto graph = std::make_unique<Graph>(static_cast<c10::DeviceIndex>(device));
    c10::cuda::setCurrentCUDAStream(graph->recorded);
    try {
      graph->work.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    } catch (...) {
      c10::cuda::setCurrentCUDAStream(graph->before);
      throw;
    }
    *out = graph.release();
  });
}

// Ends that, on the same thread, whether what was launched went well or not.
char* lt_graph_end(Graph* graph) {
  return guarded([&] {
    const c10::cuda::CUDAGuard guard(graph->recorded.device_index());  // of which torch asks for the current stream
    try {
      graph->work.capture_end();
    } catch (...) {
      c10::cuda::setCurrentCUDAStream(graph->before);
      throw;
    }
    c10::cuda::setCurrentCUDAStream(graph->before);
  });
}

// Runs what was recorded, on the current stream.
char* lt_graph_replay(Graph* graph) {
  return guarded([&] { graph->work.replay(); });
}

void lt_graph_free(Graph* graph) { delete graph; }

}  // extern "C"
