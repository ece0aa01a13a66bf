//! Connections: requests come in over them, and answers go out. The only part of [`serve`](super) that knows an async runtime.
//!
//! | file | what it does |
//! |---|---|
//! | `listen` | takes connections, as many as there is room for, until it is asked to stop |
//! | `connection` | one of them: TLS if it is wanted, then HTTP/1.1 |
//! | `tls` | the certificate that is shown |
//! | `stall` | cuts who sends or takes too slowly |
//! | `limits` | how long and how large what strangers send may be |
//! | `exchange` | one request: who may ask, what is answered, how it is sent |
//! | `auth`, `htpasswd` | who may ask |
//! | `verified` | which blobs were hashed, and were right: each once, however many ask |
//! | `body` | a blob on its way, piece by piece |
//! | `pool` | the memory for that: bounded, used again and again |
//! | `record` | what became of a request, for the log and the numbers |
//! | `metrics` | the numbers |
//! | `remembered`, `either` | a map with an end; the first of two things |
//!
//! What is answered is decided on a thread that may block, by a [`Respond`](super::answer::Respond).

mod auth;
mod body;
mod connection;
mod either;
mod exchange;
mod htpasswd;
mod limits;
mod listen;
mod metrics;
mod pool;
mod record;
mod remembered;
mod stall;
#[cfg(test)]
mod tests;
mod tls;
mod verified;

pub(super) use self::listen::run;
