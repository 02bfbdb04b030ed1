//! Generalised UTF-8 (WTF-8): UTF-8 in which a lone surrogate takes three bytes, like any code point of its range.

/// An iterator over the code points of bytes that are known to be generalised UTF-8.
pub(crate) struct CodePoints<'a>(&'a [u8]);

impl CodePoints<'_> {
    pub(crate) fn of(bytes: &[u8]) -> CodePoints<'_> {
        CodePoints(bytes)
    }
}

impl Iterator for CodePoints<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (&lead, rest) = self.0.split_first()?;
        let (bits, more) = match lead {
            0..=0x7F => (u32::from(lead), 0),
            0x80..=0xDF => (u32::from(lead & 0x1F), 1),
            0xE0..=0xEF => (u32::from(lead & 0x0F), 2),
            _ => (u32::from(lead & 0x07), 3),
        };
        let (tail, rest) = rest.split_at_checked(more).unwrap_or((rest, &[]));
        self.0 = rest;
        Some(
            tail.iter()
                .fold(bits, |bits, byte| bits << 6 | u32::from(byte & 0x3F)),
        )
    }
}

/// Returns whether the bytes are UTF-8 if each encoded surrogate (`ED A0..BF xx`) counts as a character.
pub(crate) fn is_generalised_utf8(mut bytes: &[u8]) -> bool {
    loop {
        let Err(error) = std::str::from_utf8(bytes) else {
            return true;
        };
        match bytes.get(error.valid_up_to()..) {
            Some([0xED, 0xA0..=0xBF, 0x80..=0xBF, rest @ ..]) => bytes = rest,
            _ => return false,
        }
    }
}
