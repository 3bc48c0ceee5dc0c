// Runs the kernels' own sources on the host; see emulated_cuda.h. One shared library, with the one function that the
// operations launch kernels by.
#include "emulated_cuda.h"

#include "../../src/torch/native/cuda/kernels/cross_entropy.cuh"
#include "../../src/torch/native/cuda/kernels/fp8.cuh"
#include "../../src/torch/native/cuda/kernels/rms_norm.cuh"
#include "../../src/torch/native/cuda/kernels/rotate.cuh"
#include "../../src/torch/native/cuda/kernels/split_adamw.cuh"
#include "../../src/torch/native/cuda/kernels/swiglu.cuh"

#include <ucontext.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <vector>

emulated::Index threadIdx, blockIdx, blockDim, gridDim;

namespace {

constexpr size_t kStackBytes = 64 << 10;
constexpr int kWarp = kernels::kWarp;

enum class State { kReady, kAtBlock, kAtWarp, kEnded };

struct Thread {
  ucontext_t registers;
  State state;
  uint32_t given;  // to the other lanes
};

std::vector<Thread> threads;
std::vector<char> stacks;
std::vector<float> shared_memory;
ucontext_t scheduler;
const std::function<void()>* kernel;
std::mt19937 drawn(1);

void wait_as(State state) {
  const unsigned self = threadIdx.x;
  threads[self].state = state;
  swapcontext(&threads[self].registers, &scheduler);
}

void run_thread() {
  (*kernel)();
  threads[threadIdx.x].state = State::kEnded;
}

void start(unsigned index) {
  Thread& thread = threads[index];
  thread.state = State::kReady;
  getcontext(&thread.registers);
  thread.registers.uc_stack.ss_sp = &stacks[index * kStackBytes];
  thread.registers.uc_stack.ss_size = kStackBytes;
  thread.registers.uc_link = &scheduler;
  makecontext(&thread.registers, run_thread, 0);
}

// Lets those go on whose whole warp, or whole block, waits at a barrier of the same kind. Whether any did.
bool release() {
  const size_t count = threads.size();
  auto all = [&](size_t first, size_t end, State state) {
    for (size_t i = first; i < end; ++i) {
      if (threads[i].state != state) return false;
    }
    return true;
  };
  auto let_go = [&](size_t first, size_t end) {
    for (size_t i = first; i < end; ++i) threads[i].state = State::kReady;
  };
  bool any = false;
  for (size_t first = 0; first < count; first += kWarp) {
    if (!all(first, first + kWarp, State::kAtWarp)) continue;
    let_go(first, first + kWarp);
    any = true;
  }
  if (!any && all(0, count, State::kAtBlock)) {
    let_go(0, count);
    any = true;
  }
  return any;
}

bool have_ended() {
  for (const auto& thread : threads) {
    if (thread.state != State::kEnded) return false;
  }
  return true;
}

// False where some threads wait for others that never come.
bool run_block() {
  std::vector<unsigned> order(threads.size());
  for (unsigned i = 0; i < order.size(); ++i) {
    order[i] = i;
    start(i);
  }
  for (;;) {
    std::shuffle(order.begin(), order.end(), drawn);
    for (const unsigned index : order) {
      if (threads[index].state != State::kReady) continue;
      threadIdx.x = index;
      swapcontext(&scheduler, &threads[index].registers);
    }
    if (have_ended()) return true;
    if (!release()) return false;
  }
}

using Entry = std::function<void(const void*)>;

template <typename Arguments>
void add(std::map<std::string, Entry>& entries, void (*f32)(Arguments), void (*half)(Arguments)) {
  const std::string name = Arguments::kName;
  entries[name + "_f32"] = [f32](const void* of) { f32(*static_cast<const Arguments*>(of)); };
  entries[name + "_bf16"] = [half](const void* of) { half(*static_cast<const Arguments*>(of)); };
}

std::map<std::string, Entry> all_entries() {
  std::map<std::string, Entry> entries;
  add(entries, add_rms_norm_f32, add_rms_norm_bf16);
  add(entries, add_rms_norm_backward_f32, add_rms_norm_backward_bf16);
  add(entries, rotate_f32, rotate_bf16);
  add(entries, swiglu_f32, swiglu_bf16);
  add(entries, swiglu_backward_f32, swiglu_backward_bf16);
  add(entries, cross_entropy_f32, cross_entropy_bf16);
  add(entries, amax_f32, amax_bf16);
  add(entries, cast_fp8_f32, cast_fp8_bf16);
  add(entries, split_adamw_f32, split_adamw_bf16);
  return entries;
}

char* refuse(const std::string& why) { return strdup(why.c_str()); }

}  // namespace

namespace emulated {

float* shared_floats() { return shared_memory.data(); }

void wait_for_block() { wait_as(State::kAtBlock); }

uint32_t exchange(uint32_t bits, int mask) {
  const unsigned self = threadIdx.x;
  threads[self].given = bits;
  wait_as(State::kAtWarp);
  const uint32_t taken = threads[self ^ static_cast<unsigned>(mask)].given;
  wait_as(State::kAtWarp);
  return taken;
}

}  // namespace emulated

// `Launch` of native/kernels.h.
extern "C" char* lt_launch_kernel(const char* name, int, unsigned blocks, unsigned block_size, size_t shared_bytes,
                                  const void* arguments) {
  static std::mutex one_at_a_time;
  const std::lock_guard<std::mutex> lock(one_at_a_time);
  static const auto entries = all_entries();
  const auto entry = entries.find(name);
  if (entry == entries.end()) return refuse(std::string("there is no kernel ") + name);
  if (blocks == 0 || block_size == 0 || block_size % kWarp != 0 || block_size > 1024) {
    return refuse(std::string(name) + ": no GPU takes " + std::to_string(blocks) + " blocks of " + std::to_string(block_size));
  }
  threads.resize(block_size);
  stacks.resize(block_size * kStackBytes);
  gridDim.x = blocks;
  blockDim.x = block_size;
  const std::function<void()> body = [&] { entry->second(arguments); };
  kernel = &body;
  for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x) {
    shared_memory.assign(shared_bytes / sizeof(float), std::numeric_limits<float>::quiet_NaN());
    if (!run_block()) return refuse(std::string(name) + ": threads wait for others that went another way");
  }
  return nullptr;
}
