#!/usr/bin/env bash
# Each fault planted in the sharded optimizer, its checkpoints and the step makes the test fail that guards against it
. scripts/planted_faults.sh

plant sharded::sharded_ranks src/optim/adamw.rs 's/ranks.broadcast(tensors, root)?;/let _ = (\&ranks, tensors, root);/' \
  "no rank gives the others its part of the weights"
plant sharded::sharded_ranks src/dist/partition.rs 's/(within \/ GRAIN) \* GRAIN/(within \/ GRAIN) * GRAIN + i64::from(point == between.start)/' \
  "numbers between two ranks' parts are nobody's"
plant each_rank_holds src/optim/adamw.rs 's/groups: with_state(groups, partition.of(ranks.rank())),/groups: { let all = Partition::new(\&lengths(\&groups), 1); with_state(groups, all.of(0)) },/' \
  "every rank keeps all moments"
plant sharded::a_resume src/optim/state.rs 's/narrow(0, \*first, tensor.numel() as i64)/narrow(0, 0, tensor.numel() as i64)/' \
  "a resumed rank takes another's moments"
plant weights_in_bf16 src/torch/native/ops/split_adamw.cpp 's/remainders\[i\] = .*;/remainders[i] = 0;/' \
  "what is missing to fp32 is thrown away"
plant host_reads src/train/step.rs 's/self.optimizer.step(&inputs.lr/let _ = clipped.norm.double_value(\&[]); self.optimizer.step(\&inputs.lr/' \
  "the step reads the gradient's norm"
plant adapters_drop_what_they_read src/torch/native/ops/linear.cpp 's/dropout.in_place(passed);//' \
  "an adapter's gradient passes through what it did not see"
plant gradients_are_the_mean src/dist/grad_reducer.rs 's/self.0.is_some() \&\& micro_batches > 1/false/' \
  "micro-batches add up beside the buckets"
plant the_first_step_adds src/torch/native/reducer.cpp 's/reducer->push_rebuilt_params_for_all_indices();//' \
  "the buckets are filled again after the first step"
plant three_ranks src/train/step.rs 's/false => self.optimizer.reset_grads()?,/false => {}/' \
  "a resumed rank's first step adds to the gradients that the reducer has made"
planted
