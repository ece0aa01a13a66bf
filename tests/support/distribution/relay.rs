//! A wire to a registry that counts what passes, also what the registry takes no note of, and that can be cut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

#[derive(Default)]
struct Shared {
    sent: AtomicU64,
    received: AtomicU64,
    connections: AtomicU64,
    cuts: AtomicU64,
    /// How many bytes may still go to the registry; [`i64::MAX`] when nothing is to be cut.
    left: AtomicI64,
    ends: AtomicBool,
}

/// Listens on a port of its own until it goes away.
pub struct Relay {
    shared: Arc<Shared>,
    port: u16,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Leads to a port of 127.0.0.1.
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { left: AtomicI64::new(i64::MAX), ..Shared::default() });
        let own = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if own.ends.load(Ordering::SeqCst) {
                    break;
                }
                own.connections.fetch_add(1, Ordering::SeqCst);
                // a registry that is not there hangs up
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                own.join(&client, &server);
            }
        });
        Self { shared, port, thread: Some(thread) }
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The bytes that went to the registry: heads, bodies, and what TLS adds.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// The bytes that came from there.
    pub fn received(&self) -> u64 {
        self.shared.received.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How often the wire was cut.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// Cuts, once, the connection by which so many more bytes have gone to the registry: these still arrive, and
    /// nothing comes back.
    pub fn cut_after(&self, bytes: u32) {
        self.shared.left.store(i64::from(bytes), Ordering::SeqCst);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // it waits for somebody to come
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    /// Carries bytes both ways until one side ends. The limit ends what nobody uses any more.
    fn join(self: &Arc<Self>, client: &TcpStream, server: &TcpStream) {
        for stream in [client, server] {
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            stream.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
        }
        for (from, to, to_registry) in [(client, server, true), (server, client, false)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let shared = Arc::clone(self);
            thread::spawn(move || shared.carry(&from, &to, to_registry));
        }
    }

    fn carry(&self, mut from: &TcpStream, mut to: &TcpStream, to_registry: bool) {
        let mut block = [0; 16 << 10];
        while let Ok(read @ 1..) = from.read(&mut block) {
            let mut taken = read;
            if to_registry {
                taken = self.take(read);
                self.sent.fetch_add(taken as u64, Ordering::SeqCst);
            } else {
                self.received.fetch_add(read as u64, Ordering::SeqCst);
            }
            if to.write_all(&block[..taken]).is_err() {
                break;
            }
            if taken < read {
                self.cuts.fetch_add(1, Ordering::SeqCst);
                let _ = from.shutdown(Shutdown::Both);
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    }

    /// How many of so many bytes may pass.
    fn take(&self, wanted: usize) -> usize {
        let wanted_too = i64::try_from(wanted).unwrap();
        let next = |left| match left {
            i64::MAX => None,
            left if left < wanted_too => Some(i64::MAX),
            left => Some(left - wanted_too),
        };
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next) {
            Ok(left) if left < wanted_too => usize::try_from(left).unwrap(),
            _ => wanted,
        }
    }
}
