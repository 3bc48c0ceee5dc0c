// Matrix products, by whichever library of torch's is faster on this processor.
#pragma once

#include <ATen/core/Tensor.h>

// out = a b + (accumulate ? out : 0); all are matrices of one kind, a and b in any strides.
void product_into(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, bool accumulate);

// a b, fresh.
at::Tensor product(const at::Tensor& a, const at::Tensor& b);
