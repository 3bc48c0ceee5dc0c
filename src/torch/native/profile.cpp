// Where time goes, by torch's own profiler (Kineto): kernels on a GPU, operations on a CPU.
#include "abi.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

namespace {

using torch::autograd::profiler::KinetoEvent;
using torch::profiler::impl::ActivityType;

struct Time {
  int64_t calls = 0, ns = 0;
};
using Times = std::map<std::string, Time>;

std::set<ActivityType> activities(bool on_gpu) {
  std::set<ActivityType> all{ActivityType::CPU};
  if (on_gpu) all.insert(ActivityType::CUDA);
  return all;
}

Times of_gpu(const std::vector<KinetoEvent>& events) {
  Times times;
  for (const auto& event : events) {
    if (event.deviceType() != c10::DeviceType::CUDA) continue;
    auto& time = times[event.name()];
    time.calls += 1;
    time.ns += static_cast<int64_t>(event.durationNs());
  }
  return times;
}

// An operation's own time, without those that it calls.
Times of_cpu(const std::vector<KinetoEvent>& events) {
  std::vector<const KinetoEvent*> in_turn;
  for (const auto& event : events) {
    if (event.deviceType() == c10::DeviceType::CPU) in_turn.push_back(&event);
  }
  const auto place = [](const KinetoEvent* event) {
    return std::tuple(event->startThreadId(), event->startNs(), -static_cast<int64_t>(event->endNs()));
  };
  std::stable_sort(in_turn.begin(), in_turn.end(), [&](auto* a, auto* b) { return place(a) < place(b); });
  Times times;
  std::vector<const KinetoEvent*> callers;
  for (const auto* event : in_turn) {
    while (!callers.empty() &&
           (callers.back()->startThreadId() != event->startThreadId() || callers.back()->endNs() < event->endNs())) {
      callers.pop_back();
    }
    const auto ns = static_cast<int64_t>(event->durationNs());
    if (!callers.empty()) times[callers.back()->name()].ns -= ns;
    auto& time = times[event->name()];
    time.calls += 1;
    time.ns += ns;
    callers.push_back(event);
  }
  return times;
}

}  // namespace

extern "C" {

// From now on what this thread does, and a GPU for it, is measured.
char* lt_profile_begin(bool on_gpu) {
  return guarded([&] {
    const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
    torch::autograd::profiler::prepareProfiler(config, activities(on_gpu));
    torch::autograd::profiler::enableProfiler(config, activities(on_gpu));
  });
}

// Ends that. A line for each kernel, or operation: nanoseconds, calls and name, with tabs between; for the caller to free.
char* lt_profile_end(bool on_gpu, char** lines) {
  return guarded([&] {
    const auto result = torch::autograd::profiler::disableProfiler();
    std::string text;
    for (const auto& [name, time] : on_gpu ? of_gpu(result->events()) : of_cpu(result->events())) {
      text += std::to_string(time.ns) + '\t' + std::to_string(time.calls) + '\t' + name + '\n';
    }
    *lines = strdup(text.c_str());
  });
}

}  // extern "C"
