//! The parts of a packet: integers, texts, bytes.

use core::ffi::CStr;

/// A packet that is no message: of an unknown type, cut off, too long, or with a NUL in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads a packet from its beginning to its end.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins at the first byte.
    #[must_use]
    pub fn new(packet: &'a [u8]) -> Self {
        Self { rest: packet }
    }

    /// The next byte.
    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*first)
    }

    /// A byte that is 0 or 1.
    pub(crate) fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (first, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*first)
    }

    /// Bytes, of any value, `most` at the most.
    pub(crate) fn bytes(&mut self, most: usize) -> Result<&'a [u8], Malformed> {
        let length = usize::from(self.u16()?);
        if length > most {
            return Err(Malformed);
        }
        self.exactly(length)
    }

    /// A text of `most` bytes at the most, without the NUL that ends it.
    pub(crate) fn text(&mut self, most: usize) -> Result<&'a CStr, Malformed> {
        let length = usize::from(self.u16()?);
        if length > most {
            return Err(Malformed);
        }
        let with_nul = self.exactly(length.checked_add(1).ok_or(Malformed)?)?;
        CStr::from_bytes_with_nul(with_nul).map_err(|_| Malformed)
    }

    fn exactly(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Copies as many bytes as both have. Not `copy_from_slice`, whose check of the lengths is a panic that the module may not reach
/// (`pam-totp`), and that not every optimization removes.
pub fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// The message has no room in the buffer, or a text has no room in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Writes a packet into a buffer.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    length: usize,
    fits: bool,
}

impl<'b> Writer<'b> {
    /// Begins an empty packet.
    #[must_use]
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, length: 0, fits: true }
    }

    /// How many bytes were written.
    ///
    /// # Errors
    /// Where they had no room.
    pub fn finish(self) -> Result<usize, TooLong> {
        if self.fits { Ok(self.length) } else { Err(TooLong) }
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8], most: usize) {
        match u16::try_from(bytes.len()) {
            Ok(length) if bytes.len() <= most => {
                self.u16(length);
                self.put(bytes);
            }
            _ => self.fits = false,
        }
    }

    pub(crate) fn text(&mut self, text: &CStr, most: usize) {
        let with_nul = text.to_bytes_with_nul();
        match u16::try_from(with_nul.len().wrapping_sub(1)) {
            Ok(length) if usize::from(length) <= most => {
                self.u16(length);
                self.put(with_nul);
            }
            _ => self.fits = false,
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        let room = self.buffer.get_mut(self.length..).and_then(|free| free.get_mut(..bytes.len()));
        match room {
            Some(room) => {
                copy(room, bytes);
                self.length = self.length.wrapping_add(bytes.len()); // within the buffer
            }
            None => self.fits = false,
        }
    }
}
