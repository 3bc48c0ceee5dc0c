//! What must hold between values that have the right type each.

use super::hub_keys;
use super::presets::{PRESETS, preset};
use super::{
    Config, DataConfig, DistConfig, ModelSection, OnGpu, OptimConfig, PrepareConfig, Problem,
    did_you_mean,
};
use crate::bad_request;
use anyhow::Result;

/// Batches that may be read ahead; more are a slip of the keyboard that fills the memory.
const MOST_PREFETCHED: usize = 1024;

/// Every value that cannot be, by key, for `ranks` or as many as the environment says.
///
/// # Errors
/// A bad request when `WORLD_SIZE` is not a number.
pub(super) fn problems(
    config: &Config,
    tasks: &[&str],
    ranks: Option<u64>,
) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let world_size = match ranks {
        Some(ranks) => ranks,
        None => world_size()?,
    };
    run(config, &mut problems);
    data(&config.data, &mut problems);
    problems.extend(config.prepare.problems());
    model(&config.model, config.train.seq_len(), &mut problems);
    train(config, world_size, &mut problems);
    cuda_graphs(config, world_size, &mut problems);
    optim(&config.optim, &mut problems);
    generate(config, &mut problems);
    dist(&config.dist, &mut problems);
    problems.extend(hub_keys::problems(config));
    problems.extend(config.lora.problems());
    problems.extend(config.eval.problems(tasks));
    problems.extend(config.dpo.problems());
    problems.extend(config.distill.problems());
    Ok(problems)
}

fn dist(config: &DistConfig, problems: &mut Vec<Problem>) {
    let values = [
        ("dist.init_timeout_seconds", config.init_timeout_seconds),
        ("dist.timeout_seconds", config.timeout_seconds),
        ("dist.bucket_megabytes", config.bucket_megabytes),
    ];
    for (key, value) in values {
        require(problems, key, value > 0, "must be at least 1");
    }
}

fn world_size() -> Result<u64> {
    match std::env::var("WORLD_SIZE") {
        Ok(text) if !text.is_empty() => match text.parse() {
            Ok(size) if size > 0 => Ok(size),
            _ => Err(bad_request!(
                "environment variable WORLD_SIZE={text}: expected a number of processes"
            )),
        },
        _ => Ok(1),
    }
}

pub(super) fn require(
    problems: &mut Vec<Problem>,
    key: &'static str,
    holds: bool,
    message: impl Into<String>,
) {
    if !holds {
        problems.push((key, message.into()));
    }
}

fn run(config: &Config, problems: &mut Vec<Problem>) {
    let name = config.run.name.as_str();
    let plain = !name.is_empty() && name != "." && name != ".." && !name.contains('/');
    require(
        problems,
        "run.name",
        plain,
        format!("{name:?} must be the name of one folder, without a slash"),
    );
}

fn data(config: &DataConfig, problems: &mut Vec<Problem>) {
    let ahead = config.prefetch;
    require(
        problems,
        "data.prefetch",
        ahead <= MOST_PREFETCHED,
        format!("{ahead} batches are too many to read ahead; set {MOST_PREFETCHED} or less"),
    );
}

impl PrepareConfig {
    /// Every value that cannot be, by key.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let fraction = self.val_fraction;
        require(
            &mut problems,
            "prepare.val_fraction",
            (0.0..1.0).contains(&fraction),
            format!("{fraction} must be at least 0 and below 1"),
        );
        require(
            &mut problems,
            "prepare.shard_tokens",
            self.shard_tokens > 0,
            "must be at least 1",
        );
        let prefix = &self.prefix;
        let plain = !prefix.is_empty() && !prefix.contains(['/', '\0']);
        require(
            &mut problems,
            "prepare.prefix",
            plain,
            format!("{prefix:?} must be the first part of a file name"),
        );
        problems
    }
}

fn model(config: &ModelSection, seq_len: u64, problems: &mut Vec<Problem>) {
    if let Some(name) = config
        .preset
        .as_deref()
        .filter(|name| preset(name).is_none())
    {
        let hint = did_you_mean(name, PRESETS);
        problems.push((
            "model.preset",
            format!(
                "there is no preset {name:?}{hint} (known: {})",
                PRESETS.join(", ")
            ),
        ));
        return;
    }
    let given = [config.dim, config.n_layers, config.n_heads]
        .iter()
        .all(Option::is_some);
    if config.preset.is_none() && !given {
        return; // the shape may come from a checkpoint; the verbs that need it ask for it
    }
    if let Err(error) = config.resolve(Some(config.vocab_size.unwrap_or(1)), seq_len.max(1) as i64)
    {
        problems.extend(
            error
                .to_string()
                .lines()
                .map(|line| ("model", line.trim_start_matches("[model]: ").to_owned())),
        );
    }
}

fn train(config: &Config, world_size: u64, problems: &mut Vec<Problem>) {
    let (counts_examples, model) = (config.counts_examples(), &config.model);
    let config = &config.train;
    let steps = config.max_steps;
    require(
        problems,
        "train.max_steps",
        steps == -1 || steps > 0,
        format!("{steps} must be at least 1, or -1 for one epoch"),
    );
    require(
        problems,
        "train.max_skipped_steps",
        config.max_skipped_steps > 0,
        "must be at least 1",
    );
    let mut of_batch = config.batch_problems(world_size);
    match (config.seq_len, &model.init_from, model.max_seq_len) {
        // How long rows are is known with the weights; then the batch is held against them.
        (None, Some(_), _) => of_batch.retain(|(key, _)| *key != "train.total_batch_tokens"),
        (Some(rows), None, Some(longest)) => require(
            problems,
            "train.seq_len",
            rows <= longest.max(0).unsigned_abs(),
            format!("{rows} is longer than model.max_seq_len = {longest}"),
        ),
        _ => {}
    }
    if counts_examples {
        of_batch.retain(|(key, _)| *key != "train.total_batch_tokens"); // they are passed over
    }
    problems.extend(of_batch);
}

/// A recorded step waits for no other rank, and would draw the same random numbers each time.
fn cuda_graphs(config: &Config, world_size: u64, problems: &mut Vec<Problem>) {
    let drops = config.lora.enabled && config.lora.dropout > 0.0;
    let hindrances = [
        (world_size > 1, "is for runs of one rank"),
        (
            drops,
            "does not go with lora.dropout, whose numbers are drawn anew in each step",
        ),
    ];
    for (hinders, message) in hindrances {
        let asked = config.train.cuda_graphs == OnGpu::On;
        require(
            problems,
            "train.cuda_graphs",
            !(asked && hinders),
            format!("\"on\" {message}"),
        );
    }
}

fn optim(config: &OptimConfig, problems: &mut Vec<Problem>) {
    let not_negative = [
        ("optim.max_lr", config.max_lr),
        ("optim.min_lr", config.min_lr.unwrap_or(0.0)),
        ("optim.weight_decay", config.weight_decay),
        ("optim.grad_clip", config.grad_clip),
    ];
    for (key, value) in not_negative {
        require(
            problems,
            key,
            value >= 0.0 && value.is_finite(),
            format!("{value} must be 0 or more"),
        );
    }
    let (max_lr, min_lr) = (config.max_lr, config.min_lr.unwrap_or(0.0));
    require(
        problems,
        "optim.min_lr",
        min_lr <= max_lr || max_lr < 0.0,
        format!("{min_lr} is above optim.max_lr = {max_lr}"),
    );
    let (beta1, beta2) = config.betas;
    let proper = [beta1, beta2].iter().all(|beta| (0.0..1.0).contains(beta));
    require(
        problems,
        "optim.betas",
        proper,
        format!("[{beta1}, {beta2}] must each be at least 0 and below 1"),
    );
    require(
        problems,
        "optim.eps",
        config.eps > 0.0,
        format!("{} must be above 0", config.eps),
    );
    let fraction = config.decay_fraction;
    require(
        problems,
        "optim.decay_fraction",
        fraction > 0.0 && fraction <= 1.0,
        format!("{fraction} must be above 0 and at most 1"),
    );
}

fn generate(config: &Config, problems: &mut Vec<Problem>) {
    let config = &config.generate;
    let (temperature, top_p, penalty) =
        (config.temperature, config.top_p, config.repetition_penalty);
    require(
        problems,
        "generate.temperature",
        temperature >= 0.0,
        format!("{temperature} must be 0 or more"),
    );
    require(
        problems,
        "generate.top_p",
        top_p > 0.0 && top_p <= 1.0,
        format!("{top_p} must be above 0 and at most 1"),
    );
    require(
        problems,
        "generate.repetition_penalty",
        penalty > 0.0,
        format!("{penalty} must be above 0"),
    );
}
