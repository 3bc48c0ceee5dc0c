//! Text a passage at a time: what is too long for one thread, or for memory.

use super::{compression, content_hash::Hasher, fetched::LocalFile};
use anyhow::{Context, Result, bail};
use std::{
    io::{Cursor, Read},
    mem,
    sync::Arc,
};

/// Bytes of a passage, at least, where the text can be cut.
const PASSAGE_BYTES: usize = 1 << 18;
const BLOCK_BYTES: u64 = 1 << 18;

/// The first place from a byte on where a text may be cut without changing its ids.
pub(in crate::prepare) type NextCut = fn(&str, usize) -> Option<usize>;

/// A file that is one text, too long to be held in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prepare) struct LongText {
    file: Arc<LocalFile>,
    len: usize,
}

impl LongText {
    /// A file whose whole content `source` is; `Err` is the place of the first byte that is no UTF-8.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn check(
        file: Arc<LocalFile>,
        source: Box<dyn Read + Send>,
    ) -> Result<Result<Self, usize>> {
        let mut blocks = Utf8Blocks::new(source);
        let mut len = 0;
        loop {
            match blocks.next_block()? {
                Block::Text(text) => len += text.len(),
                Block::NotUtf8 { at } => return Ok(Err(at)),
                Block::End => return Ok(Ok(Self { file, len })),
            }
        }
    }

    /// Length in bytes.
    pub(in crate::prepare) fn len(&self) -> usize {
        self.len
    }

    /// Feeds the text to a hash.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub(super) fn hash_into(&self, hasher: &mut Hasher) -> Result<()> {
        let mut passages = self.passages(None)?;
        while let Some(text) = passages.read_block()? {
            hasher.update(text.as_bytes());
        }
        Ok(())
    }

    /// Reads it again.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub(in crate::prepare) fn passages(&self, next_cut: Option<NextCut>) -> Result<Passages> {
        let (source, _) = compression::open(&self.file)
            .with_context(|| format!("{}: cannot be read again", self.file.display()))?;
        Ok(Passages::of(Box::new(source), next_cut))
    }
}

/// The passages of a text in order; one if it cannot be cut.
pub(in crate::prepare) struct Passages {
    blocks: Utf8Blocks,
    text: String,
    ended: bool,
    next_cut: Option<NextCut>,
}

impl Passages {
    /// Of a text in memory.
    pub(in crate::prepare) fn of_text(text: String, next_cut: Option<NextCut>) -> Self {
        Self::of(Box::new(Cursor::new(text.into_bytes())), next_cut)
    }

    /// Whether a text of this length may have more than one.
    pub(in crate::prepare) fn may_be_many(len: usize) -> bool {
        len > PASSAGE_BYTES
    }

    fn of(source: Box<dyn Read + Send>, next_cut: Option<NextCut>) -> Self {
        Self {
            blocks: Utf8Blocks::new(source),
            text: String::new(),
            ended: false,
            next_cut,
        }
    }

    /// The next one.
    ///
    /// # Errors
    /// When the text cannot be read any more.
    pub(in crate::prepare) fn next_passage(&mut self) -> Result<Option<String>> {
        let mut wanted = 2 * PASSAGE_BYTES;
        loop {
            while self.text.len() < wanted
                && let Some(block) = self.read_block()?
            {
                self.text += &block;
            }
            let next_cut = self.next_cut;
            match next_cut.and_then(|next_cut| next_cut(&self.text, PASSAGE_BYTES)) {
                Some(cut) => {
                    let later = self.text.split_off(cut);
                    return Ok(Some(mem::replace(&mut self.text, later)));
                }
                None if self.ended => {
                    let last = mem::take(&mut self.text);
                    return Ok(Some(last).filter(|last| !last.is_empty()));
                }
                None => wanted = 2 * self.text.len(),
            }
        }
    }

    /// Whether the last one was taken.
    pub(in crate::prepare) fn is_done(&self) -> bool {
        self.ended && self.text.is_empty()
    }

    fn read_block(&mut self) -> Result<Option<String>> {
        match self.blocks.next_block()? {
            Block::Text(block) => Ok(Some(block)),
            Block::NotUtf8 { .. } => bail!("the file has changed while it was read"),
            Block::End => {
                self.ended = true;
                Ok(None)
            }
        }
    }
}

/// A stream of bytes as text, in blocks.
struct Utf8Blocks {
    source: Box<dyn Read + Send>,
    /// Read, but not handed out: the beginning of a character.
    rest: Vec<u8>,
    /// Bytes handed out.
    done: usize,
}

enum Block {
    Text(String),
    NotUtf8 { at: usize },
    End,
}

impl Utf8Blocks {
    fn new(source: Box<dyn Read + Send>) -> Self {
        Self {
            source,
            rest: Vec::new(),
            done: 0,
        }
    }

    fn next_block(&mut self) -> Result<Block> {
        let mut block = self.source.by_ref().take(BLOCK_BYTES);
        let read = block.read_to_end(&mut self.rest).context("cannot read")?;
        let Some(chunk) = self.rest.utf8_chunks().next() else {
            return Ok(Block::End);
        };
        let text = chunk.valid().to_owned();
        let wrong = chunk.invalid().len();
        let may_go_on = read > 0 && text.len() + wrong == self.rest.len();
        if wrong > 0 && !may_go_on {
            let at = self.done + text.len();
            return Ok(Block::NotUtf8 { at });
        }
        self.rest.drain(..text.len());
        self.done += text.len();
        Ok(Block::Text(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::llama3;

    fn passages(text: &str, next_cut: Option<NextCut>) -> Vec<String> {
        let mut passages = Passages::of_text(text.to_owned(), next_cut);
        let mut all = Vec::new();
        while let Some(passage) = passages.next_passage().unwrap() {
            all.push(passage);
            assert_eq!(passages.is_done(), all.concat().len() == text.len());
        }
        all
    }

    #[test]
    fn passages_are_the_text() {
        for unit in ["äöü€ words and 😀\n", "x", "東京"] {
            let text = unit.repeat(3 * PASSAGE_BYTES / unit.len() + 1);
            let cut = passages(&text, Some(llama3::next_cut));
            assert_eq!(cut.concat(), text);
            assert_eq!(cut.len() > 1, unit.contains(' '), "{unit}");
            assert_eq!(passages(&text, None), [text]);
        }
        assert!(passages("", None).is_empty());
    }

    #[test]
    fn bytes_that_are_no_text_are_found_wherever_they_are() {
        let block = BLOCK_BYTES as usize;
        let file = Arc::new(LocalFile::stays("none".into()));
        let check =
            |bytes: Vec<u8>| LongText::check(file.clone(), Box::new(Cursor::new(bytes))).unwrap();
        for at in [0, 5, block - 1, block, block + 1, 2 * block] {
            let mut bytes = vec![b'a'; at];
            bytes.push(0xff);
            assert_eq!(check(bytes.clone()), Err(at));
            bytes.push(b'a');
            assert_eq!(check(bytes), Err(at));
            let mut cut_short = vec![b'a'; at];
            cut_short.extend(&"€".as_bytes()[..2]);
            assert_eq!(check(cut_short), Err(at));
        }
        assert_eq!(
            check("€".repeat(block).into_bytes()).unwrap().len(),
            3 * block
        );
    }
}
