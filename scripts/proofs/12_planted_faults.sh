#!/usr/bin/env bash
# Each fault planted in the GPU's kernels makes the test fail that guards against it, without a GPU
. scripts/planted_faults.sh
kernels=src/torch/native/cuda/kernels

plant cuda_kernels::add_rms_norm $kernels/rms_norm.cuh 's/squares += values\[k\]/squares += (k == 0) * values[k]/' \
  "the norm takes the first of the numbers that are moved at once"
plant cuda_kernels::add_rms_norm $kernels/rms_norm.cuh 's/- along \* at\[k\]/- along * slope[k]/' \
  "the norm's gradient goes along the wrong vector"
plant cuda_kernels::add_rms_norm $kernels/rms_norm.cuh 's/row += gridDim.x/row += gridDim.x * 2/' \
  "a block leaves out every second of its rows"
plant cuda_kernels $kernels/block.cuh '0,/__syncthreads();/s///' \
  "the block's sum is read before all warps have written"
plant cuda_kernels $kernels/block.cuh 's/distance > 0/distance > 1/' \
  "the warp's sum leaves out half of its lanes"
plant cuda_kernels::rotate $kernels/rotate.cuh 's/of.direction \* sin/sin/' \
  "the gradient is turned forward"
plant cuda_kernels::swiglu $kernels/swiglu.cuh 's/(1.0f - sigmoid))/(1.0f - sigmoid) * 0.99f)/' \
  "the gate's slope is a hundredth off"
plant cuda_kernels $kernels/cross_entropy.cuh 's/sum \* expf(most - most_of_all)/sum/' \
  "each thread's sum is taken by its own largest logit"
plant cuda_kernels::log_probs $kernels/cross_entropy.cuh 's/target >= of.vocab/false/' \
  "a target beyond the vocabulary is read"
plant cuda_kernels::to_fp8 $kernels/numbers.cuh 's/0x7ffffu + ((magnitude >> 20) \& 1u)/0x80000u/' \
  "fp8 rounds halves up"
plant cuda_kernels::bf16 $kernels/numbers.cuh 's/0x7fffu + ((bits >> 16) \& 1u)/0u/' \
  "bf16 is cut off in place of rounded"
plant cuda_kernels::split_adamw $kernels/split_adamw.cuh 's/sqrt(1.0 - pow(of.beta2, updates))/sqrt(1.0 - of.beta2)/' \
  "the second moment is corrected as after one update"
plant cuda_kernels::split_adamw $kernels/split_adamw.cuh 's/(whole + 0x8000u) >> 16/whole >> 16/' \
  "the half of the weight that is computed with is cut off, so that the other half does not fit"
plant cuda_kernels::compile $kernels/rotate.cuh 's/LT_KERNEL(rotate, rotate, Rotate)//' \
  "a kernel is missing"
planted
