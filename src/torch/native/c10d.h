// Handles to torch's distributed objects, as Rust holds them.
#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

struct StoreHandle {
  c10::intrusive_ptr<c10d::Store> store;
};

struct GroupHandle {
  c10::intrusive_ptr<c10d::ProcessGroup> group;
};

// Makes the NCCL backend; its code is in a library of its own, opened where there is a GPU. Returns an error message.
using NewNccl = char* (*)(const c10::intrusive_ptr<c10d::Store>* store, int rank, int size, int64_t timeout_ms,
                          int cuda_index, c10::intrusive_ptr<c10d::Backend>* out);
