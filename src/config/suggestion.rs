//! What may have been meant by a name that is not known.

/// "; did you mean `x`?" with the known name that is nearest, whatever its case; empty if none is near.
#[must_use]
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    const NEAR: f64 = 0.75;
    let score = |known: &str| strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase());
    let best = known
        .into_iter()
        .max_by(|a, b| score(a).total_cmp(&score(b)));
    match best.filter(|best| score(best) >= NEAR) {
        Some(best) => format!("; did you mean `{best}`?"),
        None => String::new(),
    }
}
