//! Shared libraries that are opened while the program runs.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;

/// An open library; it stays open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Library(*mut c_void);

impl Library {
    /// By its name, where the linker looks, or by its path.
    pub(super) fn open(name: &CStr) -> Result<Self, String> {
        // SAFETY: loading runs the library's constructors, which are made for it; `dlerror` gives a string that is
        // valid until the next call of this thread.
        unsafe {
            let handle = libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL);
            if !handle.is_null() {
                return Ok(Self(handle));
            }
            let error: *const c_char = libc::dlerror();
            Err(CStr::from_ptr(error).to_string_lossy().into_owned())
        }
    }

    /// By its path.
    pub(super) fn open_file(path: &Path) -> Result<Self, String> {
        let name = CString::new(path.as_os_str().as_encoded_bytes());
        Self::open(&name.map_err(|_| format!("{}: not a path", path.display()))?)
    }

    /// The function of this name.
    ///
    /// # Safety
    /// `F` is the type of a function pointer, and the library defines the function with it.
    pub(super) unsafe fn function<F: Copy>(self, name: &CStr) -> Result<F, String> {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) }
        // SAFETY: a library that is never closed; the caller answers for the type.
        unsafe {
            let symbol = libc::dlsym(self.0, name.as_ptr());
            if symbol.is_null() {
                return Err(format!("its library lacks {}", name.to_string_lossy()));
            }
            Ok(std::mem::transmute_copy::<*mut c_void, F>(&symbol))
        }
    }
}

// SAFETY: a handle of `dlopen` may be used by every thread.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}
