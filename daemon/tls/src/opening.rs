//! Connections that never begin: HTTP/2 waits for its preface without a bound, and each such client would hold a place.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The preface of HTTP/2 (RFC 9113 §3.4); HTTP/1.1 has a time-out for headers of its own.
const PREFACE: usize = 24;

/// A stream that counts its first bytes.
pub struct Opening<S> {
    stream: S,
    read: Arc<AtomicUsize>,
}

impl<S> Opening<S> {
    /// The stream, and how many of its first bytes were read.
    pub fn watch(stream: S) -> (Self, Arc<AtomicUsize>) {
        let read = Arc::new(AtomicUsize::new(0));
        (Self { stream, read: Arc::clone(&read) }, read)
    }
}

/// Returns if nothing like a beginning was read in this time, and never otherwise.
pub async fn never_begun(read: Arc<AtomicUsize>, patience: Duration) {
    tokio::time::sleep(patience).await;
    if read.load(Ordering::Relaxed) >= PREFACE {
        pending().await
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Opening<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if self.read.load(Ordering::Relaxed) < PREFACE {
            self.read.fetch_add(buffer.filled().len() - before, Ordering::Relaxed);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opening<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}
