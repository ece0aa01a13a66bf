//! A wire to a registry that counts what passes, also what the registry takes no note of, and that can be cut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
    /// How a request begins that is held up, and how many of them pass before.
    hold: Mutex<Option<(String, u64)>>,
    held: AtomicU64,
    ends: AtomicBool,
}

/// Listens on a port of its own until it goes away.
pub struct Relay {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Leads to a port of 127.0.0.1.
    pub fn to(target: u16) -> Self {
        Self::from(TcpListener::bind("127.0.0.1:0").unwrap(), target)
    }

    /// The same, reached at [::1]; None on a machine without IPv6.
    pub fn over_ipv6(target: u16) -> Option<Self> {
        Some(Self::from(TcpListener::bind("[::1]:0").ok()?, target))
    }

    fn from(listener: TcpListener, target: u16) -> Self {
        let address = listener.local_addr().unwrap();
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
        Self { shared, address, thread: Some(thread) }
    }

    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
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

    /// Lets so many requests pass that begin like this, and nothing more by the connection of the next one: the registry
    /// sees nothing of it.
    pub fn hold(&self, beginning: &str, after: u64) {
        *self.shared.hold.lock().unwrap_or_else(PoisonError::into_inner) = Some((beginning.to_owned(), after));
    }

    /// How many requests were held up.
    pub fn held(&self) -> u64 {
        self.shared.held.load(Ordering::SeqCst)
    }

    /// Holds nothing up from here on.
    pub fn release(&self) {
        *self.shared.hold.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
        drop(TcpStream::connect(self.address));
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
        let mut is_held = false;
        while let Ok(read @ 1..) = from.read(&mut block) {
            let mut taken = read;
            if to_registry {
                is_held = is_held || self.holds(&block[..read]);
                if is_held {
                    continue;
                }
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

    /// Whether this is the request that is held up. A client waits for an answer before it sends the next one, so that
    /// every request begins a block.
    fn holds(&self, block: &[u8]) -> bool {
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, left)) = hold.as_mut().filter(|(beginning, _)| block.starts_with(beginning.as_bytes())) else {
            return false;
        };
        let holds = *left == 0;
        *left = left.saturating_sub(1);
        self.held.fetch_add(u64::from(holds), Ordering::SeqCst);
        holds
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
