//! Reading requests: any valid encoding, and nothing but the contract.
//!
//! serde refuses duplicate and unknown keys and trailing bytes. What serde would let pass (arrays for maps, numbers for names,
//! tags, depth) is refused by a walk over the tokens before it.

use minicbor::data::Token;
use minicbor::decode::Tokenizer;
use serde::Serialize;
use serde::de::Deserialize;

/// Why bytes are not the message expected.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not well-formed CBOR, or bytes after the end.
    #[error("not one well-formed CBOR item: {0}")]
    Malformed(#[source] minicbor::decode::Error),
    /// The end is missing.
    #[error("the CBOR item is truncated")]
    Truncated,
    /// Bytes follow the message.
    #[error("bytes follow the message")]
    Trailing,
    /// Maps and arrays in each other beyond any shape of the contract.
    #[error("nested deeper than {MOST_DEPTH} levels")]
    TooDeep,
    /// A shape that no message has.
    #[error("{0}")]
    Shape(&'static str),
    /// Well-formed, but not the message expected.
    #[error("{0}")]
    Message(#[source] serde_cbor::Error),
}

const MOST_DEPTH: usize = 4;

/// Reads one message.
pub fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    walk(bytes)?;
    let mut deserializer = serde_cbor::Deserializer::from_slice(bytes);
    let message = T::deserialize(&mut deserializer).map_err(DecodeError::Message)?;
    deserializer.end().map_err(DecodeError::Message)?;
    Ok(message)
}

/// The deterministic encoding of a message; every message type keeps its fields in the order RFC 8949 §4.2.1 wants.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    encode_with_capacity(message, 512)
}

/// The same, with room for so many bytes from the start.
pub fn encode_with_capacity<T: Serialize>(message: &T, capacity: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(capacity);
    let written = serde_cbor::to_writer(&mut bytes, message);
    // Writing to memory fails only for maps of unknown length, which no message type has.
    debug_assert!(written.is_ok(), "{written:?}");
    bytes
}

/// What the walk stands in: the number of items still to come, `None` for indefinite lengths.
struct Level {
    remaining: Option<u64>,
    map: bool,
    at_key: bool,
}

fn walk(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut tokens = Tokenizer::new(bytes);
    let mut levels: Vec<Level> = Vec::with_capacity(MOST_DEPTH);
    let mut begun = false;
    loop {
        while levels.last().is_some_and(|level| level.remaining == Some(0)) {
            levels.pop();
        }
        if begun && levels.is_empty() {
            return if tokens.next().is_none() { Ok(()) } else { Err(DecodeError::Trailing) };
        }
        let token = tokens.next().ok_or(DecodeError::Truncated)?;
        let token =
            token.map_err(|e| if e.is_end_of_input() { DecodeError::Truncated } else { DecodeError::Malformed(e) })?;
        if matches!(token, Token::Break) {
            match levels.pop() {
                Some(
                    Level { remaining: None, map: false, .. } | Level { remaining: None, map: true, at_key: true },
                ) => continue,
                _ => return Err(DecodeError::Shape("a break stands where none may")),
            }
        }
        check_place(&token, levels.last(), begun)?;
        begun = true;
        if let Some(level) = levels.last_mut() {
            level.remaining = level.remaining.map(|n| n - 1);
            level.at_key = !level.at_key;
        }
        let opened = match token {
            Token::Map(n) => Some(Level {
                remaining: Some(n.checked_mul(2).ok_or(DecodeError::Truncated)?),
                map: true,
                at_key: true,
            }),
            Token::BeginMap => Some(Level { remaining: None, map: true, at_key: true }),
            Token::Array(n) => Some(Level { remaining: Some(n), map: false, at_key: false }),
            Token::BeginArray => Some(Level { remaining: None, map: false, at_key: false }),
            Token::BeginBytes | Token::BeginString => {
                skip_chunks(&mut tokens)?;
                None
            }
            _ => None,
        };
        if let Some(level) = opened {
            if levels.len() == MOST_DEPTH {
                return Err(DecodeError::TooDeep);
            }
            levels.push(level);
        }
    }
}

fn check_place(token: &Token<'_>, level: Option<&Level>, begun: bool) -> Result<(), DecodeError> {
    let is_map = matches!(token, Token::Map(_) | Token::BeginMap);
    let is_array = matches!(token, Token::Array(_) | Token::BeginArray);
    match level {
        None if !begun && !is_map => Err(DecodeError::Shape("a message is a map")),
        Some(Level { map: true, at_key: true, .. }) if !matches!(token, Token::String(_) | Token::BeginString) => {
            Err(DecodeError::Shape("keys of a map are text"))
        }
        Some(Level { map: false, .. }) if is_array => Err(DecodeError::Shape("no message has an array in an array")),
        _ if matches!(token, Token::Tag(_)) => Err(DecodeError::Shape("no message has tags")),
        _ if matches!(token, Token::Null | Token::Undefined) => {
            Err(DecodeError::Shape("no message has null or undefined"))
        }
        _ => Ok(()),
    }
}

/// Chunks of an indefinite string are read by serde later; here they only must end.
fn skip_chunks(tokens: &mut Tokenizer<'_, '_>) -> Result<(), DecodeError> {
    loop {
        match tokens.next().ok_or(DecodeError::Truncated)? {
            Ok(Token::Break) => return Ok(()),
            Ok(Token::Bytes(_) | Token::String(_)) => {}
            Ok(_) => return Err(DecodeError::Shape("an indefinite string holds something else")),
            Err(error) if error.is_end_of_input() => return Err(DecodeError::Truncated),
            Err(error) => return Err(DecodeError::Malformed(error)),
        }
    }
}
