//! A source that changes while it is read: refused or right, and never a wrong blob at the target.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::lab::{Ended, Lab, full};
use super::place::{copy, look};

/// Cuts a file in its middle.
fn cut(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

/// Writes over a piece of a file.
fn overwrite(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(&[0x5a; 8000], file.metadata().unwrap().len() / 2).unwrap();
}

/// Puts another file in the place of one.
fn replace(path: &Path) {
    let other = path.with_extension("other");
    fs::write(&other, vec![0x5a; 400_000]).unwrap();
    fs::rename(other, path).unwrap();
}

fn append(path: &Path) {
    File::options().append(true).open(path).unwrap().write_all(&[0x5a; 5000]).unwrap();
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}

/// The largest files of a source, which is a file or a directory.
fn victims(source: &Path) -> Vec<PathBuf> {
    if source.is_file() {
        return vec![source.to_owned()];
    }
    let mut blobs: Vec<PathBuf> =
        fs::read_dir(source.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path()).collect();
    blobs.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
    blobs.truncate(2);
    blobs.push(source.join("index.json"));
    blobs
}

#[test]
fn a_source_that_changes_gives_what_is_right_or_nothing() {
    type Change = (&'static str, fn(&Path));
    let changes: [Change; 5] =
        [("cut", cut), ("overwritten", overwrite), ("replaced", replace), ("appended to", append), ("removed", remove)];
    let lab = Lab::new();
    let [mut taken, mut refused] = [0, 0];
    for (source, line) in [
        ("two", "copy two new"),
        ("two", "copy two new.tar"),
        ("two", "save -o new.tar two"),
        ("two.tar", "load -i two.tar -o new"),
        ("two.tar", "copy two.tar new.tar"),
        ("two.tar", "merge -o new -t all:v1 two.tar:app:v1"),
    ] {
        let place = if line.contains("new.tar") { "new.tar" } else { "new" };
        lab.reset(&[]);
        copy(&lab.above("in").join(source), &lab.path(source));
        let begun = Instant::now();
        lab.ok(line);
        let took = begun.elapsed();
        for (how, change) in changes {
            for at in 0..if full() { 40 } else { 3 } {
                lab.reset(&[]);
                copy(&lab.above("in").join(source), &lab.path(source));
                let victims = victims(&lab.path(source));
                let victim = &victims[at % victims.len()];
                let child = lab.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
                thread::sleep(took * (1 + 3 * u32::try_from(at).unwrap() % 8) / 9 + Duration::from_micros(100));
                change(victim);
                let ended: Ended = child.wait_with_output().unwrap().into();
                let told = format!("{line}: {} was {how}: {ended:?}", victim.display());
                // whatever came of it, what lies at the target is what its names say
                let held = look(&lab.path(place)).unwrap_or_else(|wrong| panic!("{wrong}: {told}"));
                match ended.code {
                    Some(0) => {
                        assert!(held.is_some(), "{told}");
                        taken += 1;
                    }
                    Some(3 | 4 | 10) => {
                        assert!(held.is_none() && ended.said.contains("error: "), "{told}");
                        refused += 1;
                    }
                    _ => panic!("{told}"),
                }
            }
        }
    }
    lab.inputs_are_whole();
    println!("{taken} times it came too late, {refused} times it was refused");
    assert!(refused > 0, "it always came too late");
}
