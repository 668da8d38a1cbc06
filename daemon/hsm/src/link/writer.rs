//! The writer thread of a link: writes what a sender could not write without blocking.

use super::connection::{Shared, shut};
use std::io::Write;

pub(super) fn run(shared: &Shared) {
    while let Some((stream, bytes)) = shared.next_to_write() {
        if let Err(error) = (&*stream).write_all(&bytes) {
            tracing::warn!(token = %shared.config.token, %error, "cannot write to the worker");
            shut(&stream);
        }
    }
}
