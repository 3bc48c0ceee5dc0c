// AdamW (Loshchilov & Hutter 2019) of fp32 numbers that are kept in two halves: the bf16 number nearest to each, and the
// difference of the bit patterns, 16 bits. They are put together, updated and taken apart in passing, and never held whole.
#include "../abi.h"
#include "../adamw.h"
#include "../kernels.h"
#include "simd.h"

#include <ATen/Parallel.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>

#include <algorithm>

namespace {

constexpr int64_t kChunk = 1 << 16;  // numbers that are whole at a time, for each thread: what its cache holds

LT_CLONES void join(const uint16_t* rounded, const int16_t* remainders, uint32_t* whole, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    whole[i] = (static_cast<uint32_t>(rounded[i]) << 16) + static_cast<uint32_t>(static_cast<int32_t>(remainders[i]));
  }
}

// Halfway between two bf16 numbers the one further from zero is taken, not the even one: so the difference has 65,536
// values and not one more.
LT_CLONES void split(const uint32_t* whole, uint16_t* rounded, int16_t* remainders, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t high = (whole[i] + 0x8000u) >> 16;
    rounded[i] = static_cast<uint16_t>(high);
    remainders[i] = static_cast<int16_t>(whole[i] - (high << 16));
  }
}

// Contiguous tensors of as many numbers each.
struct Update {
  at::Tensor rounded, remainders, grad, exp_avg, exp_avg_sq, updates;

  Update flat() const {
    const auto flat = [](const at::Tensor& tensor) { return tensor.detach().view(-1); };
    return {flat(rounded), flat(remainders), flat(grad.contiguous()), flat(exp_avg), flat(exp_avg_sq), updates};
  }
};

// By torch's own kernel for fp32, on chunks.
void update_chunk(const Update& of, const AdamWStep& step, int64_t first, int64_t count) {
  const auto part = [&](const at::Tensor& tensor) { return tensor.narrow(0, first, count); };
  auto* rounded = static_cast<uint16_t*>(of.rounded.mutable_data_ptr()) + first;
  auto* remainders = of.remainders.mutable_data_ptr<int16_t>() + first;
  const auto whole = at::empty({count}, of.exp_avg.options());
  auto* bits = static_cast<uint32_t*>(whole.mutable_data_ptr());
  join(rounded, remainders, bits, count);
  at::_fused_adamw_({whole}, {part(of.grad).to(at::kFloat)}, {part(of.exp_avg)}, {part(of.exp_avg_sq)}, {}, {of.updates},
                    *step.lr, step.beta1, step.beta2, step.weight_decay, step.eps,
                    /*amsgrad=*/false, /*maximize=*/false, /*grad_scale=*/{}, *step.found_inf);
  split(bits, rounded, remainders, count);
}

void update_on_cpu(const Update& of, const AdamWStep& step) {
  const int64_t numbers = of.rounded.numel(), chunks = (numbers + kChunk - 1) / kChunk;
  at::parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
    const c10::NoGradGuard no_grad;
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t first = chunk * kChunk;
      update_chunk(of, step, first, std::min(kChunk, numbers - first));
    }
  });
}

void update_by_kernel(const Update& of, const AdamWStep& step) {
  const int64_t numbers = of.rounded.numel();
  const bool packed = kernels::are_packed(numbers, {of.grad, of.exp_avg, of.exp_avg_sq}) &&
                      reinterpret_cast<uintptr_t>(of.rounded.const_data_ptr()) % 16 == 0 &&
                      reinterpret_cast<uintptr_t>(of.remainders.const_data_ptr()) % 16 == 0;
  const auto geometry = kernels::blocks_for_all(numbers, packed ? kernels::pack_of(of.grad) : 1);
  kernels::launch(of.grad, geometry,
                  kernels::SplitAdamW{static_cast<unsigned short*>(of.rounded.mutable_data_ptr()),
                                      of.remainders.mutable_data_ptr<int16_t>(), of.grad.const_data_ptr(),
                                      of.exp_avg.mutable_data_ptr<float>(), of.exp_avg_sq.mutable_data_ptr<float>(),
                                      of.updates.const_data_ptr<float>(), step.lr->const_data_ptr<float>(),
                                      step.found_inf->const_data_ptr<float>(), step.beta1, step.beta2,
                                      static_cast<float>(step.eps), static_cast<float>(step.weight_decay), numbers,
                                      packed});
}

}  // namespace

extern "C" {

// As lt_fused_adamw, of bf16 weights with their remainders.
char* lt_split_adamw(const AdamWStep* step, TensorList remainders) {
  return guarded([&] {
    const c10::NoGradGuard no_grad;
    auto updates = to_vector(step->steps, step->count);
    at::_foreach_add_(updates, 1);
    for (size_t i = 0; i < step->count; ++i) {
      const auto update = Update{*step->params[i], *remainders[i], *step->grads[i], *step->exp_avgs[i], *step->exp_avg_sqs[i],
                                 updates[i]}
                              .flat();
      kernels::take(update.grad) ? update_by_kernel(update, *step) : update_on_cpu(update, *step);
    }
    at::_foreach_sub_(updates, std::vector<at::Tensor>(step->count, *step->found_inf));
  });
}

}  // extern "C"
