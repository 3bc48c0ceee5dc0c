// Whole-list operations of an optimizer step that tch does not bind. None of them reads a tensor on the host.
#include "abi.h"
#include "adamw.h"

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

// AdamW (Loshchilov & Hutter 2019) on every tensor at once.
char* lt_fused_adamw(const AdamWStep* step) {
  return guarded([&] {
    c10::NoGradGuard no_grad;
    const auto list = [&](TensorList tensors) { return to_vector(tensors, step->count); };
    auto steps = list(step->steps);
    at::_foreach_add_(steps, 1);
    at::_fused_adamw_(list(step->params), list(step->grads), list(step->exp_avgs), list(step->exp_avg_sqs), {}, steps, *step->lr,
                      step->beta1, step->beta2, step->weight_decay, step->eps, /*amsgrad=*/false, /*maximize=*/false,
                      /*grad_scale=*/{}, *step->found_inf);
    at::_foreach_sub_(steps, std::vector<at::Tensor>(step->count, *step->found_inf));
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
