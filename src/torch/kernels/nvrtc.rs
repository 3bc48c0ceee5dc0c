//! NVIDIA's run-time compiler, which comes with torch's wheels and needs no GPU.

use super::super::library::Library;
use super::super::library_path;
use anyhow::{Context, Result, anyhow, bail};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::{fs, ptr};

const NAME: &str = "libnvrtc.so.13";
const BUILTINS: &str = "libnvrtc-builtins.so.13";
const SUCCESS: c_int = 0;

type Program = *mut c_void;
type SizeOf = unsafe extern "C" fn(Program, *mut usize) -> c_int;
type TextOf = unsafe extern "C" fn(Program, *mut c_char) -> c_int;
type Create = unsafe extern "C" fn(
    *mut Program,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
    *const *const c_char,
) -> c_int;

/// The compiler's functions, with the types of `nvrtc.h`.
pub(super) struct Nvrtc {
    version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int,
    create: Create,
    destroy: unsafe extern "C" fn(*mut Program) -> c_int,
    compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int,
    log_size: SizeOf,
    log: TextOf,
    cubin_size: SizeOf,
    cubin: TextOf,
}

/// What is compiled: files by name, of which the first is the program and the others may be included.
pub(super) type Files<'a> = &'a [(&'a str, &'a str)];

impl Nvrtc {
    /// Looks where the linker does, beside torch, and where CUDA's toolkit puts it.
    pub(super) fn open() -> Result<Self> {
        let library = library().map_err(|reason| {
            anyhow!(
                "the CUDA kernels cannot be compiled: {reason}; {NAME} comes with torch's wheels for CUDA 13, and with \
                 CUDA's toolkit"
            )
        })?;
        Self::of(library).map_err(|reason| anyhow!("{NAME}: {reason}"))
    }

    fn of(library: Library) -> Result<Self, String> {
        // SAFETY: the types are those of `nvrtc.h`.
        unsafe {
            Ok(Self {
                version: library.function(c"nvrtcVersion")?,
                create: library.function(c"nvrtcCreateProgram")?,
                destroy: library.function(c"nvrtcDestroyProgram")?,
                compile: library.function(c"nvrtcCompileProgram")?,
                log_size: library.function(c"nvrtcGetProgramLogSize")?,
                log: library.function(c"nvrtcGetProgramLog")?,
                cubin_size: library.function(c"nvrtcGetCUBINSize")?,
                cubin: library.function(c"nvrtcGetCUBIN")?,
            })
        }
    }

    /// As in "13.0".
    pub(super) fn version(&self) -> Result<String> {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: both outlive the call.
        let status = unsafe { (self.version)(&raw mut major, &raw mut minor) };
        match status {
            SUCCESS => Ok(format!("{major}.{minor}")),
            _ => bail!("{NAME} does not tell its version: status {status}"),
        }
    }

    /// Machine code of the files for one architecture ("sm_90a").
    pub(super) fn compile(&self, files: Files<'_>, options: &[String]) -> Result<Vec<u8>> {
        let text = |text: &str| CString::new(text).context("a source holds a NUL");
        let names: Vec<_> = files
            .iter()
            .map(|file| text(file.0))
            .collect::<Result<_>>()?;
        let sources: Vec<_> = files
            .iter()
            .map(|file| text(file.1))
            .collect::<Result<_>>()?;
        let options: Vec<_> = options.iter().map(|it| text(it)).collect::<Result<_>>()?;
        let [names, sources, options] = [&names, &sources, &options]
            .map(|all| all.iter().map(|it| it.as_ptr()).collect::<Vec<_>>());
        let (name, source) = names.first().zip(sources.first()).context("no source")?;
        let mut program = ptr::null_mut();
        let headers = c_int::try_from(names.len() - 1)?;
        // SAFETY: the arrays are of the lengths said, of strings that outlive the calls; the program is destroyed once,
        // and not used after that.
        unsafe {
            let (header_sources, header_names) = (sources[1..].as_ptr(), names[1..].as_ptr());
            let status = (self.create)(
                &raw mut program,
                *source,
                *name,
                headers,
                header_sources,
                header_names,
            );
            if status != SUCCESS {
                bail!("{NAME} takes no program: status {status}");
            }
            let status = (self.compile)(program, c_int::try_from(options.len())?, options.as_ptr());
            let code = match status {
                SUCCESS => self.bytes(program, self.cubin_size, self.cubin),
                _ => Err(self.refusal(program, status)),
            };
            (self.destroy)(&raw mut program);
            code
        }
    }

    /// # Safety
    /// The program is live, and both functions are about the same of it.
    unsafe fn bytes(&self, program: Program, size_of: SizeOf, text_of: TextOf) -> Result<Vec<u8>> {
        let mut size = 0;
        // SAFETY: as the caller promises; the buffer is as long as the first function says.
        unsafe {
            let mut status = size_of(program, &raw mut size);
            let mut bytes = vec![0_u8; size];
            if status == SUCCESS {
                status = text_of(program, bytes.as_mut_ptr().cast());
            }
            match status {
                SUCCESS => Ok(bytes),
                _ => bail!("{NAME} does not give its result: status {status}"),
            }
        }
    }

    /// # Safety
    /// The program is live.
    unsafe fn refusal(&self, program: Program, status: c_int) -> anyhow::Error {
        // SAFETY: as the caller promises.
        let log = unsafe { self.bytes(program, self.log_size, self.log) }.unwrap_or_default();
        let log =
            CStr::from_bytes_until_nul(&log).map_or_else(|_| "".into(), CStr::to_string_lossy);
        anyhow!(
            "{NAME} refuses the kernels (status {status}):\n{}",
            log.trim_end()
        )
    }
}

fn library() -> Result<Library, String> {
    let by_name = CString::new(NAME).unwrap_or_default();
    let mut outcome = Library::open(&by_name);
    for folder in folders() {
        if outcome.is_ok() {
            break;
        }
        if folder.join(NAME).exists() {
            open_builtins(&folder);
            outcome = Library::open_file(&folder.join(NAME));
        }
    }
    outcome
}

/// Beside torch as its wheels lie, and the toolkit's own place.
fn folders() -> Vec<PathBuf> {
    let torch = library_path().map(PathBuf::from);
    let packages = torch.as_deref().and_then(|file| file.ancestors().nth(3)); // of <packages>/torch/lib/<file>
    let beside = packages.map(|packages| packages.join("nvidia/cu13/lib"));
    let toolkit = PathBuf::from("/usr/local/cuda/lib64");
    beside.into_iter().chain([toolkit]).collect()
}

/// The compiler opens its other half by name alone, and finds it only where it is open already.
fn open_builtins(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(BUILTINS) {
            let _ = Library::open_file(&path); // without it the compiler says what it lacks
        }
    }
}
