//! Where the result goes, and under which name.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use super::bench::{Bench, Ran};
use super::made::{bare, digest, full, two_images};
use super::support::image::{Images, Layer};
use super::{HELLO, bytes, json, of_fixture, verify};

#[test]
fn the_name_goes_over_and_other_names_stay() {
    for place in ["layout", "archive.tar"] {
        let mut made = two_images();
        let app = bare(&made.roots[0]);
        made.root(full(&app, "docker.io/library/app:latest"));
        let bench = Bench::new();
        made.layout(&bench.path("layout"));
        made.archive(&bench.path("archive.tar"));
        let ran = bench.ok(&format!("edit {place}:app:v1 --env A=b"));
        ran.says("docker.io/library/app:v1 changed").says("still there as docker.io/library/app:latest");
        ran.says_not("has lost the name");
        let roots = bench.roots(place);
        assert_ne!(roots[0]["digest"], made.roots[0]["digest"]);
        assert_eq!(roots[0]["annotations"], made.roots[0]["annotations"]);
        assert_eq!(roots[1..], made.roots[1..], "{place}");
        assert_eq!(ran.digests(), [digest(&roots[0])]);
        verify(&bench, place);
        // by its digest every name of it goes over
        bench.ok(&format!("edit {place}@{} --env B=c -q", digest(&app)));
        bench
            .ok(&format!("edit {place}:app:latest --env A=b -t new:v1 -t new:v2"))
            .says("made of docker.io/library/app:latest");
        assert_eq!(bench.roots(place).len(), 5);
        verify(&bench, place);
    }
}

#[test]
fn a_part_of_an_image_needs_a_name() {
    let bench = of_fixture(HELLO);
    let part = "place@sha256:86bf17673638d37bcd252e7096932afc40a38160b4285118d397395787092824";
    bench.exits(3, &format!("edit {part} --env A=b")).says("has no name of its own");
    bench.ok(&format!("edit {part} --env A=b -t amd64:v1"));
    assert_eq!(bench.roots("place").len(), 2);
    verify(&bench, "place");
}

#[test]
fn the_result_can_go_elsewhere() {
    let bench = of_fixture(HELLO);
    let before = fs::read(bench.path("fixture.tar")).unwrap();
    let digests = bench.ok("edit fixture.tar -o out.tar --env A=b").digests();
    assert_eq!(bench.ok("edit fixture.tar -o out --env A=b").digests(), digests);
    assert_eq!(bench.ok("edit place -o ./place/. --env A=b").digests(), digests);
    let stream = bench.ok("edit fixture.tar -o - --env A=b");
    fs::write(bench.path("stream.tar"), &stream.stdout).unwrap();
    stream.says(&digests[0]);
    for place in ["out.tar", "out", "stream.tar"] {
        assert_eq!(bench.roots(place)[0]["digest"], digests[0].as_str(), "{place}");
        verify(&bench, place);
        // nothing of what changed comes along
        let all = bench.blobs(place).len();
        assert_eq!(all, 1 + 2 * 2 + 3, "{place}");
    }
    assert_eq!(fs::read(bench.path("fixture.tar")).unwrap(), before);
    bench.exits(2, "edit fixture.tar -o - --env A=b --json");
}

#[test]
fn a_place_that_cannot_be_changed_needs_another() {
    let bench = of_fixture(HELLO);
    bench.ok("save -q -L place -o docker.tar --format docker --platform linux/amd64");
    bench.exits(9, "edit docker.tar --env A=b").says("say where the result goes, with -o");
    bench.ok("edit docker.tar --env A=b -o out");
    verify(&bench, "out");
    let input = fs::read(bench.path("fixture.tar")).unwrap();
    assert_eq!(bench.run_with("edit - --env A=b", &input).code, 9);
    assert_eq!(bench.run_with("edit - --env A=b -o from-stdin", &input).code, 0);
    verify(&bench, "from-stdin");
}

#[test]
fn an_image_that_stays_the_same_goes_where_it_is_asked_to() {
    let bench = of_fixture(HELLO);
    let before = bytes(&bench, "manifest", "place");
    let listing = bench.listing();
    bench.ok("convert place --to oci").says("nothing to do");
    assert_eq!(bench.listing(), listing);
    bench.ok("convert place --to oci -o other").says("unchanged:");
    assert_eq!(bytes(&bench, "manifest", "other"), before);
    bench.ok("convert place --to oci -t same:v1");
    assert_eq!(bench.roots("place").len(), 2);
    verify(&bench, "other");
}

#[test]
fn of_edits_at_once_none_undoes_another() {
    for place in ["place", "place.tar"] {
        let bench = of_fixture(HELLO);
        bench.ok("copy -q place place.tar");
        let edit = |number: usize| {
            let line = format!("edit {place} --env N{number}=1");
            bench.command(&line).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let running: Vec<_> = (0..8).map(edit).collect();
        let ran: Vec<Ran> = running.into_iter().map(|child| child.wait_with_output().unwrap().into()).collect();
        let config = json(&bench, "config", &format!("{place} --platform linux/arm64"));
        let variables = config["config"]["Env"].as_array().unwrap();
        for (number, ran) in ran.iter().enumerate() {
            let is_there = variables.contains(&format!("N{number}=1").into());
            assert_eq!(ran.code, if is_there { 0 } else { 8 }, "{place} {number}: {}", ran.stderr);
            if !is_there {
                ran.says("another process has changed it meanwhile").says("hint: run the same command again");
            }
        }
        // an archive is locked while it is read
        assert!(ran.iter().any(|ran| ran.code == 0) && (place == "place" || ran.iter().all(|ran| ran.code == 0)));
        assert_eq!(bench.roots(place).len(), 1);
        verify(&bench, place);
    }
}

#[test]
fn interrupted_it_leaves_nothing() {
    let text: Vec<u8> = (0..3_000_000_u32)
        .flat_map(|number| format!("{:x} ", number.wrapping_mul(2_654_435_761)).into_bytes())
        .collect();
    let mut images = Images::new();
    let image = images.image("linux/amd64", &[Layer::plain(&text)]);
    images.root(image);
    for output in ["", "-o new", "-o new.tar"] {
        let bench = Bench::new();
        images.layout(&bench.path("place"));
        let before = bench.listing();
        let line = format!("--progress json convert place {output} --compression gzip --compression-level 9 --jobs 1");
        let mut child = bench.command(&line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(told.any(|line| line.unwrap().contains(r#""event":"making""#)), "{output}");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        told.for_each(drop);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{output}");
        assert_eq!(bench.listing(), before, "{output}");
    }
}
