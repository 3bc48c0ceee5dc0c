//! Conversations to ids, and to the mask of what is trained on.

use super::{
    Job,
    encoded::{Encoded, EncodedExample, Fit, LeftOut, Limit},
};
use crate::{
    config::TrainOn,
    tokenizer::{ASSISTANT, ChatFormat, Conversation, Message, Tokenizer},
};
use anyhow::Result;

/// How turns become tokens.
#[derive(Debug)]
pub(super) struct Chat<'t> {
    format: ChatFormat<'t>,
    train_on: TrainOn,
    system_prompt: Option<String>,
}

impl<'t> Chat<'t> {
    /// In the tokenizer's chat format.
    ///
    /// # Errors
    /// A bad request when it has none.
    pub(super) fn new(job: &Job, tokenizer: &'t Tokenizer) -> Result<Self> {
        Ok(Self {
            format: ChatFormat::of(tokenizer)?,
            train_on: job.config.train_on,
            system_prompt: job.system_prompt.clone(),
        })
    }

    /// What the turns are written with.
    pub(super) fn fingerprint(&self) -> String {
        self.format.fingerprint()
    }

    /// The conversation with the mask of its answers. One without an answer teaches nothing.
    ///
    /// # Errors
    /// A bad request where one that is too long is to be refused.
    pub(super) fn encode(&self, turns: Vec<Message>, limit: Option<Limit>) -> Result<Encoded> {
        if !self.answers(&turns) {
            return Ok(Encoded::LeftOut(LeftOut::NothingToLearn));
        }
        match self.format.encode(&self.complete(turns), self.train_on) {
            Ok(conversation) => masked(conversation, limit),
            Err(refusal) => Ok(Encoded::LeftOut(LeftOut::Malformed(refusal.to_string()))),
        }
    }

    /// Whether every turn that would be trained on says something, and there is one.
    fn answers(&self, turns: &[Message]) -> bool {
        let answers = turns.iter().filter(|turn| turn.role == ASSISTANT);
        let mut says_something = answers
            .map(|turn| !turn.content.trim().is_empty())
            .peekable();
        match self.train_on {
            TrainOn::All => says_something.peek().is_some() && says_something.all(|says| says),
            TrainOn::Last => says_something.last() == Some(true),
        }
    }

    /// With the system prompt, where nothing of the system is said.
    fn complete(&self, mut turns: Vec<Message>) -> Vec<Message> {
        if let Some(text) = &self.system_prompt
            && turns.iter().all(|turn| turn.role != "system")
        {
            turns.insert(0, Message::new("system", text));
        }
        turns
    }

    /// A prompt up to where the assistant answers, and each of the answers with the token that closes it.
    ///
    /// # Errors
    /// When the template refuses them.
    pub(super) fn continuations(
        &self,
        prompt: Vec<Message>,
        answers: [&str; 2],
    ) -> Result<(Vec<u32>, [Vec<u32>; 2])> {
        let mut turns = self.complete(prompt);
        let prompt = self.format.prompt(&turns)?;
        let mut continuation = |answer: &str| {
            turns.push(Message::new(ASSISTANT, answer));
            let whole = self.format.encode(&turns, TrainOn::Last);
            turns.pop();
            whole.map(|whole| {
                let ids = whole.ids.into_iter().zip(whole.mask);
                ids.filter_map(|(id, trained)| trained.then_some(id))
                    .collect()
            })
        };
        Ok((
            prompt,
            [continuation(answers[0])?, continuation(answers[1])?],
        ))
    }
}

/// A conversation that has its mask, cut or left out where it is too long.
///
/// # Errors
/// A bad request where one that is too long is to be refused.
pub(super) fn masked(conversation: Conversation, limit: Option<Limit>) -> Result<Encoded> {
    let Conversation { mut ids, mut mask } = conversation;
    // The first token is predicted from nothing.
    let teaches = |mask: &[bool]| mask.iter().skip(1).any(|trained| *trained);
    if !teaches(&mask) {
        return Ok(Encoded::LeftOut(LeftOut::NothingToLearn));
    }
    let fit = limit.map_or(Ok(Fit::Whole), |limit| limit.fit(ids.len()))?;
    if let (Fit::Cut, Some(limit)) = (fit, limit) {
        ids.truncate(limit.tokens);
        mask.truncate(limit.tokens);
    }
    if fit == Fit::No || !teaches(&mask) {
        return Ok(Encoded::LeftOut(LeftOut::TooLong));
    }
    Ok(Encoded::Example(EncodedExample {
        ends: vec![ids.len()],
        ids,
        mask: Some(mask),
        truncated: fit == Fit::Cut,
    }))
}
