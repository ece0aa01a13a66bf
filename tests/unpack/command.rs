//! The command: what is printed, the exit codes, and a user who is not root.

use std::process::{Command, Output};

use super::tar::{Block, Tar};
use super::*;

pub(super) fn barge(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_barge")).args(arguments).env_remove("BARGE_LAYOUT").output().unwrap()
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_digest_is_the_result_and_the_rest_is_talk() {
    let bench = Bench::new();
    let place = bench.temp.path().join("layout");
    layout(&place, &[Tar::new().directory("etc/").file("etc/hostname", b"here\n").finished()]);
    let (place, root) = (place.to_str().unwrap(), bench.root().to_str().unwrap().to_owned());
    let dry = barge(&["unpack", place, &root, "--dry-run"]);
    assert!(dry.status.success() && dry.stdout.is_empty() && text(&dry.stderr).starts_with("would unpack linux/amd64"));
    assert!(!bench.root().exists());

    let done = barge(&["unpack", place, &root]);
    let (out, err) = (text(&done.stdout), text(&done.stderr));
    assert!(done.status.success(), "{err}");
    assert!(out.starts_with("sha256:") && out.len() == 72, "{out}");
    assert_eq!(err, format!("unpacked linux/amd64 to {root}: 1 layer, 2 entries, 5 B\n"));
    assert_eq!(fs::read(bench.root().join("etc/hostname")).unwrap(), b"here\n");

    let again = barge(&["unpack", place, &root, "--json"]);
    assert_eq!(again.status.code(), Some(10));
    let json: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(json["error"]["class"], "machine");
    assert_eq!(json["error"]["hint"], "give a directory that is not there yet, or is empty");

    fs::remove_dir_all(bench.root()).unwrap();
    let done = barge(&["unpack", place, &root, "--json", "--platform", "linux/amd64"]);
    let json: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let result = &json["results"][0];
    assert_eq!(
        (&result["platform"], &result["entries"], &result["bytes"]),
        (&json!("linux/amd64"), &json!(2), &json!(5))
    );
    assert_eq!(
        result["skipped"],
        json!({"devices": 0, "owners": if is_root() { 0 } else { 2 }, "setIds": 0, "xattrs": 0})
    );
    assert_eq!(result["digest"], json!(out.trim()));
}

#[test]
fn each_failure_has_its_exit_code() {
    let bench = Bench::new();
    let root = bench.root().to_str().unwrap().to_owned();
    let place = |name: &str, layer: Tar| {
        let path = bench.temp.path().join(name);
        layout(&path, &[layer.finished()]);
        path.to_str().unwrap().to_owned()
    };
    let good = place("good", Tar::new().file("a", &[1; 5000]));
    let evil = place("evil", Tar::new().file("../a", b""));
    for (arguments, code, complaint) in [
        (&["unpack", &good][..], 2, "required"),
        (&["unpack", &good, &root, "--platform", "linux/s390x"], 3, "cannot find linux/s390x"),
        (&["unpack", "/nothing/there", &root], 3, "cannot find"),
        (&["unpack", &evil, &root], 4, "the entry \"../a\" at byte 0: its name climbs with `..`"),
        (&["unpack", &good, "-"], 2, "cannot unpack to standard output"),
        (&["unpack", &good, &root, "--max-size", "1K"], 9, "raise the limit with --max-size"),
        (&["unpack", &good, &root, "--max-files", "0"], 9, "raise the limit with --max-files"),
        (&["unpack", &good, &root, "--max-size", "1X"], 2, "is no unit"),
        (&["unpack", &good, "/sys/rootfs"], 10, "cannot create a directory in /sys"),
    ] {
        let done = barge(arguments);
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {}", text(&done.stderr));
        assert!(text(&done.stderr).contains(complaint), "{arguments:?}: {}", text(&done.stderr));
        assert!(done.stdout.is_empty());
        assert_eq!(fs::read_dir(bench.temp.path().join("work")).unwrap().count(), 0);
    }
}

#[test]
fn an_index_gives_one_architecture_exactly_its_own() {
    let bench = Bench::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/buildx-amd64-arm64.tar");
    let fixture = fixture.to_str().unwrap();
    let root = bench.root().to_str().unwrap().to_owned();
    let refused = barge(&["unpack", fixture, &root]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(text(&refused.stderr).contains("say which with --platform"), "{}", text(&refused.stderr));
    let machine = |platform: &str| {
        let done = barge(&["unpack", fixture, &root, "--platform", platform, "-q"]);
        assert!(done.status.success(), "{}", text(&done.stderr));
        let hello = fs::read(bench.root().join("hello")).unwrap();
        fs::remove_dir_all(bench.root()).unwrap();
        u16::from_le_bytes([hello[18], hello[19]]) // ELF, e_machine
    };
    assert_eq!((machine("linux/amd64"), machine("linux/arm64")), (62, 183));
}

#[test]
fn without_root_owners_and_devices_are_left_out_and_said() {
    let bench = Bench::new();
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    open(bench.temp.path());
    open(&bench.temp.path().join("work"));
    let closed = |name: &str, mode: u32| Block::ustar(name).flag(b'5').mode(mode).owner(0, 0);
    let layer = Tar::new()
        .entry(closed("./", 0o755), b"")
        .entry(closed("closed", 0o000), b"")
        .entry(closed("closed/below", 0o555), b"")
        .file("closed/below/file", b"x")
        .entry(Block::ustar("su").mode(0o4755).owner(0, 0), b"")
        .entry(Block::ustar("unreadable").mode(0).owner(1, 1), b"")
        .entry(Block::ustar("null").flag(b'3').device(1, 3), b"")
        .hard_link("zero", "null")
        .entry(Block::ustar("fifo").flag(b'6'), b"");
    let layer = with_xattr(layer, "security.capability", &CAPABILITY).file("ping", b"");
    let upper = Tar::new().file("closed/below/.wh.file", b"").file("closed/below/other", b"y");
    let place = bench.temp.path().join("layout");
    layout(&place, &[layer.clone().finished(), upper.finished()]);
    let arguments = ["unpack", place.to_str().unwrap(), bench.root().to_str().unwrap()].map(str::to_owned);
    // a copy that anybody may execute, wherever the build directory is
    let program = bench.temp.path().join("barge");
    fs::copy(env!("CARGO_BIN_EXE_barge"), &program).unwrap();
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        command
    } else {
        Command::new(&program)
    };
    let done = match command.args(&arguments).output() {
        Ok(done) => done,
        Err(_) => return skip("no setpriv"),
    };
    let err = text(&done.stderr);
    assert!(done.status.success(), "{err}");
    for warning in [
        "warning: 2 devices are left out: this user may make none",
        "warning: 1 files lost setuid or setgid",
        "warning: 1 extended attributes are left out",
        "entries belong to you instead of the owner that the image says",
    ] {
        assert!(err.contains(warning), "{warning}: {err}");
    }
    let metadata = |name: &str| fs::symlink_metadata(bench.root().join(name)).unwrap();
    assert_eq!(metadata("su").mode() & 0o7777, 0o755);
    assert_eq!(metadata("closed").mode() & 0o7777, 0);
    assert_eq!(metadata("unreadable").mode() & 0o7777, 0);
    assert!(metadata("fifo").file_type().is_fifo());
    assert!(fs::symlink_metadata(bench.root().join("null")).is_err());
    if is_root() {
        assert_eq!(metadata("su").uid(), 65534);
        assert_eq!(metadata("closed/below").mode() & 0o7777, 0o555);
        assert_eq!(fs::read(bench.root().join("closed/below/other")).unwrap(), b"y");
        assert!(!bench.root().join("closed/below/file").exists());
    } else {
        fs::set_permissions(bench.root().join("closed"), fs::Permissions::from_mode(0o755)).unwrap();
    }
    // a failure takes its closed directories with it
    fs::set_permissions(bench.root().join("closed/below"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_dir_all(bench.root()).unwrap();
    layout(&place, &[layer.entry(Block::ustar("last").flag(b'9'), b"").finished()]);
    let mut command = if is_root() { Command::new("setpriv") } else { Command::new(&program) };
    if is_root() {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
    }
    assert_eq!(command.args(&arguments).output().unwrap().status.code(), Some(4));
    assert_eq!(fs::read_dir(bench.temp.path().join("work")).unwrap().count(), 0);
}
