//! What must not happen.

use crate::bench::Bench;

#[test]
fn an_unsigned_image_goes_nowhere() {
    let Some(bench) = Bench::filled(&["v1"]) else { return };
    bench.ok("key generate --no-password -o release");
    bench.ok("key generate --no-password -o other");
    let with = |source: &str, key: &str| {
        format!(
            "sync: [{{from: [{source}], require-signature: [{key}.pub], to: [{{layout: out}}, {{bundle: out.tar}}]}}]"
        )
    };
    let source = "{registry: 'REGISTRY/org/app:v1'}";
    bench.write("barge.yaml", &with(source, "release"));
    let ran = bench.fails("sync", 4, "cannot trust REGISTRY/org/app:v1");
    assert!(ran.stderr.contains("(barge.yaml:1:8)"), "{}", ran.stderr);
    bench.ok("pull -q -o dist REGISTRY/org/app:v1");
    bench.ok("sign --key release.key dist:REGISTRY/org/app:v1");
    bench.ok("push -q dist");
    bench.write("barge.yaml", &with(source, "other"));
    bench.fails("sync", 4, "did not sign these bytes");
    assert!(!bench.work.path("out").exists() && !bench.work.path("out.tar").exists());
    bench
        .write("barge.yaml", &with("{registry: 'REGISTRY/org/app:v1'}, {registry: 'REGISTRY/org/both:v1'}", "release"));
    bench.fails("sync", 4, "cannot trust REGISTRY/org/both:v1");
    assert!(!bench.work.path("out").exists(), "one that is signed does not go either");
    for source in [source, "{layout: dist}"] {
        bench.write("barge.yaml", &with(source, "release"));
        bench.ok("sync");
        bench.ok("verify -q --key release.pub out:REGISTRY/org/app:v1");
    }
    bench.write("barge.yaml", &with(source, "absent"));
    bench.fails("sync", 3, "cannot find the key absent.pub");
}

#[test]
fn a_bundle_is_taken_only_from_who_signed_it_and_is_signed_itself() {
    let Some(bench) = Bench::filled(&["v1"]) else { return };
    bench.ok("key generate --no-password -o vendor");
    bench.ok("key generate --type ed25519 --no-password -o ours");
    bench.ok("save -q -o plain.tar fixtures/umoci-amd64");
    bench.ok("save -q -o signed.tar --sign-key vendor.key fixtures/umoci-amd64");
    for (archive, code) in [("plain.tar", 4), ("signed.tar", 0)] {
        bench.write("barge.yaml", &format!(
            "sync: [{{from: [{{archive: {archive}, verify-key: [vendor.pub]}}], to: [{{bundle: out.tar, sign-key: ours.key}}]}}]"
        ));
        assert_eq!(bench.run("sync").code, Some(code), "{archive}");
    }
    bench.ok("verify -q --verify-key ours.pub out.tar");
    assert!(bench.ok("sync").stderr.contains("nothing to do"), "the same signature");
    bench.write("barge.yaml", "sync: [{from: [{archive: signed.tar}], to: [{bundle: out.tar}]}]");
    assert!(!bench.ok("sync").stderr.contains("nothing to do"), "a signature that nobody asks for goes");
}

#[test]
fn names_and_places_that_collide_are_told_before_anything_is_written() {
    let Some(bench) = Bench::filled(&["v1", "v2"]) else { return };
    bench.ok("copy -q fixtures/umoci-amd64 dist");
    for (text, code, said) in [
        (
            "sync:\n- from: [{registry: 'REGISTRY/org/app:v1'}, {registry: 'REGISTRY/org/both:v1'}]\n  rename: 'a/b:{tag}'\n  to:\n  - layout: out\n",
            2,
            "cannot use barge.yaml:5:5: REGISTRY/org/app:v1 and REGISTRY/org/both:v1 would both be docker.io/a/b:v1",
        ),
        (
            "sync:\n- from: [{layout: d*}]\n  to: [{bundle: x.tar}]\n- {from: [{list: l}], to: [{layout: ./dist}]}\n",
            2,
            "cannot use barge.yaml:2:10: \"./dist\" is a target too, at barge.yaml:4:28",
        ),
        (
            "sync:\n- from: [{registry: 'REGISTRY/org/app:v1'}]\n  to: [{bundle: out.tar, base: [out.tar]}]\n",
            3,
            "out.tar",
        ),
        ("sync:\n- from:\n  - registry: a\n    tags: [1.0]\n", 2, "cannot use barge.yaml:2:3: an entry needs `to:`"),
        ("sync: [\n", 2, "cannot use barge.yaml:"),
    ] {
        bench.write("barge.yaml", text);
        bench.fails("sync", code, said);
        assert!(!bench.work.path("out").exists() && !bench.work.path("x.tar").exists());
    }
    bench.fails("sync -f absent.yaml", 3, "cannot find absent.yaml");
    bench.fails("sync --interval 5m", 2, "--watch");
    bench.write("barge.yaml", "sync: [{from: [{registry: 'REGISTRY/org/app:v1'}], to: [{layout: out}]}]");
    bench.fails("sync --no-network", 2, "--no-network forbids it");
    bench.fails("sync -f - --watch", 2, "cannot watch standard input");
}
