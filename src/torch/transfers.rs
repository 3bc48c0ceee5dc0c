//! How numbers get to a device and back.

use super::cuda_part::from_cuda_part;
use super::ffi::{Message, TensorList};
use super::{check, pointers};
use anyhow::{Result, bail};
use std::ffi::{c_int, c_void};
use std::ptr;
use tch::{Device, Tensor};
use torch_sys::C_tensor;

/// Copies between the CPU and the device that a run is on.
#[derive(Debug)]
pub struct Transfers {
    device: Device,
    beside: Option<CopyStream>,
}

/// A stream of a GPU that only copies.
#[derive(Debug)]
struct CopyStream {
    handle: *mut c_void,
    part: EntryPoints,
}

/// Of `native/cuda/transfers.cpp`.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryPoints {
    open: unsafe extern "C" fn(c_int, *mut *mut c_void) -> Message,
    close: unsafe extern "C" fn(*mut c_void),
    send: unsafe extern "C" fn(*mut c_void, TensorList, usize, *mut *mut C_tensor) -> Message,
    arrive: unsafe extern "C" fn(*mut c_void, TensorList, usize) -> Message,
    fetch: unsafe extern "C" fn(*const C_tensor, *mut *mut C_tensor, *mut *mut c_void) -> Message,
    fetched: unsafe extern "C" fn(*mut c_void) -> Message,
    free_event: unsafe extern "C" fn(*mut c_void),
}

pub(super) fn entry_points() -> Result<EntryPoints> {
    from_cuda_part("copies beside the GPU's work", |part| {
        // SAFETY: `native/cuda/transfers.cpp` defines them with these types.
        unsafe {
            Ok(EntryPoints {
                open: part.function(c"lt_copy_stream_new")?,
                close: part.function(c"lt_copy_stream_free")?,
                send: part.function(c"lt_copies_send")?,
                arrive: part.function(c"lt_copies_arrive")?,
                fetch: part.function(c"lt_fetch")?,
                fetched: part.function(c"lt_fetched")?,
                free_event: part.function(c"lt_event_free")?,
            })
        }
    })
}

impl Transfers {
    /// In turn with the device's work; on a CPU there is nothing to copy.
    #[must_use]
    pub fn in_turn(device: Device) -> Self {
        Self {
            device,
            beside: None,
        }
    }

    /// Beside a GPU's work, by pinned memory.
    ///
    /// # Errors
    /// When the device is no GPU, or its CUDA part cannot be opened.
    pub fn beside(device: Device) -> Result<Self> {
        let Device::Cuda(index) = device else {
            bail!("copies beside the work are a GPU's");
        };
        let part = entry_points()?;
        let mut handle = ptr::null_mut();
        // SAFETY: on success `handle` is a new stream that we own.
        check(unsafe { (part.open)(c_int::try_from(index)?, &raw mut handle) })?;
        Ok(Self {
            device,
            beside: Some(CopyStream { handle, part }),
        })
    }

    /// Whether what is sent ahead costs the device's work no time.
    #[must_use]
    pub fn are_beside(&self) -> bool {
        self.beside.is_some()
    }

    /// Begins to copy tensors of the CPU to the device: for use after [`Self::arrive`].
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn send(&self, tensors: &[Tensor]) -> Result<Vec<Tensor>> {
        let Some(copies) = &self.beside else {
            let send = |tensor: &Tensor| {
                // A GPU is not waited for: the driver has read the tensor when the call returns.
                Ok(tensor.f_to_device_(self.device, tensor.kind(), true, false)?)
            };
            return tensors.iter().map(send).collect();
        };
        let list = pointers(tensors);
        let mut out = vec![ptr::null_mut(); list.len()];
        // SAFETY: a live stream and live tensors; `out` is as long as the list, and what is in it is ours.
        unsafe {
            let sent =
                (copies.part.send)(copies.handle, list.as_ptr(), list.len(), out.as_mut_ptr());
            check(sent)?;
            Ok(out
                .into_iter()
                .map(|tensor| Tensor::from_ptr(tensor))
                .collect())
        }
    }

    /// The device's work from now on comes after the last [`Self::send`], whose results these are.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn arrive(&self, tensors: &[Tensor]) -> Result<()> {
        let Some(copies) = &self.beside else {
            return Ok(());
        };
        let list = pointers(tensors);
        // SAFETY: a live stream and live tensors.
        check(unsafe { (copies.part.arrive)(copies.handle, list.as_ptr(), list.len()) })
    }

    /// Begins to copy a tensor of the device to the CPU. What is launched later may change the tensor.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn fetch(&self, tensor: &Tensor) -> Result<Fetched> {
        let Some(copies) = &self.beside else {
            return Ok(Fetched {
                numbers: tensor.copy(),
                event: None,
            });
        };
        let (mut numbers, mut event) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: a live tensor; on success both are new and ours.
        unsafe {
            check((copies.part.fetch)(
                tensor.as_ptr(),
                &raw mut numbers,
                &raw mut event,
            ))?;
            Ok(Fetched {
                numbers: Tensor::from_ptr(numbers),
                event: Some(Event {
                    handle: event,
                    part: copies.part,
                }),
            })
        }
    }
}

impl Drop for CopyStream {
    fn drop(&mut self) {
        // SAFETY: made by `lt_copy_stream_new`, freed once.
        unsafe { (self.part.close)(self.handle) }
    }
}

/// Numbers on their way to the CPU.
#[derive(Debug)]
pub struct Fetched {
    numbers: Tensor,
    event: Option<Event>,
}

#[derive(Debug)]
struct Event {
    handle: *mut c_void,
    part: EntryPoints,
}

impl Fetched {
    /// Waits for them: where copies run beside the work, for nothing that was launched after [`Transfers::fetch`].
    ///
    /// # Errors
    /// When the device has failed.
    pub fn read(&self) -> Result<Vec<f64>> {
        if let Some(event) = &self.event {
            // SAFETY: a live event.
            check(unsafe { (event.part.fetched)(event.handle) })?;
        }
        let numbers = self.numbers.to_device(Device::Cpu);
        let all = 0..numbers.numel() as i64;
        Ok(all.map(|index| numbers.double_value(&[index])).collect())
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: made by `lt_fetch`, freed once.
        unsafe { (self.part.free_event)(self.handle) }
    }
}
