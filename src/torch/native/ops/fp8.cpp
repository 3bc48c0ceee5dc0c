// fp8 e4m3 with one scale for a tensor, from its own largest magnitude (tensorwise current scaling, Micikevicius et al.
// 2022): nothing is carried from one step to the next.
#include "../abi.h"
#include "../kernels.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

namespace {

constexpr int64_t kMostBlocks = 1024;  // each takes several pieces of a larger tensor

}  // namespace

extern "C" {

// `x` of fp32 or bf16: its values in fp8, and what they are to be multiplied by, fp32 [1]. By the kernels alone.
char* lt_to_fp8(const at::Tensor* x_in, at::Tensor** out) {
  return guarded([&] {
    const auto x = x_in->contiguous();
    const int64_t count = x.numel();
    auto values = at::empty(x.sizes(), x.options().dtype(at::kFloat8_e4m3fn));
    auto amax = at::zeros({1}, x.options().dtype(at::kInt));
    auto inverse_scale = at::empty({1}, x.options().dtype(at::kFloat));
    const bool packed = kernels::are_packed(count, {x});
    auto geometry = kernels::block_for_each_row(1, kernels::kMostThreads, 1);
    const int64_t of_block = geometry.threads * (packed ? kernels::pack_of(x) : 1);
    geometry.blocks = std::max<int64_t>(1, std::min((count + of_block - 1) / of_block, kMostBlocks));
    auto* bits = static_cast<unsigned*>(amax.data_ptr());
    kernels::launch(x, geometry, kernels::Amax{x.const_data_ptr(), bits, count, packed});
    kernels::launch(x, geometry,
                    kernels::CastFp8{x.const_data_ptr(), bits, static_cast<unsigned char*>(values.data_ptr()),
                                     inverse_scale.data_ptr<float>(), count, packed});
    out[0] = new at::Tensor(values);
    out[1] = new at::Tensor(inverse_scale);
  });
}

}  // extern "C"
