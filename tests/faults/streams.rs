//! Nowhere to write a result or a message to, and surroundings that are missing.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use super::cases;
use super::lab::{Ended, Lab, full};
use super::properties::{Experiment, Report};
use super::shapes::Shape;

/// Runs a line in a shell, where `"$@"` is the program with its words.
fn in_shell(lab: &Lab, line: &str, script: &str) -> Ended {
    let around = ["sh", "-c", script, "sh"].map(str::to_owned);
    lab.under(&around, line).stdin(Stdio::null()).output().unwrap().into()
}

#[test]
fn results_and_messages_that_nobody_takes_harm_nothing() {
    let lab = Lab::new();
    let mut report = Report::default();
    for (seed, case) in cases::every().enumerate() {
        let experiment = Experiment::prepare(&lab, case);
        let scripts = [
            // with nowhere to write to, a descriptor of the program's own files must not be taken for it
            ("exec \"$@\" >&-", &[0, 10][..]),
            ("exec \"$@\" 2>&-", &[0]),
            ("exec \"$@\" <&- >&- 2>&-", &[0, 10]),
            ("exec \"$@\" 2>/dev/full", &[0]),
            ("exec \"$@\" >/dev/full", &[0, 10]),
            ("exec \"$@\" >/dev/full 2>/dev/full", &[0, 10]),
            ("exec \"$@\" --json >/dev/full", &[10]),
        ];
        // each command meets a half of them
        for (_, (script, codes)) in scripts.into_iter().enumerate().filter(|(at, _)| full() || at % 2 == seed % 2) {
            experiment.reset();
            let ended = in_shell(&lab, &experiment.line(), script);
            let is_told = ended.code != Some(10) || script.contains("2>") || ended.said.contains("error: ");
            let result = match ended.code {
                Some(code) if codes.contains(&code) && is_told => experiment.properties(&ended),
                _ => Err(format!("expected one of {codes:?}, and a message")),
            };
            report.note(&format!("{}: {script}", case.line), &ended, result);
        }
    }
    report.end(&lab);
}

#[test]
fn surroundings_that_are_missing_are_not_needed_or_told() {
    let lab = Lab::new();
    let mut report = Report::default();
    let closed = lab.above("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let closed = closed.to_str().unwrap().to_owned();
    for (seed, case) in cases::every().enumerate() {
        let experiment = Experiment::prepare(&lab, case);
        let sets = [
            &[("TMPDIR", "/nonexistent")][..],
            &[("TMPDIR", &*closed)],
            &[("TMPDIR", "")],
            &[("HOME", "/nonexistent")],
            &[("HOME", ""), ("XDG_RUNTIME_DIR", "/nonexistent"), ("XDG_CONFIG_HOME", "/nonexistent")],
        ];
        for (_, set) in sets.into_iter().enumerate().filter(|(at, _)| full() || at % 2 == seed % 2) {
            experiment.reset();
            let ended: Ended = lab.command(&experiment.line()).envs(set.iter().copied()).output().unwrap().into();
            let result = if ended.code == Some(0) { experiment.properties(&ended) } else { Err("needed".to_owned()) };
            report.note(&format!("{}: {set:?}", case.line), &ended, result);
        }
        experiment.reset();
        let bare: Ended =
            lab.command(&experiment.line()).env_clear().env("SOURCE_DATE_EPOCH", "1700000000").output().unwrap().into();
        let result = if bare.code == Some(0) { experiment.properties(&bare) } else { Err("needed".to_owned()) };
        report.note(&format!("{}: no environment", case.line), &bare, result);
        // passwords that are not where they are looked for are none
        if case.shape == Shape::Passwords {
            continue;
        }
        // where the working directory is gone, all that is relative to it is
        experiment.reset();
        let gone = in_shell(&lab, &experiment.line(), "mkdir ../gone && cd ../gone && rmdir ../gone && exec \"$@\"");
        let result = match gone.code {
            Some(3 | 10) if gone.said.contains("error: ") => experiment.properties(&gone),
            _ => Err("not told".to_owned()),
        };
        report.note(&format!("{}: no working directory", case.line), &gone, result);
    }
    report.end(&lab);
}

#[test]
fn content_that_does_not_fit_is_told() {
    let lab = Lab::new();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for line in [
        "cat manifest --platform linux/amd64 ../in/two:app:v1",
        "save -o - ../in/two",
        "merge -o - -t app:v2 ../in/amd64 ../in/arm64.tar",
    ] {
        let ended: Ended = lab.command(line).stdout(full()).output().unwrap().into();
        assert_eq!(ended.code, Some(10), "{line}: {ended:?}");
        assert!(ended.said.contains("error: "), "{line}: {ended:?}");
    }
}
