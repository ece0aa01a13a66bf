//! The terminal's side: the words of the command line, what is printed and said, the log, and the end.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::environment::Barge;
use crate::harness::Serving;
use crate::support::image::{Images, Layer, named, noise, simple};

/// A layout `dist` and an archive `bundle.tar` with one image each.
fn barge() -> Barge {
    let barge = Barge::new();
    simple(&["linux/amd64"]).layout(&barge.path("source"));
    barge.line("merge -q -o dist -t ghcr.io/org/app:v1 -t ghcr.io/org/app:v2 source").exits(0);
    barge.line("merge -q -o bundle.tar -t docker.io/library/tool:v1 source").exits(0);
    barge
}

/// Returns `barge serve` with a free port and these words.
fn serve(barge: &Barge, words: &str) -> Command {
    let mut command = barge.command();
    command.args(["serve", "--listen", "127.0.0.1:0"]).args(words.split_whitespace());
    command
}

/// Returns the objects of a log, one on each line.
#[track_caller]
fn objects(said: &str) -> Vec<Value> {
    said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn what_is_no_option_is_refused_in_words() {
    let barge = barge();
    for (words, said) in [
        ("--listen node1:5000 dist", "names are not looked up"),
        ("--listen ::1 dist", "brackets"),
        ("--listen 127.0.0.1:x dist", "a port is a number"),
        ("--listen http://127.0.0.1:5000 dist", "127.0.0.1:5000 alone"),
        ("--tls-cert site.crt dist", "--tls-key"),
        ("--tls-key site.key dist", "--tls-cert"),
        ("--max-connections 0 dist", "--max-connections"),
        ("--grace=-1 dist", "--grace"),
        ("--grace 100000000 dist", "--grace"),
        ("--read-verify=maybe dist", "--read-verify"),
        ("--log xml dist", "json"),
        ("--no-network dist", "--no-network forbids it"),
        ("docker://registry.example/app", "layouts and archives"),
        ("dist:ghcr.io/org/app:v1", "a place is served with all its images"),
    ] {
        barge.line(&format!("serve {words}")).exits(2).says(&["error: ", said]);
    }
    let refused = barge.line("serve nowhere --json").exits(3).says(&["nowhere"]).json();
    assert_eq!((&refused["ok"], &refused["command"]), (&false.into(), &"serve".into()));
    // neither a place nor a current layout
    barge.line("serve").exits(3).says(&["-L DIR", "BARGE_LAYOUT"]);
    barge.write("notes", "no archive");
    barge.line("serve notes").exits(4).says(&["notes"]);
    for file in ["missing.crt", "notes"] {
        for words in [format!("--tls-cert {file} --tls-key {file}"), format!("--htpasswd {file}")] {
            let refused = barge.line(&format!("serve --listen 127.0.0.1:0 {words} dist"));
            assert!(![0, 1].contains(&refused.code()), "{words}");
            refused.exits(if file == "notes" { 4 } else { 3 }).says(&["error: cannot ", file]);
        }
    }
}

#[test]
fn help_has_examples() {
    let shown = Barge::new().line("serve --help").exits(0).prints(&["Examples:", "barge serve bundle.tar"]);
    assert!(shown.stdout().lines().all(|line| line.chars().count() <= 100), "{}", shown.stdout());
}

#[test]
fn the_url_is_all_that_is_printed() {
    let barge = barge();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let serving = Serving::start(&mut serve(&barge, "dist bundle.tar"));
        assert!(serving.first().starts_with("http://127.0.0.1:"), "{}", serving.first());
        let authority = serving.authority().to_owned();
        assert_eq!(serving.get("/v2/").status, 200);
        let manifest = serving.get("/v2/org/app/manifests/v1");
        let digest = barge::digest::Digest::of(&manifest.body);
        assert!(
            manifest.head.to_ascii_lowercase().contains(&format!("docker-content-digest: {digest}")),
            "{manifest:?}"
        );
        assert_eq!(serving.get("/v2/tool/manifests/v1").status, 200);
        let ended = serving.stop_by(signal);
        assert_eq!((ended.code, ended.printed.as_str()), (Some(0), ""), "{signal:?} {ended:?}");
        let port = authority.split(':').next_back().unwrap();
        for part in [
            "serving dist, bundle.tar: 2 repositories, 3 tags\n",
            &format!("for this machine alone; --listen :{port} is for others too\n"),
            &format!("try: docker pull {authority}/tool:v1\n"),
            "127.0.0.1 - [",
            "] \"GET /v2/org/app/manifests/v1\" 200 ",
            "3 requests, ",
        ] {
            assert!(ended.said.contains(part), "not said: {part}\n{}", ended.said);
        }
        assert!(!ended.said.contains("warning"), "{}", ended.said);
    }
}

#[test]
fn json_is_one_object_and_a_log_of_objects() {
    let barge = barge();
    let serving = Serving::start(&mut serve(&barge, "--json dist bundle.tar"));
    let object: Value = serde_json::from_str(serving.first()).unwrap();
    assert_eq!(
        (&object["schema"], &object["command"], &object["ok"]),
        (&"barge/v1".into(), &"serve".into(), &true.into())
    );
    let result = &object["results"][0];
    assert_eq!(result["tls"], false);
    assert_eq!(result["places"], serde_json::json!(["dist", "bundle.tar"]));
    let repositories = serde_json::json!([{"name": "docker.io/library/tool", "tags": ["v1"]},
        {"name": "ghcr.io/org/app", "tags": ["v1", "v2"]}]);
    assert_eq!(result["repositories"], repositories);
    let (url, agent) = (serving.url().to_owned(), "\"\\ \u{1b}[2J");
    let request = format!("GET /v2/%22?\"x HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n");
    let status = serving.ask(request.as_bytes()).status;
    assert_eq!(serving.get("/v2/").status, 200);
    let ended = serving.stop();
    assert_eq!((ended.code, ended.printed.as_str()), (Some(0), ""), "{ended:?}");
    let log = objects(&ended.said);
    let events: Vec<&str> = log.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!((events[0], events[events.len() - 1]), ("listening", "ended"), "{}", ended.said);
    assert_eq!((&log[0]["url"], &log[0]["tags"]), (&url.into(), &3.into()));
    let requests: Vec<&Value> = log.iter().filter(|line| line["event"] == "request").collect();
    let last = requests[requests.len() - 1];
    assert_eq!((&last["target"], &last["status"], &last["method"]), (&"/v2/".into(), &200.into(), &"GET".into()));
    assert_eq!((&last["user"], &last["agent"], &last["cut"]), (&Value::Null, &Value::Null, &false.into()));
    assert!((400..500).contains(&status), "{status}");
}

#[test]
fn a_hostile_request_stays_on_its_line() {
    let barge = barge();
    let serving = Serving::start(&mut serve(&barge, "dist"));
    let agent = "x\" 200 1 0.1ms \"y \\";
    for target in ["/v2/a\"b", "/v2/%0a%1b[2J", "/v2/\u{202e}x", "/v2/..%2f..%2fetc", "/v2/\\"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n");
        let answer = serving.ask(request.as_bytes());
        assert!((400..500).contains(&answer.status), "{target} {answer:?}");
    }
    let said = serving.stop().said;
    for line in said.lines() {
        assert!(!line.chars().any(barge::text::is_unsafe), "{line:?}");
        if line.contains("\" 200 ") {
            assert!(line.contains(r#"\" 200 1 0.1ms \"y \\""#), "{line}");
        }
    }
}

#[test]
fn quiet_and_without_a_log_are_what_they_say() {
    let barge = barge();
    for (words, talks, logs) in
        [("-q", false, false), ("--log none", true, false), ("-q --log text", false, true), ("", true, true)]
    {
        let serving = Serving::start(&mut serve(&barge, &format!("{words} dist")));
        assert_eq!(serving.get("/v2/").status, 200);
        let ended = serving.stop();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.said.contains("serving dist"), talks, "{words}: {}", ended.said);
        assert_eq!(ended.said.contains("\"GET /v2/\" 200"), logs, "{words}: {}", ended.said);
        assert_eq!(ended.said.is_empty(), !talks && !logs, "{words}: {}", ended.said);
    }
}

#[test]
fn whoever_does_not_read_holds_nothing_up() {
    let barge = barge();
    let target = format!("/v2/?{}", "x".repeat(3000));
    // a pipe that nobody empties, one that is closed, and a disk that is full
    let (reader, writer) = std::io::pipe().unwrap();
    let closed = std::io::pipe().unwrap().1;
    let full = File::options().write(true).open("/dev/full").unwrap();
    for (case, stderr) in [
        ("full", Stdio::from(OwnedFd::from(writer))),
        ("closed", Stdio::from(OwnedFd::from(closed))),
        ("/dev/full", Stdio::from(OwnedFd::from(full))),
    ] {
        let serving = Serving::start_unheard(serve(&barge, "dist").stderr(stderr));
        for _ in 0..700 {
            assert_eq!(serving.get(&target).status, 200, "{case}");
        }
        let begun = Instant::now();
        assert_eq!(serving.stop().code, Some(0), "{case}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{case}: {:?}", begun.elapsed());
    }
    drop(reader);
}

#[test]
fn a_closed_standard_output_does_not_stop_it() {
    let barge = barge();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = barge.command();
    command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "dist"]).stdout(OwnedFd::from(writer));
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_address_that_is_taken_is_said() {
    let barge = barge();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    barge.line(&format!("serve --listen {address} dist")).exits(10).says(&["error: cannot ", &address]);
}

#[test]
fn a_dry_run_shows_every_tag_and_opens_nothing() {
    let barge = barge();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let words = format!("serve --dry-run --listen {address} dist bundle.tar");
    let shown = barge.line(&words).exits(0).says(&["2 repositories, 3 tags"]);
    assert_eq!(shown.stdout(), "docker.io/library/tool:v1\nghcr.io/org/app:v1\nghcr.io/org/app:v2");
    let object = barge.line(&format!("{words} --json --no-network")).exits(0).json();
    let result = &object["results"][0];
    assert_eq!((&result["dryRun"], &result["repositories"][1]["tags"][1]), (&true.into(), &"v2".into()));
}

#[test]
fn the_current_layout_is_served_when_no_place_is_given() {
    let barge = barge();
    let (mut by_variable, mut by_option) = (serve(&barge, ""), serve(&barge, "-L dist"));
    let mut inside = serve(&barge, "");
    by_variable.env("BARGE_LAYOUT", "dist");
    inside.current_dir(barge.path("dist"));
    for command in [&mut by_variable, &mut by_option, &mut inside] {
        let serving = Serving::start(command);
        assert_eq!(serving.get("/v2/org/app/manifests/v2").status, 200);
        assert_eq!(serving.stop().code, Some(0));
    }
}

#[test]
fn an_image_that_comes_is_served_without_a_restart() {
    let barge = barge();
    let serving = Serving::start(&mut serve(&barge, "dist"));
    assert_eq!(serving.get("/v2/org/app/manifests/v3").status, 404);
    barge.line("-L dist tag -q :ghcr.io/org/app:v1 ghcr.io/org/app:v3").exits(0);
    assert_eq!(serving.get("/v2/org/app/manifests/v3").status, 200);
    assert_eq!(serving.stop().code, Some(0));
}

#[test]
fn ten_thousand_tags_are_told_in_a_few_lines() {
    let barge = barge();
    let path = barge.path("dist/index.json");
    let mut index: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let root = index["manifests"][0].clone();
    let named = |at: usize| {
        let mut root = root.clone();
        root["annotations"] = serde_json::json!({"io.containerd.image.name": format!("ghcr.io/org/app:t{at}")});
        root
    };
    index["manifests"] = (0..10_000).map(named).collect();
    std::fs::write(&path, index.to_string()).unwrap();
    let serving = Serving::start(&mut serve(&barge, "--log none dist"));
    assert_eq!(serving.get("/v2/org/app/manifests/t9999").status, 200);
    let ended = serving.stop();
    assert!(ended.said.starts_with("serving dist: 1 repository, 10000 tags\n"), "{}", ended.said);
    assert!(ended.said.lines().count() < 8, "{}", ended.said);
}

#[test]
fn the_second_signal_does_not_wait_for_who_takes_long() {
    let barge = barge();
    let mut images = Images::new();
    // more than all buffers between both ends
    let layer = Layer::plain(&noise(1, 48 << 20));
    let digest = barge::digest::Digest::of(&layer.bytes);
    let image = images.image("linux/amd64", &[layer]);
    images.root(named(image, "ghcr.io/org/large:v1"));
    images.layout(&barge.path("large"));
    let serving = Serving::start(&mut serve(&barge, "--grace 600 large"));
    let mut slow = std::net::TcpStream::connect(serving.authority()).unwrap();
    let request = format!("GET /v2/org/large/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n");
    slow.write_all(request.as_bytes()).unwrap();
    slow.read_exact(&mut [0; 1000]).unwrap();
    serving.signal(Signal::TERM);
    // nobody is let in any more, and what is under way goes on
    let begun = Instant::now();
    while std::net::TcpStream::connect(serving.authority()).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", serving.said());
        std::thread::sleep(Duration::from_millis(10));
    }
    slow.read_exact(&mut vec![0; 10 << 20]).unwrap();
    let begun = Instant::now();
    let ended = serving.stop();
    assert_eq!(ended.code, None, "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn who_listens_to_all_is_told_what_others_can_do() {
    let barge = barge();
    // of `secret`
    barge.write("users", "node:$2y$04$eqVGHnjIv8C7888vnIUzFuIKg2cYyAPC.H68c6yxiAJG5/SAb5m9C\n");
    let mut open = barge.command();
    open.args(["serve", "--listen", "0.0.0.0:0", "dist"]);
    let serving = Serving::start(&mut open);
    assert!(serving.url().starts_with("http://127.0.0.1:"), "{}", serving.url());
    serving.says("no TLS (--tls-cert), no password (--htpasswd)");
    let said = serving.stop().said;
    assert!(said.contains("plain HTTP") && !said.contains("warning"), "{said}");

    let mut asking = barge.command();
    asking.args(["serve", "--json", "--listen", "0.0.0.0:0", "--htpasswd", "users", "dist"]);
    let serving = Serving::start(&mut asking);
    let object: Value = serde_json::from_str(serving.first()).unwrap();
    let warning = object["warnings"][0].as_str().unwrap();
    assert!(warning.contains("passwords cross the network"), "{object}");
    assert_eq!(serving.get("/v2/").status, 401);
    let request = "GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: Basic bm9kZTpzZWNyZXQ=\r\nConnection: close\r\n\r\n";
    assert_eq!(serving.ask(request.as_bytes()).status, 200);
    let log = objects(&serving.stop().said);
    let told = |status: u64| log.iter().find(|line| line["status"] == status).unwrap();
    assert_eq!((&told(401)["user"], &told(200)["user"]), (&Value::Null, &"node".into()));
    assert!(log.iter().any(|line| line["event"] == "warning" && line["message"] == *warning), "{log:?}");
    assert!(
        !log.iter().any(|line| line.to_string().contains("secret") || line.to_string().contains("bm9k")),
        "{log:?}"
    );
}
