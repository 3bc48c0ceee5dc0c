//! Files that are whole or absent, and files that are read in place.

mod atomic_file;
mod mapped_file;

pub use atomic_file::{
    AtomicFile, create_dir_all, exchange, replace_symlink, sync_dir, write_atomically,
};
pub use mapped_file::MappedFile;

use sha2::{Digest, Sha256};
use std::{fs::File, io, io::Read, path::Path};

/// What is said where a file cannot be written.
#[must_use]
pub fn cannot_write(path: &Path) -> String {
    format!(
        "{}: cannot write; check the free space of the disk",
        path.display()
    )
}

/// The file's SHA-256 in lower-case hexadecimal, read in pieces.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(&hasher.finalize())),
            read => hasher.update(&piece[..read]),
        }
    }
}

/// The bytes' SHA-256 in lower-case hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal of the bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
