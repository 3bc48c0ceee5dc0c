// Torch multiplies fp32 matrices by MKL, which on other makers' processors leaves AVX-512 unused. oneDNN, also in
// torch, does not: on an AMD Zen 5 its products take less than half the time. The choice depends on the processor
// alone, so that a run repeats bit by bit.
#include "product.h"

#include <ATen/Context.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace at::native {
// Exported by libtorch_cpu, in none of its headers: result = alpha mat1 mat2 + beta result.
void mkldnn_matmul(const Tensor& mat1, const Tensor& mat2, const Tensor& result, float beta, float alpha);
}  // namespace at::native

namespace {

bool is_foreign_with_avx512() {
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid(0, &eax, &ebx, &ecx, &edx)) return false;
  const bool is_intel = ebx == signature_INTEL_ebx;
  return !is_intel && __builtin_cpu_supports("avx512f");
#else
  return false;
#endif
}

bool by_onednn(const at::Tensor& a, const at::Tensor& b) {
  static const bool faster = is_foreign_with_avx512() && at::hasMKLDNN();
  const bool is_empty = a.numel() == 0 || b.numel() == 0;
  return faster && a.is_cpu() && a.scalar_type() == at::kFloat && !is_empty;
}

}  // namespace

void product_into(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, bool accumulate) {
  at::Tensor result = out;
  if (by_onednn(a, b)) {
    at::native::mkldnn_matmul(a, b, result, accumulate ? 1.0f : 0.0f, 1.0f);
  } else if (accumulate) {
    at::addmm_out(result, out, a, b);
  } else {
    at::mm_out(result, a, b);
  }
}

at::Tensor product(const at::Tensor& a, const at::Tensor& b) {
  auto out = at::empty({a.size(0), b.size(1)}, a.options());
  product_into(out, a, b, /*accumulate=*/false);
  return out;
}
