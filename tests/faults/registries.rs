//! Faults between a registry and us: what a pull brings into a layout, and what a push leaves in a registry. A tag means the
//! old image or the new one, and either is whole.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::calls::{chosen, disturbed, sequence, strace};
use super::cases::Case;
use super::distribution::{Distribution, Mode};
use super::failing::{errors, lacks_locks};
use super::killed::Numbers;
use super::lab::{Ended, Lab, full};
use super::place::sha256;
use super::properties::{Experiment, Report};
use super::registry::FakeRegistry;
use super::shapes::Shape;

/// How the work of one thread is asked for, without a second try at what fails.
const HOW: &str = "--jobs 1 --retry 0 --plain-http";

/// Follows a digest through whatever keeps content, to its last layer. Returns the digest.
fn whole(digest: &str, content: &dyn Fn(&str) -> Option<Vec<u8>>) -> Result<String, String> {
    let mut to_do = vec![digest.to_owned()];
    while let Some(digest) = to_do.pop() {
        let bytes = content(&digest).ok_or_else(|| format!("{digest} is not there"))?;
        if format!("sha256:{}", sha256(&bytes)) != digest {
            return Err(format!("{digest} has other content"));
        }
        let Ok(document) = serde_json::from_slice::<Value>(&bytes) else { continue };
        let listed = ["manifests", "layers"].into_iter().filter_map(|list| document[list].as_array());
        let children = listed.flatten().chain([&document["config"]]);
        to_do.extend(children.filter_map(|child| child["digest"].as_str()).map(str::to_owned));
    }
    Ok(digest.to_owned())
}

/// What the tag means in the registry, when it is there; else what is wrong.
fn tagged(registry: &FakeRegistry) -> Result<Option<String>, String> {
    let content = |digest: &str| {
        let manifest = registry.manifest("app", digest).map(|manifest| manifest.bytes.to_vec());
        manifest.or_else(|| registry.blob("app", digest).map(|bytes| bytes.to_vec()))
    };
    registry.resolve("app", "v1").map(|digest| whole(&digest, &content)).transpose()
}

#[test]
fn a_pull_that_is_disturbed_leaves_a_whole_layout() {
    if !strace() {
        return;
    }
    let lab = Lab::new();
    let registry = FakeRegistry::start();
    lab.ok(&format!("push {HOW} ../in/two:app:v1 {}/app:v1", registry.host()));
    let mut report = Report::default();
    for (start, target) in [(&["old"][..], "old"), (&[], "new"), (&[], "new.tar")] {
        let line = format!("pull {HOW} -o {target} {}/app:v1", registry.host());
        // a case stands in a table, and this one has a port in it
        let line = line.replacen("--jobs 1 ", "", 1);
        let case = Case { shape: Shape::Place, start, target, line: Box::leak(line.into_boxed_str()) };
        let experiment = Experiment::prepare(&lab, &case);
        let calls = sequence(&lab, &experiment.line());
        let calls: Vec<_> = calls.iter().collect();
        for (at, call) in chosen(&calls, &case.shows_at(), 31, 3).into_iter().enumerate() {
            let error = format!("error={}", errors(call)[at % errors(call).len()]);
            for how in ["signal=KILL", &error] {
                experiment.reset();
                let (ended, _) = disturbed(&lab, &experiment.line(), call, how);
                // how much comes at once is another thing each time: there may be fewer calls
                let result = match ended.code {
                    None | Some(0) => experiment.properties(&ended),
                    Some(6 | 10) if ended.said.contains("error: ") || call.name == "write" => {
                        experiment.properties(&ended)
                    }
                    Some(9) if lacks_locks(how, &ended) => experiment.properties(&ended),
                    _ => Err("neither done nor told".to_owned()),
                };
                report.note(&format!("{}: {how} at {}", case.line, call.text), &ended, result);
            }
        }
    }
    report.end(&lab);
}

#[test]
fn a_push_that_is_disturbed_leaves_a_whole_tag() {
    if !strace() {
        return;
    }
    let lab = Lab::new();
    let mut report = Report::default();
    for has_old in [true, false] {
        let begin = || {
            let registry = FakeRegistry::start();
            if has_old {
                lab.ok(&format!("push {HOW} ../in/amd64 {}/app:v1", registry.host()));
            }
            let line = format!("push {HOW} ../in/two:app:v1 {}/app:v1", registry.host());
            (registry, line)
        };
        lab.reset(&[]);
        let (registry, line) = begin();
        let before = tagged(&registry).unwrap();
        let calls = sequence(&lab, &line);
        let after = tagged(&registry).unwrap();
        assert!(before != after && before.is_some() == has_old);
        let calls: Vec<_> = calls.iter().collect();
        // a document is read more than once: what could be read when all was planned need not be when it is sent
        let documents = calls.iter().copied().filter(|call| call.text.contains("schemaVersion"));
        let chosen = chosen(&calls, "nothing", 25, 7);
        for (at, call) in chosen.into_iter().chain(documents).enumerate() {
            let error = format!("error={}", errors(call)[at % errors(call).len()]);
            for how in ["signal=KILL", &error] {
                lab.reset(&[]);
                let (registry, line) = begin();
                let (ended, _) = disturbed(&lab, &line, call, how);
                let result = tagged(&registry).and_then(|now| match ended.code {
                    _ if now != before && now != after => Err(format!("neither the old nor the new: {now:?}")),
                    Some(0) if now != after => Err("exit 0, and it is not there".to_owned()),
                    None | Some(0 | 6 | 10) => {
                        let again = lab.run(&line);
                        let done = again.code == Some(0) && tagged(&registry)? == after;
                        if done { Ok(()) } else { Err(format!("the second run: {again:?}")) }
                    }
                    _ => Err("neither done nor told".to_owned()),
                });
                report.note(&format!("{line}: {how} at {}", call.text), &ended, result);
            }
        }
    }
    report.end(&lab);
}

/// What a tag means in the storage of Debian's registry, read from its files.
fn stored(storage: &Path) -> Result<Option<String>, String> {
    let root = storage.join("docker/registry/v2");
    let Ok(link) = fs::read_to_string(root.join("repositories/app/_manifests/tags/v1/current/link")) else {
        return Ok(None);
    };
    let content = |digest: &str| {
        let hex = digest.strip_prefix("sha256:")?;
        fs::read(root.join("blobs/sha256").join(&hex[..2]).join(hex).join("data")).ok()
    };
    whole(link.trim(), &content).map(Some)
}

/// What the tag means once the registry has ended what it was asked for. It goes on when its client is gone, and it writes a
/// tag's file in place: for a moment that is empty. What stays wrong is wrong.
fn settled(storage: &Path) -> Result<Option<String>, String> {
    let until = Instant::now() + Duration::from_secs(20);
    let mut last = stored(storage);
    loop {
        thread::sleep(Duration::from_millis(250));
        let now = stored(storage);
        if now == last && (now.is_ok() || Instant::now() > until) {
            return now;
        }
        last = now;
    }
}

#[test]
fn a_push_that_is_killed_leaves_what_docker_registry_had() {
    let there = std::process::Command::new("docker-registry").arg("--version").output().is_ok();
    if !super::environment::available("docker-registry", there) {
        return;
    }
    let lab = Lab::new();
    let registry = Distribution::start(Mode::Plain);
    let old = format!("push --plain-http ../in/amd64 {}/app:v1", registry.host());
    lab.ok(&old);
    let before = settled(registry.storage()).unwrap();
    let mut numbers = Numbers(4);
    let mut report = Report::default();
    for round in 0..if full() { 60 } else { 8 } {
        // content that the registry has not seen: nothing of an earlier round helps
        let image = super::support::image::noise(1000 + round, 500_000);
        let mut images = super::support::image::Images::new();
        let layers = [super::support::image::Layer::plain(&image), super::support::image::Layer::gzip(&image[..9000])];
        let root = images.image("linux/arm64", &layers);
        lab.reset(&[]);
        images.root(root.clone()).layout(&lab.path("source"));
        let after = Some(super::support::image::digest(&root).to_owned());
        let line = format!("push --plain-http source {}/app:v1", registry.host());
        let mut command = lab.command(&line);
        let begun = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let wait = Duration::from_micros(15_000 + numbers.below(150_000));
        thread::sleep(wait);
        child.kill().unwrap();
        let killed = begun.elapsed();
        let ended: Ended = child.wait_with_output().unwrap().into();
        let result = settled(registry.storage()).and_then(|now| {
            if now != before && now != after {
                return Err(format!("neither the old nor the new: {now:?}"));
            }
            lab.ok(&line);
            let is_new = stored(registry.storage())? == after;
            if is_new { Ok(()) } else { Err("the second run did not do it".to_owned()) }
        });
        // whatever came of this round, the next begins with the old image
        lab.ok(&old);
        assert_eq!(stored(registry.storage()), Ok(before.clone()));
        report.note(&format!("{line}: killed after {killed:?}"), &ended, result);
    }
    report.end(&lab);
}
