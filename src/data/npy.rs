//! NumPy's `.npy` format for one row of integers (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).

use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Bytes before the first token in the files written here, as `numpy.save` pads them.
pub const HEADER_BYTES: usize = 128;

/// How a number is stored, always little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// `<u2`, for vocabularies of up to 65,536 tokens.
    Uint16,
    /// `<u4`.
    Uint32,
    /// `<i4`, read but never written.
    Int32,
    /// `|u1`, for masks.
    Uint8,
    /// `<u8`, for offsets.
    Uint64,
    /// `<f4`, for log-probabilities; read and written as their bits.
    Float32,
}

/// What token ids may be stored as.
pub const TOKEN_DTYPES: [Dtype; 3] = [Dtype::Uint16, Dtype::Uint32, Dtype::Int32];

impl Dtype {
    /// The smallest type for the ids of a vocabulary.
    #[must_use]
    pub fn for_vocab(vocab_size: usize) -> Self {
        if vocab_size <= 1 << 16 {
            Self::Uint16
        } else {
            Self::Uint32
        }
    }

    /// Bytes per number.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Uint8 => 1,
            Self::Uint16 => 2,
            Self::Uint32 | Self::Int32 | Self::Float32 => 4,
            Self::Uint64 => 8,
        }
    }

    /// The bytes of numbers that fit the type.
    #[must_use]
    pub fn encode(self, numbers: &[u64]) -> Vec<u8> {
        let little_endian = numbers.iter().map(|number| number.to_le_bytes());
        let bytes = little_endian.flat_map(|bytes| bytes.into_iter().take(self.size()));
        bytes.collect()
    }

    fn descr(self) -> &'static str {
        match self {
            Self::Uint16 => "<u2",
            Self::Uint32 => "<u4",
            Self::Int32 => "<i4",
            Self::Uint8 => "|u1",
            Self::Uint64 => "<u8",
            Self::Float32 => "<f4",
        }
    }
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// How an id is stored.
    pub dtype: Dtype,
    /// Number of ids.
    pub len: u64,
    /// Bytes before the first id.
    pub data_offset: usize,
}

impl Header {
    /// The header (version 1.0) of a file with `len` ids; always as long, so that it can be corrected in place.
    #[must_use]
    pub fn encode(dtype: Dtype, len: u64) -> [u8; HEADER_BYTES] {
        let dictionary = format!(
            "{{'descr': '{}', 'fortran_order': False, 'shape': ({len},), }}",
            dtype.descr()
        );
        let mut bytes = [b' '; HEADER_BYTES];
        bytes[..6].copy_from_slice(MAGIC);
        bytes[6..8].copy_from_slice(&[1, 0]);
        bytes[8..10].copy_from_slice(&((HEADER_BYTES - 10) as u16).to_le_bytes());
        bytes[10..10 + dictionary.len()].copy_from_slice(dictionary.as_bytes());
        bytes[HEADER_BYTES - 1] = b'\n';
        bytes
    }

    /// Reads the header at the start of a file.
    ///
    /// # Errors
    /// What is wrong with it, or what it describes that is no row of numbers of one of these types.
    pub fn parse(bytes: &[u8], allowed: &[Dtype]) -> Result<Self, String> {
        if !bytes.starts_with(MAGIC) {
            return Err("it does not begin as a .npy file does".into());
        }
        let length_bytes = match bytes.get(6) {
            Some(1) => 2,
            Some(2 | 3) => 4,
            _ => return Err("its .npy version is unknown".into()),
        };
        let end_of_length = 8 + length_bytes;
        let cut_short = || "it ends within its header".to_owned();
        let mut length = [0; 4];
        length[..length_bytes].copy_from_slice(bytes.get(8..end_of_length).ok_or_else(cut_short)?);
        let data_offset = end_of_length + u32::from_le_bytes(length) as usize;
        let dictionary = bytes
            .get(end_of_length..data_offset)
            .ok_or_else(cut_short)?;
        let dictionary = std::str::from_utf8(dictionary).map_err(|_| "its header is no text")?;
        Self::parse_dictionary(dictionary, data_offset, allowed)
    }

    fn parse_dictionary(
        dictionary: &str,
        data_offset: usize,
        allowed: &[Dtype],
    ) -> Result<Self, String> {
        let value = |key: &str| {
            let (_, rest) = dictionary.split_once(&format!("'{key}':"))?;
            Some(rest.trim_start())
        };
        let descr = value("descr")
            .and_then(|rest| rest.split('\'').nth(1))
            .ok_or("its header has no `descr`")?;
        let dtype = allowed.iter().find(|dtype| dtype.descr() == descr);
        let dtype = *dtype.ok_or_else(|| {
            let descriptions: Vec<_> = allowed.iter().map(|dtype| dtype.descr()).collect();
            format!("its type is `{descr}`, not {}", descriptions.join(" or "))
        })?;
        let shape = value("shape")
            .and_then(|rest| rest.strip_prefix('(')?.split_once(')'))
            .ok_or("its header has no `shape`")?
            .0;
        let len = shape
            .trim()
            .strip_suffix(',')
            .and_then(|len| len.trim().parse().ok())
            .ok_or_else(|| format!("its shape is ({shape}), not one row"))?;
        Ok(Self {
            dtype,
            len,
            data_offset,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.save(f, numpy.arange(1286, dtype="<u4"))`, numpy 2.4.6.
    const SAVED_BY_NUMPY: &str =
        "\u{1}\0v\0{'descr': '<u4', 'fortran_order': False, 'shape': (1286,), }";

    #[test]
    fn header_is_numpys_byte_for_byte() {
        let mut expected = b"\x93NUMPY".to_vec();
        expected.extend(SAVED_BY_NUMPY.as_bytes());
        expected.resize(127, b' ');
        expected.push(b'\n');
        assert_eq!(Header::encode(Dtype::Uint32, 1286).as_slice(), expected);
    }

    #[test]
    fn header_survives_a_round_trip() {
        for (dtype, len) in [
            (Dtype::Uint16, 0),
            (Dtype::Uint32, u64::MAX),
            (Dtype::Int32, 7),
        ] {
            let header = Header::parse(&Header::encode(dtype, len), &TOKEN_DTYPES).unwrap();
            assert_eq!(
                (header.dtype, header.len, header.data_offset),
                (dtype, len, 128)
            );
        }
    }

    #[test]
    fn foreign_headers_are_named() {
        let header = |dictionary: &str| {
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((dictionary.len() as u16).to_le_bytes());
            bytes.extend(dictionary.as_bytes());
            Header::parse(&bytes, &TOKEN_DTYPES).unwrap_err()
        };
        let float = header("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }");
        assert!(float.contains("`<f4`"), "{float}");
        let big_endian = header("{'descr': '>u2', 'fortran_order': False, 'shape': (3,), }");
        assert!(big_endian.contains("`>u2`"), "{big_endian}");
        let matrix = header("{'descr': '<u2', 'fortran_order': False, 'shape': (3, 4), }");
        assert!(matrix.contains("(3, 4)"), "{matrix}");
        assert!(
            Header::parse(b"PAR1", &TOKEN_DTYPES)
                .unwrap_err()
                .contains(".npy")
        );
        assert!(
            Header::parse(b"\x93NUMPY\x01\x00\xff\xff{", &TOKEN_DTYPES)
                .unwrap_err()
                .contains("header")
        );
    }
}
