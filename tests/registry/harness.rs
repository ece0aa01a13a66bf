//! The registries for tests are real ones, are told apart, count what they get, and end.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::distribution::authority::Authority;
use crate::distribution::http::{Door, Tls};
use crate::distribution::relay::Relay;
use crate::distribution::token::{Rules, TokenServer};
use crate::distribution::{Distribution, Mode, Options};
use crate::support::digests::{self, Line};
use crate::work::{Work, work};

/// A layout, an archive with an index, and one with Docker's media types.
const FIXTURES: [(&str, &str); 3] = [
    ("umoci-amd64", "oci:fixtures/umoci-amd64"),
    ("buildx-amd64-arm64.tar", "oci-archive:fixtures/buildx-amd64-arm64.tar"),
    ("containerd-s390x", "oci:fixtures/containerd-s390x"),
];

/// What a fixture consists of, its index or manifest first.
fn parts(fixture: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = digests::lines().into_iter().filter(|line| line.fixture == fixture).collect();
    let rank = |line: &Line| ["index", "manifest", "config", "layer"].iter().position(|kind| *kind == line.kind);
    lines.sort_by_key(rank);
    lines.dedup_by(|one, other| one.digest == other.digest);
    lines
}

/// Copies the fixtures there and back by skopeo with its options for either side, byte for byte.
pub(crate) fn carries(work: &Work, registry: &Distribution, options: &str) {
    let (to, from) = (options.replace("SIDE", "dest"), options.replace("SIDE", "src"));
    for (at, (fixture, source)) in FIXTURES.into_iter().enumerate() {
        let repository = format!("team/image{at}");
        let place = format!("docker://{}/{repository}:v1", registry.host());
        work.run(&format!("skopeo copy -q --preserve-digests --all {to} {source} {place}"));
        work.run(&format!("skopeo copy -q --preserve-digests --all {from} {place} oci:back{at}:v1"));
        assert_eq!(registry.tags(&repository), ["v1"]);
        let top = registry.manifest(&repository, "v1").unwrap();
        for (part, line) in parts(fixture).iter().enumerate() {
            let there = fs::read(registry.blob_file(&line.digest)).unwrap();
            assert_eq!(there, work.read(&format!("back{at}/blobs/{}", line.digest.replace(':', "/"))), "{line:?}");
            assert_eq!(there.len() as u64, line.size, "{line:?}");
            if part == 0 {
                assert_eq!((&top.digest, &top.bytes), (&line.digest, &there));
            }
            if matches!(line.kind.as_str(), "config" | "layer") {
                assert_eq!(registry.blob(&repository, &line.digest).as_ref(), Some(&there), "{line:?}");
            }
        }
    }
    assert_eq!(registry.catalog(), ["team/image0", "team/image1", "team/image2"]);
}

#[test]
fn skopeo_carries_images_over_plain_http() {
    let Some(work) = work(&["docker-registry", "skopeo"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    carries(&work, &registry, "--SIDE-tls-verify=false");
}

#[test]
fn skopeo_carries_images_over_tls() {
    let Some(work) = work(&["docker-registry", "skopeo", "openssl"]) else { return };
    let authority = Authority::new();
    let registry = Distribution::start(Mode::Tls(&authority));
    let said = work.fails(&format!("skopeo inspect docker://{}/team/image:v1", registry.host()));
    assert!(said.contains("x509"), "{said}");
    carries(&work, &registry, &format!("--SIDE-cert-dir {}", authority.certs_directory().display()));
}

#[test]
fn a_server_is_trusted_through_its_own_authority_only() {
    let Some(_work) = work(&["docker-registry", "openssl"]) else { return };
    let (authority, other) = (Authority::new(), Authority::new());
    let registry = Distribution::start(Mode::Tls(&authority));
    let door = Door { port: registry.port(), tls: Some(Tls { authority: other.certificate(), client: None }) };
    let said = door.try_request("GET", "/v2/", &[], b"").unwrap_err();
    assert!(said.contains("verif"), "{said}");
}

#[test]
fn mutual_tls_wants_a_certificate_of_the_client() {
    let Some(work) = work(&["docker-registry", "skopeo", "openssl"]) else { return };
    let (authority, other) = (Authority::new(), Authority::new());
    let registry = Distribution::start(Mode::MutualTls(&authority));
    carries(&work, &registry, &format!("--SIDE-cert-dir {}", authority.certs_directory_of("carrier").display()));
    for client in [None, Some(other.client("stranger"))] {
        let tls = Some(Tls { authority: authority.certificate(), client });
        let said = Door { port: registry.port(), tls }.try_request("GET", "/v2/", &[], b"").unwrap_err();
        assert!(said.contains("alert"), "{said}");
    }
}

#[test]
fn skopeo_carries_images_with_a_password() {
    let Some(work) = work(&["docker-registry", "skopeo", "openssl", "htpasswd"]) else { return };
    let authority = Authority::new();
    for (tls, transport) in [
        (None, "--SIDE-tls-verify=false".to_owned()),
        (Some(&authority), format!("--SIDE-cert-dir {}", authority.certs_directory().display())),
    ] {
        let registry = Distribution::start(Mode::Htpasswd { user: "somebody", password: "se:cret", tls });
        carries(&work, &registry, &format!("{transport} --SIDE-creds somebody:se:cret"));
        let log = registry.log();
        assert!(log.of("PUT", "/").iter().all(|request| request.user.as_deref() == Some("somebody")), "{log:?}");
        registry.forget_log();
        let place = format!("docker://{}/team/image0:v1", registry.host());
        let options = transport.replace("--SIDE-", "--");
        work.fails(&format!("skopeo inspect {options} {place}"));
        work.fails(&format!("skopeo inspect {options} --creds somebody:wrong {place}"));
        let log = registry.log();
        assert!(log.requests.len() >= 3 && log.requests.iter().all(|request| request.status == 401), "{log:?}");
    }
}

#[test]
fn podman_pulls_in_every_mode() {
    let Some(work) = work(&["docker-registry", "podman", "skopeo", "openssl", "htpasswd", "root"]) else { return };
    let authority = Authority::new();
    let certs = format!("--cert-dir {}", authority.certs_directory().display());
    let own_certs = format!("--cert-dir {}", authority.certs_directory_of("podman").display());
    let tls = Some(&authority);
    let server = TokenServer::start(Rules::default());
    for (mode, options) in [
        (Mode::Plain, "--tls-verify=false".to_owned()),
        (Mode::Tls(&authority), certs.clone()),
        (Mode::MutualTls(&authority), own_certs),
        (Mode::Htpasswd { user: "somebody", password: "secret", tls }, format!("{certs} --creds somebody:secret")),
        (Mode::Token(&server), "--tls-verify=false --creds pusher:secret".to_owned()),
    ] {
        let registry = Distribution::start(mode);
        let place = format!("{}/team/image:v1", registry.host());
        let to = options.split(' ').map(|word| word.replace("--", "--dest-")).collect::<Vec<_>>().join(" ");
        work.run(&format!("skopeo copy -q --preserve-digests {to} oci:fixtures/umoci-amd64 docker://{place}"));
        // the id of an image is the digest of its config
        let config = digests::of("umoci-amd64", "config").remove(0);
        assert_eq!(format!("sha256:{}", work.run(&format!("podman pull -q {options} {place}"))), config);
        work.run("podman rmi --all --force");
    }
}

#[test]
fn two_registries_know_nothing_of_each_other() {
    let Some(work) = work(&["docker-registry", "skopeo"]) else { return };
    let (one, other) = (Distribution::start(Mode::Plain), Distribution::start(Mode::Plain));
    assert_ne!(one.port(), other.port());
    let place = format!("docker://{}/team/image:v1", one.host());
    work.run(&format!("skopeo copy -q --dest-tls-verify=false oci:fixtures/umoci-amd64 {place}"));
    assert_eq!((one.tags("team/image"), other.tags("team/image")), (vec!["v1".to_owned()], vec![]));
    assert!(other.log().requests.is_empty(), "{:?}", other.log());
    let onwards = format!("docker://{}/team/image:v2", other.host());
    work.run(&format!("skopeo copy -q --src-tls-verify=false --dest-tls-verify=false {place} {onwards}"));
    assert_eq!(one.manifest("team/image", "v1"), other.manifest("team/image", "v2"));
}

#[test]
fn the_log_counts_what_was_sent() {
    let Some(work) = work(&["docker-registry", "skopeo"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let parts = parts("umoci-amd64");
    let (blobs, manifests): (Vec<&Line>, Vec<&Line>) = parts.iter().partition(|line| line.kind != "manifest");
    let mut digests: Vec<String> = blobs.iter().map(|line| line.digest.clone()).collect();
    digests.sort();
    let bytes: u64 = blobs.iter().map(|line| line.size).sum();

    let copy = "skopeo copy -q --preserve-digests --dest-tls-verify=false oci:fixtures/umoci-amd64 docker://";
    let host = registry.host();
    work.run(&format!("{copy}{host}/team/image:v1"));
    let log = registry.log();
    assert_eq!((log.uploads(), log.received()), (digests, bytes), "{log:?}");
    assert_eq!((log.count("PUT", "/manifests/"), log.of("PUT", "/manifests/v1")[0].status), (1, 201));
    assert!(log.requests.iter().all(|request| request.agent.starts_with("skopeo/")), "{log:?}");
    // skopeo 1.9 keeps none open
    assert_eq!(log.connections(), log.requests.len(), "{log:?}");

    registry.forget_log();
    work.run(&format!("{copy}{host}/team/image:v2"));
    let log = registry.log();
    assert_eq!((log.uploads().len(), log.received(), log.count("HEAD", "/blobs/")), (0, 0, blobs.len()), "{log:?}");

    registry.forget_log();
    work.run(&format!("skopeo copy -q --src-tls-verify=false docker://{host}/team/image:v2 oci:back"));
    let log = registry.log();
    assert_eq!(log.fetched(), bytes + manifests[0].size + 2, "{log:?}"); // two bytes answer /v2/
}

#[test]
fn a_wire_counts_and_is_cut_once() {
    let Some(_work) = work(&["docker-registry"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let relay = Relay::to(registry.port());
    let door = Door { port: relay.port(), tls: None };
    let content = vec![b'x'; 1_000_000];
    let upload = || {
        let begun = door.request("POST", "/v2/app/blobs/uploads/", &[], b"");
        // the registry sends clients back where they came from
        assert!(begun.header("location").unwrap().starts_with(&format!("http://{}/", relay.host())), "{begun:?}");
        let path = format!("{}&digest={}", begun.location(), barge::digest::Digest::of(&content));
        relay.cut_after(if relay.cuts() == 0 { 300_000 } else { u32::MAX });
        door.try_request("PUT", &path, &[], &content)
    };
    assert_eq!(upload(), Err(String::new()));
    let log = registry.log_with(|log| log.requests.iter().any(|request| request.status == 500));
    assert_eq!((relay.cuts(), log.of("PUT", "")[0].status), (1, 500), "{log:?}");
    let (received, sent) = (log.received(), relay.sent());
    assert!(received < 300_000 && sent > 300_000 && sent - received < 2_000, "{received} {sent}");

    registry.forget_log();
    assert_eq!(upload().unwrap().status, 201);
    assert_eq!((relay.cuts(), relay.connections(), registry.log().received()), (1, 4, 1_000_000));
    assert!(relay.sent() > sent + 1_000_000 && relay.received() > 500, "{} {}", relay.sent(), relay.received());
}

#[test]
fn a_registry_keeps_its_content_and_port_over_a_restart() {
    let Some(work) = work(&["docker-registry", "skopeo"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let place = format!("docker://{}/team/image:v1", registry.host());
    work.run(&format!("skopeo copy -q --dest-tls-verify=false oci:fixtures/umoci-amd64 {place}"));
    let before = registry.manifest("team/image", "v1").unwrap();
    let log = registry.log().requests;
    registry.stop();
    // nobody is there
    drop(TcpListener::bind(("127.0.0.1", registry.port())).unwrap());
    assert_eq!(registry.log().requests, log);
    registry.restart();
    assert_eq!(registry.manifest("team/image", "v1").unwrap(), before);
    registry.restart();
    assert_eq!(registry.log().requests, log);

    let storage = Some(registry.storage().to_owned());
    let reader = Distribution::with(Mode::Plain, &Options { storage, read_only: true, ..Options::default() });
    assert_eq!(reader.manifest("team/image", "v1").unwrap(), before);
    let refused = reader.request("POST", "/v2/team/image/blobs/uploads/", &[], b"");
    assert_eq!((refused.status, refused.text().as_str()), (405, "Method not allowed\n"));
}

#[test]
fn a_registry_ends_with_its_value() {
    let Some(_work) = work(&["docker-registry"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let (port, storage) = (registry.port(), registry.storage().to_owned());
    // also when a test fails
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _registry = registry;
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
    drop(TcpListener::bind(("127.0.0.1", port)).unwrap());
    assert!(!storage.exists());
}

/// Not a test: the process that is killed in the one below.
#[test]
#[ignore = "it waits to be killed"]
fn waits_to_be_killed() {
    let registry = Distribution::start(Mode::Plain);
    let mut stdout = std::io::stdout();
    stdout.write_all(format!("port {}\n", registry.port()).as_bytes()).unwrap();
    stdout.flush().unwrap();
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_registry_ends_with_its_process() {
    let Some(work) = work(&["docker-registry"]) else { return };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "harness::waits_to_be_killed"])
        // it cannot remove what it leaves
        .env("TMPDIR", work.path("tmp"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ports = lines.map_while(Result::ok).filter_map(|line| line.split_once("port ")?.1.parse::<u16>().ok());
    let port = ports.next().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let free = || TcpListener::bind(("127.0.0.1", port)).is_ok();
    assert!((0..200).any(|_| free() || sleep(50)), "a registry is left on port {port}");
}

/// For loops that wait: false.
pub(crate) fn sleep(milliseconds: u64) -> bool {
    thread::sleep(Duration::from_millis(milliseconds));
    false
}

#[test]
fn a_taken_port_is_said() {
    let Some(_work) = work(&["docker-registry"]) else { return };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = Some(taken.local_addr().unwrap().port());
    let started = || drop(Distribution::with(Mode::Plain, &Options { port, ..Options::default() }));
    let panic = std::panic::catch_unwind(started).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("PortTaken"));
}
