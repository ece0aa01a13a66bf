//! What is asked for, piece by piece, before a push of many pieces.

use crate::bench::{Bench, Made, noise};
use crate::registry::{Answer, FakeRegistry, Rule};

/// More pieces than are asked for one by one: 3 that cost more to send than to ask for, and 70 that do not.
fn many(bench: &Bench) -> Made {
    let large = (0..3).map(|seed| noise(seed, 70_000));
    let small = (10..80).map(|seed| noise(seed, 300));
    bench.image(&large.chain(small).collect::<Vec<_>>())
}

fn asked(registry: &FakeRegistry) -> usize {
    registry.count("HEAD", "/v2/app/blobs/*")
}

#[test]
fn in_a_new_repository_only_what_is_large_is_asked_for() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = many(&bench);
    let line = format!("push dist {}/app:v1", registry.host());
    let _ = bench.run(&line).exits(0);
    made.is_at(&registry, "app", "v1");
    // the eight largest, whatever their size: the manifest is one of them
    assert_eq!(asked(&registry), 7);
    assert_eq!(registry.count("HEAD", "/v2/app/manifests/sha256:*"), 1);
    assert_eq!(registry.count("GET", "/v2/app/tags/list*"), 1);
    // again: the tag says it all
    registry.clear_log();
    let _ = bench.run(&line).exits(0).says(&["nothing to do"]);
    assert_eq!(asked(&registry) + registry.count("GET", "/v2/app/tags/list*"), 0);
}

#[test]
fn everything_is_asked_for_where_something_may_be_there() {
    type Before = fn(&FakeRegistry, &Made);
    let unknown = || Rule::on("GET", "/v2/app/tags/list").answer(Answer::error(404, "NAME_UNKNOWN", "no"));
    let broken_off: Before = |registry, made| {
        let mut blobs: Vec<_> = made.blobs.iter().collect();
        blobs.sort_by_key(|(_, bytes)| std::cmp::Reverse(bytes.len()));
        for (_, bytes) in &blobs[..40] {
            registry.put_blob("app", bytes);
        }
    };
    let nothing: Before = |_, _| ();
    for (what, before, rule, options) in [
        ("an interrupted push", broken_off, Some(unknown()), ""),
        ("no list for us", nothing, Some(Rule::on("GET", "/v2/app/tags/list").answer(Answer::status(403))), ""),
        ("a list that fails", nothing, Some(Rule::on("GET", "/v2/app/tags/list").answer(Answer::status(500))), ""),
        ("a repository without tags", (|registry, _| registry.make_repository("app")) as Before, None, ""),
        (
            "another tag",
            (|registry, made| {
                let (_, bytes) = made.blobs.first().unwrap();
                registry.put_blob("app", bytes);
            }) as Before,
            None,
            "",
        ),
        ("asked to", nothing, Some(unknown()), "--recheck"),
        ("nothing is sent", nothing, Some(unknown()), "--dry-run"),
    ] {
        let (bench, registry) = (Bench::new(), FakeRegistry::start());
        let made = many(&bench);
        before(&registry, &made);
        registry.script(rule);
        let there = registry.blobs("app").len();
        registry.clear_log();
        let _ = bench.run(&format!("push {options} dist {}/app:v1", registry.host())).exits(0);
        assert!(asked(&registry) >= made.blobs.len(), "{what}: {} of {}", asked(&registry), made.blobs.len());
        if options != "--dry-run" {
            made.is_at(&registry, "app", "v1");
            let sent = registry.count("PUT", "/v2/app/blobs/uploads/*");
            assert_eq!(sent, made.blobs.len() - there, "{what}: what is there is not sent again");
        }
    }
}

#[test]
fn a_few_pieces_are_asked_for_without_a_question_more() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = bench.image(&[noise(1, 100_000), noise(2, 300)]);
    let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0);
    made.is_at(&registry, "app", "v1");
    assert_eq!(registry.count("GET", "/v2/app/tags/list*"), 0);
    assert_eq!(asked(&registry), made.blobs.len());
}
