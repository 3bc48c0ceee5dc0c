#!/usr/bin/env bash
# Each planted fault makes the test fail that guards against it
. scripts/planted_faults.sh

plant layers::the_laws_hold src/data/loader.rs '/^use super/a use crate::train::BatchPlan as _;' \
  "the data room uses the training loop"
plant model_parity::logits src/torch/native/ops/rotate.cpp 's/a \* cos\[j\] - b/a * cos[j] + b/' \
  "the rotation turns the wrong way"
plant training::twenty_steps src/optim/schedule.rs 's/self.max_lr \* (step + 1)/self.max_lr * step/' \
  "warm-up begins one step late"
plant training::a_killed_run_resumes src/checkpoint/resume.rs 's/Moments::Restore => optimizer.load_state(saved)?/Moments::Restore => drop(saved)/' \
  "a resume forgets the moments"
plant training::a_killed_run_over_shuffled src/train/step.rs 's/self.state.train_loader = state;/let _ = state;/' \
  "a resume begins the data again"
plant bad_input::a_damaged src/checkpoint/layout.rs 's/check_file(&dir.join(name), expected, check)?;/let _ = (name, expected, check_file);/' \
  "damage to a checkpoint is not looked for"
plant optimizer::a_step_without src/torch/native/optim.cpp 's/, \*step->found_inf);$/, {});/' \
  "a non-finite step is applied"
plant endings::a_run_that_recovers src/train/ending.rs '/that of the steps whose numbers/,/save_once/s/self.settle(progress)?;//' \
  "a run gives up before it has read its last step"
plant training::sigterm src/train/trainer.rs 's/self.state.owed = self.looks_now();//' \
  "a validation that a signal came before is lost"
plant endings::the_best_of src/train/parts.rs 's/best.iter().for_each(.*/let _ = best;/' \
  "the best checkpoint of a course that was given up stays the best"
plant endings::adapters src/commands/found_model.rs 's/adapters::check_trained(config, &weights)?;//' \
  "an adapter is trained on at another scale"
planted
