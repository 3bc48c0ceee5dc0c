// torch's DDP engine: gradients in buckets, each all-reduced while the rest of backward still runs.
#include "abi.h"
#include "c10d.h"

#include <algorithm>
#include <string>

#include <torch/csrc/distributed/c10d/debug.h>
#include <torch/csrc/distributed/c10d/logger.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

namespace {

// torch's own choice: a small first bucket, so that communication starts early.
constexpr size_t kFirstBucketBytes = 1 << 20;

struct ReducerHandle {
  std::shared_ptr<c10d::Reducer> reducer;
  std::shared_ptr<c10d::Logger> logger;
};

// Gradients are zeros in their buckets from the start, as they are after a step: what several micro-batches add up is
// then nowhere else.
void put_gradients_into_buckets(const c10d::Reducer& reducer) {
  for (auto& bucket : reducer.get_grad_buckets(/*return_zero_tensors=*/false)) {
    bucket.getBufferRef().zero_();
    const auto params = bucket.getParameters();
    const auto gradients = bucket.getGradients();
    for (size_t i = 0; i < params.size(); ++i) params[i].mutable_grad() = gradients[i];
  }
}

}  // namespace

extern "C" {

struct ReducerTimes {
  int64_t buckets;
  int64_t backward_ns;
  int64_t communication_ns;
  int64_t overlap_ns;
};

// Every rank gives the same parameters, about in the order in which backward will give their gradients, so that the
// first buckets are full early. Gradients come out as the ranks' mean.
char* lt_reducer_new(const GroupHandle* group, TensorList params, const char* const* names, size_t count,
                     size_t bucket_bytes, ReducerHandle** out) {
  return guarded([&] {
    auto list = to_vector(params, count);
    std::unordered_map<size_t, std::string> name_of;
    for (size_t i = 0; i < count; ++i) name_of[i] = names[i];
    c10d::setDebugLevel(std::max(c10d::debug_level(), c10d::DebugLevel::Info));  // errors name the parameters
    c10d::verify_params_across_processes(group->group, list, std::nullopt);
    auto first = std::min(kFirstBucketBytes, bucket_bytes);
    auto buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(list, {first, bucket_bytes}));
    auto reducer = std::make_shared<c10d::Reducer>(
        list, std::move(buckets), group->group, std::vector<bool>(count, false), static_cast<int64_t>(bucket_bytes),
        /*find_unused_parameters=*/false, /*gradient_as_bucket_view=*/true, std::move(name_of),
        static_cast<int64_t>(first), /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false,
        std::vector<int64_t>{});
    auto logger = std::make_shared<c10d::Logger>(reducer);
    auto device = list.empty() ? at::Device(at::kCPU) : list.front().device();
    std::vector<int> device_ids;
    if (device.is_cuda()) device_ids.push_back(device.index());
    logger->set_construction_data_and_log("Transformer", device_ids, device.is_cuda() ? device.index() : -1,
                                          /*broadcast_buffers=*/false, /*has_sync_bn=*/false, /*static_graph=*/false);
    reducer->set_logger(logger);
    // The buckets stay as they are. Torch would fill them again after the first step, in the order in which the gradients
    // came: a place in a bucket says in which order the ranks' values are added, and so a run that begins again at a
    // checkpoint would part from the one that went on there.
    reducer->push_rebuilt_params_for_all_indices();
    reducer->rebuild_buckets();
    put_gradients_into_buckets(*reducer);
    *out = new ReducerHandle{std::move(reducer), std::move(logger)};
  });
}

void lt_reducer_free(ReducerHandle* handle) {
  char* message = guarded([&] { delete handle; });  // both destructors may throw
  free(message);
}

// Before the forward pass of a micro-batch; only the last one of a step is reduced.
char* lt_reducer_before_forward(ReducerHandle* handle, bool reduce) {
  return guarded([&] {
    if (reduce) {
      handle->logger->set_runtime_stats_and_log();
      handle->reducer->prepare_for_forward();
    }
    handle->reducer->rebuild_buckets();
  });
}

// Before the backward pass of the micro-batch that is reduced.
char* lt_reducer_before_backward(ReducerHandle* handle) {
  return guarded([&] { handle->reducer->prepare_for_backward({}); });
}

// After it: an error that names the parameters without a gradient, if there are any.
char* lt_reducer_check(ReducerHandle* handle) {
  return guarded([&] { handle->reducer->check_finalized(); });
}

// Means over the steps that torch sampled (the first ten, then one in a hundred).
char* lt_reducer_times(ReducerHandle* handle, ReducerTimes* out) {
  return guarded([&] {
    handle->logger->set_runtime_stats_and_log();
    auto data = handle->logger->get_ddp_logging_data().ints_map;
    out->buckets = static_cast<int64_t>(handle->logger->get_bucket_sizes().size());
    out->backward_ns = data["avg_backward_compute_time"];
    out->communication_ns = data["avg_backward_comm_time"];
    out->overlap_ns = data["avg_backward_compute_comm_overlap_time"];
  });
}

}  // extern "C"
