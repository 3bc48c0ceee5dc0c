#!/usr/bin/env bash
# Communication runs while backward does, by the Reducer's own counters; a planted all-reduce after it is found out
scripts=$(readlink -f scripts)
step=src/train/step.rs
# The plant: no micro-batch is reduced by the engine; the gradients are summed after the loop.
plants=(
  's|let place = match index == last {|let place = match index > last {|'
  's|^        self.reducer.check()?;|        for mut grad in self.optimizer.gradients()? { self.group.all_reduce_sum(\&mut grad)?; grad /= self.group.world_size() as f64; }|'
)
for plant in "${plants[@]}"; do
  if sed "$plant" $step | cmp -s - $step; then
    echo "NOT PLANTED in $step: $plant"
    exit 1
  fi
done
[ "${PLANTS:-}" != look ] || exit 0 # told, as scripts/planted_faults.sh does
cd "$WORK"
python3 "$scripts/proofs/overlap.py" "$LLAMA_TRAIN"
git clone --quiet "$scripts/.." planted
cd planted
for plant in "${plants[@]}"; do sed -i "$plant" $step; done
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$scripts/../target}
touch build.rs src/lib.rs src/main.rs
cargo build --release --quiet --bin llama-train
cp "$CARGO_TARGET_DIR/release/llama-train" ../planted-llama-train
touch "$scripts/../build.rs" "$scripts/../src/lib.rs" "$scripts/../src/main.rs" # the target folder is shared
cd ..
if python3 "$scripts/proofs/overlap.py" "$WORK/planted-llama-train"; then
  echo "the planted all-reduce was not found out"
  exit 1
fi
echo "the planted all-reduce after backward fails the check"
