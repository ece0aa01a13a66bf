//! The network, on this machine alone: a registry that answers with the input, and requests that are the input.

use std::io::{Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use barge::blob::Cancel;
use barge::graph;
use barge::ops::open::Context;
use barge::ops::parts::SplitArchives;
use barge::ops::serve::{Event, Observer, ServeOptions, serve as run};
use barge::reference::ImageName;
use barge::store::layout::KnownIndexes;
use barge::store::registry::{NetworkOptions, Registries};
use barge::store::{Source as _, Wanted};

use crate::places::Careful;
use crate::{is_plain, shown};

const PATIENCE: Duration = Duration::from_secs(5);

/// What is answered from now on, connection by connection.
struct Answers {
    pieces: Mutex<(u64, Vec<Vec<u8>>)>,
    connections: AtomicU64,
    port: u16,
}

fn answers() -> &'static Answers {
    static ANSWERS: OnceLock<Answers> = OnceLock::new();
    static STARTED: OnceLock<()> = OnceLock::new();
    let mut listener = None;
    let answers = ANSWERS.get_or_init(|| {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = taken.local_addr().expect("an address").port();
        listener = Some(taken);
        Answers { pieces: Mutex::default(), connections: AtomicU64::new(0), port }
    });
    if let Some(listener) = listener {
        STARTED.get_or_init(|| {
            std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| answer(answers, stream)));
        });
    }
    answers
}

fn answer(answers: &Answers, mut stream: TcpStream) {
    answers.connections.fetch_add(1, Ordering::Relaxed);
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let _ = stream.set_nodelay(true);
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < 1 << 16 {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            // who tries TLS first is told that this is none
            Ok(_) if head.is_empty() && buffer[0] == 0x16 => return,
            Ok(read) => head.extend(&buffer[..read]),
        }
    }
    for line in head.split(|byte| *byte == b'\n') {
        assert!(!line.starts_with(b"Authorization: Basic"), "nobody gave a password");
    }
    let piece = answers.pieces.lock().expect("a lock").1.pop();
    let _ = stream.write_all(piece.as_deref().unwrap_or(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"));
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read(&mut buffer);
}

/// Answers of a registry, one for each connection, cut at two bytes that stand in no text.
pub fn registry(input: &[u8]) {
    let answers = answers();
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let mut rest = input;
    while pieces.len() < 8 {
        let at = rest.windows(2).position(|pair| pair == [0xff, 0xfe]);
        pieces.push(rest[..at.unwrap_or(rest.len())].to_vec());
        let Some(at) = at else { break };
        rest = &rest[at + 2..];
    }
    pieces.reverse();
    answers.pieces.lock().expect("a lock").1 = pieces;
    let cancel = Cancel::default();
    let options = NetworkOptions { plain_http: true, retries: 0, ..NetworkOptions::default() };
    let registries = Registries::new(options, &cancel, Arc::new(is_plain));
    let name = ImageName::from_str(&format!("127.0.0.1:{}/a/b:v1", answers.port)).expect("a name");
    let asked = || -> Result<(), barge::store::StoreError> {
        let repository = registries.repository(&name)?;
        let image = repository.clone().with_image(&name)?;
        let roots = image.roots()?;
        for finding in graph::reach(&image, &roots, &mut |_, _| ()).findings {
            shown(&finding.error);
        }
        let subjects: Vec<_> = roots.iter().map(|root| *root.digest()).collect();
        image.unlisted(&subjects, &Wanted { artifact_type: None, digest_tags: true })?;
        repository.tags()?;
        Ok(())
    };
    if let Err(error) = asked() {
        shown(&error);
    }
}

struct Told(Mutex<Sender<SocketAddr>>);

impl Observer for Told {
    fn hear(&self, event: Event<'_>) {
        match event {
            Event::Listening(listening) => drop(self.0.lock().expect("a lock").send(listening.address)),
            Event::Answered(_) => (),
            Event::Warning(text) | Event::Told(text) => is_plain(text),
        }
    }
}

fn server() -> SocketAddr {
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    *SERVER.get_or_init(|| {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let (cancel, split, indexes) = (Cancel::default(), SplitArchives::default(), KnownIndexes::default());
            let registries = Registries::forbidden("this is no network", None, &cancel);
            let context = Context {
                layout: None,
                bases: &[],
                tmpdir: None,
                part_dirs: &[],
                split: &split,
                indexes: &indexes,
                cancel: &cancel,
                observer: &Careful,
                registries: &registries,
            };
            let options = ServeOptions {
                listen: SocketAddr::from(([127, 0, 0, 1], 0)),
                join: false,
                read_verify: None,
                tls: None,
                htpasswd: None,
                connections: 64,
                grace: Duration::from_secs(1),
            };
            let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/buildx-amd64-arm64.tar");
            let heard: Arc<dyn Observer> = Arc::new(Told(Mutex::new(sender)));
            run(&[fixture.to_string_lossy().into_owned()], &options, &context, &heard).expect("a server");
        });
        receiver.recv_timeout(PATIENCE).expect("an address")
    })
}

/// Requests as they come from a socket: whatever is answered is HTTP, and the connection ends.
pub fn serve(input: &[u8]) {
    let mut stream = TcpStream::connect(server()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let _ = stream.write_all(input);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.take(1 << 20).read_to_end(&mut answer) {
        Ok(_) => assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "no HTTP: {answer:.32?}"),
        Err(error) => assert!(error.kind() == std::io::ErrorKind::ConnectionReset, "{error}"),
    }
}
