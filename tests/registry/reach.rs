//! The way to a registry: nobody there, IPv6, proxies.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::distribution::authority::Authority;
use crate::distribution::http::base64;
use crate::distribution::relay::Relay;
use crate::distribution::{Distribution, Mode};
use crate::pushes::closed_port;

/// A name that no name server knows, and that the authority of the tests has signed for: a proxy finds it.
const NAME: &str = "registry.test";

/// An HTTP proxy that leads every tunnel to one port, and notes who asked for what.
struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    target: u16,
    asked: Mutex<Vec<String>>,
    /// `USER:PASSWORD`, where one is wanted.
    password: Option<String>,
    ends: AtomicBool,
}

impl Proxy {
    fn to(target: u16, password: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let password = password.map(str::to_owned);
        let shared = Arc::new(Shared { target, asked: Mutex::default(), password, ends: AtomicBool::new(false) });
        let own = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if own.ends.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&own);
                // bounded by the limits on reading and writing
                thread::spawn(move || shared.serve(client));
            }
        });
        Self { port, shared, thread: Some(thread) }
    }

    /// The first lines of what was asked, each once.
    fn asked(&self) -> Vec<String> {
        let mut asked = self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> Option<()> {
        let limit = Some(Duration::from_secs(20));
        client.set_read_timeout(limit).ok()?;
        client.set_write_timeout(limit).ok()?;
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && head.len() < 10_000 {
            client.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let first = head.lines().next()?.to_owned();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(first.clone());
        let knows =
            |password: &String| head.to_lowercase().contains(&format!("basic {}", base64(password)).to_lowercase());
        if !self.password.as_ref().is_none_or(knows) {
            let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"p\"\r\n\
                           Content-Length: 0\r\nConnection: close\r\n\r\n";
            return client.write_all(refusal.as_bytes()).ok();
        }
        if !first.starts_with("CONNECT ") {
            return client
                .write_all(b"HTTP/1.1 405 Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .ok();
        }
        let server = TcpStream::connect(("127.0.0.1", self.target)).ok()?;
        server.set_read_timeout(limit).ok()?;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
        let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
        let back = thread::spawn(move || {
            let _ = std::io::copy(&mut &server, &mut client);
            let _ = client.shutdown(Shutdown::Both);
        });
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
        back.join().ok()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // it waits for somebody to come
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn where_nobody_is_that_is_said_at_once() {
    let Some(bench) = Bench::new(&[]) else { return };
    bench.merged("dist", "example.com/team/app:v1");
    let registry = Distribution::start(Mode::Plain);
    registry.stop();
    let unknown = "no-such-host.invalid";
    for (host, parts) in [
        (registry.host(), ["refused", "that the registry runs"]),
        (format!("127.0.0.1:{}", closed_port()), ["refused", "the port"]),
        (unknown.to_owned(), ["no host of that name", "check the name"]),
    ] {
        for line in [
            format!("push dist {host}"),
            format!("pull -o back {host}/a/a:v1 {host}/a/b:v1"),
            format!("inspect docker://{host}/a/a:v1"),
        ] {
            let began = Instant::now();
            let said = bench.fails(6, &line);
            assert!(began.elapsed() < Duration::from_secs(4), "{line}: {:?}", began.elapsed());
            assert!(parts.iter().all(|part| said.contains(part)) && said.contains(&host), "{line}: {said}");
            assert!(!said.contains("trying again") && said.matches("error:").count() == 1, "{line}: {said}");
        }
    }
    assert!(!bench.work.path("back").exists());
    let said = bench.fails(2, &format!("push --no-network dist {}", registry.host()));
    assert!(said.contains("--no-network"), "{said}");
}

#[test]
fn something_else_than_a_registry_is_no_registry() {
    let Some(bench) = Bench::new(&[]) else { return };
    bench.merged("dist", "example.com/team/app:v1");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let thread = thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok).take(8) {
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        }
    });
    let began = Instant::now();
    let said = bench.fails(6, &format!("push --retry 1 dist {host}"));
    assert!(said.contains(&host) && began.elapsed() < Duration::from_secs(6), "{said}");
    // ends the thread
    for _ in 0..8 {
        let _ = TcpStream::connect(&host);
    }
    thread.join().unwrap();
}

#[test]
fn a_registry_is_reached_over_ipv6() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let Some(relay) = Relay::over_ipv6(registry.port()) else { return crate::work::skip("no IPv6") };
    let host = relay.host();
    assert!(host.starts_with("[::1]:"), "{host}");
    let digest = bench.merged("dist", "example.com/team/app:v1");
    let ran = bench.ok(&format!("push dist {host}"));
    assert_eq!(ran.stdout, format!("{digest} {host}/team/app:v1\n"));
    bench.same("dist", &digest, &registry, "team/app:v1");
    bench.ok(&format!("push dist:example.com/team/app:v1 {host}/x:v1"));
    bench.ok(&format!("pull -o back {host}/x:v1"));
    assert_eq!(bench.digest_of("back", &format!("{host}/x:v1")), digest);
    bench.ok(&format!("diff dist docker://{host}/x:v1"));
}

#[test]
fn a_proxy_leads_to_hosts_that_need_one() {
    let Some(mut bench) = Bench::new(&["openssl"]) else { return };
    let authority = Authority::new();
    let registry = Distribution::start(Mode::Tls(&authority));
    let proxy = Proxy::to(registry.port(), None);
    let digest = bench.merged("dist", "example.com/team/app:v1");
    let push = format!("push --ca-file {} dist {NAME}:5000/", authority.certificate().display());
    bench.fails(6, &push);
    bench.set("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port));
    bench.ok(&push);
    bench.same("dist", &digest, &registry, "team/app:v1");
    assert_eq!(proxy.asked(), [format!("CONNECT {NAME}:5000 HTTP/1.1")]);
    bench.ok(&format!("pull --ca-file {} -o back {NAME}:5000/team/app:v1", authority.certificate().display()));
    // this machine is never asked through one
    bench.ok(&format!("pull --ca-file {} -o here {}/team/app:v1", authority.certificate().display(), registry.host()));
    assert_eq!(proxy.asked().len(), 1);
    bench.set("NO_PROXY", format!("example.com,.test:5000,{NAME}"));
    let said = bench.fails(6, &push);
    assert!(said.contains("no host of that name"), "{said}");
}

#[test]
fn a_proxy_has_a_password_and_may_fail() {
    let Some(mut bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let proxy = Proxy::to(registry.port(), Some("somebody:secret"));
    bench.merged("dist", "example.com/team/app:v1");
    let push = format!("push --plain-http dist {NAME}:5000/");
    bench.set("HTTP_PROXY", format!("http://somebody:secret@127.0.0.1:{}", proxy.port));
    bench.ok(&push);
    assert_eq!(registry.tags("team/app"), ["v1"]);
    for (place, said) in [
        (format!("somebody:wrong-word@127.0.0.1:{}", proxy.port), "the proxy wants a user and a password"),
        (format!("somebody:wrong-word@127.0.0.1:{}", closed_port()), "its proxy 127.0.0.1:"),
    ] {
        bench.set("HTTP_PROXY", format!("http://{place}"));
        let told = bench.fails(6, &push);
        assert!(told.contains(said) && told.contains(NAME), "{told}");
        assert!(!told.contains("wrong-word") && !told.contains("trying again"), "{told}");
    }
}
