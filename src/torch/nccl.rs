//! The CUDA part: a library inside the binary, opened where libtorch has CUDA.

use super::ffi::NewNccl;
use anyhow::{Result, anyhow};

/// Whether this binary has a CUDA part.
pub const HAS_CUDA_PART: bool = cfg!(cuda_part);

/// What makes torch's NCCL backend.
///
/// # Errors
/// When the binary was built without a CUDA part, or this libtorch is not the one it was built for.
pub(super) fn constructor() -> Result<NewNccl> {
    part::constructor().map_err(|reason| {
        anyhow!(
            "NCCL cannot be used: {reason}; it takes a torch with CUDA, the one that this binary was built with (or train on \
             CPUs with run.device = \"cpu\")"
        )
    })
}

/// Opens the CUDA part without using it.
///
/// # Errors
/// Why it cannot be opened.
pub fn open_cuda_part() -> Result<()> {
    constructor().map(drop)
}

#[cfg(not(cuda_part))]
mod part {
    use super::NewNccl;

    pub(super) fn constructor() -> Result<NewNccl, String> {
        Err(
            "the headers of CUDA and NCCL were not beside libtorch when this binary was built"
                .into(),
        )
    }
}

#[cfg(cuda_part)]
mod part {
    use super::NewNccl;
    use std::{
        ffi::{CStr, CString, c_char, c_void},
        fs::File,
        io::Write,
        os::fd::{AsRawFd, FromRawFd},
        sync::OnceLock,
    };

    static LIBRARY: &[u8] = include_bytes!(env!("CUDA_PART"));

    pub(super) fn constructor() -> Result<NewNccl, String> {
        static CONSTRUCTOR: OnceLock<Result<NewNccl, String>> = OnceLock::new();
        CONSTRUCTOR.get_or_init(open).clone()
    }

    fn open() -> Result<NewNccl, String> {
        // Where there is no driver nothing has opened it yet.
        dlopen(c"libtorch_cuda.so")?;
        let file = in_memory().map_err(|error| format!("cannot be unpacked: {error}"))?;
        let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let library = dlopen(&path.unwrap_or_default())?;
        // SAFETY: a library that is never closed, and a name in it; `nccl.cpp` defines it with this type.
        unsafe {
            let symbol = libc::dlsym(library, c"lt_new_nccl".as_ptr());
            if symbol.is_null() {
                return Err("its library lacks lt_new_nccl".into());
            }
            Ok(std::mem::transmute::<*mut c_void, NewNccl>(symbol))
        }
    }

    fn in_memory() -> std::io::Result<File> {
        // SAFETY: a name that outlives the call; the new descriptor is ours alone.
        let mut file = unsafe {
            let descriptor = libc::memfd_create(c"llama-train-cuda".as_ptr(), libc::MFD_CLOEXEC);
            if descriptor < 0 {
                return Err(std::io::Error::last_os_error());
            }
            File::from_raw_fd(descriptor)
        };
        file.write_all(LIBRARY)?;
        Ok(file)
    }

    fn dlopen(name: &CStr) -> Result<*mut c_void, String> {
        // SAFETY: loading runs the library's constructors, which are made for it; `dlerror` gives a string that is
        // valid until the next call of this thread.
        unsafe {
            let handle = libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL);
            if !handle.is_null() {
                return Ok(handle);
            }
            let error: *const c_char = libc::dlerror();
            Err(CStr::from_ptr(error).to_string_lossy().into_owned())
        }
    }
}

#[cfg(all(test, cuda_part))]
mod tests {
    /// Every name that it needs is in this libtorch; that it runs is for a machine with a GPU to show.
    #[test]
    fn the_cuda_part_opens_without_a_gpu() {
        super::open_cuda_part().unwrap();
    }
}
