//! How long a pair is, and what is left of it where a row has less room.

/// Tokens of a pair's three parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairLengths {
    /// What both answers follow.
    pub prompt: u64,
    /// The better answer.
    pub chosen: u64,
    /// The worse one.
    pub rejected: u64,
}

/// Tokens that are left of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptTokens {
    /// At the prompt's end.
    pub prompt: usize,
    /// At the beginning of either answer.
    pub answer: usize,
}

impl PairLengths {
    /// Of the prompt with its longer answer.
    #[must_use]
    pub fn longest_row(self) -> u64 {
        self.prompt + self.chosen.max(self.rejected)
    }

    /// What fits into so many tokens: the prompt loses its beginning, the same for both answers, but for its last token; an
    /// answer that still does not fit loses its end. So an answer keeps the token that closes it, if it can.
    #[must_use]
    pub fn cut(self, capacity: u64) -> KeptTokens {
        let longest = self.chosen.max(self.rejected);
        let room = capacity.saturating_sub(longest).max(1);
        let prompt = self.prompt.min(room);
        KeptTokens {
            prompt: prompt as usize,
            answer: longest.min(capacity - prompt) as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_loses_the_prompts_beginning_first() {
        let kept = |prompt, chosen, rejected| {
            let lengths = PairLengths {
                prompt,
                chosen,
                rejected,
            };
            let KeptTokens { prompt, answer } = lengths.cut(8);
            (prompt, answer)
        };
        assert_eq!(kept(5, 3, 2), (5, 3));
        assert_eq!(kept(9, 3, 2), (5, 3));
        assert_eq!(kept(9, 2, 7), (1, 7));
        assert_eq!(kept(9, 20, 2), (1, 7));
        assert_eq!(kept(0, 20, 2), (0, 8));
    }
}
