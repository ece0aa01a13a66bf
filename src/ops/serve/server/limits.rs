//! How long and how large what strangers send may be.

use std::time::Duration;

/// The limits of a connection.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// How long the head of a request may take, from its first byte on.
    pub(super) head: Duration,
    /// How long a connection may stay without a request.
    pub(super) idle: Duration,
    /// How long a client may take no byte of an answer.
    pub(super) stall: Duration,
    /// How long setting up TLS may take.
    pub(super) handshake: Duration,
    /// How long what a client still sends after its answer is taken and thrown away: without that, it may never see the
    /// answer, only a connection that was reset.
    pub(super) linger: Duration,
    /// How much of that is taken.
    pub(super) linger_bytes: u64,
    /// How long accepting pauses after it failed.
    pub(super) pause: Duration,
}

/// The longest target of a request.
pub(super) const LONGEST_TARGET: usize = 8 * 1024;

/// The most that the header fields of a request may be.
pub(super) const LARGEST_HEAD: usize = 32 * 1024;

/// The most header fields that a request may have.
pub(super) const MOST_FIELDS: usize = 100;

/// How much is buffered for a connection each way. A head that is larger gets an answer without a body.
pub(super) const BUFFER: usize = 64 * 1024;

/// The most that is taken of what a request sends besides its head, before it is answered.
pub(super) const MOST_TAKEN: u64 = 256 * 1024;

/// How long that may take.
pub(super) const LONGEST_TAKING: Duration = Duration::from_secs(2);

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            stall: Duration::from_secs(60),
            handshake: Duration::from_secs(10),
            linger: Duration::from_secs(3),
            linger_bytes: 16 * 1024 * 1024,
            pause: Duration::from_millis(250),
        }
    }
}
