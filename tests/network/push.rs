//! What goes where, in which order, and how often.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::Value;

use crate::bench::{Bench, noise};
use crate::environment::until;
use crate::registry::{Answer, Auth, Bearer, Exchange, FakeRegistry, Options, Rule};

/// Begins an upload that holds other bytes than anybody wants to send, and returns where it goes on.
pub(crate) fn wrong_session(registry: &FakeRegistry, repository: &str) -> String {
    let path = format!("/v2/{repository}/blobs/uploads/");
    let location = ask(registry, "POST", &path, b"");
    ask(registry, "PATCH", location.split_once(registry.host()).unwrap().1, &vec![b'x'; 1_000_000])
}

/// Sends a request and returns the `Location` of its answer.
fn ask(registry: &FakeRegistry, method: &str, path: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(registry.host()).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        registry.host(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let line = answer.lines().find_map(|line| line.strip_prefix("Location: "));
    line.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// Returns the requests that change something.
fn writes(registry: &FakeRegistry) -> Vec<Exchange> {
    let reads = ["GET", "HEAD", "unreadable"];
    registry.log().into_iter().filter(|exchange| !reads.contains(&exchange.method.as_str())).collect()
}

/// Returns how many bytes went into uploads.
fn sent(registry: &FakeRegistry) -> u64 {
    registry.requests("*", "/v2/*/blobs/uploads/*").iter().map(|exchange| exchange.body_bytes).sum()
}

#[test]
fn children_come_first_and_the_tag_is_last() {
    let registry = FakeRegistry::with(Options { children_must_exist: true, ..Options::default() });
    let bench = Bench::new();
    let made = bench.index();
    let done = bench.run(&format!("push dist {0}/app:v1 {0}/app:latest", registry.host())).exits(0);
    made.is_at(&registry, "app", "v1");
    made.is_at(&registry, "app", "latest");
    let lines = ["v1", "latest"].map(|tag| format!("{} {}/app:{tag}", made.digest, registry.host()));
    assert_eq!(done.stdout(), lines.join("\n"));
    let order: Vec<String> = writes(&registry).iter().map(|exchange| exchange.path.clone()).collect();
    let manifests = order.iter().position(|path| path.contains("/manifests/")).unwrap();
    assert!(order[..manifests].iter().all(|path| path.contains("/blobs/uploads/")), "{order:?}");
    let ends: Vec<_> = order[manifests..].iter().map(|path| path.rsplit('/').next().unwrap()).collect();
    let (children, tags) = ends.split_at(2);
    assert!(children.iter().all(|digest| made.documents[..2].contains(&(*digest).to_owned())), "{ends:?}");
    assert_eq!(tags, ["v1", "latest"]);
    // and each tag was asked for after it was given
    let last = registry.log().pop().unwrap();
    assert_eq!((last.method.as_str(), last.path.as_str()), ("HEAD", "/v2/app/manifests/latest"));
}

#[test]
fn what_is_there_is_not_sent_again() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = bench.index();
    let line = format!("push --json dist {}/app:v1", registry.host());
    let first = bench.run(&line).exits(0).json();
    assert_eq!((&first["stats"]["uploaded"], &first["results"][0]["unchanged"]), (&5.into(), &false.into()));
    assert_eq!(first["results"][0]["confirmed"], made.digest);
    registry.clear_log();
    let second = bench.run(&line).exits(0).says(&["nothing to do"]).json();
    assert_eq!((&second["stats"]["existing"], &second["stats"]["uploaded"]), (&5.into(), &0.into()));
    assert_eq!(second["results"][0]["unchanged"], true);
    assert_eq!(writes(&registry).len(), 0);
    // the tag says it all
    assert_eq!(registry.count("*", "/v2/app/blobs/*") + registry.count("*", "/v2/app/manifests/sha256:*"), 0);
    // one blob is lost: that one alone is sent, and no manifest
    let (lost, bytes) = &made.blobs[0];
    registry.remove_blob("app", lost);
    registry.clear_log();
    let _ = bench.run(&line.replace("push", "push --recheck")).exits(0);
    made.is_at(&registry, "app", "v1");
    assert_eq!(sent(&registry), bytes.len() as u64);
    assert_eq!(registry.count("PUT", "/v2/app/manifests/*"), 0);
}

#[test]
fn a_blob_crosses_the_network_once_per_registry() {
    for (options, mounts) in [
        (Options::default(), true),
        (Options { mount_needs_from: true, ..Options::default() }, true),
        (Options { no_mount: true, ..Options::default() }, false),
    ] {
        let (bench, registry) = (Bench::new(), FakeRegistry::with(options));
        let made = bench.image(&[noise(1, 400_000), noise(2, 1000)]);
        let host = registry.host();
        let done = bench.run(&format!("push --json dist {host}/app:v1 {host}/team/b:v1 {host}/c:v2 {host}/app:v3"));
        let stats = done.exits(0).json()["stats"].clone();
        for (repository, tag) in [("app", "v1"), ("app", "v3"), ("team/b", "v1"), ("c", "v2")] {
            made.is_at(&registry, repository, tag);
        }
        let times = if mounts { 1 } else { 3 };
        assert_eq!(sent(&registry), made.bytes() * times, "{stats}");
        assert_eq!(stats["uploaded"], 3 * times, "{stats}");
        assert_eq!(stats["mounted"], 9 - 3 * times, "{stats}");
        assert_eq!(registry.sessions(), 0, "an upload was left");
        for mount in registry.requests("POST", "/v2/*/blobs/uploads/?*mount=*") {
            assert!(mount.parameter("from").is_some(), "{}", mount.query);
        }
    }
}

#[test]
fn a_refused_mount_is_an_upload() {
    for answer in [
        Answer::error(404, "BLOB_UNKNOWN", "no"),
        Answer::error(403, "DENIED", "no"),
        Answer::error(405, "UNSUPPORTED", "no"),
        Answer::status(202),
    ] {
        let (bench, registry) = (Bench::new(), FakeRegistry::start());
        let made = bench.image(&[noise(1, 1000)]);
        registry.script([Rule::on("POST", "/v2/*/blobs/uploads/?*mount=*").answer(answer)]);
        let _ = bench.run(&format!("push dist {0}/a:v1 {0}/b:v1", registry.host())).exits(0);
        made.is_at(&registry, "a", "v1");
        made.is_at(&registry, "b", "v1");
    }
}

#[test]
fn what_an_earlier_run_brought_to_another_repository_is_mounted_from_there() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = bench.image(&[noise(1, 400_000), noise(2, 5000)]);
    let host = registry.host();
    let _ = bench.run(&format!("push dist {host}/app:v1")).exits(0);
    registry.clear_log();
    let stats = bench.run(&format!("push --json dist {host}/team/b:v1")).exits(0).json()["stats"].clone();
    made.is_at(&registry, "team/b", "v1");
    assert_eq!((&stats["mounted"], &stats["uploaded"]), (&3.into(), &0.into()), "{stats}");
    assert_eq!(registry.sessions(), 0, "an upload was left");
    // what is not there any more is sent, from the session that the registry began instead
    registry.remove_blob("app", &made.blobs[0].0);
    registry.remove_blob("team/b", &made.blobs[0].0);
    let stats = bench.run(&format!("push --json dist {host}/c:v1")).exits(0).json()["stats"].clone();
    made.is_at(&registry, "c", "v1");
    assert_eq!((&stats["mounted"], &stats["uploaded"]), (&2.into(), &1.into()), "{stats}");
    assert_eq!(registry.sessions(), 0, "an upload was left");
}

#[test]
fn a_repository_that_may_not_be_read_any_more_is_not_needed() {
    // the token server gives nothing at all to who asks for too much
    for status in [401, 403] {
        let auth = Auth::bearer("me", "secret");
        let (bench, registry) = (Bench::new(), FakeRegistry::with(Options { auth, ..Options::default() }));
        let made = bench.image(&[noise(1, 5000), noise(2, 6000), noise(3, 7000)]);
        let host = registry.host();
        let _ = bench.run(&format!("push --creds me:secret dist {host}/a:v1")).exits(0);
        registry.script([Rule::on("GET", "/token?*repository%3Aa%3A*").answer(Answer::error(status, "DENIED", "no"))]);
        registry.clear_log();
        let _ = bench.run(&format!("push --jobs 1 --creds me:secret dist {host}/b:v1")).exits(0);
        made.is_at(&registry, "b", "v1");
        let asked = registry.count("GET", "/token?*repository%3Aa%3A*");
        assert_eq!(asked, 1, "{status}");
    }
}

#[test]
fn a_mount_shows_a_token_for_both_repositories() {
    let auth = Auth::bearer("me", "secret");
    let (bench, registry) = (Bench::new(), FakeRegistry::with(Options { auth, ..Options::default() }));
    let made = bench.image(&[noise(1, 1000)]);
    let _ = bench.run(&format!("push --creds me:secret dist {0}/a:v1 {0}/b:v1", registry.host())).exits(0);
    made.is_at(&registry, "b", "v1");
    assert_eq!(registry.count("POST", "/v2/b/blobs/uploads/?*mount=*"), 2);
    assert_eq!(sent(&registry), made.bytes());
    let mut asked: Vec<String> = registry.token_log().iter().map(|token| token.scopes.join(" ")).collect();
    asked.sort();
    asked.dedup();
    // nothing more than each step needs
    let expected = ["repository:a:pull repository:b:pull,push", "repository:a:pull,push", "repository:b:pull,push"];
    assert_eq!(asked, expected);
    assert_eq!(registry.token_log().len(), expected.len(), "a token that was there was asked for again");
}

#[test]
fn a_repository_that_is_not_there_is_found_out_before_a_byte_is_sent() {
    let refuses = || Options { unknown_repositories_refused: true, ..Options::default() };
    let (bench, registry) = (Bench::new(), FakeRegistry::with(refuses()));
    bench.image(&[noise(1, 3_000_000)]);
    let line = format!("push dist {}/app:v1", registry.host());
    let done = bench.run(&line).exits(3);
    let _ = done.says(&["NAME_UNKNOWN", "hint: check the name; some registries want a repository to be made first"]);
    assert_eq!(sent(&registry), 0);
    // also where its blobs would come from another one
    registry.make_repository("app");
    let _ = bench.run(&format!("{line} {0}/other:v1", registry.host())).exits(3).says(&["other"]);
    assert_eq!(sent(&registry), 0);
    assert_eq!(registry.tags("app"), [""; 0]);
    registry.make_repository("other");
    let _ = bench.run(&format!("{line} {0}/other:v1", registry.host())).exits(0);
}

#[test]
fn nothing_is_written_by_a_dry_run() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = bench.index();
    let line = format!("push --dry-run --json dist {0}/app:v1 {0}/b:v1", registry.host());
    let done = bench
        .run(&line)
        .exits(0)
        .says(&["would send 5 blobs", "; 5 blobs", "come from another repository there"])
        .json();
    assert_eq!(done["stats"]["bytes"], made.bytes(), "{done}");
    assert_eq!((&done["results"][0]["dryRun"], &done["results"][0]["confirmed"]), (&true.into(), &Value::Null));
    assert_eq!(writes(&registry).len(), 0);
    assert_eq!(bench.notes().len(), 0);
    let _ = bench.run(&format!("push -q dist {}/app:v1", registry.host())).exits(0).silent();
    let done = bench.run(&line).exits(0).json();
    assert_eq!(done["stats"]["bytes"], 0, "{done}");
}

#[test]
fn a_tag_that_means_something_else_stays_when_it_shall() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let other = registry.put_manifest("app", "v1", crate::support::image::MANIFEST, b"{\"schemaVersion\":2}");
    let made = bench.image(&[noise(1, 1000)]);
    let line = format!("push --no-clobber dist {0}/app:v1", registry.host());
    let _ = bench.run(&format!("{line} {}/app:v2", registry.host())).exits(9).says(&[&other, &made.digest, "app:v1"]);
    assert_eq!(writes(&registry).len(), 0);
    assert_eq!(registry.resolve("app", "v1").as_ref(), Some(&other));
    // the same again is no replacement
    let _ = bench.run(&format!("push --no-clobber dist {0}/app:v2", registry.host())).exits(0);
    let _ = bench.run(&format!("push --no-clobber dist {0}/app:v2", registry.host())).exits(0);
    // without it, it is replaced
    let _ = bench.run(&format!("push dist {0}/app:v1", registry.host())).exits(0);
    made.is_at(&registry, "app", "v1");
}

#[test]
fn a_tag_that_was_taken_in_the_meantime_stays() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = bench.image(&[noise(1, 1000)]);
    // the first question finds nothing, the second one finds what somebody else has pushed
    let other = registry.put_manifest("app", "v1", crate::support::image::MANIFEST, b"{\"schemaVersion\":2}");
    registry.script([Rule::on("HEAD", "/v2/app/manifests/v1").once().answer(Answer::status(404))]);
    let _ = bench.run(&format!("push --no-clobber dist {0}/app:v1", registry.host())).exits(9).says(&[&made.digest]);
    assert_eq!(registry.resolve("app", "v1"), Some(other));
}

#[test]
fn what_a_registry_makes_of_a_name_is_compared() {
    let other = format!("sha256:{}", "0".repeat(64));
    for rule in [
        // it says another digest, or has one
        Rule::on("HEAD", "/v2/app/manifests/v1").skip(1).header("Docker-Content-Digest", &other),
        Rule::on("HEAD", "/v2/app/manifests/v1").skip(1).answer(Answer::status(404)),
        Rule::on("PUT", "/v2/app/manifests/v1").answer(Answer::status(201)),
        Rule::on("PUT", "/v2/app/manifests/sha256:*").header("Docker-Content-Digest", &other),
    ] {
        let (bench, registry) = (Bench::new(), FakeRegistry::start());
        let made = bench.index();
        registry.script([rule]);
        let done = bench.run(&format!("push --json dist {}/app:v1", registry.host())).exits(4);
        assert_eq!(done.json()["error"]["class"], "content");
        let _ = done.says(&["cannot confirm"]).never(&["sent 5"]);
        assert!(registry.tags("app").is_empty() || registry.resolve("app", "v1") == Some(made.digest));
    }
}

#[test]
fn a_registry_that_says_no_digests_is_read() {
    let options = Options { no_digest_header: true, no_head: true, ..Options::default() };
    let (bench, registry) = (Bench::new(), FakeRegistry::with(options));
    let made = bench.index();
    for _ in 0..2 {
        let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0).prints(&[&made.digest]);
        made.is_at(&registry, "app", "v1");
    }
    registry.script([Rule::on("GET", "/v2/app/manifests/v2").wrong_bytes()]);
    let _ = bench.run(&format!("push dist {}/app:v2", registry.host())).exits(4).says(&["cannot confirm"]);
}

#[test]
fn two_names_for_an_image_and_two_registries_at_once() {
    let (bench, one, other) = (Bench::new(), FakeRegistry::start(), FakeRegistry::start());
    let names = ["example.com/a:v1", "example.com/team/b:v2"];
    let made = bench.images("dist", &names);
    let _ = bench.run(&format!("push dist {} {}/mirror", one.host(), other.host())).exits(0);
    made[0].is_at(&one, "a", "v1");
    made[1].is_at(&one, "team/b", "v2");
    made[0].is_at(&other, "mirror/a", "v1");
    made[1].is_at(&other, "mirror/team/b", "v2");
    // what both images have in common went over once, and came from there to every other repository
    assert_eq!(one.count("PUT", "/v2/*/blobs/uploads/*"), 5);
    let map = format!("--map example.com={}/x", one.host());
    let _ = bench.run(&format!("push {map} dist")).exits(0);
    made[1].is_at(&one, "x/team/b", "v2");
}

#[test]
fn no_registry_gets_a_name_when_one_cannot_have_everything() {
    let (bench, good, bad) = (Bench::new(), FakeRegistry::start(), FakeRegistry::start());
    bench.images("dist", &["example.com/a:v1"]);
    bad.script([Rule::on("PUT", "/v2/*/blobs/uploads/*").answer(Answer::error(403, "DENIED", "quota exceeded"))]);
    let _ = bench.run(&format!("push dist {} {}", good.host(), bad.host())).exits(5).says(&["quota exceeded"]);
    assert_eq!((good.tags("a"), bad.tags("a")), (vec![], vec![]));
}

#[test]
fn what_fails_does_not_keep_the_rest_when_it_shall_not() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = bench.images("dist", &["example.com/a:v1", "example.com/b:v1", "example.com/c:v1"]);
    registry.script([Rule::on("POST", "/v2/b/*").answer(Answer::error(403, "DENIED", "not yours"))]);
    let done = bench.run(&format!("push --keep-going --json dist {}", registry.host())).exits(7);
    let json = done.json();
    assert_eq!((&json["ok"], &json["error"]["class"]), (&false.into(), &"partial".into()));
    let confirmed: Vec<&Value> = json["results"].as_array().unwrap().iter().map(|it| &it["confirmed"]).collect();
    assert_eq!(confirmed, [&Value::from(&*made[0].digest), &Value::Null, &Value::from(&*made[2].digest)]);
    assert_eq!(json["results"][1]["error"]["exit"], 5);
    let _ = done.says(&["not yours", "1 of 3"]);
    made[0].is_at(&registry, "a", "v1");
    made[2].is_at(&registry, "c", "v1");
    assert_eq!(registry.tags("b"), [""; 0]);
    // without it, nothing has a name
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    bench.images("dist", &["example.com/a:v1", "example.com/b:v1", "example.com/c:v1"]);
    registry.script([Rule::on("POST", "/v2/b/*").answer(Answer::error(403, "DENIED", "not yours"))]);
    let _ = bench.run(&format!("push dist {}", registry.host())).exits(5).says(&["not yours"]);
    for repository in ["a", "b", "c"] {
        assert_eq!(registry.tags(repository), [""; 0], "{repository}");
    }
}

#[test]
fn each_image_that_is_wrong_here_is_told_and_the_others_go() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = bench.images("dist", &["example.com/a:v1", "example.com/b:v1", "example.com/c:v1"]);
    let own = |at: usize| made[at].blobs.iter().find(|(_, bytes)| bytes.starts_with(b"example")).unwrap().0.clone();
    let path = |digest: &str| bench.path("dist/blobs").join(digest.replace(':', "/"));
    fs::write(path(&own(0)), b"example.cox/a:v1").unwrap();
    fs::remove_file(path(&own(1))).unwrap();
    let _ =
        bench.run(&format!("push --dry-run --keep-going dist {}", registry.host())).exits(7).says(&[&own(1), "1 of 3"]);
    let done = bench.run(&format!("push --keep-going dist {}", registry.host())).exits(7);
    let _ = done.says(&[&own(0), &own(1), "2 of 3", "expected"]);
    assert_eq!((registry.tags("a"), registry.tags("b")), (vec![], vec![]));
    made[2].is_at(&registry, "c", "v1");
}

#[test]
fn a_failure_anywhere_leaves_no_name_and_the_next_run_brings_the_rest() {
    for (method, path) in [
        ("HEAD", "/v2/app/blobs/*"),
        ("POST", "/v2/app/blobs/uploads/"),
        ("PUT", "/v2/app/blobs/uploads/*"),
        ("PUT", "/v2/app/manifests/sha256:*"),
        ("PUT", "/v2/app/manifests/v1"),
    ] {
        for skip in 0..3 {
            let (bench, registry) = (Bench::new(), FakeRegistry::start());
            let made = bench.index();
            registry.script([Rule::on(method, path).skip(skip).answer(Answer::error(403, "DENIED", "no"))]);
            let line = format!("push dist {}/app:v1", registry.host());
            let done = bench.run(&line);
            if done.code() == 0 {
                continue; // there are not so many
            }
            let _ = done.exits(5);
            assert_eq!(registry.tags("app"), [""; 0], "{method} {path} {skip}");
            registry.clear_script();
            let there: u64 = made
                .blobs
                .iter()
                .filter(|(digest, _)| registry.blob("app", digest).is_some())
                .map(|(_, bytes)| bytes.len() as u64)
                .sum();
            registry.clear_log();
            let _ = bench.run(&line).exits(0);
            made.is_at(&registry, "app", "v1");
            assert_eq!(sent(&registry), made.bytes() - there, "{method} {path} {skip}");
        }
    }
}

#[test]
fn whoever_stops_a_push_finds_no_name_and_sends_the_rest_later() {
    let slow = Options { slow: std::time::Duration::from_millis(8), ..Options::default() };
    for (method, path) in [("HEAD", "/v2/*"), ("POST", "/v2/*"), ("PUT", "/v2/*/blobs/*"), ("PUT", "/v2/*/sha256:*")] {
        for signal in [Signal::KILL, Signal::INT] {
            let (bench, registry) = (Bench::new(), FakeRegistry::with(slow.clone()));
            let made = bench.index();
            let line = format!("push --jobs 1 dist {}/app:v1", registry.host());
            let running = bench.start(&line);
            until("the push is there", || registry.count(method, path) > 0);
            running.signal(signal);
            let output = running.output(&bench.0);
            if signal == Signal::INT {
                let _ = output.exits(130).says(&["interrupted"]);
            } else {
                output.ends_or_was_killed();
            }
            assert_eq!(registry.tags("app"), [""; 0]);
            let _ = bench.run(&line).exits(0);
            made.is_at(&registry, "app", "v1");
            assert!(sent(&registry) <= made.bytes() + 3000, "more than the blob under way was sent again");
        }
    }
}

#[test]
fn a_warning_is_shown_once_and_escaped() {
    let bench = Bench::new();
    bench.index();
    let warning = "this registry\u{202e} ends on Friday".to_owned();
    let registry = FakeRegistry::with(Options { warning: Some(warning), ..Options::default() });
    let done = bench.run(&format!("push --json dist {}/app:v1", registry.host())).exits(0);
    assert_eq!(done.stderr().matches("registry\\u{202e} ends on Friday").count(), 1, "{}", done.stderr());
    assert_eq!(done.json()["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn a_registry_that_warns_of_everything_is_not_heard_for_ever() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let many: Vec<Vec<u8>> = (0..60).map(|seed| noise(seed, 100)).collect();
    bench.image(&many);
    let rules = (0..60).map(|number| {
        Rule::on("HEAD", "/v2/app/blobs/*")
            .once()
            .answer(Answer::status(404).header("Warning", format!(r#"299 - "number {number}""#)))
    });
    registry.script(rules);
    let done = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0);
    let said = done.stderr().matches("says: number").count();
    assert!((1..=20).contains(&said), "{said}");
}

#[test]
fn tokens_that_come_to_their_end_are_fetched_again() {
    for (uses, words) in [(3, ""), (3, "--chunk-size 1M"), (2, ""), (2, "--chunk-size 1M")] {
        let bearer = Bearer { uses: Some(uses), users: vec![("me".into(), "secret".into())], ..Bearer::default() };
        let options = Options { auth: Auth::Bearer(bearer), ..Options::default() };
        let (bench, registry) = (Bench::new(), FakeRegistry::with(options));
        let made = bench.image(&[noise(1, 3_000_000), noise(2, 2000)]);
        let line = format!("push --jobs 1 --creds me:secret {words} dist {}/app:v1", registry.host());
        let _ = bench.run(&line).exits(0).never(&["secret"]);
        made.is_at(&registry, "app", "v1");
        // who asks whether a body is wanted sends none in vain, and small ones are sent unasked
        assert!(sent(&registry) <= made.bytes() + 4000, "{uses} {words}: {}", sent(&registry));
    }
}

#[test]
fn a_token_that_ends_for_all_lanes_at_once_is_fetched_once() {
    let (auth, slow) = (Auth::bearer("me", "secret"), std::time::Duration::from_millis(8));
    let (bench, registry) = (Bench::new(), FakeRegistry::with(Options { auth, slow, ..Options::default() }));
    let made = bench.image(&(0..60).map(|seed| noise(seed, 100)).collect::<Vec<_>>());
    let running = bench.start(&format!("push --jobs 8 --creds me:secret dist {}/app:v1", registry.host()));
    for (method, path) in [("HEAD", "/v2/app/blobs/*"), ("PUT", "/v2/app/blobs/uploads/*")] {
        until("all lanes are busy", || registry.count(method, path) >= 16);
        registry.revoke_tokens();
    }
    let _ = running.output(&bench.0).exits(0).never(&["secret"]);
    made.is_at(&registry, "app", "v1");
    assert_eq!(registry.token_log().len(), 3, "one at the beginning, and one after each end");
}
