#!/usr/bin/env bash
# Each fault planted in the preparation of conversations and pairs makes the test fail that guards against it
. scripts/planted_faults.sh

plant prepare::bad_rows::conversations_without src/prepare/instruct.rs 's/if !self.answers(&turns)/if false/' \
  "empty answers are trained on"
plant prepare::bad_rows::what_the_template src/prepare/sink.rs 's/ + self.refused;/;/' \
  "rows that the template refuses are not counted with the others"
plant prepare::conversations::ids_and_masks src/prepare/writer.rs 's/tokens >= self.format.shard_tokens/tokens > self.format.shard_tokens/' \
  "a shard ends one example late"
plant prepare::conversations::conversations_are src/prepare/shards.rs 's/matches!(document, Ok((0, _)))/false/' \
  "a split is filled by what is left out"
plant prepare::conversations::conversations_that src/prepare/input/conversation_rows.rs 's/\*\*label != i64::from(\*\*id)/**label < -100/' \
  "labels may be shifted"
plant prepare::preferences::pairs_that_prefer src/prepare/preference.rs 's/answers\[0\] == answers\[1\] || //' \
  "equal answers are a preference"
plant prepare::kills::killed src/prepare/open_shard.rs 's/parts \* documents + 1/parts * documents/' \
  "a kill loses an offset of the index"
plant prepare::kills::killed src/prepare/reached.rs 's/ + self.duplicates + left_out/ + self.duplicates/' \
  "what was left out is forgotten by --max-documents after a kill"
planted
