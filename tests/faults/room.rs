//! A disk that has just not enough room, or just enough: every size around what is needed.

use super::cases::{self, Case};
use super::lab::{Ended, Lab, full};
use super::mounted::Mounted;
use super::properties::{Experiment, Report};

/// What a file system in memory gives out at once, in bytes.
const PAGE: u64 = 4096;
/// How large it is when nothing is to be short, in bytes.
const AMPLE: u64 = 64 << 20;

fn of_every_size(cases: &[Case]) {
    let lab = Lab::new();
    let Some(disk) = Mounted::memory(&lab) else { return };
    let mut report = Report::default();
    for case in cases {
        let experiment = Experiment::prepare(&lab, case);
        let [least, most] = experiment.room();
        let (first, exact) = (least / PAGE + 1, most / PAGE + 12);
        // what makes layers for an archive makes them in files beside it first, and parts of another set go one by one
        let twice = ["build -o new.tar", "convert --compression zstd -o new.tar", "save --force --split"];
        let is_twice = twice.iter().any(|line| case.line.starts_with(line));
        let last = if is_twice { 2 * exact } else { exact };
        let (mut told, mut done) = (0, 0);
        for pages in first..last {
            // far from the ends the same happens again and again
            if !full() && pages > first + 2 && pages.abs_diff(exact) > 14 && pages % 60 != 0 && pages + 3 < last {
                continue;
            }
            experiment.reset();
            disk.resize(pages * PAGE);
            let ended: Ended = lab.run(&experiment.line());
            disk.resize(AMPLE);
            let result = match ended.code {
                Some(0) => {
                    done += 1;
                    experiment.properties(&ended)
                }
                Some(10) if ended.said.contains("error: ") && ended.said.contains("room") => {
                    told += 1;
                    experiment.properties(&ended)
                }
                _ => Err("neither done nor told".to_owned()),
            };
            report.note(&format!("{}: a disk of {pages} pages", case.line), &ended, result);
        }
        println!("{}: {told} times too small, {done} times large enough", case.line);
        report.check(told > 0 && done > 0, &format!("{}: {told} times too small, {done} times not", case.line));
    }
    drop(disk);
    report.end(&lab);
}

#[test]
fn merge_fits_or_is_told() {
    of_every_size(cases::MERGE);
}

#[test]
fn copy_and_load_fit_or_are_told() {
    of_every_size(cases::COPY);
    of_every_size(cases::LOAD);
}

#[test]
fn save_fits_or_is_told() {
    of_every_size(cases::SAVE);
}

#[test]
fn what_is_no_layout_fits_or_is_told() {
    // a receipt alone needs a page, and that is there
    for cases in [cases::SPLIT, cases::DELTA, &cases::RECEIPT[1..], cases::UNPACK, cases::CONVERT] {
        let last = cases.len() - 1;
        of_every_size(if full() { cases } else { &cases[last..] });
    }
}

#[test]
fn build_fits_or_is_told() {
    of_every_size(cases::BUILD);
}
