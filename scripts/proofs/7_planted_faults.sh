#!/usr/bin/env bash
# Each fault planted in tuning and its kernels makes the test fail that guards against it
. scripts/planted_faults.sh

plant sft::a_packed src/torch/ops/composed.rs 's/split_with_sizes(&spans.lengths, 2)/split_with_sizes(\&[spans.lengths.iter().sum::<i64>()], 2)/' \
  "packed conversations see each other"
plant sft::the_loss src/data/instruct_dataset.rs 's/zip(&mask\[1..\])/zip(\&mask[..])/' \
  "the mask is one token late"
plant chat::ids_and_masks src/tokenizer/chat.rs 's/run.special(id, closes)?/run.special(id, false)?/' \
  "the token that closes an answer is not trained on"
plant recomputation::gradients src/torch/recompute.rs 's/\[Tensor; N\] + Send>;/[Tensor; N] + Send>; \/\/ planted/; s/Ok(function(&inputs))/{ let _ = Tensor::rand([1], (tch::Kind::Float, tch::Device::Cpu)); Ok(function(\&inputs)) }/' \
  "a recomputed pass draws other numbers than the first left"
plant fused_operations::add_rms_norm src/torch/native/ops/rms_norm.cpp 's/- along \* h\[i\] + other\[i\]/+ other[i]/' \
  "the norm's backward pass forgets that the norm depends on its input"
plant fused_operations::rotate src/torch/native/ops/rotate.cpp 's/saved\[1\], -1.0f/saved[1], 1.0f/' \
  "the gradient is rotated the wrong way"
planted
