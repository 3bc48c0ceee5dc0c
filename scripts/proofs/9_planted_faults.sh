#!/usr/bin/env bash
# Each fault planted in the way from a benchmark's row to its score makes the test fail that guards against it
. scripts/planted_faults.sh

plant benchmarks::hellaswag src/model/mod.rs 's/unsqueeze(2).eq_tensor(/unsqueeze(2).ge_tensor(/' \
  "an ending sees the endings before it"
plant benchmarks::hellaswag src/eval/multiple_choice/scoring.rs 's/let first = tree.context.len() as i64;/let first = 0;/' \
  "the positions of endings begin anew"
plant benchmarks::hellaswag src/eval/multiple_choice/scoring.rs 's/number % group.world_size() == group.rank()/number < u64::MAX/' \
  "every rank scores every batch"
plant benchmarks::every_benchmark src/eval/benchmarks/hellaswag.rs 's/capitalize(row.text("ctx_b")?)/row.text("ctx_b")?.to_owned()/;s/{capitalize, strip,/{strip,/' \
  "a context's second part begins as it is written"
plant benchmarks::every_benchmark src/eval/multiple_choice/tokenized.rs 's/let context = strip_end(&choice.context);/let context = \&*choice.context;/;s/{Choice, strip_end}/{Choice}/' \
  "blanks at a context's end stay with it"
plant benchmarks::every_benchmark src/eval/multiple_choice/tokenized.rs 's/choice.answer.chars().count()/choice.answer.len()/' \
  "lengths are bytes"
plant benchmarks::every_benchmark src/eval/multiple_choice/items.rs 's/&found\[..wanted\]/\&found[found.len() - wanted..]/' \
  "the last examples are shown"
plant benchmarks::every_benchmark src/eval/multiple_choice/trees.rs 's/(max_seq_len + 1).checked_sub/max_seq_len.checked_sub/' \
  "one token too many is cut"
plant benchmarks::every_benchmark src/eval/multiple_choice/accuracy.rs 's/let freedom = count - groups.len() as f64;/let freedom = count - 1.0;/' \
  "errors are not pooled over subjects"
planted
