//! The machine: no file where none is expected, no socket, and what happens when the disk is full.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::merge::{HELLO, SIX};
use super::support::image::{Images, Layer, simple};
use super::*;

/// Returns whether processes can be traced here.
pub(crate) fn strace() -> bool {
    Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output().is_ok_and(|run| run.status.success())
}

/// Gives up root, who may read everything; the program and the directory have to be within reach then.
pub(crate) fn as_nobody(barge: &Barge, command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    let program = barge.path("../barge");
    fs::copy(env!("CARGO_BIN_EXE_barge"), &program).unwrap();
    for directory in [barge.path(".."), barge.path("")] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let words: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    *command = barge.around(program);
    command.args(words).uid(65534).gid(65534);
}

const LINES: [&str; 9] = [
    "merge -o layout -t example.com/hello:v1 umoci-amd64 skopeo-arm64.tar docker-armv7.tar",
    "merge -o hello.tar -t example.com/hello:v1 umoci-amd64 skopeo-arm64.tar docker-armv7.tar",
    "merge -o layout -t example.com/hello:v2 --jobs 1 hybrid-ppc64le.tar",
    "merge -o hello.tar -t example.com/hello:v2 hybrid-ppc64le.tar",
    "verify --deep layout hello.tar docker-armv7.tar",
    "ls layout hello.tar",
    "tree hello.tar",
    "inspect layout:v1",
    "merge --no-network -o never -t example.com/hello:v2 docker://example.com/app:v1",
];

#[test]
fn no_local_command_opens_a_socket() {
    let barge = Barge::new();
    if !available("strace", strace()) {
        return;
    }
    barge.fixtures(&SIX);
    for line in LINES {
        let log = barge.path("../log");
        let mut command = barge.around("strace");
        command.args(["-f", "-q", "-e", "trace=%network", "-o"]).arg(&log);
        let output = barge.finish(command.arg(env!("CARGO_BIN_EXE_barge")).args(line.split(' ')));
        let expected = if line.contains("docker://") { 2 } else { 0 };
        output.exits(expected);
        let calls = fs::read_to_string(&log).unwrap();
        let calls: Vec<&str> = calls.lines().filter(|line| line.contains('(')).collect();
        assert!(calls.is_empty(), "{line}: {calls:?}");
    }
}

#[test]
fn nothing_is_written_beside_the_target() {
    let barge = Barge::new();
    barge.fixtures(&SIX);
    let sources = listing(&barge.path(""));
    let traced = available("strace", strace());
    for line in LINES {
        let log = barge.path("../log");
        let mut command = match traced {
            true => barge.around("strace"),
            false => barge.command(),
        };
        if traced {
            let calls = "openat,openat2,open,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mknod,mknodat";
            command.args(["-f", "-q", "-e", &format!("trace={calls}"), "-o"]).arg(&log);
            command.arg(env!("CARGO_BIN_EXE_barge"));
        }
        // a temporary directory that is not there: whoever asks for it fails
        command.args(line.split(' ')).env("TMPDIR", "/nonexistent");
        let code = barge.finish(&mut command).code();
        assert_eq!(code, if line.contains("docker://") { 2 } else { 0 }, "{line}");
        if traced {
            let calls = fs::read_to_string(&log).unwrap();
            let outside: Vec<&str> = calls.lines().filter(|call| writes_outside(call, &barge.path(""))).collect();
            assert!(outside.is_empty(), "{line}: {outside:?}");
        }
    }
    let mut after = listing(&barge.path(""));
    after.retain(|name, _| !["./layout", "./hello.tar"].iter().any(|target| name.starts_with(target)));
    assert_eq!(after, sources, "the sources, or something beside the targets, changed");
    assert_eq!(fs::read_dir(barge.path("../home")).unwrap().count(), 0, "something in the home directory");
}

/// Returns whether a system call writes to an absolute path that is not below a directory.
fn writes_outside(call: &str, directory: &Path) -> bool {
    let opens = call.contains("open");
    let writes = !opens || ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TMPFILE"].iter().any(|flag| call.contains(flag));
    let directory = directory.to_str().unwrap();
    let outside = |path: &str| path.starts_with('/') && !path.starts_with(directory) && path != "/dev/null";
    writes && call.split('"').skip(1).step_by(2).any(outside)
}

/// A small file system of its own, in the working directory.
struct Small<'a>(&'a Barge);

impl<'a> Small<'a> {
    fn mount(barge: &'a Barge, size: &str) -> Option<Self> {
        fs::create_dir(barge.path("small")).unwrap();
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(barge.path("small")).output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        available("right to mount a tmpfs", mounted).then(|| Self(barge))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0.path("small")).status().unwrap();
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_the_old_target() {
    let barge = Barge::new();
    let Some(_small) = Small::mount(&barge, "3m") else { return };
    simple(&["linux/amd64"]).layout(&barge.path("little"));
    let mut images = Images::new();
    for at in 0..8_u8 {
        let noise: Vec<u8> = (0..1_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 ^ at).collect();
        let image = images.image(&format!("linux/a{at}"), &[Layer::plain(&noise)]);
        images.root(image);
    }
    let index = images.index(&images.roots.clone());
    images.roots = vec![index];
    images.layout(&barge.path("large"));
    images.archive(&barge.path("large.tar"));
    for place in ["small/old", "small/old.tar"] {
        barge.line(&format!("merge -q -o {place} -t old:v1 little")).exits(0);
    }
    for place in ["small/old", "small/old.tar", "small/new", "small/new.tar"] {
        for source in ["large", "large.tar"] {
            let before = listing(&barge.path(place));
            let full = barge.line(&format!("merge -o {place} -t app:v1 {source}")).exits(10);
            full.says(&["error: cannot write small/", "\nhint: ", "room"]);
            assert_unchanged(&before, &barge.path(place), place);
            assert_clean(&barge, place);
        }
    }
    assert!(!barge.path("small/new.tar").exists());
    for place in ["small/old", "small/old.tar"] {
        barge.line(&format!("verify --deep {place}")).exits(0);
        barge.line(&format!("ls {place}")).exits(0).prints(&["old:v1"]).never(&["app:v1"]);
    }
    // the early look at the free space is not all: a disk that fills up meanwhile is told as well
    fs::write(barge.path("small/filler"), vec![1; 2 << 20]).unwrap();
    let mut two = Images::new();
    let image = two.image("linux/amd64", &[Layer::plain(&vec![7; 600 << 10]), Layer::plain(&vec![8; 600 << 10])]);
    two.root(image).layout(&barge.path("two"));
    barge.line("merge --jobs 1 -o small/old -t app:v1 two").exits(10).says(&["room"]);
    // a temporary copy that does not fit
    barge.write("large.tar.zst", zstd::encode_all(&fs::read(barge.path("large.tar")).unwrap()[..], 1).unwrap());
    let full = barge.line("ls --tmpdir small large.tar.zst").exits(10);
    full.says(&["small", "hint: ", "--tmpdir"]);
    assert_clean(&barge, "afterwards");
    fs::remove_file(barge.path("small/filler")).unwrap();
    barge.line("merge -q -o small/old -t app:v1 two").exits(0);
}

#[test]
fn a_disk_that_fails_while_it_is_written_leaves_the_old_target() {
    let barge = Barge::new();
    if !available("strace", strace()) {
        return;
    }
    barge.fixtures(&SIX);
    for place in ["old", "old.tar"] {
        barge.line(&format!("merge -q -o {place} -t old:v1 umoci-amd64")).exits(0);
    }
    // every call by which a target changes, made to fail at its first, second, third ... time
    for (calls, error) in [
        ("write,pwrite64,writev", "EIO"),
        ("write,pwrite64,writev", "ENOSPC"),
        ("fsync", "EIO"),
        ("rename,renameat,renameat2", "EIO"),
        ("fallocate", "ENOSPC"),
        ("fchmod", "EIO"),
    ] {
        for when in [1, 2, 5, 20] {
            for place in ["old", "old.tar", "new", "new.tar"] {
                let path = barge.path(place);
                let before = listing(&path);
                let mut command = barge.around("strace");
                command.args(["-f", "-q", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
                command.arg(format!("-einject={calls}:error={error}:when={when}"));
                command.arg(env!("CARGO_BIN_EXE_barge"));
                command.args(["merge", "--jobs", "1", "-o", place, "-t", HELLO]).args(SIX);
                let case = format!("{calls} {error} {when} {place}");
                let code = barge.finish(&mut command).code();
                if code == 0 {
                    // it was never called so often, or the talk on standard error was what failed
                    barge.line(&format!("verify --deep {place}")).exits(0);
                    barge.line(&format!("inspect {place}:{HELLO}")).exits(0);
                } else {
                    assert_eq!(code, 10, "{case}");
                    let named = calls.contains("fsync") && listing(&path) != before;
                    if named && (path.is_file() || path.join("index.json").exists()) {
                        // the name was made, and only its safety from a loss of power is not sure
                        barge.line(&format!("verify {place}")).exits(0);
                    } else if place.starts_with("old") {
                        assert_unchanged(&before, &path, &case);
                    } else {
                        assert!(!path.join("index.json").exists() && !path.is_file(), "{case}");
                    }
                }
                assert_clean(&barge, &case);
                if place.starts_with("new") || code == 0 || listing(&path) != before {
                    remove(&path);
                }
                if place.starts_with("old") && !path.exists() {
                    barge.line(&format!("merge -q -o {place} -t old:v1 umoci-amd64")).exits(0);
                }
            }
        }
    }
}

fn remove(path: &Path) {
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}
