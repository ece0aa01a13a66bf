//! SIGKILL, at the calls by which a place changes and at any time.

use std::thread;
use std::time::{Duration, Instant};

use super::calls::{chosen, disturbed, in_threads, sequence, strace};
use super::cases::{self, Case};
use super::lab::{Lab, full};
use super::properties::{Experiment, Report};

/// Of the calls between one in so many is taken, unless all are.
const STEP: usize = 16;

/// Kills each command before calls that change something.
fn at_calls(cases: &[Case]) {
    if !strace() {
        return;
    }
    let lab = Lab::new();
    let mut report = Report::default();
    for (seed, case) in cases.iter().enumerate() {
        let experiment = Experiment::prepare(&lab, case);
        let mut calls = sequence(&lab, &experiment.line());
        if case.is_threaded() {
            experiment.reset();
            calls.extend(in_threads(&lab, &experiment.line()));
        }
        let changing: Vec<_> = calls.iter().filter(|call| call.changes()).collect();
        for call in chosen(&changing, &case.shows_at(), STEP, seed) {
            experiment.reset();
            let (ended, was_killed) = disturbed(&lab, &experiment.line(), call, "signal=KILL");
            let fault = format!("{}: killed at {}", case.line, call.text);
            assert!(was_killed, "{fault}: it was not");
            report.note(&fault, &ended, experiment.properties(&ended));
        }
    }
    report.end(&lab);
}

/// Numbers that are the same on every run: SplitMix64.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (number ^ (number >> 31)) % limit.max(1)
    }
}

/// Kills every command at times that have nothing to do with its calls, with as many threads as it takes.
#[test]
fn at_any_time() {
    let lab = Lab::new();
    let mut numbers = Numbers(10);
    let mut report = Report::default();
    let (mut killed, mut ended_before) = (0, 0);
    for case in cases::every() {
        let experiment = Experiment::prepare(&lab, case);
        let begun = Instant::now();
        lab.ok(case.line);
        let took = u64::try_from(begun.elapsed().as_micros()).unwrap();
        for _ in 0..if full() { 60 } else { 3 } {
            experiment.reset();
            let mut command = lab.command(case.line);
            let mut child =
                command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
            let after = Duration::from_micros(numbers.below(took));
            thread::sleep(after);
            child.kill().unwrap();
            let ended = child.wait_with_output().unwrap().into();
            report.note(&format!("{}: killed after {after:?}", case.line), &ended, experiment.properties(&ended));
            *if ended.signal.is_some() { &mut killed } else { &mut ended_before } += 1;
        }
    }
    report.end(&lab);
    assert!(killed > ended_before, "{killed} were killed, {ended_before} had ended");
    println!("{killed} kills, and {ended_before} had ended before");
}

macro_rules! killed {
    ($($name:ident: $cases:ident,)*) => {
        $(#[test]
        fn $name() {
            at_calls(cases::$cases);
        })*
    };
}

killed! {
    merge_is_whole: MERGE,
    copy_is_whole: COPY,
    save_is_whole: SAVE,
    load_is_whole: LOAD,
    tag_is_whole: TAG,
    rm_is_whole: RM,
    gc_is_whole: GC,
    build_is_whole: BUILD,
    attach_is_whole: ATTACH,
    sign_is_whole: SIGN,
    manifest_is_whole: MANIFEST,
    edit_is_whole: EDIT,
    convert_is_whole: CONVERT,
    split_is_whole: SPLIT,
    delta_is_whole: DELTA,
    receipt_is_whole: RECEIPT,
    unpack_is_whole: UNPACK,
    logout_is_whole: LOGOUT,
}
