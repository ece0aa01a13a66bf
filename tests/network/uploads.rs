//! Blobs on their way: cut, resumed, begun again, in pieces or in one.

use std::fs;

use rustix::process::Signal;

use crate::bench::{Bench, Made, noise};
use crate::environment::until;
use crate::registry::{Answer, FakeRegistry, Options, Rule};

const UPLOADS: &str = "/v2/app/blobs/uploads/*";
const LARGE: usize = 3_000_000;

/// A layout with one layer that is worth a note.
fn large(bench: &Bench) -> Made {
    bench.image(&[noise(3, LARGE)])
}

/// Returns how many bytes of blobs have arrived.
fn received(registry: &FakeRegistry) -> u64 {
    registry.requests("*", UPLOADS).iter().map(|exchange| exchange.body_bytes).sum()
}

#[test]
fn a_cut_upload_goes_on_where_it_was() {
    for cut in ["PUT", "PATCH"] {
        let (bench, registry) = (Bench::new(), FakeRegistry::start());
        let made = large(&bench);
        let at = 1_234_567;
        registry.script([Rule::on(cut, "/v2/app/blobs/uploads/*-000000000001*").once().cut_after(at)]);
        let chunks = if cut == "PATCH" { "--chunk-size 2000000 " } else { "" };
        let line = format!("push --json --jobs 1 {chunks}dist {}/app:v1", registry.host());
        let done = bench.run(&line).exits(0).says(&["trying again"]);
        made.is_at(&registry, "app", "v1");
        assert_eq!(received(&registry), made.bytes(), "{cut}: bytes were sent twice");
        let stats = &done.json()["stats"];
        assert_eq!((&stats["resumed"], &stats["resumedBytes"]), (&1.into(), &at.into()), "{stats}");
        let offsets: Vec<_> = registry.requests("PATCH", UPLOADS).iter().map(range).collect();
        assert!(offsets.contains(&Some((at, LARGE as u64 - 1))) || cut == "PATCH", "{offsets:?}");
        assert_eq!(bench.notes().len(), 0, "a note was left");
    }
}

fn range(exchange: &crate::registry::Exchange) -> Option<(u64, u64)> {
    let (first, last) = exchange.header("content-range")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

#[test]
fn an_upload_that_breaks_again_and_again_comes_to_its_end() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = large(&bench);
    // more often than it may fail without getting on
    registry.script([
        Rule::on("PUT", "/v2/app/blobs/uploads/*").once().cut_after(1_100_000),
        Rule::on("PATCH", "/v2/app/blobs/uploads/*").once().cut_after(1_100_000),
    ]);
    let _ = bench.run(&format!("push --retry 1 --jobs 1 dist {}/app:v1", registry.host())).exits(0);
    assert_eq!(registry.unused_rules(), [""; 0]);
    made.is_at(&registry, "app", "v1");
    assert_eq!(received(&registry), made.bytes());
}

#[test]
fn an_upload_that_is_not_known_any_more_begins_again() {
    for options in
        [Options { sessions_vanish: true, ..Options::default() }, Options { no_resume: true, ..Options::default() }]
    {
        for words in ["", "--chunk-size 1M "] {
            let (bench, registry) = (Bench::new(), FakeRegistry::with(options.clone()));
            let made = large(&bench);
            registry.script([Rule::on("P*T*", "/v2/app/blobs/uploads/*-000000000001*").once().cut_after(600_000)]);
            let _ = bench.run(&format!("push --jobs 1 {words}dist {}/app:v1", registry.host())).exits(0);
            assert_eq!(registry.unused_rules(), [""; 0]);
            made.is_at(&registry, "app", "v1");
            assert_eq!(received(&registry), made.bytes() + 600_000);
        }
    }
}

#[test]
fn pieces_that_were_forgotten_in_the_middle_are_sent_again() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = large(&bench);
    let unknown = Answer::error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    registry.script([Rule::on("PATCH", UPLOADS).skip(1).once().answer(unknown)]);
    let line = format!("push --jobs 1 --chunk-size 1M dist {}/app:v1", registry.host());
    let _ = bench.run(&line).exits(0).says(&["not known any more"]);
    made.is_at(&registry, "app", "v1");
}

#[test]
fn an_answer_that_was_lost_is_asked_for() {
    for (method, words) in [("PATCH", "--chunk-size 1M "), ("PUT", ""), ("PUT", "--chunk-size 1M "), ("POST", "")] {
        let (bench, registry) = (Bench::new(), FakeRegistry::start());
        let made = large(&bench);
        registry.script([Rule::on(method, UPLOADS).once().lose_answer()]);
        let _ = bench.run(&format!("push --jobs 1 {words}dist {}/app:v1", registry.host())).exits(0);
        made.is_at(&registry, "app", "v1");
        assert_eq!(registry.unused_rules(), [""; 0]);
        if method == "PATCH" {
            assert_eq!(received(&registry), made.bytes(), "what had arrived was sent again");
        }
    }
}

#[test]
fn a_place_that_is_not_the_right_one_is_corrected() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = large(&bench);
    // it has taken the piece, and says that it has not
    registry.script([Rule::on("PATCH", UPLOADS).once().status(416)]);
    let _ = bench.run(&format!("push --jobs 1 --chunk-size 1M dist {}/app:v1", registry.host())).exits(0);
    made.is_at(&registry, "app", "v1");
    assert_eq!(received(&registry), made.bytes());
}

#[test]
fn a_range_that_says_nothing_is_not_believed() {
    // 0-0 is said of nothing and of one byte: here of one
    for cut in [1, 0] {
        let (bench, registry) = (Bench::new(), FakeRegistry::start());
        let made = large(&bench);
        registry.script([Rule::on("PUT", UPLOADS).once().cut_after(cut)]);
        let _ = bench.run(&format!("push --jobs 1 dist {}/app:v1", registry.host())).exits(0);
        made.is_at(&registry, "app", "v1");
    }
    // some say it whatever they have
    for words in ["", "--chunk-size 1M "] {
        let (bench, registry) = (Bench::new(), FakeRegistry::start());
        let made = large(&bench);
        registry.script([
            Rule::on("PUT", UPLOADS).once().cut_after(700_000),
            Rule::on("*", UPLOADS).header("Range", "0-0"),
        ]);
        let _ = bench.run(&format!("push --jobs 1 {words}dist {}/app:v1", registry.host())).exits(0);
        made.is_at(&registry, "app", "v1");
    }
}

#[test]
fn a_piece_that_was_taken_in_part_goes_on_where_it_ends() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = bench.image(&[noise(3, 100)]);
    // the first piece is not carried out, and said to be taken in part: what the session really has is asked for
    let location = |registry: &FakeRegistry| format!("{}/v2/app/blobs/uploads/", registry.url());
    let id = "00000000-0000-4000-8000-000000000001?_state=0";
    let answer = Answer::status(202).header("Location", location(&registry) + id).header("Range", "0-9");
    registry.script([Rule::on("PATCH", UPLOADS).once().answer(answer)]);
    let _ = bench.run(&format!("push --jobs 1 --chunk-size 50 dist {}/app:v1", registry.host())).exits(0);
    made.is_at(&registry, "app", "v1");
}

#[test]
fn what_a_registry_cannot_do_is_done_in_another_way() {
    for (options, most_patches, words) in [
        (Options { no_chunks: true, ..Options::default() }, 2, "--chunk-size 1M"),
        (Options { no_monolithic: true, ..Options::default() }, 2, ""),
        (Options { max_body: Some(1 << 20), ..Options::default() }, 4, ""),
        (Options { max_body: Some(1 << 20), ..Options::default() }, 6, "--chunk-size 2M"),
        (Options { max_body: Some(2_000_000), ..Options::default() }, 3, ""),
        (Options { max_body: Some(2 << 20), early_refusals: true, ..Options::default() }, 4, ""),
        (Options { min_chunk: Some(1 << 20), ..Options::default() }, 4, "--chunk-size 64k"),
        (Options { relative_locations: true, ..Options::default() }, 4, "--chunk-size 1M"),
        (Options { no_head: true, ..Options::default() }, 0, ""),
        (Options { no_digest_header: true, ..Options::default() }, 0, ""),
        (Options { strict_accept: true, children_must_exist: true, ..Options::default() }, 0, ""),
    ] {
        let (bench, registry) = (Bench::new(), FakeRegistry::with(options.clone()));
        let made = large(&bench);
        let _ = bench.run(&format!("push --retry 0 --jobs 1 {words} dist {}/app:v1", registry.host())).exits(0);
        made.is_at(&registry, "app", "v1");
        let patches = registry.count("PATCH", UPLOADS);
        assert!(patches <= most_patches, "{patches} pieces: {options:?}");
        assert_eq!(registry.sessions(), 0, "an upload was left: {options:?}");
    }
}

#[test]
fn a_registry_that_knows_no_pieces_may_say_so_by_404() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = large(&bench);
    registry.script([Rule::on("PATCH", UPLOADS).answer(Answer::status(404))]);
    let _ = bench.run(&format!("push --retry 1 --chunk-size 1M dist {}/app:v1", registry.host())).exits(0);
    made.is_at(&registry, "app", "v1");
}

#[test]
fn what_is_too_large_in_the_smallest_pieces_is_given_up() {
    let registry = FakeRegistry::with(Options { max_body: Some(1000), ..Options::default() });
    let bench = Bench::new();
    large(&bench);
    let _ = bench.run(&format!("push --jobs 1 dist {}/app:v1", registry.host())).exits(4).says(&["413"]);
    assert!(registry.log().len() < 40, "{} requests", registry.log().len());
    assert_eq!(registry.tags("app"), [""; 0]);
}

#[test]
fn pieces_have_the_size_that_was_asked_for() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = large(&bench);
    let _ = bench.run(&format!("push --jobs 1 --chunk-size 1M dist {}/app:v1", registry.host())).exits(0);
    made.is_at(&registry, "app", "v1");
    let mut sizes: Vec<u64> = registry.requests("PATCH", UPLOADS).iter().map(|it| it.body_bytes).collect();
    sizes.retain(|size| *size > 1000);
    assert_eq!(sizes, [1 << 20, 1 << 20, LARGE as u64 - (2 << 20)]);
}

#[test]
fn a_location_keeps_its_own_query() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = large(&bench);
    let _ = bench.run(&format!("push --jobs 1 dist {}/app:v1", registry.host())).exits(0);
    made.is_at(&registry, "app", "v1");
    for put in registry.requests("PUT", UPLOADS) {
        assert_eq!(put.parameter("_state").as_deref(), Some("0"), "{}", put.query);
        assert!(put.parameter("digest").is_some(), "{}", put.query);
    }
}

/// Starts a push, and stops it when so much of the large blob has arrived.
fn stopped(bench: &Bench, registry: &FakeRegistry, words: &str, signal: Signal) -> crate::environment::Output {
    let running = bench.start(&format!("push --jobs 1 {words}dist {}/app:v1", registry.host()));
    until("half of it has arrived", || received(registry) >= 1_500_000);
    running.signal(signal);
    running.output(&bench.0)
}

#[test]
fn what_was_killed_in_the_middle_goes_on_in_the_next_run() {
    for words in ["", "--chunk-size 1M "] {
        for signal in [Signal::KILL, Signal::INT] {
            let (bench, registry) = (Bench::new(), FakeRegistry::start());
            let made = large(&bench);
            let limited = format!("--limit-rate 3M {words}");
            let output = stopped(&bench, &registry, &limited, signal);
            if signal == Signal::INT {
                let _ = output.exits(130);
            } else {
                output.ends_or_was_killed();
            }
            assert_eq!(registry.tags("app"), [""; 0], "a name was given");
            assert_eq!(bench.notes().len(), 1, "{words} {signal:?}");
            // all that was under way has arrived when nothing more comes
            let mut arrived = 0;
            until("nothing more arrives", || {
                let before = std::mem::replace(&mut arrived, received(&registry));
                std::thread::sleep(std::time::Duration::from_millis(20));
                before == received(&registry)
            });
            let done = bench.run(&format!("push --json {words}dist {}/app:v1", registry.host())).exits(0);
            made.is_at(&registry, "app", "v1");
            assert_eq!(received(&registry), made.bytes(), "{words} {signal:?}: more than the rest was sent");
            let stats = &done.json()["stats"];
            assert!(stats["resumedBytes"].as_u64().unwrap() >= 1_000_000, "{stats}");
            assert_eq!(bench.notes().len(), 0, "a note was left");
        }
    }
}

#[test]
fn a_note_that_leads_nowhere_is_no_failure() {
    for spoil in [
        |_: &str| String::new(),
        |_: &str| "{".to_owned(),
        |text: &str| text.replace("uploads/", "uploads/0"),
        |text: &str| text.replace("http://127.0.0.1:", "http://127.0.0.1:1"),
        |text: &str| text.replace("http://", "ftp://"),
    ] {
        let (bench, registry) = (Bench::new(), FakeRegistry::start());
        let made = large(&bench);
        stopped(&bench, &registry, "--limit-rate 3M ", Signal::KILL).ends_or_was_killed();
        let notes = bench.notes();
        let text = fs::read_to_string(&notes[0]).unwrap();
        fs::write(&notes[0], spoil(&text)).unwrap();
        let _ = bench.run(&format!("push --retry 1 dist {}/app:v1", registry.host())).exits(0);
        made.is_at(&registry, "app", "v1");
        assert_eq!(bench.notes().len(), 0, "a note was left");
    }
}

#[test]
fn an_upload_with_other_bytes_in_it_begins_again() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = large(&bench);
    stopped(&bench, &registry, "--limit-rate 3M ", Signal::KILL).ends_or_was_killed();
    // another upload, in which something else has arrived
    let session = crate::push::wrong_session(&registry, "app");
    let note = bench.notes().remove(0);
    let text = fs::read_to_string(&note).unwrap();
    let mut note_of: serde_json::Value = serde_json::from_str(&text).unwrap();
    note_of["url"] = session.into();
    fs::write(&note, note_of.to_string()).unwrap();
    let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0);
    made.is_at(&registry, "app", "v1");
    assert_eq!(bench.notes().len(), 0, "a note was left");
}

#[test]
fn a_wrong_blob_is_never_completed() {
    for words in ["", "--chunk-size 1M "] {
        for cut in [false, true] {
            let (bench, registry) = (Bench::new(), FakeRegistry::start());
            let made = large(&bench);
            let (digest, bytes) = made.blobs.iter().find(|(_, bytes)| bytes.len() == LARGE).unwrap();
            let mut wrong = bytes.clone();
            wrong[LARGE - 1] ^= 1;
            fs::write(bench.path("dist/blobs").join(digest.replace(':', "/")), &wrong).unwrap();
            if cut {
                registry.script([Rule::on("P*T*", "/v2/app/blobs/uploads/*-000000000001*").once().cut_after(500_000)]);
            }
            let line = format!("push --jobs 1 {words}dist {}/app:v1", registry.host());
            let _ = bench.run(&line).exits(4).says(&[digest, "expected"]);
            assert!(registry.blob("app", digest).is_none());
            assert_eq!(registry.tags("app"), [""; 0]);
            assert_eq!(registry.count("PUT", "/v2/app/manifests/*"), 0);
            // what was sent of it is given back, and no later run goes on with it
            assert_eq!(registry.sessions(), 0, "{words}: an upload was left");
            assert_eq!(bench.notes().len(), 0, "a note was left");
        }
    }
}
