// Which operations libtorch runs, in turn: for tests of what a training step may not do.
#include "abi.h"

#include <ATen/record_function.h>

#include <memory>
#include <string>

namespace {

thread_local std::string recorded;

std::unique_ptr<at::ObserverContext> record(const at::RecordFunction& function) {
  recorded += function.name();
  recorded += '\n';
  return nullptr;
}

}  // namespace

extern "C" {

// From now on the calling thread's operations are recorded. `handle` ends it.
char* lt_trace_begin(uint64_t* handle) {
  return guarded([&] {
    recorded.clear();
    *handle = at::addThreadLocalCallback(at::RecordFunctionCallback(&record).scopes({at::RecordScope::FUNCTION}));
  });
}

// The names of the operations since then, a line each, for the caller to free.
char* lt_trace_end(uint64_t handle, char** names) {
  return guarded([&] {
    at::removeCallback(handle);
    *names = strdup(recorded.c_str());
    recorded = {};
  });
}

}  // extern "C"
