//! What is killed, cut or stopped in the middle: nothing half-done has a name, and what has arrived is not sent again.

use std::collections::BTreeMap;

use crate::bench::{Bench, Ran, wait_for};
use crate::distribution::log::Log;
use crate::distribution::relay::Relay;
use crate::distribution::{Distribution, Mode};
use crate::harness::sleep;

const APP: &str = "example.com/app:v1";
const MIB: usize = 1 << 20;

/// A layout with ten layers that takes two seconds to send or to fetch, and its layers.
fn ten_layers(bench: &Bench) -> Vec<String> {
    bench.layers("dist", APP, 21, &[4 * MIB; 10])
}

const SLOWLY: &str = "--limit-rate 20M";

/// How many of these blobs are anywhere in the registry.
fn arrived(registry: &Distribution, layers: &[String]) -> usize {
    layers.iter().filter(|digest| registry.blob_file(digest).exists()).count()
}

/// The blobs of these that a repository lacks.
fn lacking(registry: &Distribution, repository: &str, layers: &[String]) -> Vec<String> {
    let lacks = |digest: &&String| {
        // a registry that was killed may stumble over what it was about to write
        registry.request("HEAD", &format!("/v2/{repository}/blobs/{digest}"), &[], b"").status != 200
    };
    layers.iter().filter(lacks).cloned().collect()
}

/// The layers among what was uploaded.
fn uploads(log: &Log, layers: &[String]) -> Vec<String> {
    log.uploads().into_iter().filter(|digest| layers.contains(digest)).collect()
}

/// Interrupts a push in the middle, and runs it again.
fn interrupted_push(
    bench: &Bench,
    registry: &Distribution,
    interrupt: impl FnOnce(crate::bench::Started) -> Ran,
) -> Ran {
    let layers = ten_layers(bench);
    let push = format!("push dist {}", registry.host());
    let started = bench.start(&format!("{push} {SLOWLY}"));
    wait_for("the third layer", || arrived(registry, &layers) >= 3);
    let ran = interrupt(started);
    registry.log();
    let rest = lacking(registry, "app", &layers);
    assert!((1..=7).contains(&rest.len()), "{rest:?}");
    assert_eq!(registry.tags("app"), [""; 0]);
    assert!(registry.manifest("app", &bench.digest_of("dist", APP)).is_none());

    registry.forget_log();
    let again = bench.ok(&format!("{push} --json")).json();
    let log = registry.log();
    assert_eq!(uploads(&log, &layers), rest, "{log:?}");
    assert_eq!(log.received(), again["stats"]["bytes"].as_u64().unwrap(), "{log:?}");
    assert!(log.received() < (rest.len() * 4 * MIB + 10_000) as u64, "{log:?}");
    bench.same("dist", &bench.digest_of("dist", APP), registry, "app:v1");
    ran
}

#[test]
fn a_killed_push_sends_only_the_rest() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let ran = interrupted_push(&bench, &registry, crate::bench::Started::kill);
    assert_eq!((ran.code, ran.stdout.as_str()), (None, ""));
}

#[test]
fn a_push_that_is_asked_to_stop_stops_and_sends_only_the_rest() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let ran = interrupted_push(&bench, &registry, |mut started| {
        let began = std::time::Instant::now();
        started.interrupt();
        let ran = started.end();
        assert!(began.elapsed().as_secs() < 3, "{:?}", began.elapsed());
        ran
    });
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(130), ""), "{ran:?}");
    assert!(ran.stderr.contains("interrupted"), "{ran:?}");
    assert!(!ran.stderr.contains("trying again"), "{ran:?}");
}

#[test]
fn a_cut_connection_is_taken_up_again() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let relay = Relay::to(registry.port());
    let layers = bench.layers("dist", APP, 22, &[4 * MIB; 3]);
    relay.cut_after(6_000_000);
    let ran = bench.ok(&format!("push dist {}", relay.host()));
    assert_eq!((relay.cuts(), ran.stderr.matches("trying again").count()), (1, 1), "{ran:?}");
    let log = registry.log();
    assert_eq!(uploads(&log, &layers), layers, "{log:?}");
    // what was sent in vain is less than one blob
    assert!(log.received() < 16 * MIB as u64 + 10_000, "{log:?}");
    bench.same("dist", &bench.digest_of("dist", APP), &registry, "app:v1");
}

#[test]
fn whole_pieces_are_not_sent_again() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let relay = Relay::to(registry.port());
    let push = format!("push --chunk-size 1M --jobs 1 --json dist {}", relay.host());
    for (seed, restart) in [(31, false), (32, true)] {
        let layers = bench.layers("dist", APP, seed, &[8 * MIB]);
        registry.forget_log();
        relay.hold("PATCH ", 5);
        let held = relay.held();
        let started = bench.start(&push);
        wait_for("the sixth piece", || relay.held() > held);
        started.kill();
        relay.release();
        assert_eq!(registry.log().of("PATCH", "").len(), 5);
        assert_eq!(lacking(&registry, "app", &layers), layers);
        if restart {
            registry.restart();
        }
        registry.forget_log();
        let stats = bench.ok(&push).json()["stats"].clone();
        let log = registry.log();
        let config = log.received() - 3 * MIB as u64;
        assert!(config < 1000, "{log:?}");
        assert_eq!((&stats["resumed"], &stats["resumedBytes"]), (&1.into(), &(5 * MIB).into()), "{stats}");
        assert_eq!(stats["bytes"], log.received());
        assert_eq!(uploads(&log, &layers), layers, "{log:?}");
        bench.same("dist", &bench.digest_of("dist", APP), &registry, "app:v1");
    }
    // the notes of what was under way are gone
    let notes = std::fs::read_dir(bench.work.path("home/.local/state/barge/uploads")).unwrap();
    assert_eq!(notes.count(), 0);
}

#[test]
fn pieces_are_as_large_as_was_asked() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    bench.layers("dist", APP, 33, &[3 * MIB + 5, 0, 1, MIB]);
    bench.ok(&format!("push --chunk-size 1M dist {}", registry.host()));
    bench.same("dist", &bench.digest_of("dist", APP), &registry, "app:v1");
    let log = registry.log();
    let mut sizes = BTreeMap::new();
    for request in log.of("PATCH", "") {
        *sizes.entry(request.received.unwrap()).or_insert(0) += 1;
    }
    let mib = MIB as u64;
    assert_eq!((sizes.get(&mib), sizes.get(&5), sizes.get(&1)), (Some(&4), Some(&1), Some(&1)), "{log:?}");
}

#[test]
fn a_registry_that_comes_back_gets_everything() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let layers = ten_layers(&bench);
    let started = bench.start(&format!("push dist {} {SLOWLY}", registry.host()));
    wait_for("the third layer", || arrived(&registry, &layers) >= 3);
    registry.stop();
    sleep(300);
    registry.restart();
    let ran = started.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("trying again"), "{ran:?}");
    bench.same("dist", &bench.digest_of("dist", APP), &registry, "app:v1");
}

#[test]
fn a_registry_that_stays_away_is_given_up() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let layers = ten_layers(&bench);
    let push = format!("push dist {} {SLOWLY}", registry.host());
    let started = bench.start(&format!("{push} --retry 1"));
    wait_for("the third layer", || arrived(&registry, &layers) >= 3);
    registry.stop();
    let ran = started.end();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(6), ""), "{ran:?}");
    assert!(ran.stderr.contains("tried 2 times"), "{ran:?}");
    registry.restart();
    assert_eq!(registry.tags("app"), [""; 0]);
    let rest = lacking(&registry, "app", &layers);
    registry.forget_log();
    bench.ok(&push);
    assert_eq!(uploads(&registry.log(), &layers), rest);
}

/// The blobs of a layout.
fn blobs(bench: &Bench, layout: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(bench.work.path(&format!("{layout}/blobs/sha256"))) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut digests: Vec<String> = names.filter(|name| name.len() == 64).map(|name| format!("sha256:{name}")).collect();
    digests.sort();
    digests
}

/// Returns whether some of a blob has come, and is kept.
fn has_a_beginning(bench: &Bench, layout: &str) -> bool {
    let Ok(files) = std::fs::read_dir(bench.work.path(layout).join("blobs/sha256")) else { return false };
    let is_one = |file: std::fs::DirEntry| {
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        file.file_name().to_string_lossy().starts_with(".partial-") && length >= MIB as u64 / 2
    };
    files.flatten().any(is_one)
}

#[test]
fn a_pull_that_ends_in_the_middle_does_not_fetch_again_what_it_has() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let layers = ten_layers(&bench);
    bench.ok(&format!("push dist {}", registry.host()));
    for by_kill in [true, false] {
        let layout = format!("back-{by_kill}");
        let pull = format!("pull -o {layout} {}/app:v1", registry.host());
        let mut started = bench.start(&format!("{pull} {SLOWLY}"));
        // several arrive at the same moment: it must be in the middle of another one
        wait_for("the third layer", || blobs(&bench, &layout).len() >= 3 && has_a_beginning(&bench, &layout));
        let ran = if by_kill {
            started.kill()
        } else {
            started.interrupt();
            started.end()
        };
        assert_eq!((ran.code, ran.stdout.as_str()), (if by_kill { None } else { Some(130) }, ""), "{ran:?}");
        assert_eq!(bench.ok(&format!("ls -q {layout}")).stdout, "");
        let there = blobs(&bench, &layout);
        let rest: Vec<&String> = layers.iter().filter(|digest| !there.contains(digest)).collect();
        assert!(!rest.is_empty());
        registry.log();
        registry.forget_log();
        bench.ok(&pull);
        let log = registry.log();
        for digest in &layers {
            // of what had arrived in part only the rest is asked for, and nothing where there is no rest
            let fetched = log.count("GET", &format!("/blobs/{digest}"));
            assert!(fetched <= usize::from(rest.contains(&digest)), "{digest}: {log:?}");
        }
        assert!(log.requests.iter().any(|request| request.status == 206), "{log:?}");
        assert!(log.fetched() < (rest.len() * 4 * MIB) as u64, "{log:?}");
        bench.ok(&format!("verify --deep {layout}"));
        assert_eq!(bench.digest_of(&layout, &format!("{}/app:v1", registry.host())), bench.digest_of("dist", APP));
    }
}

#[test]
fn a_pull_goes_on_when_the_registry_comes_back() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let layers = bench.layers("dist", APP, 41, &[32 * MIB; 2]);
    bench.ok(&format!("push dist {}", registry.host()));
    registry.forget_log();
    // what has come this way shows that it is in the middle
    let relay = Relay::to(registry.port());
    let started = bench.start(&format!("pull -o back.tar {}/app:v1 --limit-rate 40M", relay.host()));
    wait_for("the beginning", || relay.received() > 8 * MIB as u64);
    registry.stop();
    sleep(200);
    registry.restart();
    let ran = started.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    bench.ok("verify --deep back.tar");
    let log = registry.log();
    // what came before is not asked for again
    assert!(log.requests.iter().any(|request| request.status == 206), "{log:?}\n{ran:?}");
    for digest in layers {
        assert_eq!(log.of("GET", &digest).iter().filter(|request| request.status == 200).count(), 0, "{log:?}");
    }
}

#[test]
fn an_entry_that_a_crash_left_empty_is_mended() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let layers = bench.layers("dist", APP, 51, &[10_000; 2]);
    bench.ok(&format!("push dist {}", registry.host()));
    let link = format!("docker/registry/v2/repositories/app/_layers/{}/link", layers[0].replace(':', "/"));
    std::fs::write(registry.storage().join(link), "").unwrap();
    let head = || registry.request("HEAD", &format!("/v2/app/blobs/{}", layers[0]), &[], b"").status;
    assert_eq!(head(), 500);
    registry.forget_log();
    bench.ok(&format!("push --recheck --retry 1 dist {}", registry.host()));
    assert_eq!((head(), uploads(&registry.log(), &layers)), (200, vec![layers[0].clone()]));
}
