#include "fp8.h"
#include "../abi.h"
#include "../kernels.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/zeros.h>

namespace {

constexpr double kSmallestAmax = 1e-12;  // a tensor of zeros is scaled as well

at::ScalarType kind_of(Fp8Format format) {
  return format == Fp8Format::kE4m3 ? at::kFloat8_e4m3fn : at::kFloat8_e5m2;
}

double largest_of(Fp8Format format) { return format == Fp8Format::kE4m3 ? 448.0 : 57344.0; }

Fp8 by_torch(const at::Tensor& x, Fp8Format format) {
  const double most = largest_of(format);
  const auto amax = x.abs().max().to(at::kFloat).clamp_min(kSmallestAmax).view(1);
  const auto largest = at::full_like(amax, most);  // a tensor: by a number torch may multiply with its reciprocal
  const auto scaled = x.to(at::kFloat).mul(largest.div(amax));
  return {scaled.clamp(-most, most).to(kind_of(format)), amax.div(largest)};
}

Fp8 by_kernel(const at::Tensor& x, Fp8Format format) {
  const int64_t count = x.numel();
  auto values = at::empty(x.sizes(), x.options().dtype(kind_of(format)));
  auto amax = at::zeros({1}, x.options().dtype(at::kInt));
  auto inverse_scale = at::empty({1}, x.options().dtype(at::kFloat));
  const bool packed = kernels::are_packed(count, {x});
  const auto geometry = kernels::blocks_for_all(count, packed ? kernels::pack_of(x) : 1);
  auto* bits = static_cast<unsigned*>(amax.data_ptr());
  kernels::launch(x, geometry, kernels::Amax{x.const_data_ptr(), bits, count, packed});
  kernels::launch(x, geometry,
                  kernels::CastFp8{x.const_data_ptr(), bits, static_cast<unsigned char*>(values.data_ptr()),
                                   inverse_scale.data_ptr<float>(), count, packed, format == Fp8Format::kE5m2});
  return {values, inverse_scale};
}

}  // namespace

Fp8 to_fp8(const at::Tensor& x, Fp8Format format, bool by_kernels) {
  const auto whole = x.contiguous();
  return by_kernels ? by_kernel(whole, format) : by_torch(whole, format);
}

extern "C" {

// Values and inverse scale of `x`, fp32 or bf16; `wide` asks for e5m2.
char* lt_to_fp8(const at::Tensor* x, bool wide, bool by_kernels, at::Tensor** out) {
  return guarded([&] {
    const auto fp8 = to_fp8(*x, wide ? Fp8Format::kE5m2 : Fp8Format::kE4m3, by_kernels);
    out[0] = new at::Tensor(fp8.values);
    out[1] = new at::Tensor(fp8.inverse_scale);
  });
}

}  // extern "C"
