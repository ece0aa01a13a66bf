//! Kill -9 at any moment leaves the old state or the new one, whole, and the same command succeeds afterwards.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::bench::Bench;
use super::made::{Made, full};

/// How often each command is killed.
const KILLS: u32 = 14;

/// Numbers that are the same on every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (number ^ (number >> 31)) % limit.max(1)
    }
}

/// Two images with many small layers and a few large ones, `app:v1` and `db:v3`.
fn made() -> Made {
    let mut made = Made::new();
    for name in ["docker.io/library/app:v1", "docker.io/library/db:v3"] {
        let large = name.repeat(100_000);
        let texts: Vec<String> = (0..80).map(|number| format!("{name}, layer {number}")).collect();
        let layers: Vec<&str> = texts.iter().map(String::as_str).chain([large.as_str(), "shared"]).collect();
        let images: Vec<_> = ["linux/amd64", "linux/arm64"]
            .into_iter()
            .map(|on| {
                let own = format!("{name} {on}");
                let layers: Vec<&str> = layers.iter().copied().chain([own.as_str()]).collect();
                super::made::on_platform(made.image(on, &layers), on)
            })
            .collect();
        let index = made.index(&images);
        made.root(full(&index, name));
    }
    made
}

fn copy_tree(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

/// Starts `line` again and again on a fresh copy of `start`, kills it at some moment, and compares what is there by
/// `state` with that before and after a run that is left alone. `again` has to succeed after every kill.
fn killed(seed: u64, start: &dyn Fn(&Bench), line: &str, state: &dyn Fn(&Bench) -> Vec<String>) {
    let bench = Bench::new();
    start(&bench);
    let before = state(&bench);
    let begun = Instant::now();
    let ran = bench.ok(line);
    let took = begun.elapsed();
    let after = state(&bench);
    assert_ne!(before, after, "{line}: {}", ran.stderr);
    let mut numbers = Numbers(seed);
    let mut seen = [0; 2];
    for kill in 0..KILLS {
        let bench = Bench::new();
        start(&bench);
        let mut child = bench.start(line);
        let longest = u64::try_from(took.as_micros()).unwrap();
        thread::sleep(Duration::from_micros(numbers.below(longest)));
        child.kill().unwrap();
        child.wait().unwrap();
        let now = state(&bench);
        assert!(now == before || now == after, "{line}, kill {kill}: {now:?}, expected {before:?} or {after:?}");
        seen[usize::from(now == after)] += 1;
        // what was left behind is cleared when it is old
        bench.age(".");
        if now == before {
            bench.ok(line);
        }
        assert_eq!(state(&bench), after, "{line}, kill {kill}");
        if now == before {
            let left: Vec<_> = bench.listing().into_keys().filter(|path| leftover(path)).collect();
            assert!(left.is_empty(), "{line}, kill {kill}: {left:?}");
        }
    }
    println!("{line}: killed before the end {} times, after it {} times", seen[0], seen[1]);
}

fn leftover(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap();
    name.starts_with(".tmp-") || name.contains(".barge-") || name.contains(".json.") || name.contains("layout.tmp")
}

/// The names of a place and what they mean; everything that is named has to be whole.
fn names(bench: &Bench, place: &str) -> Vec<String> {
    if !bench.path(place).join("index.json").exists() && !bench.path(place).is_file() {
        return vec!["nothing".to_owned()];
    }
    bench.verify(place);
    bench.roots(place).iter().map(ToString::to_string).collect()
}

/// A file, as it is.
fn file(bench: &Bench, name: &str) -> Vec<String> {
    match fs::read(bench.path(name)) {
        Ok(bytes) => {
            bench.verify(name);
            vec![barge::digest::Digest::of(&bytes).to_string()]
        }
        Err(_) => vec!["nothing".to_owned()],
    }
}

/// The layout that the tests start with, made once.
fn template() -> Bench {
    let bench = Bench::new();
    made().layout(&bench.path("layout"));
    bench.ok("save --no-sync -o all.tar layout");
    bench.ok("save --no-sync -o one.tar layout:db:v3");
    bench.ok("copy --no-sync layout:db:v3 held");
    bench.age(".");
    bench
}

#[test]
fn save_gives_the_whole_file_or_none() {
    let template = template();
    let start = |bench: &Bench| copy_tree(&template.path("layout"), &bench.path("layout"));
    killed(1, &start, "save -o new.tar layout", &|bench| file(bench, "new.tar"));
    killed(2, &start, "save --no-sync --jobs 8 --compress zstd -o new.tar layout", &|bench| file(bench, "new.tar"));
}

#[test]
fn a_forced_save_gives_the_new_file_or_the_old_one() {
    let template = template();
    let start = |bench: &Bench| {
        copy_tree(&template.path("layout"), &bench.path("layout"));
        fs::copy(template.path("one.tar"), bench.path("old.tar")).unwrap();
    };
    killed(3, &start, "save --force --no-sync -o old.tar layout", &|bench| file(bench, "old.tar"));
}

#[test]
fn load_names_all_or_nothing() {
    let template = template();
    let new = |bench: &Bench| copy_tree(&template.path("all.tar"), &bench.path("all.tar"));
    killed(4, &new, "load --no-sync -i all.tar -o new", &|bench| names(bench, "new"));
    let held = |bench: &Bench| {
        new(bench);
        copy_tree(&template.path("held"), &bench.path("held"));
    };
    killed(5, &held, "load -i all.tar -o held", &|bench| names(bench, "held"));
}

#[test]
fn tag_names_all_or_nothing() {
    let template = template();
    let layout = |bench: &Bench| copy_tree(&template.path("held"), &bench.path("held"));
    killed(6, &layout, "tag held:db:v3 a:1 b:2 c:3", &|bench| names(bench, "held"));
    let archive = |bench: &Bench| copy_tree(&template.path("one.tar"), &bench.path("one.tar"));
    killed(7, &archive, "tag --no-sync one.tar:db:v3 a:1 b:2", &|bench| names(bench, "one.tar"));
}

#[test]
fn rm_takes_all_or_nothing() {
    let template = template();
    let layout = |bench: &Bench| copy_tree(&template.path("layout"), &bench.path("layout"));
    killed(8, &layout, "rm --no-sync layout:app:v1", &|bench| names(bench, "layout"));
    killed(9, &layout, "rm --no-sync --platform linux/arm64 layout:app:v1 layout:db:v3", &|bench| {
        names(bench, "layout")
    });
    killed(10, &layout, "rm --no-sync --gc layout:app:v1", &|bench| names(bench, "layout"));
}

#[test]
fn gc_never_takes_what_is_named() {
    let template = template();
    let start = |bench: &Bench| {
        copy_tree(&template.path("layout"), &bench.path("layout"));
        bench.ok("rm --no-sync layout:app:v1");
    };
    // what is not named may be half gone: only the names count, and what a second run leaves
    let bench = Bench::new();
    start(&bench);
    let before = names(&bench, "layout");
    let begun = Instant::now();
    bench.ok("gc --grace 0 layout");
    let took = u64::try_from(begun.elapsed().as_micros()).unwrap();
    let after = bench.blobs("layout");
    let mut numbers = Numbers(11);
    for kill in 0..KILLS {
        let bench = Bench::new();
        start(&bench);
        let mut child = bench.start("gc --grace 0 layout");
        thread::sleep(Duration::from_micros(numbers.below(took)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(names(&bench, "layout"), before, "kill {kill}");
        bench.ok("gc --grace 0 layout");
        assert_eq!(bench.blobs("layout"), after, "kill {kill}");
    }
}

#[test]
fn ctrl_c_leaves_no_temporary_file() {
    let template = template();
    for (line, place) in
        [("save -o new.tar layout", "new.tar"), ("load -i all.tar -o new", "new"), ("copy layout new", "new")]
    {
        let mut numbers = Numbers(12);
        for _ in 0..4 {
            let bench = Bench::new();
            copy_tree(&template.path("layout"), &bench.path("layout"));
            fs::copy(template.path("all.tar"), bench.path("all.tar")).unwrap();
            let child = bench.start(line);
            thread::sleep(Duration::from_millis(5 + numbers.below(60)));
            let id = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
            let code = child.wait_with_output().unwrap().status.code();
            // before it listened to signals, while it worked, or when it was done
            assert!(matches!(code, None | Some(0 | 130)), "{line}: {code:?}");
            let mut left: Vec<_> = bench.listing().into_keys().filter(|path| leftover(path)).collect();
            // whole blobs that the next run need not read stay in a layout, when they are large enough
            let kept = left.extract_if(.., |path| path.contains("/new/.barge-arrived-")).count();
            assert!(left.is_empty(), "{line}: {left:?}");
            assert_eq!(bench.path(place).exists(), code == Some(0) || kept == 1, "{line}: {code:?}");
            assert!(!bench.path(place).join("index.json").exists() || code == Some(0), "{line}: {code:?}");
        }
    }
}
