//! What the pickles of `torch.save` are made of.

use anyhow::{Result, bail};
use std::{cell::RefCell, rc::Rc};
use tch::Kind;

/// What a pickle may hold.
#[derive(Debug, Clone)]
pub(super) enum Value {
    None,
    Int(i64),
    Float(f64),
    Text(String),
    Tuple(Vec<Value>),
    List(Rc<RefCell<Vec<Value>>>),
    Dict(Rc<RefCell<Vec<(Value, Value)>>>),
    Tensor(StoredTensor),
    /// A name that is on the list.
    Global(Global),
    Storage(Storage),
    /// Where the elements of a container begin on the stack.
    Mark,
}

/// Numbers in a record of the archive.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    pub(super) kind: Kind,
    pub(super) key: String,
}

/// A view of a storage; offset and strides in numbers.
#[derive(Debug, Clone)]
pub(super) struct StoredTensor {
    pub(super) storage: Storage,
    pub(super) offset: i64,
    pub(super) size: Vec<i64>,
    pub(super) stride: Vec<i64>,
}

/// What may be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    StorageOf(Kind),
}

impl Global {
    /// The name, if it is on the list.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn of(module: &str, name: &str) -> Result<Self> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "FloatStorage") => Self::StorageOf(Kind::Float),
            ("torch", "DoubleStorage") => Self::StorageOf(Kind::Double),
            ("torch", "HalfStorage") => Self::StorageOf(Kind::Half),
            ("torch", "BFloat16Storage") => Self::StorageOf(Kind::BFloat16),
            ("torch", "LongStorage") => Self::StorageOf(Kind::Int64),
            ("torch", "IntStorage") => Self::StorageOf(Kind::Int),
            ("torch", "ByteStorage") => Self::StorageOf(Kind::Uint8),
            ("torch", "BoolStorage") => Self::StorageOf(Kind::Bool),
            _ => bail!(
                "it names {module}.{name}, and only tensors, numbers, texts and containers are read; nothing was executed"
            ),
        })
    }
}
