//! Frames between psdd and the worker of a token, from both sides.
#![no_main]

use libfuzzer_sys::fuzz_target;
use psdd_hsm::frame::{FrameBuffer, decode};
use psdd_hsm::protocol::{Heartbeat, Reply, Request};

fuzz_target!(|bytes: &[u8]| {
    let mut stream = bytes;
    let mut buffer = FrameBuffer::default();
    while buffer.fill(&mut stream).is_ok_and(|read| read > 0) {
        while let Ok(Some(frame)) = buffer.next_frame() {
            if let Ok(Request::Sign { messages, .. }) = decode::<Request>(frame) {
                let read: usize = messages.iter().map(<[u8]>::len).sum();
                assert!(!messages.is_sound() || read <= frame.len());
            }
            drop(decode::<Reply>(frame));
            drop(decode::<Heartbeat>(frame));
        }
    }
});
