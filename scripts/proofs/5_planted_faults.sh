#!/usr/bin/env bash
# Each fault planted in weights, adapters and scores makes the test fail that guards against it
. scripts/planted_faults.sh

plant adapters::merged src/weights/adapter.rs 's/ \* self.options.scale();/;/' \
  "a merged adapter is not scaled"
plant eval::an_adapter src/model/lora.rs 's/scale: self.scale,/scale: 1.0,/' \
  "an adapter beside its matrix is not scaled"
plant original_checkpoints::the_adapter src/weights/original.rs 's/unpaired(&matrix, tensor, config)/tensor/' \
  "the original's B stays in its own rotary layout"
plant eval::every_window src/weights/meta.rs 's/Some(config.n_kv_heads)/None/' \
  "Meta's keys stay in their own rotary layout"
plant eval::an_adapter src/weights/peft.rs 's/"lora_alpha"/"r"/' \
  "alpha is read as the rank"
plant hostile_files::an_index src/weights/hf.rs 's/Some(name) if name == file => /_ if true => /' \
  "an index may name files elsewhere"
plant hostile_files::an_index src/weights/fill.rs 's/if !self.missing.contains(name)/if false/' \
  "a tensor that is there twice is taken twice"
plant hostile_files::a_configuration src/weights/mod.rs 's|described / 2 <= stored|described > 0|' \
  "memory is taken for what the files do not hold"
plant hostile_files::safetensors src/weights/safetensors/mod.rs 's/    refuse_duplicates(&file.*$//' \
  "two entries of one name are one"
plant distributed::any_number src/dist/mod.rs 's/(group.rank() \* batch_size, /(0, /' \
  "every rank scores the first batch"
planted
