//! Runs that are stopped in the middle, politely or not: what was there before is whole, and the next run goes on.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use super::environment::{age_temporaries, catches_signals};
use super::support::image::sparse;
use super::*;

const MIB: u64 = 1 << 20;

/// Makes a large source, and an old image in every place that is not new.
fn prepare(barge: &Barge, sizes: &[u64]) {
    sparse(&barge.path("large"), "linux/arm64", sizes);
    barge.fixtures(&["umoci-amd64"]);
    for old in ["old", "old.tar"] {
        barge.line(&format!("merge -q -o {old} -t old:v1 umoci-amd64")).exits(0);
    }
}

#[test]
fn a_signal_ends_a_run_and_leaves_no_trace() {
    let barge = Barge::new();
    prepare(&barge, &[256 * MIB, 255 * MIB]);
    for (place, signal) in [
        ("new", Signal::INT),
        ("new.tar", Signal::TERM),
        ("old", Signal::TERM),
        ("old.tar", Signal::INT),
        ("new", Signal::HUP),
    ] {
        let before = listing(&barge.path(place));
        let words = format!("merge --no-sync -o {place} -t app:v1 large");
        let mut running = Running::start(barge.command().args(words.split(' ')));
        until("a temporary file", || {
            assert!(!running.has_ended(), "ended before it was stopped: {words}");
            !temporaries(&barge.path("")).is_empty()
        });
        running.signal(signal);
        running.output(&barge).exits(130).says(&["error: interrupted"]);
        assert_clean(&barge, &words);
        // also no directory, and no blob that this run brought into a layout of its own
        assert_unchanged(&before, &barge.path(place), &words);
    }
    assert!(!barge.path("new").exists() && !barge.path("new.tar").exists());
    let mut verifying = Running::start(barge.command().args(["verify", "--json", "large"]));
    verifying.listens();
    std::thread::sleep(Duration::from_millis(30));
    verifying.signal(Signal::INT);
    let stopped = verifying.output(&barge);
    if stopped.code() != 0 {
        assert_eq!(stopped.exits(130).json()["error"]["class"], "interrupted");
    }
}

#[test]
fn a_killed_run_leaves_what_was_there_and_the_next_one_goes_on() {
    let barge = Barge::new();
    prepare(&barge, &[48 * MIB, 47 * MIB, 46 * MIB]);
    for place in ["old", "old.tar", "new", "new.tar"] {
        let names = || barge.line(&format!("ls --json {place}")).exits(0).json()["results"].as_array().unwrap().len();
        let mut killed = 0;
        for round in 0..10_u64 {
            let words = format!("merge --no-sync -o {place} -t app:v1 large");
            let mut running = Running::start(barge.command().args(words.split(' ')));
            // spread over the run, which is longer under load
            std::thread::sleep(Duration::from_millis(5 + round * 17));
            let ended = running.has_ended();
            if !ended {
                running.signal(Signal::KILL);
                killed += 1;
            }
            running.output(&barge).ends_or_was_killed();
            if place.starts_with("old") || barge.path(place).join("oci-layout").exists() || barge.path(place).is_file()
            {
                barge.line(&format!("verify --deep {place}")).exits(0);
                let held = names();
                assert!(held <= 2, "{place}");
                if place.starts_with("old") {
                    barge.line(&format!("ls {place}")).exits(0).prints(&["old:v1"]);
                }
            }
            if ended {
                break;
            }
            age_temporaries(&barge.path(""));
        }
        assert!(killed > 0, "{place}: it always ended before it was killed");
        // the leftovers of the last one are young: they may be a living process's, and stay
        let young = temporaries(&barge.path(""));
        let again = format!("merge --no-sync -o {place} -t app:v1 large");
        barge.line(&again).exits(0);
        let left = temporaries(&barge.path(""));
        assert!(left.iter().all(|path| young.contains(path)), "{place}: {left:?}");
        age_temporaries(&barge.path(""));
        barge.line(&format!("merge --no-sync -o {place} -t app:v2 large")).exits(0);
        assert_clean(&barge, place);
        barge.line(&format!("verify {place}")).exits(0);
        if barge.path(place).is_dir() {
            fs::remove_dir_all(barge.path(place))
        } else {
            fs::remove_file(barge.path(place))
        }
        .unwrap();
    }
}

#[test]
fn a_source_from_which_nothing_comes_can_be_given_up() {
    let barge = Barge::new();
    let fifo = barge.path("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let archive = {
        super::support::image::simple(&["linux/amd64"]).archive(&barge.path("source.tar"));
        fs::read(barge.path("source.tar")).unwrap()
    };
    for (words, sent) in [("merge -o new -t app:v1 -", 0), ("merge -o new.tar -t app:v1 -", 700), ("ls -", 1)] {
        let (read, mut write) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut write, &archive[..sent]).unwrap();
        let mut running = Running::start(barge.command().args(words.split(' ')).stdin(read));
        running.listens();
        std::thread::sleep(Duration::from_millis(200));
        assert!(!running.has_ended(), "{words} did not wait");
        running.signal(Signal::TERM);
        running.output(&barge).exits(130).says(&["interrupted"]);
        drop(write);
    }
    // a pipe with a name that nobody writes to
    let mut running = Running::start(barge.command().args(["verify", "fifo"]).stdin(Stdio::null()));
    running.listens();
    std::thread::sleep(Duration::from_millis(200));
    assert!(!running.has_ended());
    running.signal(Signal::INT);
    running.output(&barge).exits(130);
    assert!(!barge.path("new").exists() && !barge.path("new.tar").exists());
    assert_clean(&barge, "afterwards");
}

#[test]
fn a_second_signal_ends_at_once() {
    let barge = Barge::new();
    // a reader that reads nothing: writing to the full pipe waits
    prepare(&barge, &[8 * MIB]);
    let (read, write) = std::io::pipe().unwrap();
    let mut child = barge.command().args(["merge", "-o", "-", "-t", "app:v1", "large"]).stdout(write).spawn().unwrap();
    until("a process that listens", || catches_signals(child.id()));
    std::thread::sleep(Duration::from_millis(300));
    let id = rustix::process::Pid::from_child(&child);
    for _ in 0..2 {
        rustix::process::kill_process(id, Signal::TERM).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    until("ended", || child.try_wait().unwrap().is_some());
    drop(read);
}
