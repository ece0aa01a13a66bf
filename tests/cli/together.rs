//! Several processes at one place.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;

use super::support::image::simple;
use super::*;

fn hold(path: &Path) -> File {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
    flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
    file
}

#[test]
fn a_place_that_another_process_holds_is_busy_and_whole() {
    let barge = Barge::new();
    barge.fixtures(&["umoci-amd64", "skopeo-arm64.tar"]);
    for (place, lock) in [("place", "place/index.json.lock"), ("place.tar", "place.tar")] {
        barge.line(&format!("merge -o {place} -t old:v1 umoci-amd64")).exits(0);
        let held = hold(&barge.path(lock));
        let before = listing(&barge.path(place));
        let start = Instant::now();
        let merge = format!("merge -o {place} -t new:v1 skopeo-arm64.tar");
        let busy = barge.line(&format!("{merge} --lock-timeout 1")).exits(8);
        busy.says(&["error: ", place, "another process", "\nhint: "]);
        assert!((Duration::from_secs(1)..Duration::from_secs(9)).contains(&start.elapsed()), "{place}");
        let at_once = barge.line(&format!("{merge} --json --lock-timeout 0")).exits(8).json();
        assert_eq!(at_once["error"]["class"], "busy");
        assert_unchanged(&before, &barge.path(place), place);
        assert_clean(&barge, "afterwards");
        // readers are not in the way of anybody
        barge.line(&format!("verify --deep {place}")).exits(0);
        barge.line(&format!("ls {place}")).exits(0).prints(&["old:v1"]).never(&["new:v1"]);
        // who waits can be stopped
        let mut waiting = Running::start(barge.command().args(merge.split(' ')).args(["--lock-timeout", "3600"]));
        waiting.listens();
        std::thread::sleep(Duration::from_millis(300));
        assert!(!waiting.has_ended(), "{place} does not wait");
        waiting.signal(Signal::TERM);
        waiting.output(&barge).exits(130);
        // and who waits long enough gets it
        let waiting = Running::start(barge.command().args(merge.split(' ')).args(["--lock-timeout", "60"]));
        std::thread::sleep(Duration::from_millis(300));
        drop(held);
        waiting.output(&barge).exits(0);
        barge.line(&format!("ls {place}")).exits(0).prints(&["old:v1", "new:v1"]);
        barge.line(&format!("verify --deep {place}")).exits(0);
    }
}

#[test]
fn eight_writers_of_one_place_all_arrive_and_readers_never_fail() {
    let barge = Barge::new();
    for at in 0..8 {
        simple(&[&format!("linux/a{at}")]).layout(&barge.path(format!("source{at}")));
    }
    for place in ["place", "place.tar"] {
        // an archive is begun by one alone: who comes second to a new one is told so
        barge.line(&format!("merge -q -o {place} -t first:v1 source0")).exits(0);
        let mut writers: Vec<Running> = (0..8)
            .map(|at| {
                let words = format!("merge -o {place} -t app{at}:v{at} --lock-timeout 60 source{at}");
                Running::start(barge.command().args(words.split(' ')))
            })
            .collect();
        let mut rounds = 0;
        while !writers.iter_mut().all(Running::has_ended) || rounds == 0 {
            barge.line(&format!("ls {place}")).exits(0).prints(&["first:v1"]);
            barge.line(&format!("verify {place}")).exits(0);
            rounds += 1;
        }
        for writer in writers {
            writer.output(&barge).exits(0);
        }
        let listed = barge.line(&format!("ls --json {place}")).exits(0).json();
        let images = listed["results"].as_array().unwrap();
        let names: usize = images.iter().map(|image| image["names"].as_array().unwrap().len()).sum();
        assert_eq!((images.len(), names), (8, 9), "{place}: {listed}");
        barge.line(&format!("verify --deep {place}")).exits(0);
        assert_clean(&barge, "afterwards");
        assert!(!barge.path("place/index.json.lock").exists());
    }
}

#[test]
fn eight_writers_of_a_new_layout_make_one() {
    let barge = Barge::new();
    for at in 0..8 {
        simple(&[&format!("linux/a{at}")]).layout(&barge.path(format!("source{at}")));
    }
    let words = |at: usize| format!("merge -o new -t app{at}:v{at} --lock-timeout 60 source{at}");
    let writers: Vec<_> = (0..8).map(|at| Running::start(barge.command().args(words(at).split(' ')))).collect();
    for writer in writers {
        writer.output(&barge).exits(0);
    }
    barge.line("verify --deep new").exits(0).prints(&["ok: 8 images"]);
    assert_clean(&barge, "afterwards");
}

#[test]
fn of_several_that_make_one_archive_one_wins() {
    let barge = Barge::new();
    for at in 0..4 {
        simple(&[&format!("linux/a{at}")]).layout(&barge.path(format!("source{at}")));
        barge.line(&format!("merge -q -o alone{at}.tar -t app{at}:v1 source{at}")).exits(0);
    }
    let mut refused = 0;
    for round in 0..12 {
        let place = format!("new{round}.tar");
        let words = |at: usize| format!("merge --lock-timeout 0 --no-sync -o {place} -t app{at}:v1 source{at}");
        let writers: Vec<_> = (0..4).map(|at| Running::start(barge.command().args(words(at).split(' ')))).collect();
        let codes: Vec<i32> = writers.into_iter().map(|writer| writer.output(&barge).code()).collect();
        assert!(codes.contains(&0), "{codes:?}");
        assert!(codes.iter().all(|code| [0, 8].contains(code)), "{codes:?}");
        refused += codes.iter().filter(|code| **code == 8).count();
        barge.line(&format!("verify --deep {place}")).exits(0);
        // exactly those who were told that they had succeeded are in it
        let listed = barge.line(&format!("ls --json {place}")).exits(0).json();
        assert_eq!(listed["results"].as_array().unwrap().len(), codes.iter().filter(|code| **code == 0).count());
        if codes.iter().filter(|code| **code == 0).count() == 1 {
            let won = codes.iter().position(|code| *code == 0).unwrap();
            let alone = fs::read(barge.path(format!("alone{won}.tar"))).unwrap();
            assert!(fs::read(barge.path(&place)).unwrap() == alone, "a mix of several");
        }
        assert_clean(&barge, "afterwards");
    }
    assert!(refused > 0, "never at the same time: the test shows nothing");
}

#[test]
fn a_file_that_appears_under_the_name_of_a_new_archive_is_not_touched() {
    let barge = Barge::new();
    simple(&["linux/amd64"]).layout(&barge.path("source"));
    simple(&["linux/arm64"]).archive(&barge.path("pipe.tar"));
    let bytes = fs::read(barge.path("pipe.tar")).unwrap();
    // a source that comes through a pipe is read after the target was looked at only if the order is wrong: so the
    // temporary file is waited for instead
    let mut images = simple(&["linux/s390x"]);
    for at in 0..64 {
        let layer = super::support::image::Layer::plain(&vec![at; 4 << 20]);
        let image = images.image(&format!("linux/a{at}"), &[layer]);
        images.root(image);
    }
    let roots = images.roots.clone();
    let index = images.index(&roots);
    images.roots = vec![index];
    images.layout(&barge.path("large"));
    let mut running = Running::start(barge.command().args(["merge", "-o", "new.tar", "-t", "app:v1", "large"]));
    until("a temporary file", || !temporaries(&barge.path("")).is_empty() || running.has_ended());
    barge.write("new.tar", &bytes);
    let before = listing(&barge.path("new.tar"));
    running.output(&barge).exits(8).says(&["new.tar", "hint: "]);
    assert_eq!(listing(&barge.path("new.tar")), before);
    assert_clean(&barge, "afterwards");
    // the same again adds to what appeared
    barge.line("merge --no-sync -o new.tar -t app:v1 source").exits(0);
    assert_eq!(barge.line("ls --json new.tar").exits(0).json()["results"].as_array().unwrap().len(), 2);
}
