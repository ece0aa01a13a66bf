//! The server under test: a process that says where it listens, and that ends with its value.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// No server here needs as long as this to begin, to answer or to end.
const HANGS: Duration = Duration::from_secs(60);

/// A server that listens.
pub(crate) struct Serving {
    child: Child,
    first: String,
    url: String,
    rest: Receiver<String>,
    said: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

/// What a server came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// What it printed after the first line.
    pub(crate) printed: String,
    pub(crate) said: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Serving {
    /// Starts a server, and waits for the line that says where it listens: a URL, or a JSON object that has it.
    #[track_caller]
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let reader = collect(child.stderr.take().unwrap(), Arc::clone(&said));
        Self::wait_for(child, said, Some(reader))
    }

    /// Starts a server whose standard error goes where the command says.
    #[track_caller]
    pub(crate) fn start_unheard(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).spawn().unwrap();
        Self::wait_for(child, Arc::default(), None)
    }

    #[track_caller]
    fn wait_for(mut child: Child, said: Arc<Mutex<Vec<u8>>>, reader: Option<JoinHandle<()>>) -> Self {
        let (sender, rest) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let first = rest.recv_timeout(HANGS);
        let mut serving = Self { child, first: String::new(), url: String::new(), rest, said, reader };
        let Ok(first) = first else {
            let ended = serving.child.try_wait().unwrap();
            panic!("it does not listen ({ended:?}):\n{}", serving.said());
        };
        let object = first.starts_with('{').then(|| serde_json::from_str::<Value>(&first).unwrap());
        serving.url = match &object {
            Some(object) => {
                object["results"][0]["url"].as_str().unwrap_or_else(|| panic!("no URL: {first}")).to_owned()
            }
            None => first.clone(),
        };
        serving.first = first;
        assert!(serving.url.starts_with("http"), "{}\n{}", serving.first, serving.said());
        serving
    }

    /// Returns the first line on standard output.
    pub(crate) fn first(&self) -> &str {
        &self.first
    }

    /// Returns where it listens: address and port.
    pub(crate) fn authority(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns what it said so far.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }

    /// Waits until it has said something.
    #[track_caller]
    pub(crate) fn says(&self, part: &str) -> String {
        let begun = Instant::now();
        loop {
            let said = self.said();
            if said.contains(part) {
                return said;
            }
            assert!(begun.elapsed() < HANGS, "never said: {part}\n{said}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks for something.
    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Answer {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.authority());
        self.ask(request.as_bytes())
    }

    /// Sends bytes, and reads whatever comes until the connection is closed.
    #[track_caller]
    pub(crate) fn ask(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.authority()).unwrap();
        stream.set_read_timeout(Some(HANGS)).unwrap();
        stream.write_all(request).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no answer: {head:?}\n{}", self.said()));
        Answer { status, head, body: bytes.get(end + 4..).unwrap_or_default().to_vec() }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it as systemd does.
    #[track_caller]
    pub(crate) fn stop(self) -> Ended {
        self.stop_by(Signal::TERM)
    }

    /// Ends it by a signal.
    #[track_caller]
    pub(crate) fn stop_by(self, signal: Signal) -> Ended {
        self.signal(signal);
        self.ended()
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn ended(mut self) -> Ended {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < HANGS, "it does not end:\n{}", self.said());
            thread::sleep(Duration::from_millis(2));
        };
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        let printed = self.rest.iter().map(|line| format!("{line}\n")).collect();
        let said = self.said();
        assert!(!said.contains("panicked"), "{said}");
        Ended { code: status.code(), printed, said }
    }
}

/// A test that fails leaves no server behind.
impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut from: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            into.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
    })
}
