//! The keys that take an address on the Hub.

use super::{Config, HubKind, HubPath, Problem};

/// What is an address on the Hub can be one, and is of the kind that is read there.
pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    let models = [
        ("model.init_from", &config.model.init_from),
        ("tokenizer.path", &config.tokenizer.path),
        ("dpo.reference", &config.dpo.reference),
        ("distill.teacher", &config.distill.teacher),
    ];
    let models = models
        .iter()
        .filter_map(|(key, path)| Some((*key, path.as_ref()?, HubKind::Model)));
    let inputs = config.prepare.input.iter();
    let inputs = inputs.map(|path| ("prepare.input", path, HubKind::Dataset));
    for (key, path, kind) in models.chain(inputs) {
        if let Err(error) = HubPath::parse_if_meant(path, kind) {
            problems.push((key, error.to_string()));
        }
    }
    problems
}
