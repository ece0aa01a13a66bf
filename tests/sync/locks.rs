//! The digests of a lock are taken, and no others.

use crate::bench::Bench;

const FILE: &str = "\
sync:
- from:
  - registry: REGISTRY/org/app
    tags: {regex: ^v}
  - layout: local
  referrers: none
  to:
  - layout: dist
";

#[test]
fn a_lock_holds_where_tags_move_and_fails_where_digests_go() {
    let Some(bench) = Bench::filled(&["v1", "v2"]) else { return };
    bench.ok("copy -q fixtures/umoci-amd64 oci:local:ghcr.io/org/b:v2");
    bench.write("barge.yaml", FILE);
    bench.fails("sync --locked", 3, "cannot find the lock barge.lock");
    bench.ok("lock --dry-run");
    assert!(!bench.work.path("barge.lock").exists());
    let first = bench.ok("lock");
    assert_eq!(first.names().len(), 3);
    let text = bench.work.read("barge.lock");
    assert!(bench.ok("lock").stderr.contains("nothing to do: barge.lock has these digests, 3 images"));
    assert_eq!(bench.work.read("barge.lock"), text, "the same digests give the same bytes");
    let old = bench.digest("org/app", "v1").unwrap();
    // a tag moves, and one is new
    bench.ok("push -q fixtures/buildx-amd64-arm64.tar REGISTRY/org/app:v1");
    bench.ok("push -q fixtures/skopeo-arm64.tar REGISTRY/org/app:v3");
    bench.registry.forget_log();
    let ran = bench.ok("sync --locked");
    assert_eq!(bench.registry.log().of("GET", "/tags/").len(), 0, "no list of tags is asked for");
    assert_eq!(ran.stdout, first.stdout);
    assert!(ran.stdout.contains(&format!("{old} REGISTRY/org/app:v1\n")), "{}", ran.stdout);
    let said = bench.ok("lock --dry-run").stderr;
    assert!(said.contains("REGISTRY/org/app:v3 is new"), "{said}");
    assert!(said.contains(&format!("REGISTRY/org/app:v1 was {}", &old[..19])), "{said}");
    // the registry loses what the lock names
    bench.ok(&format!("rm docker://REGISTRY/org/app@{old}"));
    let ran = bench.fails("sync --locked", 3, "the registry does not have that digest any more");
    assert!(ran.stderr.contains("hint: run `barge lock` again"), "{}", ran.stderr);
    bench.ok("lock -q");
    bench.ok("sync -q --locked");
    // so does a layout
    bench.ok("copy -q fixtures/skopeo-arm64.tar oci:local:ghcr.io/org/b:v2");
    bench.fails(
        "sync --locked",
        3,
        "cannot find ghcr.io/org/b:v2 in oci:local: it has not the digest of the lock any more",
    );
}

#[test]
fn a_lock_of_another_file_is_refused() {
    let Some(bench) = Bench::filled(&["v1"]) else { return };
    let with =
        |tags: &str| format!("sync: [{{from: [{{registry: REGISTRY/org/app, tags: {tags}}}], to: [{{layout: x}}]}}]");
    bench.write("barge.yaml", &with("[v1]"));
    bench.ok("lock -q");
    bench.write("barge.yaml", &with("{newest: 1}"));
    bench.fails("sync --locked", 3, "cannot use barge.yaml:1:16: barge.lock has no digests of");
    let both =
        "sync: [{from: [{registry: 'REGISTRY/org/app:v1'}, {registry: 'REGISTRY/org/both:v1'}], to: [{layout: x}]}]";
    bench.write("barge.yaml", both);
    bench.ok("lock -q --lock-file other");
    bench.write("barge.yaml", "sync: [{from: [{registry: 'REGISTRY/org/app:v1'}], to: [{layout: x}]}]");
    bench.fails("sync --locked --lock-file other", 3, "which is not in the file");
    // a lock leads nowhere but to its source
    bench.ok("lock -q");
    let lock = String::from_utf8(bench.work.read("barge.lock")).unwrap();
    bench.write("barge.lock", &lock.replace("/org/app:v1\"\n    digest", "/org/both:v1\"\n    digest"));
    bench.fails("sync --locked", 3, "of the lock: it is not of this source");
    bench.write("barge.lock", "something: else\n");
    bench.fails("sync --locked", 2, "cannot use barge.lock:1:1: it is no lock");
    bench.fails("lock", 2, "cannot use barge.lock:1:1: it is no lock");
    assert_eq!(bench.work.read("barge.lock"), b"something: else\n", "what is no lock is not replaced");
}
