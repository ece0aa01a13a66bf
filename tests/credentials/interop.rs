//! What barge keeps, docker, podman and skopeo find, and the other way round.
//!
//! The registry is one of our own on this machine that only knows who may come in.

use std::env;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use barge::store::registry::credentials::Keeper;

use crate::{Place, password, short};

/// A registry that lets `user` in with `p:w`, and has nothing.
struct Registry {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    /// How many have come in.
    thread: Option<JoinHandle<usize>>,
}

impl Registry {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, is_over) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let seen = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let mut welcome = 0;
            while let Ok((connection, _)) = listener.accept() {
                if seen.load(Ordering::SeqCst) {
                    break;
                }
                welcome += usize::from(answer(connection).unwrap_or(false));
            }
            welcome
        });
        Self { address, is_over, thread: Some(thread) }
    }

    fn host(&self) -> String {
        self.address.to_string()
    }

    /// Closes it, and returns how often somebody came in.
    fn close(mut self) -> usize {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        self.thread.take().unwrap().join().unwrap()
    }
}

/// What TLS begins with.
const TLS: u8 = 22;

/// Answers one request: whether whoever asks is the user.
fn answer(mut connection: TcpStream) -> std::io::Result<bool> {
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match connection.read(&mut buffer)? {
            0 => return Ok(false),
            count => request.extend_from_slice(&buffer[..count]),
        }
        if request[0] == TLS {
            // docker tries that first, and comes again when it hears what it talks to
            connection.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")?;
            return Ok(false);
        }
    }
    let request = String::from_utf8_lossy(&request).to_lowercase();
    let welcome = request.contains(&"authorization: Basic dXNlcjpwOnc=\r\n".to_lowercase());
    let (status, header) = match (welcome, request.starts_with("get /v2/ ")) {
        (false, _) => ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"test\"\r\n"),
        (true, true) => ("200 OK", ""),
        (true, false) => ("404 Not Found", ""),
    };
    let version = "Docker-Distribution-Api-Version: registry/2.0\r\n";
    write!(connection, "HTTP/1.1 {status}\r\n{version}{header}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}")?;
    Ok(welcome)
}

/// Returns whether a program is installed. In CI it has to be.
fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let has = env::split_paths(&path).any(|directory| directory.join(program).is_file());
    assert!(has || env::var_os("CI").is_none(), "CI must have {program}");
    if !has {
        std::io::stderr().write_all(format!("skipped: no {program}\n").as_bytes()).unwrap();
    }
    has
}

/// Runs a program with nobody's settings, and with the helpers of the place.
fn run(place: &Place, line: &str, input: &str) -> Output {
    let path = format!("{}:{}", place.path("bin").display(), env::var("PATH").unwrap_or_default());
    let mut command = Command::new("timeout");
    command.arg("60").args(line.split_whitespace()).env_clear().env("PATH", path);
    command.env("HOME", place.path("home")).env("XDG_RUNTIME_DIR", place.path("run")).current_dir(place.path(""));
    std::fs::create_dir_all(place.path("home")).unwrap();
    std::fs::create_dir_all(place.path("run")).unwrap();
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = streams.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn ok(place: &Place, line: &str, input: &str) -> String {
    let output = run(place, line, input);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A user that nobody else is.
fn user_at(registry: &str) -> String {
    format!("at-{}", registry.replace(':', "-"))
}

#[test]
fn podman_and_skopeo_find_what_barge_keeps_and_forget_it() {
    for program in ["skopeo", "podman"] {
        if !has(program) {
            continue;
        }
        let place = Place::new();
        let file = place.file("auth.json");
        let keyring = place.keyring(&[]);
        for registry in ["quay.io", "docker.io", "localhost:5000"] {
            keyring.store(registry, &password(&user_at(registry), "p:w"), &file).unwrap();
        }
        for registry in ["quay.io", "docker.io", "localhost:5000"] {
            let user = ok(&place, &format!("{program} login --get-login --authfile auth.json {registry}"), "");
            assert_eq!(user, user_at(registry), "{program}");
            ok(&place, &format!("{program} logout --authfile auth.json {registry}"), "");
            let reading = place.keyring(std::slice::from_ref(&file));
            assert_eq!(reading.find(registry, "a").unwrap(), None, "{program} {registry}: {}", place.read("auth.json"));
        }
    }
}

#[test]
fn dockers_file_is_read_by_podman_and_skopeo_where_they_look() {
    for program in ["skopeo", "podman"] {
        if !has(program) {
            continue;
        }
        let place = Place::new();
        let file = place.file("home/.docker/config.json");
        for registry in ["quay.io", "docker.io"] {
            place.keyring(&[]).store(registry, &password(&user_at(registry), "p"), &file).unwrap();
            let user = ok(&place, &format!("{program} login --get-login {registry}"), "");
            assert_eq!(user, user_at(registry), "{program}");
        }
    }
}

#[test]
fn a_helper_that_a_file_names_is_shared() {
    for program in ["skopeo", "podman"] {
        if !has(program) {
            continue;
        }
        let place = Place::new();
        place.keeping_helper("keep");
        let file = place.write("auth.json", r#"{"credHelpers":{"quay.io":"keep"}}"#);
        let keyring = place.keyring(std::slice::from_ref(&file));
        keyring.store("quay.io", &password("user", "p"), &file).unwrap();
        assert_eq!(ok(&place, &format!("{program} login --get-login --authfile auth.json quay.io"), ""), "user");
        ok(&place, &format!("{program} logout --authfile auth.json quay.io"), "");
        assert_eq!(keyring.find("quay.io", "a").unwrap(), None);
    }
}

#[test]
fn what_a_login_of_podman_and_skopeo_leaves_is_found() {
    for program in ["skopeo", "podman"] {
        if !has(program) {
            continue;
        }
        let place = Place::new();
        let registry = Registry::start();
        let host = registry.host();
        let login = format!("{program} login --tls-verify=false --authfile auth.json -u user --password-stdin");
        ok(&place, &format!("{login} {host}"), "p:w");
        let file = place.file("auth.json");
        let keyring = place.keyring(std::slice::from_ref(&file));
        assert_eq!(short(keyring.find(&host, "a/b").unwrap().as_ref()), "user p:w", "{program}");
        assert_eq!(keyring.erase(&host, &file).unwrap(), [Keeper::File(file.path.clone())]);
        assert!(!run(&place, &format!("{program} login --get-login --authfile auth.json {host}"), "").status.success());
        assert!(registry.close() > 0);
    }
}

#[test]
fn docker_goes_to_the_registry_with_what_barge_keeps_and_forgets_it() {
    if !has("docker") {
        return;
    }
    let place = Place::new();
    let registry = Registry::start();
    let host = registry.host();
    let file = place.write("home/.docker/config.json", r#"{"psFormat":"x"}"#);
    let keyring = place.keyring(std::slice::from_ref(&file));
    keyring.store(&host, &password("user", "p:w"), &file).unwrap();
    keyring.store("docker.io", &password("hub", "p"), &file).unwrap();
    // the registry has no such image; that it says so, and to whom, is the point
    let output = run(&place, &format!("docker manifest inspect --insecure {host}/a:b"), "");
    assert!(!output.status.success());
    assert!(registry.close() > 0, "docker did not come in: {}", String::from_utf8_lossy(&output.stderr));
    ok(&place, &format!("docker logout {host}"), "");
    assert_eq!(keyring.find(&host, "a").unwrap(), None);
    ok(&place, "docker logout", "");
    assert_eq!(keyring.find("docker.io", "a").unwrap(), None, "{}", place.read("home/.docker/config.json"));
    assert!(place.read("home/.docker/config.json").contains("psFormat"));
}
