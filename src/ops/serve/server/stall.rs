//! The bytes of a connection, watched: a client that sends its request too slowly, or takes nothing of its answer, is cut.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::limits::Limits;
use super::record::Pulse;

/// A connection that is watched.
pub(super) struct Watched<S> {
    inner: S,
    limits: Arc<Limits>,
    pulse: Arc<Pulse>,
    head: Option<Head>,
    stalled: Timer,
    ended: bool,
    leaving: Leaving,
}

/// A request of which some bytes have come.
struct Head {
    /// How many requests had come before it.
    before: u64,
    deadline: Pin<Box<Sleep>>,
}

/// How far the end of a connection has come.
enum Leaving {
    Not,
    Lingering { deadline: Pin<Box<Sleep>>, taken: u64 },
    Done,
}

/// A time that begins when nothing goes on.
#[derive(Default)]
struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    runs: bool,
}

impl Timer {
    /// Takes a result: one that is there stops the time, one that is not lets it go on, and in the end fails.
    fn watch<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        time: Duration,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.runs = false;
            return result;
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(time)));
        if !self.runs {
            self.runs = true;
            sleep.as_mut().reset(Instant::now() + time);
        }
        ready!(sleep.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S> Watched<S> {
    /// Watches a connection.
    pub(super) fn new(inner: S, limits: &Arc<Limits>, pulse: &Arc<Pulse>) -> Self {
        Self {
            inner,
            limits: Arc::clone(limits),
            pulse: Arc::clone(pulse),
            head: None,
            stalled: Timer::default(),
            ended: false,
            leaving: Leaving::Not,
        }
    }

    /// Returns whether bytes of a request have come that is none yet.
    fn is_in_head(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.before == self.pulse.requests())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_in_head() {
            self.head = None;
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.inner).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                self.ended |= buffer.filled().len() == before;
                if self.head.is_none() && !self.pulse.is_busy() {
                    let deadline = Box::pin(sleep(self.limits.head));
                    self.head = Some(Head { before: self.pulse.requests(), deadline });
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => match &mut self.head {
                Some(head) => {
                    ready!(head.deadline.as_mut().poll(context));
                    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
                }
                None => Poll::Pending,
            },
            failed @ Poll::Ready(Err(_)) => failed,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let result = Pin::new(&mut this.inner).poll_write(context, bytes);
        this.stalled.watch(result, this.limits.stall, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let result = Pin::new(&mut this.inner).poll_write_vectored(context, pieces);
        this.stalled.watch(result, this.limits.stall, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let result = Pin::new(&mut this.inner).poll_flush(context);
        let result = this.stalled.watch(result, this.limits.stall, context);
        if matches!(result, Poll::Ready(Ok(()))) {
            // hyper flushes when it has nothing left to write
            this.pulse.written();
        }
        result
    }

    /// Says that nothing more comes, and then takes for a while what the client is still sending: a connection that is closed
    /// with bytes unread is reset, and the client may lose the answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let lingers = !self.ended && (self.pulse.has_unread() || self.is_in_head());
        let this = &mut *self;
        if let Leaving::Not = this.leaving {
            let result = Pin::new(&mut this.inner).poll_shutdown(context);
            ready!(this.stalled.watch(result, this.limits.stall, context))?;
            this.leaving = match lingers {
                true => Leaving::Lingering { deadline: Box::pin(sleep(this.limits.linger)), taken: 0 },
                false => Leaving::Done,
            };
        }
        let Leaving::Lingering { deadline, taken } = &mut this.leaving else { return Poll::Ready(Ok(())) };
        let mut space = [0; 8192];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut this.inner).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && *taken < this.limits.linger_bytes => {
                    *taken += buffer.filled().len() as u64;
                }
                Poll::Ready(_) => break,
                Poll::Pending => {
                    ready!(deadline.as_mut().poll(context));
                    break;
                }
            }
        }
        this.leaving = Leaving::Done;
        Poll::Ready(Ok(()))
    }
}
