//! What arrived in a run that was interrupted is not read again, neither from the source nor in the layout; everything else is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use barge::digest::Digest;
use rustix::process::{Pid, Signal, kill_process};

use super::bench::{Bench, Ran, allowed};
use super::made::{Made, full};

/// Layers of an image that is large enough to be interrupted, in bytes.
const SIZES: [usize; 6] = [19 << 20, 18 << 20, 17 << 20, 16 << 20, 15 << 20, 14 << 20];

/// A directory with `all.tar`.
fn bench() -> Bench {
    let bench = Bench::new();
    let layers: Vec<String> = SIZES.iter().map(|size| format!("{size} ").repeat(size / 9)).collect();
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    let mut made = Made::new();
    let image = made.image("linux/amd64", &layers);
    made.root(full(&image, "docker.io/library/app:v1"));
    made.archive(&bench.path("all.tar"));
    bench
}

fn journals(layout: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(layout) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(".barge-arrived-")).collect()
}

/// Returns the digests that the journals of a layout tell of.
fn noted(layout: &Path) -> Vec<String> {
    let journals = journals(layout).into_iter().filter_map(|path| fs::read_to_string(path).ok());
    let lines: Vec<String> = journals.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

/// Starts a command, sends it a signal when so many blobs have arrived in a layout, and returns how it ended.
fn interrupted(bench: &Bench, line: &str, layout: &str, blobs: usize, signal: Signal) -> Ran {
    let mut command = bench.command(line);
    let mut child: Child = command.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while noted(&bench.path(layout)).len() < blobs {
        assert!(child.try_wait().unwrap().is_none(), "{line} ended before it was interrupted");
        assert!(begun.elapsed() < Duration::from_secs(60), "{line}: nothing arrives");
        thread::sleep(Duration::from_millis(1));
    }
    kill_process(Pid::from_child(&child), signal).unwrap();
    child.wait_with_output().unwrap().into()
}

/// Returns the digests of which a run with `-v` said this word.
fn said(ran: &Ran, word: &str) -> Vec<String> {
    let lines = ran.stderr.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    let mut digests: Vec<String> = lines.filter_map(|rest| rest.split(' ').next().map(str::to_owned)).collect();
    digests.retain(|word| word.starts_with("sha"));
    digests.sort();
    digests
}

/// Runs a command, and returns it with what it opened below `blobs/`, and how many bytes it read from a file.
fn traced(bench: &Bench, line: &str, file: &str) -> Option<(Ran, Vec<String>, u64)> {
    let there = Command::new("strace").args(["-o", "/dev/null", "true"]).output().is_ok_and(|run| run.status.success());
    if !allowed(there, "strace") {
        return None;
    }
    let log = bench.path("log");
    let mut command = Command::new("strace");
    command.args(["-f", "-q", "-y", "-s", "200", "-e", "trace=open,openat,openat2,read,pread64,copy_file_range", "-o"]);
    command.arg(&log).arg(env!("CARGO_BIN_EXE_barge")).args(line.split(' ')).current_dir(bench.root());
    let ran: Ran = command.env_remove("BARGE_LAYOUT").output().unwrap().into();
    let log = fs::read_to_string(log).unwrap();
    let calls: Vec<&str> = log.lines().filter(|line| line.contains('(')).collect();
    let opened = calls.iter().filter(|call| call.contains("open")).map(|call| (*call).to_owned()).collect();
    let of_file = |call: &&&str| !call.contains("open") && call.contains(&format!("/{file}>"));
    let read = calls.iter().filter(of_file).filter_map(|call| call.rsplit("= ").next()?.trim().parse::<u64>().ok());
    Some((ran, opened, read.sum()))
}

#[test]
fn what_arrived_before_a_kill_is_read_nowhere() {
    let bench = bench();
    let line = "load --jobs 1 -i all.tar -o new";
    interrupted(&bench, line, "new", 2, Signal::KILL);
    let arrived = noted(&bench.path("new"));
    assert!((2..SIZES.len()).contains(&arrived.len()), "{arrived:?}");
    let before: BTreeMap<_, _> =
        arrived.iter().map(|digest| (digest, fs::metadata(bench.blob("new", digest)).unwrap().ino())).collect();
    // a second run that is killed adds to it
    interrupted(&bench, line, "new", arrived.len() + 1, Signal::KILL);
    assert_eq!(journals(&bench.path("new")).len(), 2);
    let arrived = noted(&bench.path("new"));
    let bytes: u64 = arrived.iter().map(|digest| fs::metadata(bench.blob("new", digest)).unwrap().len()).sum();
    let whole = fs::metadata(bench.path("all.tar")).unwrap().len();
    let line = "load -v --json -i all.tar -o new";
    let ran = match traced(&bench, line, "all.tar") {
        None => bench.ok(line),
        Some((ran, opened, read)) => {
            assert_eq!(ran.code, 0, "{}", ran.stderr);
            for digest in &arrived {
                let hex = &digest[7..];
                let is_blob = |call: &&String| call.contains(hex) && !call.contains(&format!(".partial-{hex}"));
                let call = opened.iter().find(is_blob);
                assert!(call.is_none(), "{digest} was opened: {call:?}");
            }
            assert!(opened.iter().any(|call| call.contains("oci-layout")), "nothing was traced");
            // documents and headers are read more than once
            assert!(
                read > 0 && read <= whole - bytes + (1 << 20),
                "{read} bytes of the archive were read, {bytes} had arrived"
            );
            ran
        }
    };
    let mut sorted = arrived.clone();
    sorted.sort();
    assert_eq!(said(&ran, "kept"), sorted);
    let stats = &ran.json()["stats"];
    let count = arrived.len() as u64;
    assert_eq!([&stats["present"], &stats["kept"], &stats["keptBytes"]], [count, count, bytes]);
    ran.says(&format!("{count} were there")).says("had arrived before and were not read again");
    for (digest, inode) in before {
        assert_eq!(fs::metadata(bench.blob("new", digest)).unwrap().ino(), inode, "{digest} was written again");
    }
    bench.verify("new");
    // a run that ended well leaves no journal, and what it wrote is hashed by the next one
    assert!(journals(&bench.path("new")).is_empty());
    let ran = bench.ok("load -v --json -i all.tar -o new");
    assert_eq!((said(&ran, "kept").len(), said(&ran, "found").len()), (0, SIZES.len() + 2));
    ran.says("nothing to do").says_not("interrupted");
}

/// Does something to a blob that arrived.
type Harm = fn(&Bench, &Path);

#[test]
fn what_was_touched_since_is_read_and_replaced_if_it_is_wrong() {
    fn flip_in_place(_: &Bench, blob: &Path) {
        use std::os::unix::fs::FileExt as _;
        let modified = fs::metadata(blob).unwrap().modified().unwrap();
        let file = fs::File::options().write(true).open(blob).unwrap();
        file.write_at(b"X", 1000).unwrap();
        file.set_modified(modified).unwrap();
    }
    fn replace(bench: &Bench, blob: &Path) {
        let other = bench.path("other");
        let mut bytes = fs::read(blob).unwrap();
        bytes[5] ^= 1;
        fs::write(&other, bytes).unwrap();
        let times = fs::metadata(blob).unwrap();
        fs::File::options().write(true).open(&other).unwrap().set_modified(times.modified().unwrap()).unwrap();
        fs::rename(other, blob).unwrap();
    }
    fn cut(_: &Bench, blob: &Path) {
        fs::File::options().write(true).open(blob).unwrap().set_len(100).unwrap();
    }
    fn touch(_: &Bench, blob: &Path) {
        fs::File::options().write(true).open(blob).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    fn link(bench: &Bench, blob: &Path) {
        fs::hard_link(blob, bench.path("other")).unwrap();
    }
    fn away(bench: &Bench, blob: &Path) {
        fs::rename(blob, bench.path("other")).unwrap();
        std::os::unix::fs::symlink(bench.path("other"), blob).unwrap();
    }
    let bench = bench();
    let cases: [(&str, Harm, Option<&str>); 6] = [
        ("written to, and the time put back", flip_in_place, Some("replaced")),
        ("another file of the same size and time", replace, Some("replaced")),
        ("cut", cut, Some("replaced")),
        ("touched", touch, Some("found")),
        ("linked", link, Some("found")),
        ("a link now", away, None),
    ];
    interrupted(&bench, "load --jobs 1 -i all.tar -o start", "start", 2, Signal::KILL);
    for (case, harm, word) in cases {
        // one layout for each: the identity of a copy is another one
        let _ = fs::remove_dir_all(bench.path("new"));
        let _ = fs::remove_file(bench.path("other"));
        interrupted(&bench, "load --jobs 1 -i all.tar -o new", "new", 2, Signal::KILL);
        let arrived = noted(&bench.path("new"));
        thread::sleep(Duration::from_millis(20));
        harm(&bench, &bench.blob("new", &arrived[0]));
        let ran = bench.run("load -v --jobs 2 -i all.tar -o new");
        let Some(word) = word else {
            assert_eq!(ran.code, 4, "{case}: {}", ran.stderr);
            continue;
        };
        assert_eq!(ran.code, 0, "{case}: {}", ran.stderr);
        assert!(said(&ran, word).contains(&arrived[0]), "{case}: {}", ran.stderr);
        assert!(!said(&ran, "kept").contains(&arrived[0]), "{case}: {}", ran.stderr);
        assert!(said(&ran, "kept").contains(&arrived[1]), "{case}: {}", ran.stderr);
        bench.verify("new");
    }
    // nor does a journal tell anything of a copy of its layout
    assert!(Command::new("cp").args(["-a", "start", "copy"]).current_dir(bench.root()).status().unwrap().success());
    let arrived = noted(&bench.path("copy")).len();
    let ran = bench.ok("load -v -i all.tar -o copy");
    assert_eq!((said(&ran, "kept").len(), said(&ran, "found").len()), (0, arrived));
    assert!(journals(&bench.path("copy")).is_empty());
}

#[test]
fn ctrl_c_keeps_what_arrived_and_says_so() {
    let bench = bench();
    for (layout, before) in [("new", false), ("old", true)] {
        if before {
            bench.ok(&format!("copy {}/fixtures/umoci-amd64 {layout}", env!("CARGO_MANIFEST_DIR")));
        }
        let line = format!("load --jobs 1 -i all.tar -o {layout}");
        let ran = interrupted(&bench, &line, layout, 2, Signal::INT);
        assert_eq!(ran.code, 130, "{}", ran.stderr);
        let arrived = noted(&bench.path(layout));
        ran.says(&format!("{layout} keeps {} blobs", arrived.len())).says("the same command goes on");
        bench.ok(&format!("verify {layout}"));
        let ran = bench.ok(&format!("load -v -i all.tar -o {layout}"));
        assert_eq!(said(&ran, "kept").len(), arrived.len());
        assert!(journals(&bench.path(layout)).is_empty());
    }
    // where nothing is noted, nothing is kept of a layout that this run began
    let mut child = bench.start("load --no-sync --jobs 1 -i all.tar -o scratch");
    let begun = Instant::now();
    while fs::read_dir(bench.path("scratch/blobs/sha256")).map_or(0, Iterator::count) < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none());
        thread::sleep(Duration::from_millis(1));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!bench.path("scratch").exists());
}

#[test]
fn copy_merge_and_build_go_on_as_well() {
    let bench = bench();
    bench.ok("load --no-sync -i all.tar -o source");
    fs::write(bench.path("Containerfile"), "FROM docker.io/library/app:v1\nLABEL a=b\n").unwrap();
    for line in [
        "copy --jobs 1 source target",
        "merge --jobs 1 -o target -t app:v2 source",
        "build --jobs 1 -o target -t app:v3 -L source --platform linux/amd64 -f Containerfile .",
    ] {
        let _ = fs::remove_dir_all(bench.path("target"));
        interrupted(&bench, line, "target", 2, Signal::KILL);
        let arrived = noted(&bench.path("target")).len();
        let ran = bench.ok(&format!("-v {line}"));
        assert_eq!(said(&ran, "kept").len(), arrived, "{line}: {}", ran.stderr);
        assert!(journals(&bench.path("target")).is_empty(), "{line}");
        bench.verify("target");
    }
}

#[test]
fn a_journal_that_somebody_made_up_does_no_harm() {
    let bench = bench();
    let mut wanted = bench.files("all.tar");
    wanted.retain(|name, _| name.starts_with("blobs/sha256/"));
    let at = |number: u32| bench.path("new").join(format!(".barge-arrived-{number}-0123456789abcdef"));
    let blobs = bench.path("new/blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(bench.path("new/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let mut lines = String::new();
    let mut known = String::new();
    for (name, bytes) in &mut wanted {
        let hex = name.strip_prefix("blobs/sha256/").unwrap();
        // everything is told as it is, but the seal, which this machine alone can make; what stands there is wrong
        let is_right = known.is_empty();
        bytes[0] ^= u8::from(!is_right);
        fs::write(blobs.join(hex), bytes).unwrap();
        let is = fs::metadata(blobs.join(hex)).unwrap();
        let [written, changed] = [(is.mtime(), is.mtime_nsec()), (is.ctime(), is.ctime_nsec())]
            .map(|(seconds, nanoseconds)| format!("{seconds}.{nanoseconds:09}"));
        let line = format!("sha256:{hex} {} {} {} {written} {changed}", is.len(), is.dev(), is.ino());
        if is_right {
            let seal = Digest::of(format!("barge-arrived 1\n{}\n{line}\n", boot.trim_end()).as_bytes()).hex();
            fs::write(at(0), format!("{line} {}\n", &seal[..32])).unwrap();
            known = format!("sha256:{hex}");
        } else {
            lines.push_str(&format!("{line} {}\n", "0".repeat(32)));
        }
    }
    fs::write(at(1), &lines).unwrap();
    fs::write(at(2), lines.replace('\n', "\0")).unwrap();
    fs::write(at(3), [b"\xff\xfe\n".repeat(1000), lines.clone().into_bytes(), vec![b'x'; 5 << 20]].concat()).unwrap();
    fs::File::create(at(4)).unwrap().set_len(1 << 40).unwrap();
    fs::write(at(5), format!("{known}\n").repeat(1_000_000)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", at(6)).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at(7), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    fs::create_dir(at(8)).unwrap();
    let begun = Instant::now();
    let ran = bench.ok("load -v -i all.tar -o new");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(said(&ran, "kept"), [known], "{}", ran.stderr);
    assert_eq!(said(&ran, "replaced").len(), wanted.len() - 1, "{}", ran.stderr);
    bench.verify("new");
    // what is no file of ours stays
    assert_eq!(journals(&bench.path("new")).len(), 3);
    bench.ok("gc --grace 0 new").says_not("no blobs");
}

#[test]
fn a_journal_that_others_can_write_is_not_believed() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = bench();
    for case in ["writable", "linked", "another's"] {
        let _ = fs::remove_dir_all(bench.path("new"));
        let _ = fs::remove_file(bench.path("other"));
        interrupted(&bench, "load --jobs 1 -i all.tar -o new", "new", 2, Signal::KILL);
        let journal = &journals(&bench.path("new"))[0];
        match case {
            "writable" => fs::set_permissions(journal, fs::Permissions::from_mode(0o620)).unwrap(),
            "linked" => fs::hard_link(journal, bench.path("other")).unwrap(),
            _ if rustix::process::geteuid().is_root() => std::os::unix::fs::chown(journal, Some(65534), None).unwrap(),
            _ => continue,
        }
        let ran = bench.ok("load -v -i all.tar -o new");
        assert_eq!(said(&ran, "kept").len(), 0, "{case}: {}", ran.stderr);
        assert!(journal.exists(), "{case}");
    }
}

#[test]
fn gc_removes_what_dead_processes_noted() {
    let bench = bench();
    interrupted(&bench, "load --jobs 1 -i all.tar -o new", "new", 2, Signal::KILL);
    bench.ok("gc new");
    assert_eq!(journals(&bench.path("new")).len(), 1, "younger than --grace, as its blobs");
    bench.ok("--dry-run gc --grace 0 new");
    assert_eq!(journals(&bench.path("new")).len(), 1, "a dry run");
    bench.ok("gc --grace 0 new").says_not("no blobs");
    assert!(journals(&bench.path("new")).is_empty());
    assert!(bench.blobs("new").iter().all(|name| name.contains(".tmp-")), "{:?}", bench.blobs("new"));
    bench.ok("load -i all.tar -o new");
    bench.verify("new");
}

#[test]
fn a_journal_of_another_load_stays_until_that_is_done() {
    let bench = bench();
    let line = "load --jobs 1 -i all.tar -o new";
    interrupted(&bench, line, "new", 2, Signal::KILL);
    let arrived = noted(&bench.path("new")).len();
    bench.ok(&format!("copy {}/fixtures/umoci-amd64 new", env!("CARGO_MANIFEST_DIR")));
    assert_eq!(noted(&bench.path("new")).len(), arrived);
    let kept = said(&bench.ok(&format!("-v {line}")), "kept");
    assert_eq!(kept.len(), arrived);
    assert!(journals(&bench.path("new")).is_empty());
    // eight days later nobody comes back for it
    fs::remove_dir_all(bench.path("new")).unwrap();
    interrupted(&bench, line, "new", 2, Signal::KILL);
    let journal = fs::File::options().write(true).open(&journals(&bench.path("new"))[0]).unwrap();
    journal.set_modified(SystemTime::now() - Duration::from_secs(8 * 24 * 3600)).unwrap();
    bench.ok(&format!("copy {}/fixtures/umoci-amd64 new", env!("CARGO_MANIFEST_DIR")));
    assert!(journals(&bench.path("new")).is_empty());
}

#[test]
fn writers_at_the_same_time_do_not_disturb_each_other() {
    let bench = bench();
    for round in 0..3 {
        let _ = fs::remove_dir_all(bench.path("new"));
        interrupted(&bench, "load --jobs 1 -i all.tar -o new", "new", 1 + round, Signal::KILL);
        let mut children: Vec<Child> = (0..4).map(|_| bench.start("load -i all.tar -o new")).collect();
        for (at, child) in children.iter_mut().enumerate() {
            if at == 0 {
                thread::sleep(Duration::from_millis(30));
                child.kill().unwrap();
            }
            let ended = child.wait().unwrap();
            assert!(at == 0 || ended.success(), "{ended}");
        }
        bench.verify("new");
        bench.ok("load -i all.tar -o new");
        assert!(journals(&bench.path("new")).is_empty(), "round {round}");
        assert_eq!(Digest::of(&fs::read(bench.path("new/oci-layout")).unwrap()).hex().len(), 64);
    }
}
