//! The keeper's unseal socket: gives the offer, takes sealed shares, hands a rebuilt PIN to its token's supervisor.
//!
//! One thread owns the desk and serves one connection after the other, each for one short frame and a bounded time.
//! Says in the log what became of a share, never what was in it.

use super::sealed::News;
use crate::frame;
use crate::secret::Pin;
use crate::unseal::{MAX_REQUEST, Reply, Request, read_frame};
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use psdd_seal::{Answer, Desk, LockedBytes};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io::{self, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

/// How long one connection may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the end of the keeper is looked for.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Everything the door needs.
pub(super) struct UnsealDoor {
    /// The socket.
    pub(super) listener: UnixListener,
    /// Where shares are gathered.
    pub(super) desk: Desk,
    /// The supervisors of the sealed tokens, in the desk's order.
    pub(super) supervisors: Vec<Sender<News>>,
    /// Disconnected when the keeper stops.
    pub(super) stopped: Receiver<()>,
}

impl UnsealDoor {
    /// Serves until the keeper stops.
    pub(super) fn run(mut self) {
        if let Err(error) = self.listener.set_nonblocking(true) {
            return tracing::error!(%error, "the unseal socket cannot be served");
        }
        while self.stopped.try_recv() != Err(TryRecvError::Disconnected) {
            let mut ready = [PollFd::new(&self.listener, PollFlags::IN)];
            if let Err(error) = rustix::event::poll(&mut ready, Some(&LOOK)) {
                tracing::debug!(%error, "poll");
            }
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if let Err(error) = self.serve(stream) {
                        tracing::warn!(%error, "an unsealing request was not answered");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept a connection to unseal");
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    fn serve(&mut self, mut stream: UnixStream) -> io::Result<()> {
        let until = Instant::now() + PATIENCE;
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let request = read_frame(&mut stream, MAX_REQUEST, until)?;
        let reply = match frame::decode(&request) {
            Ok(Request::Offer) => match self.desk.offer() {
                Ok(offer) => Reply::Offer(offer),
                Err(error) => Reply::Failed(format!("the offer cannot be signed: {error}")),
            },
            Ok(Request::Share(envelope)) => Reply::Answer(self.take(&envelope).encode()),
            Err(error) => Reply::Failed(format!("the request: {error}")),
        };
        let bytes = frame::encode(&reply).map_err(io::Error::other)?;
        stream.write_all(&bytes)
    }

    fn take(&mut self, envelope: &[u8]) -> Answer {
        let taken = self.desk.take(envelope);
        match &taken.answer {
            Answer::Taken { token, index, held, threshold } => {
                tracing::info!(token = %token, "share {index} taken: {held} of {threshold}");
            }
            Answer::Unsealed { token } => tracing::info!(token = %token, "the PIN is rebuilt"),
            Answer::Refused { refusal, text } => tracing::warn!(?refusal, "share refused: {text}"),
        }
        if let Some(place) = taken.token {
            self.pass_on(place, taken.pin);
        }
        taken.answer
    }

    fn pass_on(&self, place: usize, pin: Option<LockedBytes>) {
        let news = match pin.map(Pin::rebuilt) {
            Some(Ok(pin)) => Some(News::Pin(pin)),
            Some(Err(error)) => {
                tracing::error!(%error, "the PIN that the shares gave is of no use; split it anew");
                None
            }
            None => self.desk.progress(place).map(|(held, _)| News::Held(held)),
        };
        let supervisor = self.supervisors.get(place);
        if let Some((supervisor, news)) = supervisor.zip(news)
            && supervisor.send(news).is_err()
        {
            tracing::debug!("the token's supervisor has ended, or has its PIN");
        }
    }
}
