// The boundary to Rust: plain C types, tensors as the `at::Tensor*` that tch holds, and no exception across it.
// Every function returns nullptr, or an error message that the caller frees with lt_free_message.
#pragma once

#include <cstddef>
#include <cstring>
#include <exception>
#include <vector>

#include <ATen/core/Tensor.h>

using TensorList = at::Tensor* const*;

inline std::vector<at::Tensor> to_vector(TensorList tensors, size_t count) {
  std::vector<at::Tensor> out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) out.push_back(*tensors[i]);
  return out;
}

template <typename Body>
char* guarded(Body&& body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const std::exception& error) {
    return strdup(error.what());
  } catch (...) {
    return strdup("an exception of an unknown type was thrown");
  }
}
