//! The CUDA part: a library inside the binary, opened where libtorch has CUDA.

use super::library::Library;
use anyhow::{Result, anyhow};

/// Whether this binary has a CUDA part.
pub const HAS_CUDA_PART: bool = cfg!(cuda_part);

/// The library of `native/cuda`; an error says why there is none.
fn cuda_part() -> Result<Library, String> {
    part::library()
}

/// What `find` takes from it; an error says that `what` cannot be used, why, and the remedy.
pub(super) fn from_cuda_part<T>(
    what: &str,
    find: impl FnOnce(Library) -> Result<T, String>,
) -> Result<T> {
    let found = cuda_part().and_then(find);
    found.map_err(|reason| anyhow!("{what} cannot be used: {reason}; {NEEDED}"))
}

/// Opens the CUDA part without using it.
///
/// # Errors
/// Why it cannot be opened.
pub fn open_cuda_part() -> Result<()> {
    let opened = cuda_part().map(drop);
    opened.map_err(|reason| anyhow!("{reason}; {NEEDED}"))
}

/// What would help where it cannot be opened.
const NEEDED: &str = "it takes a torch with CUDA, the one that this binary was built with (or train on CPUs \
                                 with run.device = \"cpu\")";

#[cfg(not(cuda_part))]
mod part {
    use super::Library;

    pub(super) fn library() -> Result<Library, String> {
        Err(
            "the headers of CUDA and NCCL were not beside libtorch when this binary was built"
                .into(),
        )
    }
}

#[cfg(cuda_part)]
mod part {
    use super::Library;
    use std::{
        fs::File,
        io::Write,
        os::fd::{AsRawFd, FromRawFd},
        path::PathBuf,
        sync::OnceLock,
    };

    static BYTES: &[u8] = include_bytes!(env!("CUDA_PART"));

    pub(super) fn library() -> Result<Library, String> {
        static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
        LIBRARY.get_or_init(open).clone()
    }

    fn open() -> Result<Library, String> {
        // Where there is no driver nothing has opened it yet.
        Library::open(c"libtorch_cuda.so")?;
        let file = in_memory().map_err(|error| format!("cannot be unpacked: {error}"))?;
        Library::open_file(&PathBuf::from(format!(
            "/proc/self/fd/{}",
            file.as_raw_fd()
        )))
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
        file.write_all(BYTES)?;
        Ok(file)
    }
}

#[cfg(all(test, cuda_part))]
mod tests {
    /// Every name that it needs is in this libtorch; that it runs is for a machine with a GPU to show.
    #[test]
    fn the_cuda_part_opens_without_a_gpu() {
        super::open_cuda_part().unwrap();
        super::super::nccl::constructor().unwrap();
        super::super::kernels::entry_points().unwrap();
        super::super::graph::entry_points().unwrap();
        super::super::transfers::entry_points().unwrap();
    }
}
