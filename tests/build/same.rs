//! The same input gives the same digests: whoever builds, with how many threads, and however the files came to the disk.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::*;

const RECIPE: &str = "FROM scratch AS one\nCOPY d /d\nADD d.tar /t/\nFROM scratch\nCOPY --from=one / /\nCOPY . /all/\nWORKDIR /w\nENV A=1\n";

/// Writes a tree with every second file made in another order, and times of its own.
fn tree(root: &Path, backwards: bool, time: u64) {
    let mut names: Vec<String> = (0..60).map(|at| format!("d/{}/f{at}", at % 7)).collect();
    names.push("d/big".to_owned());
    if backwards {
        names.reverse();
    }
    for name in &names {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let content = if name == "d/big" { name.repeat(300_000) } else { name.clone() };
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    }
    fs::hard_link(root.join("d/big"), root.join("d/bigger")).unwrap();
    std::os::unix::fs::symlink("../big", root.join("d/1/link")).unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    tar.mode(tar::HeaderMode::Deterministic);
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o600);
    header.set_uid(33);
    header.set_mtime(1_700_000_000);
    tar.append_data(&mut header, "x", &b"x"[..]).unwrap();
    fs::write(root.join("d.tar"), tar.into_inner().unwrap()).unwrap();
    fs::write(root.join("Containerfile"), RECIPE).unwrap();
    for directory in ["", "d", "d/0", "d/1", "d/2", "d/3", "d/4", "d/5", "d/6"] {
        fs::set_permissions(root.join(directory), fs::Permissions::from_mode(0o755)).unwrap();
    }
    for name in names.iter().map(String::as_str).chain(["d.tar", "Containerfile", "d", "d/1"]) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time);
        File::open(root.join(name)).unwrap().set_modified(time).unwrap();
    }
}

#[test]
fn the_digest_depends_on_the_files_alone() {
    let barge = Barge::new();
    tree(&barge.path("a"), false, 1_600_000_000);
    tree(&barge.path("b"), true, 1_234_567_890);
    let line = |jobs: usize, context: &str, out: &str, more: &str| {
        let line = format!("--jobs {jobs} build -o {out} -t a --platform linux/amd64,linux/arm64 {more} {context}");
        barge.line(&line).exits(0).stdout().to_owned()
    };
    for (more, what) in [("", "gzip"), ("--compression zstd", "zstd"), ("--compression none", "none")] {
        let first = line(1, "a", &format!("a1-{what}"), more);
        assert_eq!(first, line(2, "a", &format!("a2-{what}"), more));
        assert_eq!(first, line(8, "b", &format!("b8-{what}.tar"), more));
    }
    // with times that are kept, they count
    let kept = line(1, "a", "kept-a", "--keep-times");
    assert_ne!(kept, line(1, "b", "kept-b", "--keep-times"));
    // and what is older than the moment that is asked for keeps its own
    let late = line(1, "a", "late-a", "--source-date-epoch 1650000000");
    assert_ne!(late, line(1, "b", "late-b", "--source-date-epoch 1650000000"));
    let early = line(1, "a", "early-a", "--source-date-epoch 2009-01-01T00:00:00Z");
    assert_eq!(early, line(1, "b", "early-b", "--source-date-epoch 1230768000"));
    let mut command = barge.command();
    command.env("SOURCE_DATE_EPOCH", "1230768000");
    command.args("build -o env -t a --platform linux/amd64,linux/arm64 a".split(' '));
    assert_eq!(barge.finish(&mut command).exits(0).stdout(), early);
    assert_eq!(Image::of(&barge.path("env"), Some("linux/amd64")).config["created"], "2009-01-01T00:00:00Z");
}

#[test]
fn another_user_with_another_umask_gets_the_same_digest() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: not root");
        return;
    }
    let barge = Barge::new();
    tree(&barge.path("a"), false, 1_600_000_000);
    let line = "build -o out -t a --platform linux/amd64,linux/arm64 a";
    let mine = barge.line(line).exits(0).stdout().to_owned();
    // a copy that belongs to somebody else, in a place of theirs
    tree(&barge.path("theirs/a"), true, 1_500_000_000);
    let chown = barge.around("chown").args(["-R", "65534:65534"]).arg(barge.path("theirs")).status().unwrap();
    assert!(chown.success());
    for above in barge.path("theirs").ancestors().take(3) {
        fs::set_permissions(above, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // where the program lies, others may not be let in
    let program = barge.path("theirs/barge");
    fs::copy(env!("CARGO_BIN_EXE_barge"), &program).unwrap();
    let script = format!("umask 077; exec {} {line}", program.display());
    let mut command = barge.around("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", &script]);
    command.current_dir(barge.path("theirs"));
    assert_eq!(barge.finish(&mut command).exits(0).stdout(), mine);
}

#[test]
fn platforms_share_layers_that_are_the_same_and_no_file_is_read_twice() {
    let barge = Barge::new();
    tree(&barge.path("a"), false, 1_600_000_000);
    barge.write("a/Containerfile", "FROM scratch\nCOPY d /d\n");
    let run = barge.line("--verbose build -o out -t a --platform linux/amd64,linux/arm64 a").exits(0);
    assert_eq!(run.stderr().matches("\nmade ").count() + usize::from(run.stderr().starts_with("made ")), 1);
    let layers = |platform| Image::of(&barge.path("out"), Some(platform)).manifest["layers"].clone();
    assert_eq!(layers("linux/amd64"), layers("linux/arm64"));
}
