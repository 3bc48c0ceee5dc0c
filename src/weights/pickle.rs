//! The pickles that `torch.save` makes of tensors, numbers, texts and containers (protocols 2 to 5).
//!
//! A pickle is a program for a stack machine, and may name any function of Python. This machine knows the few that
//! stand for tensors and dictionaries, builds values of its own for them, and calls nothing: whatever else is named is
//! an error.

use super::pickle_value::{Global, Storage, StoredTensor, Value};
use anyhow::{Context, Result, bail, ensure};
use std::{collections::HashMap, rc::Rc};

/// Runs the pickle and gives what it leaves.
///
/// # Errors
/// When it is cut off, or names or does anything that is not known here.
pub(super) fn parse(bytes: &[u8]) -> Result<Value> {
    let mut machine = Machine {
        input: bytes,
        stack: Vec::new(),
        memo: HashMap::new(),
    };
    while machine.step()? {}
    machine.pop()
}

struct Machine<'a> {
    input: &'a [u8],
    stack: Vec<Value>,
    memo: HashMap<u64, Value>,
}

impl Machine<'_> {
    /// One operation; false after the last.
    fn step(&mut self) -> Result<bool> {
        match self.take(1)?[0] {
            b'.' => return Ok(false),
            0x80 => drop(self.number(1)?), // the protocol's version
            0x95 => drop(self.number(8)?), // a frame's length
            b'(' => self.stack.push(Value::Mark),
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Int(1)),
            0x89 => self.stack.push(Value::Int(0)),
            b'K' => self.push_int(1)?,
            b'M' => self.push_int(2)?,
            b'J' => self.push_signed(4)?,
            0x8a => {
                let length = self.number(1)? as usize;
                self.push_signed(length)?;
            }
            b'G' => {
                let bits = self.take(8)?.iter();
                let bits = bits.fold(0, |bits, byte| bits << 8 | u64::from(*byte)); // big-endian
                self.stack.push(Value::Float(f64::from_bits(bits)));
            }
            b'X' => self.push_text(4)?,
            0x8c => self.push_text(1)?,
            operation => self.contain(operation)?,
        }
        Ok(true)
    }

    /// Operations on containers.
    fn contain(&mut self, operation: u8) -> Result<()> {
        match operation {
            b')' => self.stack.push(Value::Tuple(Vec::new())),
            b']' => self.stack.push(Value::List(Rc::default())),
            b'}' => self.stack.push(Value::Dict(Rc::default())),
            b't' => {
                let elements = self.pop_to_mark()?;
                self.stack.push(Value::Tuple(elements));
            }
            0x85..=0x87 => {
                let first = self.stack.len().checked_sub(usize::from(operation - 0x84));
                let elements = self.stack.split_off(first.context("its stack is empty")?);
                self.stack.push(Value::Tuple(elements));
            }
            b'a' => {
                let element = self.pop()?;
                self.append(vec![element])?;
            }
            b'e' => {
                let elements = self.pop_to_mark()?;
                self.append(elements)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert(vec![key, value])?;
            }
            b'u' => {
                let elements = self.pop_to_mark()?;
                self.insert(elements)?;
            }
            b'b' => drop(self.pop()?), // attributes of a dictionary
            operation => return self.refer(operation),
        }
        Ok(())
    }

    /// Operations on the memo, on names and on what stands for calls.
    fn refer(&mut self, operation: u8) -> Result<()> {
        match operation {
            b'q' | b'r' | 0x94 => self.memoize(operation)?,
            b'h' | b'j' => {
                let index = self.number(if operation == b'h' { 1 } else { 4 })?;
                let value = self
                    .memo
                    .get(&index)
                    .context("it recalls what it did not keep")?;
                self.stack.push(value.clone());
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.stack.push(Value::Global(Global::of(&module, &name)?));
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => {
                    self.stack.push(Value::Global(Global::of(&module, &name)?));
                }
                _ => bail!("a name that is no text"),
            },
            b'Q' => self.push_storage()?,
            b'R' => self.rebuild()?,
            other => bail!("operation {other:#x} of its pickle is not known"),
        }
        Ok(())
    }

    fn memoize(&mut self, operation: u8) -> Result<()> {
        let index = match operation {
            b'q' => self.number(1)?,
            b'r' => self.number(4)?,
            _ => self.memo.len() as u64,
        };
        let top = self.stack.last().context("its stack is empty")?;
        self.memo.insert(index, top.clone());
        Ok(())
    }

    fn append(&mut self, elements: Vec<Value>) -> Result<()> {
        match self.stack.last() {
            Some(Value::List(list)) => list.borrow_mut().extend(elements),
            _ => bail!("elements without a list"),
        }
        Ok(())
    }

    fn insert(&mut self, elements: Vec<Value>) -> Result<()> {
        let Some(Value::Dict(dict)) = self.stack.last() else {
            bail!("entries without a dictionary");
        };
        let mut elements = elements.into_iter();
        while let (Some(key), Some(value)) = (elements.next(), elements.next()) {
            dict.borrow_mut().push((key, value));
        }
        Ok(())
    }

    /// `("storage", kind, key, device, numbers)`.
    fn push_storage(&mut self) -> Result<()> {
        let Value::Tuple(id) = self.pop()? else {
            bail!("a storage without its place");
        };
        match id.as_slice() {
            [
                Value::Text(tag),
                Value::Global(Global::StorageOf(kind)),
                Value::Text(key),
                ..,
            ] if tag == "storage" => {
                let (kind, key) = (*kind, key.clone());
                self.stack.push(Value::Storage(Storage { kind, key }));
                Ok(())
            }
            _ => bail!("a storage of an unknown form"),
        }
    }

    /// What stands in a pickle for the call of a function.
    fn rebuild(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments), Value::Global(function)) = (arguments, function) else {
            bail!("a call of something that has no name");
        };
        let value = match (function, arguments.as_slice()) {
            (Global::OrderedDict, []) => Value::Dict(Rc::default()),
            (Global::RebuildParameter, [Value::Tensor(tensor), ..]) => {
                Value::Tensor(tensor.clone())
            }
            (
                Global::RebuildTensor,
                [
                    Value::Storage(storage),
                    Value::Int(offset),
                    Value::Tuple(size),
                    Value::Tuple(stride),
                    ..,
                ],
            ) => Value::Tensor(StoredTensor {
                storage: storage.clone(),
                offset: *offset,
                size: integers(size)?,
                stride: integers(stride)?,
            }),
            _ => bail!("{function:?} with arguments that it does not take"),
        };
        self.stack.push(value);
        Ok(())
    }

    fn push_int(&mut self, bytes: usize) -> Result<()> {
        let number = self.number(bytes)?;
        self.stack.push(Value::Int(number.cast_signed()));
        Ok(())
    }

    fn push_signed(&mut self, bytes: usize) -> Result<()> {
        ensure!(bytes <= 8, "an integer of {bytes} bytes");
        let unused = 64 - 8 * bytes as u32;
        let number = self.number(bytes)?.cast_signed();
        let number = number.checked_shl(unused).unwrap_or(0);
        self.stack
            .push(Value::Int(number.checked_shr(unused).unwrap_or(0)));
        Ok(())
    }

    fn push_text(&mut self, length_bytes: usize) -> Result<()> {
        let length = usize::try_from(self.number(length_bytes)?)?;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn pop(&mut self) -> Result<Value> {
        self.stack.pop().context("its stack is empty")
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>> {
        let is_mark = |value: &Value| matches!(value, Value::Mark);
        let mark = self.stack.iter().rposition(is_mark);
        let elements = self
            .stack
            .split_off(mark.context("its stack has no mark")? + 1);
        self.stack.pop();
        Ok(elements)
    }

    /// An unsigned number, little-endian.
    fn number(&mut self, bytes: usize) -> Result<u64> {
        let bytes = self.take(bytes)?.iter().rev();
        Ok(bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn line(&mut self) -> Result<String> {
        let end = self.input.iter().position(|byte| *byte == b'\n');
        let line = self.take(end.context("it is cut off")?)?;
        let line = String::from_utf8_lossy(line).into_owned();
        self.take(1)?;
        Ok(line)
    }

    fn take(&mut self, bytes: usize) -> Result<&[u8]> {
        let (taken, rest) = self
            .input
            .split_at_checked(bytes)
            .context("it is cut off")?;
        self.input = rest;
        Ok(taken)
    }
}

fn integers(values: &[Value]) -> Result<Vec<i64>> {
    let integer = |value: &Value| match value {
        Value::Int(number) => Ok(*number),
        other => bail!("a size of {other:?}"),
    };
    values.iter().map(integer).collect()
}
