//! Pairs to ids: a prompt up to where the assistant answers, and two answers, each with the token that closes it.

use super::{
    encoded::{Encoded, EncodedExample, Fit, LeftOut, Limit},
    input::Preference,
    instruct::Chat,
};
use crate::data::PairLengths;
use crate::tokenizer::Message;
use anyhow::Result;

/// A pair of texts. One whose sides say the same, or of which one says nothing, prefers nothing.
///
/// # Errors
/// A bad request where one that is too long is to be refused.
pub(super) fn encode(
    pair: Preference<Vec<Message>, String>,
    chat: &Chat<'_>,
    limit: Option<Limit>,
) -> Result<Encoded> {
    let answers = [pair.chosen.trim(), pair.rejected.trim()];
    if answers[0] == answers[1] || answers.contains(&"") {
        return Ok(Encoded::LeftOut(LeftOut::NothingToLearn));
    }
    match chat.continuations(pair.prompt, [&pair.chosen, &pair.rejected]) {
        Ok((prompt, [chosen, rejected])) => {
            let pair = Preference {
                prompt,
                chosen,
                rejected,
            };
            of_ids(pair, limit)
        }
        Err(refusal) => Ok(Encoded::LeftOut(LeftOut::Malformed(refusal.to_string()))),
    }
}

/// A pair of ids, cut as training would cut it where that is asked for.
///
/// # Errors
/// A bad request where one that is too long is to be refused.
pub(super) fn of_ids(
    pair: Preference<Vec<u32>, Vec<u32>>,
    limit: Option<Limit>,
) -> Result<Encoded> {
    let Preference {
        mut prompt,
        mut chosen,
        mut rejected,
    } = pair;
    let lengths = PairLengths {
        prompt: prompt.len() as u64,
        chosen: chosen.len() as u64,
        rejected: rejected.len() as u64,
    };
    let longest = lengths.longest_row() as usize;
    let fit = limit.map_or(Ok(Fit::Whole), |limit| limit.fit(longest))?;
    if let (Fit::Cut, Some(limit)) = (fit, limit) {
        let kept = lengths.cut(limit.tokens as u64);
        prompt.drain(..prompt.len() - kept.prompt);
        chosen.truncate(kept.answer);
        rejected.truncate(kept.answer);
    }
    if fit == Fit::No {
        return Ok(Encoded::LeftOut(LeftOut::TooLong));
    }
    if chosen == rejected || chosen.is_empty() || rejected.is_empty() {
        return Ok(Encoded::LeftOut(LeftOut::NothingToLearn));
    }
    let ends = [prompt.len(), chosen.len(), rejected.len()];
    let ends = ends.into_iter().scan(0, |end, part| {
        *end += part;
        Some(*end)
    });
    Ok(Encoded::Example(EncodedExample {
        ends: ends.collect(),
        ids: [prompt, chosen, rejected].concat(),
        mask: None,
        truncated: fit == Fit::Cut,
    }))
}
