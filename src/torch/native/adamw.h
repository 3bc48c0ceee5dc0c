// The tensors of one AdamW step and its constants; `count` tensors in each list.
#pragma once

#include "abi.h"

struct AdamWStep {
  TensorList params, grads, exp_avgs, exp_avg_sqs;
  TensorList steps;  // float32 scalars: updates made so far
  size_t count;
  const at::Tensor* lr;         // a float32 scalar
  const at::Tensor* found_inf;  // the same: where it is 1, weights and moments are left alone, and the step counts as well
  double beta1, beta2, eps, weight_decay;
};
