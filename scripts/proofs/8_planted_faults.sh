#!/usr/bin/env bash
# Each fault planted in preferences, teachers and their losses makes the test fail that guards against it
. scripts/planted_faults.sh

plant dpo::references::a_resumed src/commands/reference.rs 's/PathBuf::from(&recorded.model)/checkpoints[0].clone()/' \
  "a resumed run takes its own checkpoint for the reference, as the original project did"
plant dpo::references::a_reference_that src/commands/second_model.rs 's/recorded.fingerprint != fingerprint/recorded.model.is_empty()/' \
  "another model is taken for the reference of a resumed run"
plant dpo::references::adapters src/model/linear.rs 's/if pass != Pass::Base =>/if pass != Pass::Base || true =>/' \
  "the model below adapters is asked with them"
plant dpo::losses src/data/preference_batch.rs 's/prompt.len().saturating_sub(1)/prompt.len()/' \
  "an answer's first token is not scored"
plant dpo::each_pair src/objective/pair_loss.rs 's|sum / (1.0 - 2.0 \* smoothing)|sum|' \
  "robust DPO is not divided"
plant dpo::further src/objective/pair_loss.rs 's/(margin() - config.simpo_margin())/margin()/' \
  "SimPO asks for no margin"
plant dpo::losses src/objective/dpo.rs 's/per: Per::Example/per: Per::Target/' \
  "a loss over pairs is divided by tokens"
plant distill::losses src/objective/distill.rs 's/ \* temperature.powi(2)//' \
  "the divergence is not multiplied by the square of the temperature"
plant distill::a_teacher src/loss/token_divergence.rs 's/log_probs.scatter_value(1, &ids, f64::NEG_INFINITY)/log_probs.shallow_clone()/' \
  "the rest counts the likeliest tokens as well"
plant losses::log_prob src/torch/native/log_probs.cpp '/of_logits.scatter_add_/d' \
  "the target's own part of the gradient is missing"
plant losses::divergences src/torch/native/divergence.cpp 's/return (log_q - log_mean()).mul_(q).mul_(0.5);/return (log_q - log_mean()).mul_(q);/' \
  "the slope of Jensen-Shannon is doubled"
planted
