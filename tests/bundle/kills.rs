//! `kill -9` in every phase of the road: what was there is whole, the same command again goes on, and nothing is left behind.
//!
//! The moments grow until a run ends by itself, however fast this machine is.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use super::distribution::{Distribution, Mode};
use super::prepared::{Form, noise, prepare_in, twice};
use super::support::image::{Images, Layer, named, sparse};
use super::support::tar::Tar;
use super::*;

const MIB: u64 = 1 << 20;

/// Makes what dead processes left as old as what the next run clears. What came of a set is no leftover.
fn age(barge: &Barge) {
    for leftover in temporaries(&barge.path("")).iter().filter(|path| path.is_file()) {
        let file = File::options().write(true).open(leftover).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    }
}

/// Kills a command at later and later moments, until it ends by itself, with this exit code. After each time `holds` is asked.
#[track_caller]
fn kill_until_it_ends(barge: &Barge, words: &str, code: i32, holds: &dyn Fn()) -> u32 {
    let mut killed = 0;
    let mut after = Duration::from_millis(4);
    loop {
        let mut running = Running::start(barge.command().args(words.split(' ')));
        std::thread::sleep(after);
        if running.has_ended() {
            running.output(barge).exits(code);
            return killed;
        }
        running.signal(Signal::KILL);
        drop(running);
        killed += 1;
        holds();
        age(barge);
        after = after.mul_f64(1.4);
    }
}

/// Writes a layout `source` of which all that can be interrupted takes a while.
fn source(barge: &Barge, form: Form) {
    if form == Form::Plain {
        return sparse(&barge.path("source"), "linux/amd64", &[24 * MIB, 23 * MIB, 22 * MIB]);
    }
    let mut images = Images::new();
    let layers = [1, 2, 3].map(|seed| Layer::plain(&twice(seed, 2_000_000)));
    let image = images.image("linux/amd64", &layers);
    images.root(named(image, "app:v1")).layout(&barge.path("source"));
}

/// How bundles are split here: the form, the mode, the first part.
const SPLIT: [(Form, &str, &str); 3] = [
    (Form::Plain, "stream", "x.tar.001"),
    (Form::Plain, "archive", "x.001.tar"),
    (Form::Compact, "stream", "x.tar.001"),
];

/// Returns how such a bundle is saved.
fn save(form: Form, mode: &str) -> String {
    let size = if form == Form::Plain { "8M" } else { "1M" };
    format!("{} --no-sync --split {size} --split-mode {mode} -o x.tar source", form.save())
}

/// Checks that what has its name is whole.
fn verified(barge: &Barge, layout: &str) {
    if barge.path(layout).join("oci-layout").exists() {
        barge.line(&format!("verify {layout}")).exits(0);
    }
}

#[test]
fn saving_parts() {
    for (form, mode, first) in SPLIT {
        let barge = Barge::new();
        source(&barge, form);
        let words = save(form, mode);
        let holds = || {
            // what has its name is what its note says
            for entry in fs::read_dir(barge.path("")).unwrap().flatten() {
                let name = entry.file_name().into_string().unwrap();
                let Some(number) = name.strip_prefix("x.tar.part-").and_then(|it| it.strip_suffix(".json")) else {
                    continue;
                };
                let note = barge::bundle::PartNote::parse(&fs::read(entry.path()).unwrap()).unwrap();
                let part = barge.path(note.names().part(number.parse().unwrap()));
                let size = fs::metadata(part).map_or(note.size, |part| part.len());
                assert_eq!(size, note.size, "{name}");
            }
        };
        assert!(kill_until_it_ends(&barge, &words, 0, &holds) > 3);
        barge.line(&words).exits(0).says(&["nothing to do"]);
        assert_clean(&barge, mode);
        let sums = fs::read(barge.path("x.tar.sha256")).unwrap();
        fs::create_dir(barge.path("y")).unwrap();
        barge.line(&words.replace("x.tar", "y/x.tar")).exits(0);
        assert_eq!(sums, fs::read(barge.path("y/x.tar.sha256")).unwrap(), "the same bytes as in one go");
        let check = std::process::Command::new("sha256sum")
            .args(["-c", "--quiet", "x.tar.sha256"])
            .current_dir(barge.path(""))
            .status();
        assert!(check.unwrap().success(), "{mode}");
        barge.line(&format!("load --no-sync -i {first} -o out")).exits(0);
        barge.line("verify out").exits(0).prints(&["ok: 1 image"]);
    }
}

#[test]
fn saving_one_file() {
    let barge = Barge::new();
    let whole = prepare_in(&barge, [400_000, 300_000], Form::Compact);
    let is_whole = || fs::read(barge.path("new.tar")).unwrap() == whole;
    let words = "save --compact -o new.tar source";
    let holds = || assert!(!barge.path("new.tar").exists() || is_whole());
    assert!(kill_until_it_ends(&barge, words, 0, &holds) > 3);
    assert!(is_whole());
    assert_clean(&barge, "after all of them");
}

#[test]
fn loading_all_parts() {
    for (form, mode, first) in SPLIT {
        let barge = Barge::new();
        source(&barge, form);
        barge.line(&save(form, mode)).exits(0);
        let words = format!("load --no-sync -i {first} -o out");
        assert!(kill_until_it_ends(&barge, &words, 0, &|| verified(&barge, "out")) > 3);
        barge.line(&words).exits(0);
        barge.line("verify out").exits(0).prints(&["ok: 1 image"]);
        assert_clean(&barge, mode);
    }
}

#[test]
fn taking_parts_in_one_by_one() {
    for (form, mode, _) in SPLIT {
        let barge = Barge::new();
        source(&barge, form);
        barge.line(&save(form, mode).replace("8M", "25M")).exits(0);
        let part =
            |number: u32| if mode == "stream" { format!("x.tar.{number:03}") } else { format!("x.{number:03}.tar") };
        let count = (1..).take_while(|number| barge.path(part(*number)).exists()).count() as u32;
        assert!(count > 2, "{mode}: {count} parts");
        for number in 1..=count {
            let medium = barge.path(format!("m{number}"));
            fs::create_dir(&medium).unwrap();
            for name in [part(number), format!("x.tar.part-{number:03}.json")] {
                fs::rename(barge.path(&name), medium.join(&name)).unwrap();
            }
        }
        let mut killed = 0;
        for number in (1..=count).rev() {
            let words = format!("load --no-sync -i m{number}/{} -o out", part(number));
            let code = if number == 1 { 0 } else { 3 };
            killed += kill_until_it_ends(&barge, &words, code, &|| verified(&barge, "out"));
            if code == 3 {
                barge.line(&words).exits(3);
            }
        }
        assert!(killed > 3);
        barge.line("verify out").exits(0).prints(&["ok: 1 image"]);
        barge.line("diff out source").exits(0);
        assert_clean(&barge, mode);
    }
}

/// Writes a layout `base` and a delta `update.tar` to it, in parts.
fn delta(barge: &Barge, form: Form) {
    let tar = |files: &[(u32, usize)]| {
        let add = |tar: Tar, (seed, length): &(u32, usize)| tar.file(&seed.to_string(), &noise(*seed, *length));
        Layer::plain(&files.iter().fold(Tar::new(), add).finished())
    };
    // what one form brings as new layers is new in a layer in the other
    let (base, new) = match form {
        Form::Plain => {
            (vec![tar(&[(1, 500_000)])], vec![tar(&[(1, 500_000)]), tar(&[(2, 30_000_000), (3, 20_000_000)])])
        }
        Form::Compact => (vec![tar(&[(1, 3_000_000)])], vec![tar(&[(1, 3_000_000), (2, 2_500_000)])]),
    };
    for (place, layers) in [("base", base), ("new", new)] {
        let mut images = Images::new();
        let image = images.image("linux/amd64", &layers);
        images.root(named(image, &format!("org/app:{place}"))).layout(&barge.path(place));
    }
    let size = if form == Form::Plain { "20M" } else { "1M" };
    barge.line(&format!("{} --no-sync --split {size} --base base -o update.tar new", form.save())).exits(0);
}

#[test]
fn loading_a_delta() {
    for form in Form::ALL {
        let barge = Barge::new();
        delta(&barge, form);
        let words = "load --no-sync -i update.tar.002 -o base";
        let holds = || {
            barge.line("verify base").exits(0);
            barge.line("ls base").exits(0).prints(&["app:base"]);
        };
        assert!(kill_until_it_ends(&barge, words, 0, &holds) > 3);
        barge.line(words).exits(0);
        barge.line("verify base").exits(0).prints(&["ok: 2 images"]).never(&["unreferenced"]);
        barge.line("diff base:org/app:new new:org/app:new").exits(0);
        assert_clean(&barge, "after a delta");
    }
}

#[test]
fn pushing_parts() {
    if !available("docker-registry", Path::new("/usr/bin/docker-registry").exists()) {
        return;
    }
    let barge = Barge::new();
    source(&barge, Form::Plain);
    barge.line("save -q --no-sync --split 25M -o x.tar source").exits(0);
    let registry = Distribution::start(Mode::Plain);
    let words = format!("push --plain-http x.tar.002 {}/org/app:v1", registry.host());
    let holds = || assert!(registry.tags("org/app").len() <= 1);
    assert!(kill_until_it_ends(&barge, &words, 0, &holds) > 3);
    barge.line(&words).exits(0);
    barge.line(&format!("verify --plain-http docker://{}/org/app:v1", registry.host())).exits(0);
    barge.line(&format!("diff --plain-http docker://{}/org/app:v1 source", registry.host())).exits(0);
    assert_clean(&barge, "after a push");
}
