//! A question, as texts.

use std::sync::Arc;

/// A question and its answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::eval) struct Item {
    /// What is counted together with it and shares its examples: MMLU's subject; empty where there is one group.
    pub(in crate::eval) group: String,
    /// The answers, in order.
    pub(in crate::eval) choices: Vec<Choice>,
    /// Which of them is right, from 0.
    pub(in crate::eval) label: usize,
}

/// An answer: how probable is `ending` after `context`?
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::eval) struct Choice {
    /// What is given.
    pub(in crate::eval) context: Arc<str>,
    /// What follows, with the blank that separates them.
    pub(in crate::eval) ending: String,
    /// The answer itself, whose length `acc_norm` divides by.
    pub(in crate::eval) answer: String,
}

impl Item {
    /// One context, and a blank and an ending for each answer.
    pub(in crate::eval) fn with_endings(context: &str, endings: Vec<String>, label: usize) -> Self {
        let context: Arc<str> = context.into();
        let choice = |ending: String| Choice {
            context: Arc::clone(&context),
            ending: format!(" {ending}"),
            answer: ending,
        };
        Self {
            group: String::new(),
            choices: endings.into_iter().map(choice).collect(),
            label,
        }
    }

    /// A context for each answer, and the same ending after a blank.
    pub(in crate::eval) fn with_contexts(
        contexts: Vec<String>,
        ending: &str,
        label: usize,
    ) -> Self {
        let choice = |context: String| Choice {
            context: context.as_str().into(),
            ending: format!(" {ending}"),
            answer: context,
        };
        Self {
            group: String::new(),
            choices: contexts.into_iter().map(choice).collect(),
            label,
        }
    }

    /// The same in a group.
    pub(in crate::eval) fn in_group(self, group: &str) -> Self {
        Self {
            group: group.to_owned(),
            ..self
        }
    }

    /// The same behind a text.
    pub(in crate::eval) fn behind(mut self, text: &str) -> Self {
        let context = |choice: &Choice| -> Arc<str> { format!("{text}{}", choice.context).into() };
        let first = self.choices.first().map(context);
        let shared = self
            .choices
            .windows(2)
            .all(|pair| pair[0].context == pair[1].context);
        for choice in &mut self.choices {
            choice.context = match &first {
                Some(first) if shared => Arc::clone(first),
                _ => context(choice),
            };
        }
        self
    }

    /// As an example: with the right answer.
    pub(in crate::eval) fn solved(&self) -> String {
        let right = &self.choices[self.label];
        format!("{}{}", right.context, right.ending)
    }
}
