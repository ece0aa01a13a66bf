//! What is done to images where they are: listed, given further names, copied, removed.

use crate::bench::Bench;
use crate::distribution::log::Log;
use crate::distribution::token::{Grant, Rules, TokenServer};
use crate::distribution::{Distribution, Mode, Options};

const APP: &str = "example.com/team/app:v1";

fn methods(log: &Log) -> Vec<&str> {
    let mut methods: Vec<&str> = log.requests.iter().map(|request| request.method.as_str()).collect();
    methods.retain(|method| !matches!(*method, "GET" | "HEAD"));
    methods
}

#[test]
fn a_further_tag_is_one_manifest_written() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let digest = bench.merged("dist", APP);
    bench.ok(&format!("push dist {}", registry.host()));
    registry.forget_log();
    let place = format!("docker://{}/team/app", registry.host());
    let ran = bench.ok(&format!("tag {place}:v1 stable"));
    assert_eq!(ran.digests(), *std::slice::from_ref(&digest));
    let log = registry.log();
    assert_eq!((methods(&log), log.count("GET", "/blobs/")), (vec!["PUT"], 0), "{log:?}");
    bench.same("dist", &digest, &registry, "team/app:stable");
    let mut listed = bench.ok(&format!("ls {place}")).stdout.lines().map(str::to_owned).collect::<Vec<_>>();
    listed.sort();
    assert_eq!(listed, ["stable", "v1"].map(|tag| format!("{}/team/app:{tag}", registry.host())));
    let said = bench.fails(3, &format!("tag {place}:v3 v4"));
    assert!(said.contains("v3") && said.contains("barge ls"), "{said}");
}

#[test]
fn everything_there_is_listed() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let host = registry.host();
    let said = bench.fails(3, &format!("ls docker://{host}/nowhere"));
    assert!(said.contains(&format!("barge ls docker://{host}`")), "{said}");
    bench.ok(&format!("ls docker://{host}"));
    bench.ok("merge -o dist -t example.com/app:v1 fixtures/umoci-amd64");
    let names: Vec<String> = (0..30).map(|at| format!("{host}/many/r{at:03}:v{at}")).collect();
    bench.ok(&format!("push dist:example.com/app:v1 {}", names.join(" ")));
    let listed = bench.ok(&format!("ls docker://{host}")).stdout;
    assert_eq!(listed.lines().count(), 30);
    assert_eq!(listed.lines().last().unwrap(), format!("{host}/many/r029"));
    // each blob was sent once, and mounted everywhere else
    let log = registry.log();
    assert_eq!((log.uploads().len(), log.mounts().len()), (3, 3 * 29));
    // where a registry is not understood, what to write is said
    for word in [host.clone(), format!("{host}/many/r000:v0"), "quay.io/fedora/fedora:41".to_owned()] {
        let said = bench.fails(3, &format!("inspect {word}"));
        assert!(said.contains(&format!("write docker://{word}")), "{said}");
    }
}

#[test]
fn a_copy_within_a_registry_is_a_mount() {
    let Some(bench) = Bench::new(&["openssl"]) else { return };
    let server = TokenServer::start(Rules::default());
    let registries = [Distribution::start(Mode::Token(&server)), Distribution::start(Mode::Plain)];
    let [one, two] = registries.each_ref().map(Distribution::host);
    let digest = bench.merged("dist", APP);
    let creds = format!("login {one} -u pusher --password-stdin");
    assert_eq!(bench.run_with_input(&creds, "secret").code, Some(0));
    bench.ok(&format!("push dist {one}"));
    registries[0].forget_log();
    bench.ok(&format!("copy docker://{one}/team/app:v1 docker://{one}/team/other:v2"));
    let log = registries[0].log();
    assert_eq!((log.received(), log.mounts().len()), (0, 15), "{log:?}");
    bench.same("dist", &digest, &registries[0], "team/other:v2");
    bench.ok(&format!("copy docker://{one}/team/app:v1 docker://{two}/x:v1"));
    bench.same("dist", &digest, &registries[1], "x:v1");
    // only to where the user may
    let said = bench.fails(5, &format!("copy docker://{one}/team/app:v1 docker://{one}/other/app:v2"));
    assert!(said.contains("other/app"), "{said}");
    // and from where: what may not be mounted is sent
    server.rules().users.get_mut("pusher").unwrap().1 = vec![Grant::repository("team/*", &["push", "pull"])];
    bench.ok(&format!("copy docker://{two}/x:v1 docker://{one}/team/third:v1"));
    bench.same("dist", &digest, &registries[0], "team/third:v1");
}

#[test]
fn what_a_registry_removes_is_gone_and_the_rest_is_kept() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let host = registry.host();
    let digest = bench.merged("dist", APP);
    bench.ok("merge -o dist -t example.com/team/app:v2 fixtures/umoci-amd64");
    bench.ok(&format!("push dist {host}"));
    bench.ok(&format!("tag docker://{host}/team/app:v1 latest"));
    // this registry removes only by digest, and with it every tag
    let said = bench.fails(9, &format!("rm docker://{host}/team/app:v1"));
    assert!(said.contains("latest") && said.contains(&digest), "{said}");
    assert_eq!(registry.tags("team/app").len(), 3);
    bench.fails(2, &format!("rm docker://{host}/team/app"));
    bench.ok(&format!("rm --dry-run docker://{host}/team/app:v2"));
    bench.ok(&format!("rm docker://{host}/team/app@{digest}"));
    assert_eq!(registry.tags("team/app"), ["v2"]);
    bench.ok(&format!("rm docker://{host}/team/app:v2"));
    assert_eq!(registry.tags("team/app"), [""; 0]);
    bench.fails(3, &format!("rm docker://{host}/team/app:v2"));
    // and a push brings it back
    bench.ok(&format!("push dist {host}"));
    bench.same("dist", &digest, &registry, "team/app:v1");

    let storage = Some(registry.storage().to_owned());
    let kept = Distribution::with(Mode::Plain, &Options { no_delete: true, storage, ..Options::default() });
    let said = bench.fails(9, &format!("rm docker://{}/team/app:v2", kept.host()));
    assert!(said.contains(&kept.host()), "{said}");
    assert_eq!(kept.tags("team/app").len(), 2);
}
