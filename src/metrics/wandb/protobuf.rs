//! The few parts of protobuf's wire format that W&B's records need: varints and length-delimited fields.

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

/// A message, written field by field.
#[derive(Debug, Default, Clone)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// An integer field.
    pub(super) fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3 | VARINT);
        self.varint(value as u64); // negative numbers take ten bytes, as protobuf has it
        self
    }

    /// A text field.
    pub(super) fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    /// A field that is a message itself.
    pub(super) fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    /// The message on the wire.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | DELIMITED);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// The value of a field that was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    /// Of a kind that no record here uses.
    Fixed,
}

impl<'a> Value<'a> {
    /// The field as text; empty where it is none.
    pub(super) fn text(self) -> &'a str {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            Self::Int(_) | Self::Fixed => "",
        }
    }

    /// The field as a message; empty where it is none.
    pub(super) fn fields(self) -> Fields<'a> {
        match self {
            Self::Bytes(bytes) => Fields(bytes),
            Self::Int(_) | Self::Fixed => Fields(&[]),
        }
    }

    /// The field as an integer; 0 where it is none.
    pub(super) fn int(self) -> i64 {
        match self {
            Self::Int(value) => value,
            Self::Bytes(_) | Self::Fixed => 0,
        }
    }
}

/// The fields of a message with their numbers; ends where it is no message.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            VARINT => Value::Int(self.varint()? as i64),
            DELIMITED => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            FIXED64 => self.take(8).map(|_| Value::Fixed)?,
            FIXED32 => self.take(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some((tag >> 3, value))
    }
}

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as protoc's own encoders write them.
    #[test]
    fn fields_on_the_wire() {
        let inner = Message::default().text(1, "a/b");
        let message = Message::default()
            .int(1, 300)
            .message(20, &inner)
            .int(3, -1);
        let mut expected = vec![0x08, 0xac, 0x02, 0xa2, 0x01, 5, 0x0a, 3, b'a', b'/', b'b'];
        expected.extend([0x18, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
        let bytes = message.into_bytes();
        assert_eq!(bytes, expected);
        let fields: Vec<_> = Fields(&bytes).collect();
        assert_eq!(fields[0], (1, Value::Int(300)));
        assert_eq!(fields[1].1.fields().next().unwrap().1.text(), "a/b");
        assert_eq!(fields[2], (3, Value::Int(-1)));
    }

    #[test]
    fn a_torn_message_ends() {
        assert_eq!(Fields(&[0x0a, 9, b'a']).count(), 0);
        assert_eq!(Fields(&[0xff; 20]).count(), 0);
    }
}
