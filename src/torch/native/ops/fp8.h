// Tensors in fp8, each with one scale from its own largest magnitude (tensorwise current scaling, Micikevicius et al.
// 2022): nothing is carried from one step to the next.
#pragma once

#include <ATen/core/Tensor.h>

// e4m3 has more digits, for weights and activations; e5m2 more range, for gradients.
enum class Fp8Format { kE4m3, kE5m2 };

struct Fp8 {
  at::Tensor values;         // as those given
  at::Tensor inverse_scale;  // what they are to be multiplied by: fp32 [1]
};

// Of a tensor of fp32 or bf16, by the kernels or by torch's own operations.
Fp8 to_fp8(const at::Tensor& x, Fp8Format format, bool by_kernels);
