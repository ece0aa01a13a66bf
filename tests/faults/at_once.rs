//! Many at once at one place: every writer's name arrives, and no reader ever sees half of anything.
//!
//! Eight writers of one layout or archive, and `gc` among writers, stand in `tests/cli/together.rs` and `tests/life/together.rs`.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::lab::{Ended, Lab, full};
use super::place::look;

fn start(lab: &Lab, line: &str) -> Child {
    lab.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn done(child: Child, line: &str) {
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
}

/// Whether a place names an image so.
fn names(lab: &Lab, place: &str, name: &str) -> bool {
    let held = look(&lab.path(place)).unwrap().unwrap();
    held.iter().any(|descriptor| descriptor.contains(&format!("/{name}\"")))
}

#[test]
fn every_kind_of_writer_arrives_and_readers_see_whole_places() {
    let lab = Lab::new();
    for round in 0..if full() { 20 } else { 2 } {
        lab.reset(&["full"]);
        let lines = [
            "copy --lock-timeout 100 ../in/amd64 full:one:v1",
            "merge --lock-timeout 100 -o full -t two:v1 ../in/arm64.tar",
            "load --lock-timeout 100 -i ../in/two.tar -o full",
            "tag --lock-timeout 100 full:keep:v1 three:v1",
            "tag --lock-timeout 100 full:app:v1 four:v1",
            "build --lock-timeout 100 -o full -t five:v1 --platform linux/amd64,linux/arm64 ../in/context",
            "rm --lock-timeout 100 full:db:v1",
            "gc --lock-timeout 100 --grace 0 full",
            "attach --lock-timeout 100 full:keep:v1 --type test/note ../in/note.txt",
            "sign --lock-timeout 100 --key ../in/release.key full:keep:v1",
            "-L full manifest add --lock-timeout 100 app:v1 ../in/s390x.tar",
        ];
        // names come from the copies of `two` too: that a name is there is asked of those that nobody else writes
        let lines: Vec<_> = lines.iter().filter(|line| round % 2 == 1 || !line.starts_with("load")).collect();
        let is_over = AtomicBool::new(false);
        let (lab, over) = (&lab, &is_over);
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut looks = 0;
                while !over.load(Ordering::Relaxed) {
                    for line in ["ls --json full", "verify full", "verify full:keep:v1", "inspect full:keep:v1"] {
                        let ended = lab.run(line);
                        assert_eq!(ended.code, Some(0), "{line}, while others write: {ended:?}");
                        assert!(ended.said.contains("keep:v1") || !line.starts_with("ls"), "{line}: {ended:?}");
                        looks += 1;
                    }
                }
                looks
            });
            let children: Vec<_> = lines.iter().map(|line| (start(lab, line), line)).collect();
            let ended: Vec<_> = children
                .into_iter()
                .map(|(child, line)| (Ended::from(child.wait_with_output().unwrap()), line))
                .collect();
            over.store(true, Ordering::Relaxed);
            println!("{} looks meanwhile", reader.join().unwrap());
            for (ended, line) in ended {
                assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
            }
        });
        for name in ["keep:v1", "one:v1", "two:v1", "three:v1", "four:v1", "five:v1", "app:v1"] {
            assert!(names(lab, "full", name), "{name} did not arrive");
        }
        lab.ok("gc --grace 0 full");
        assert!(look(&lab.path("full")).unwrap().is_some());
    }
    lab.inputs_are_whole();
}

#[test]
fn writers_of_one_archive_arrive_one_after_the_other() {
    let lab = Lab::new();
    lab.reset(&["old.tar"]);
    let lines: Vec<String> = (0..4)
        .flat_map(|at| {
            [
                format!("tag --lock-timeout 100 old.tar:keep:v1 tag{at}:v1"),
                format!("merge --lock-timeout 100 -o old.tar -t merge{at}:v1 ../in/amd64"),
            ]
        })
        .collect();
    let children: Vec<_> = lines.iter().map(|line| (start(&lab, line), line)).collect();
    let mut looks = 0;
    while looks < 3 {
        look(&lab.path("old.tar")).unwrap().unwrap();
        lab.ok("verify old.tar");
        looks += 1;
    }
    children.into_iter().for_each(|(child, line)| done(child, line));
    for at in 0..4 {
        assert!(names(&lab, "old.tar", &format!("tag{at}:v1")) && names(&lab, "old.tar", &format!("merge{at}:v1")));
    }
    assert_eq!(super::place::tree(&lab.path("")).len(), 1, "something was left beside it");
}
