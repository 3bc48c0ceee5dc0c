// Whole-list operations of an optimizer step that tch does not bind. None of them reads a tensor on the host.
#include "abi.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/_foreach_zero.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>

extern "C" {

// AdamW (Loshchilov & Hutter 2019) on every tensor at once. `found_inf` is a float32 scalar: where it is 1 the kernel
// leaves weights and moments alone, and the step counts are put back.
char* lt_fused_adamw(TensorList params, TensorList grads, TensorList exp_avgs, TensorList exp_avg_sqs,
                     TensorList steps, size_t count, const at::Tensor* lr, double beta1, double beta2, double eps,
                     double weight_decay, const at::Tensor* found_inf) {
  return guarded([&] {
    c10::NoGradGuard no_grad;
    auto step_list = to_vector(steps, count);
    at::_foreach_add_(step_list, 1);
    at::_fused_adamw_(to_vector(params, count), to_vector(grads, count), to_vector(exp_avgs, count),
                      to_vector(exp_avg_sqs, count), {}, step_list, *lr, beta1, beta2, weight_decay, eps,
                      /*amsgrad=*/false, /*maximize=*/false, /*grad_scale=*/{}, *found_inf);
    at::_foreach_sub_(step_list, std::vector<at::Tensor>(count, *found_inf));
  });
}

// The 2-norm over all tensors together, a float32 scalar on their device.
char* lt_global_norm(TensorList tensors, size_t count, at::Tensor** out) {
  return guarded([&] {
    c10::NoGradGuard no_grad;
    auto norms = at::_foreach_norm(to_vector(tensors, count), 2, at::kFloat);
    *out = new at::Tensor(at::linalg_vector_norm(at::stack(norms)));
  });
}

// Multiplies every tensor by the same scalar tensor, in place.
char* lt_scale(TensorList tensors, size_t count, const at::Tensor* factor) {
  return guarded([&] {
    c10::NoGradGuard no_grad;
    auto list = to_vector(tensors, count);
    at::_foreach_mul_(list, *factor);
  });
}

// Drops the gradients, so that the next backward writes them afresh instead of adding to zeros.
char* lt_reset_grads(TensorList params, size_t count) {
  return guarded([&] {
    for (size_t i = 0; i < count; ++i) params[i]->mutable_grad().reset();
  });
}

// Fills those there are with zeros where they are.
char* lt_zero_grads(TensorList params, size_t count) {
  return guarded([&] {
    c10::NoGradGuard no_grad;
    std::vector<at::Tensor> grads;
    for (size_t i = 0; i < count; ++i) {
      if (params[i]->grad().defined()) grads.push_back(params[i]->grad());
    }
    if (!grads.empty()) at::_foreach_zero_(grads);
  });
}

}  // extern "C"
