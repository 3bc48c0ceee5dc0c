#!/usr/bin/env bash
# Each planted fault makes the test fail that guards against it
clone="$WORK/clone"
git clone --quiet . "$clone"
# The dependencies' build is shared. Cargo goes by file times, so this checkout is touched at the end: without that it
# would take the last fault's build for its own.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
original=$PWD
trap 'find "$original"/src "$original"/tests "$original"/build.rs -type f -exec touch {} +' EXIT
cd "$clone"

failures=0
plant() { # test, file, sed expression, what it means
  sed -i "$3" "$2"
  if git diff --quiet; then
    echo "NOT PLANTED: $4"
    failures=$((failures + 1))
    return
  fi
  if cargo test --release --locked --quiet --test integration -- "$1" >"$WORK/test.log" 2>&1; then
    echo "NOT SEEN by $1: $4"
    failures=$((failures + 1))
  elif grep -q "^test result: FAILED" "$WORK/test.log"; then
    echo "seen by $1: $4"
  else
    echo "DOES NOT BUILD: $4"
    tail -20 "$WORK/test.log"
    failures=$((failures + 1))
  fi
  git checkout --quiet .
}

plant layers::the_laws_hold src/data/loader.rs '/^use super/a use crate::train::BatchPlan as _;' \
  "the data room uses the training loop"
plant model_parity::logits src/model/rope.rs 's/a \* &self.cos - b/a * \&self.cos + b/' \
  "the rotation turns the wrong way"
plant training::twenty_steps src/optim/schedule.rs 's/self.max_lr \* (step + 1)/self.max_lr * step/' \
  "warm-up begins one step late"
plant training::a_killed_run_resumes src/checkpoint/resume.rs 's/moments == Moments::Restore/moments == Moments::Reset/' \
  "a resume forgets the moments"
plant training::a_killed_run_over_shuffled src/train/trainer.rs 's/self.state.train_loader = self.loader.state();//' \
  "a resume begins the data again"
plant bad_input::a_damaged src/checkpoint/layout.rs 's/check_file(&dir.join(name), expected)?;/let _ = (name, expected);/' \
  "damage to a checkpoint is not looked for"
plant optimizer::a_step_without src/torch/native/optim.cpp 's/, \*found_inf);$/, {});/' \
  "a non-finite step is applied"
[ "$failures" = 0 ]
