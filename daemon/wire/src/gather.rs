//! Fewer, larger writes: what many streams of a connection have to say in one turn goes out together.
//!
//! The runtime polls a connection as soon as the first of its streams has something for it, and h2 writes each message that is not
//! tiny by itself; so without this each is a TLS record, a system call and a packet of its own. Here writes collect in a buffer, and
//! a flush steps back once behind the tasks that are ready already; alone on its runtime, a message waits for nobody. Used on both
//! sides of a door.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};

/// The longest TLS record (RFC 8446 §5.1).
const RECORD: usize = 16 * 1024;

/// A stream whose writes are gathered.
pub struct Gathering<S> {
    stream: BufWriter<S>,
    /// The flush under way has stepped back already.
    stepped_back: bool,
}

impl<S: AsyncWrite> Gathering<S> {
    /// Around a stream.
    pub fn new(stream: S) -> Self {
        Self { stream: BufWriter::with_capacity(RECORD, stream), stepped_back: false }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gathering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathering<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.stream.buffer().is_empty() && !std::mem::replace(&mut self.stepped_back, true) {
            // Awake again behind the tasks that are ready now.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(context));
        self.stepped_back = false;
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    /// Counts what reaches it.
    #[derive(Default)]
    struct Sink {
        writes: Vec<Vec<u8>>,
    }

    impl AsyncWrite for Sink {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.writes.push(bytes.to_vec());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_flush_lets_others_go_first_and_everything_leaves_in_order() {
        let mut stream = Gathering::new(Sink::default());
        for burst in 0..3u8 {
            stream.write_all(&[burst; 4]).await.unwrap();
            let other = tokio::spawn(async {});
            tokio::task::yield_now().await;
            let mut flushed = std::pin::pin!(stream.flush());
            let first = std::future::poll_fn(|context| Poll::Ready(flushed.as_mut().poll(context))).await;
            assert!(first.is_pending(), "it steps back");
            flushed.await.unwrap();
            assert!(other.is_finished());
        }
        assert_eq!(stream.stream.get_ref().writes, [[0; 4], [1; 4], [2; 4]]);
        stream.flush().await.unwrap();
        assert_eq!(stream.stream.get_ref().writes.len(), 3, "with nothing to write there is nothing to wait for");

        let large = vec![7; 5 * RECORD + 1];
        stream.write_all(&large[..10]).await.unwrap();
        stream.write_all(&large[10..]).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(stream.stream.get_ref().writes[3..].concat(), large, "a shutdown leaves nothing behind");
    }
}
