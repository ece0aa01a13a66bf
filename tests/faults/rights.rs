//! What may not be written or read: read-only file systems, directories without permission, other users' masks.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

use super::cases;
use super::environment::available;
use super::lab::{Ended, Lab};
use super::mounted::Mounted;
use super::place::{look, tree};
use super::properties::{Experiment, Report};
use super::shapes::Shape;

/// A user who has nothing.
const NOBODY: u32 = 65534;

/// Copies the program to where every user may run it, in a working directory in which every user may write.
pub(crate) fn open_to_all(lab: &Lab) -> PathBuf {
    let program = lab.above("barge");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_barge"), &program).unwrap();
    }
    for (directory, mode) in [(lab.above(""), 0o755), (lab.path(""), 0o777)] {
        fs::set_permissions(directory, fs::Permissions::from_mode(mode)).unwrap();
    }
    program
}

fn as_nobody(lab: &Lab, line: &str, umask: &str) -> Ended {
    let program = open_to_all(lab);
    let mut command = lab.barge.around("sh");
    command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]).arg(program).args(line.split_whitespace());
    command.env("SOURCE_DATE_EPOCH", "1700000000").uid(NOBODY).gid(NOBODY).output().unwrap().into()
}

#[test]
fn a_read_only_file_system_is_told() {
    let lab = Lab::new();
    let Some(disk) = Mounted::memory(&lab) else { return };
    let mut report = Report::default();
    for case in cases::every() {
        let experiment = Experiment::prepare(&lab, case);
        experiment.reset();
        let before = tree(&lab.path(""));
        disk.set_writable(false);
        let ended = lab.run(&experiment.line());
        let reads = lab.run(&format!("verify {}", case.target));
        disk.set_writable(true);
        let result = match ended.code {
            Some(10) if ended.said.contains("error: ") && tree(&lab.path("")) == before => {
                experiment.properties(&ended)
            }
            _ => Err("not told".to_owned()),
        };
        report.note(&format!("{}: read-only", case.line), &ended, result);
        report.check(
            !case.start.contains(&case.target) || case.shape != Shape::Place || reads.code == Some(0),
            &format!("{} cannot be read: {reads:?}", case.target),
        );
    }
    drop(disk);
    report.end(&lab);
}

#[test]
fn a_place_of_another_user_is_told() {
    if !available("root", rustix::process::geteuid().is_root()) {
        return;
    }
    let lab = Lab::new();
    let mut report = Report::default();
    for case in cases::every() {
        let experiment = Experiment::prepare(&lab, case);
        experiment.reset();
        open_to_all(&lab);
        fs::set_permissions(lab.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(lab.above("in/release.key"), fs::Permissions::from_mode(0o644)).unwrap();
        let before = tree(&lab.path(""));
        let mut command = lab.barge.around(lab.above("barge"));
        command.args(experiment.line().split_whitespace()).env("SOURCE_DATE_EPOCH", "1700000000");
        let ended: Ended = command.uid(NOBODY).gid(NOBODY).output().unwrap().into();
        fs::set_permissions(lab.above("in/release.key"), fs::Permissions::from_mode(0o600)).unwrap();
        let result = match ended.code {
            Some(10) if ended.said.contains("error: ") && tree(&lab.path("")) == before => {
                experiment.properties(&ended)
            }
            _ => Err("not told".to_owned()),
        };
        report.note(&format!("{}: nobody's", case.line), &ended, result);
    }
    report.end(&lab);
}

#[test]
fn a_directory_in_a_layout_that_may_not_be_written_or_read_is_told() {
    if !available("root", rustix::process::geteuid().is_root()) {
        return;
    }
    let lab = Lab::new();
    for (directory, mode) in [
        ("full", 0o555),
        ("full/blobs", 0o555),
        ("full/blobs/sha256", 0o555),
        ("full/blobs/sha256", 0o300),
        ("full/blobs", 0o000),
        ("full", 0o300),
    ] {
        for line in [
            "copy ../in/amd64 full",
            "merge -o full -t app:v2 ../in/amd64 ../in/arm64.tar",
            "tag full:app:v1 b:v1",
            "rm full:app:v1",
            "gc --grace 0 full",
        ] {
            lab.reset(&["full"]);
            let owned: Vec<_> = tree(&lab.path("")).into_keys().collect();
            owned.iter().for_each(|name| chown(lab.path(name), Some(NOBODY), Some(NOBODY)).unwrap());
            let before = look(&lab.path("full")).unwrap();
            fs::set_permissions(lab.path(directory), fs::Permissions::from_mode(mode)).unwrap();
            let ended = as_nobody(&lab, line, "022");
            fs::set_permissions(lab.path(directory), fs::Permissions::from_mode(0o755)).unwrap();
            let now = look(&lab.path("full")).unwrap();
            let told = ended.code == Some(10) && ended.said.contains("error: ") && (now == before);
            assert!(told || ended.code == Some(0), "{line}, {directory} is {mode:o}: {ended:?}");
            // and with the right to it again
            if told {
                let again = as_nobody(&lab, line, "022");
                assert_eq!(again.code, Some(0), "{line}, {directory} was {mode:o}: {again:?}");
            }
        }
    }
}

#[test]
fn whatever_the_mask_is_the_place_can_be_used() {
    if !available("root", rustix::process::geteuid().is_root()) {
        return;
    }
    let lab = Lab::new();
    for umask in ["000", "077", "027", "777"] {
        for (line, place) in [
            ("copy ../in/two new", "new"),
            ("copy ../in/two new.tar", "new.tar"),
            ("save -o saved.tar ../in/two", "saved.tar"),
        ] {
            lab.reset(&[]);
            let ended = as_nobody(&lab, line, umask);
            if umask == "777" {
                // nobody, not even its owner, may look into what is made then
                let told = ended.code == Some(10) && ended.said.contains("error: ");
                assert!(told || ended.code == Some(0), "{line}: {ended:?}");
                continue;
            }
            assert_eq!(ended.code, Some(0), "{line}, umask {umask}: {ended:?}");
            assert!(look(&lab.path(place)).unwrap().is_some());
            let writable =
                |what: &String| what.split(' ').nth(1).is_some_and(|mode| mode.ends_with(['2', '3', '6', '7']));
            let of_files = tree(&lab.path("")).into_values().filter(|what| what.starts_with("file"));
            assert!(!of_files.into_iter().any(|what| writable(&what)), "{line}: everybody may write, umask {umask}");
            let again = as_nobody(&lab, &format!("tag {place}:app:v1 other:v1"), umask);
            assert_eq!(again.code, Some(0), "{line}, umask {umask}: {again:?}");
            let read = as_nobody(&lab, &format!("verify {place}"), umask);
            assert_eq!(read.code, Some(0), "{line}, umask {umask}: {read:?}");
        }
    }
}
