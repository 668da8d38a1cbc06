//! A worker that found the mark of a login that did not succeed: it tells psdd and waits for an operator.
//!
//! Refuses to load the module, let alone to log in.

use super::ending::{Ending, end};
use super::watch::Watch;
use crate::frame;
use crate::login_marker::LoginMarker;
use crate::protocol::{Reply, WorkerState};
use crate::spec::WorkerSpec;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

/// How often the mark is looked for.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };

/// Answers every connection with the latch until the mark is gone; then the worker ends, and the next one logs in.
pub fn run(listener: &UnixListener, spec: &WorkerSpec, marker: &LoginMarker, reason: &str, watch: &Watch) -> ! {
    tracing::error!(token = %spec.token, clear = %spec.clear_command, "login is latched: {reason}");
    watch.set_state(WorkerState::Latched, Some(reason.to_owned()));
    let reply = Reply::Latched { reason: reason.to_owned(), clear: spec.clear_command.clone() };
    loop {
        answer_waiting(listener, &reply);
        match marker.reason() {
            Ok(Some(_)) => {}
            Ok(None) => end(Ending::Unlatched, "the latch was cleared"),
            Err(error) => tracing::error!(%error, "the latch stays"),
        }
        let mut ready = [PollFd::new(listener, PollFlags::IN)];
        if let Err(error) = rustix::event::poll(&mut ready, Some(&LOOK)) {
            tracing::debug!(%error, "poll");
        }
    }
}

/// Accepts every connection that waits and tells it this.
pub fn answer_waiting(listener: &UnixListener, reply: &Reply) {
    if let Err(error) = listener.set_nonblocking(true) {
        return tracing::error!(%error, "cannot tell psdd");
    }
    while let Ok((stream, _)) = listener.accept() {
        if let Err(error) = tell(stream, reply) {
            tracing::debug!(%error, "psdd was not told");
        }
    }
}

fn tell(mut stream: UnixStream, reply: &Reply) -> std::io::Result<()> {
    stream.set_write_timeout(Some(Duration::from_secs(1)))?;
    let bytes = frame::encode(reply).map_err(std::io::Error::other)?;
    stream.write_all(&bytes)
}
