//! torch's own process groups: the store through which ranks meet, and their collective operations.

use super::{c_string, check, ffi, nccl, pointers, take_text};
use anyhow::Result;
use std::{ffi::c_int, ptr, time::Duration};
use tch::{Device, Tensor};

/// Where the ranks of a job meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreAddress {
    /// Name or address of the machine that serves the store.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Begins all keys: what is the same for the processes of one attempt and for no others.
    pub prefix: String,
}

/// A connection to a key-value store (`c10d::TCPStore`); safe to use from several threads.
#[derive(Debug)]
pub struct Store(*mut ffi::StoreHandle);

// SAFETY: `c10d::TCPStore` guards its connection with a mutex, and `PrefixStore` holds no state of its own.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Store {
    /// Connects to a store that another process serves, waiting until it is there.
    ///
    /// # Errors
    /// When nothing answers in time.
    pub fn connect(address: &StoreAddress, timeout: Duration) -> Result<Self> {
        Self::open(address, None, timeout)
    }

    /// Serves a store to `world_size` processes, and connects to it.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn serve(address: &StoreAddress, world_size: u64, timeout: Duration) -> Result<Self> {
        Self::open(address, Some(world_size), timeout)
    }

    fn open(address: &StoreAddress, serve_to: Option<u64>, timeout: Duration) -> Result<Self> {
        let (host, prefix) = (c_string(&address.host), c_string(&address.prefix));
        let mut out = ptr::null_mut();
        // SAFETY: the strings outlive the call; on success `out` is a new store that we own.
        check(unsafe {
            ffi::lt_store_open(
                host.as_ptr(),
                address.port,
                serve_to.is_some(),
                serve_to.unwrap_or(0) as usize,
                prefix.as_ptr(),
                milliseconds(timeout),
                &raw mut out,
            )
        })?;
        Ok(Self(out))
    }

    /// Sets a key.
    ///
    /// # Errors
    /// When the store is gone.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        let (key, value) = (c_string(key), c_string(value));
        // SAFETY: a live store; the strings outlive the call.
        check(unsafe { ffi::lt_store_set(self.0, key.as_ptr(), value.as_ptr()) })
    }

    /// The value of a key, if it has been set.
    ///
    /// # Errors
    /// When the store is gone.
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        let key = c_string(key);
        let mut value = ptr::null_mut();
        // SAFETY: a live store; on success `value` is null or a string made by `strdup` that we own.
        unsafe {
            check(ffi::lt_store_get(self.0, key.as_ptr(), &raw mut value))?;
            Ok((!value.is_null()).then(|| take_text(value)))
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: made by `lt_store_open`, freed once.
        unsafe { ffi::lt_store_free(self.0) }
    }
}

/// A process's place in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Its number.
    pub rank: u64,
    /// How many there are.
    pub world_size: u64,
    /// How long a collective operation may take.
    pub timeout: Duration,
    /// Gloo's network interface; none for that of the machine's name.
    pub interface: Option<String>,
    /// NCCL carries the tensors of a GPU, Gloo those of the CPU.
    pub device: Device,
}

/// torch's process group. Every rank must reach each operation, in the same order.
#[derive(Debug)]
pub struct Group(*mut ffi::GroupHandle);

impl Group {
    /// Connects to the other ranks.
    ///
    /// # Errors
    /// When they cannot be reached in time, or there is no NCCL for the device.
    pub fn join(store: &Store, member: &Membership) -> Result<Self> {
        let interface = member.interface.as_deref().map(c_string);
        let (new_nccl, cuda_index) = match member.device {
            Device::Cuda(index) => (Some(nccl::constructor()?), index as c_int),
            _ => (None, -1),
        };
        let mut out = ptr::null_mut();
        // SAFETY: a live store, strings that outlive the call; on success `out` is a new group that we own.
        check(unsafe {
            ffi::lt_group_join(
                store.0,
                member.rank as c_int,
                member.world_size as c_int,
                milliseconds(member.timeout),
                interface.as_ref().map_or(ptr::null(), |name| name.as_ptr()),
                new_nccl,
                cuda_index,
                &raw mut out,
            )
        })?;
        Ok(Self(out))
    }

    /// Replaces the tensor by its sum over the ranks.
    ///
    /// # Errors
    /// When a rank is gone or late.
    pub fn all_reduce_sum(&self, tensor: &Tensor) -> Result<()> {
        // SAFETY: a live group and a live tensor.
        check(unsafe { ffi::lt_all_reduce_sum(self.0, tensor.as_ptr()) })
    }

    /// Replaces the tensors by those of rank `root`, several in one message.
    ///
    /// # Errors
    /// When a rank is gone or late.
    pub fn broadcast(&self, tensors: &[Tensor], root: u64) -> Result<()> {
        let list = pointers(tensors);
        // SAFETY: a live group and live tensors, borrowed for the call.
        check(unsafe { ffi::lt_broadcast(self.0, list.as_ptr(), list.len(), root as c_int) })
    }

    /// Fills `out` [ranks, ...] with every rank's tensor.
    ///
    /// # Errors
    /// When a rank is gone or late.
    pub fn all_gather(&self, tensor: &Tensor, out: &Tensor) -> Result<()> {
        // SAFETY: a live group and live tensors.
        check(unsafe { ffi::lt_all_gather(self.0, tensor.as_ptr(), out.as_ptr()) })
    }

    pub(super) fn as_ptr(&self) -> *const ffi::GroupHandle {
        self.0
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: made by `lt_group_join`, freed once.
        unsafe { ffi::lt_group_free(self.0) }
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
