//! Messages to sign, as a frame carries them.

use minicbor::{Decode, Encode};

/// Messages to sign, back to back in one buffer.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Default, Debug)]
pub struct Messages {
    #[cbor(n(0), with = "minicbor::bytes")]
    bytes: Vec<u8>,
    /// Where each message ends in `bytes`, rising.
    #[n(1)]
    ends: Vec<u32>,
}

impl Messages {
    /// An empty list with room for so many messages of so many bytes.
    pub fn with_capacity(messages: usize, bytes_each: usize) -> Self {
        Self { bytes: Vec::with_capacity(messages.saturating_mul(bytes_each)), ends: Vec::with_capacity(messages) }
    }

    /// Adds a message.
    ///
    /// # Panics
    ///
    /// When all messages together exceed 4 GiB; a frame of more than 4 MiB is refused long before.
    pub fn push(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.ends.push(u32::try_from(self.bytes.len()).expect("a frame holds less than 4 GiB"));
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The message at this place.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = usize::try_from(*self.ends.get(index)?).ok()?;
        let start = match index.checked_sub(1) {
            Some(before) => usize::try_from(*self.ends.get(before)?).ok()?,
            None => 0,
        };
        self.bytes.get(start..end)
    }

    /// The messages in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// About how many bytes a frame with these messages takes.
    pub(crate) fn encoded_len(&self) -> usize {
        self.bytes.len().saturating_add(self.ends.len().saturating_mul(5)).saturating_add(128)
    }

    /// Whether the ends rise and the last one is the length of the buffer, as a decoder must ask.
    pub fn is_sound(&self) -> bool {
        self.ends.is_sorted()
            && self.ends.last().map_or(self.bytes.is_empty(), |end| usize::try_from(*end) == Ok(self.bytes.len()))
    }
}

impl<'m> FromIterator<&'m [u8]> for Messages {
    fn from_iter<T: IntoIterator<Item = &'m [u8]>>(messages: T) -> Self {
        let mut list = Self::default();
        for message in messages {
            list.push(message);
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_were_pushed() {
        let pushed: [&[u8]; 3] = [b"", b"ab", b"c"];
        let messages: Messages = pushed.into_iter().collect();
        assert_eq!(messages.iter().collect::<Vec<_>>(), pushed);
        assert!(messages.is_sound());
        assert_eq!(messages.get(3), None);
    }

    #[test]
    fn ends_that_fall_or_miss_the_buffer_are_not_sound() {
        let falling = Messages { bytes: vec![0; 4], ends: vec![3, 1, 4] };
        let short = Messages { bytes: vec![0; 4], ends: vec![2] };
        let long = Messages { bytes: vec![0; 4], ends: vec![5] };
        let without_end = Messages { bytes: vec![0], ends: Vec::new() };
        for messages in [falling, short, long, without_end] {
            assert!(!messages.is_sound(), "{messages:?}");
        }
    }
}
