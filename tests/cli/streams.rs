//! Archives from standard input, to standard output, and compressed as a whole.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};

use super::merge::HELLO;
use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn an_archive_comes_through_a_pipe_or_a_redirection() {
    let barge = Barge::new();
    barge.fixtures(&["umoci-amd64", "skopeo-arm64.tar", "docker-armv7.tar"]);
    let expected = barge.line("merge -o right.tar -t app:v1 umoci-amd64 skopeo-arm64.tar").exits(0).stdout().to_owned();
    let words = ["merge", "-o", "out", "-t", "app:v1", "umoci-amd64", "-"];
    let bytes = fs::read(barge.path("skopeo-arm64.tar")).unwrap();

    let file = File::open(barge.path("skopeo-arm64.tar")).unwrap();
    let merged = barge.finish(barge.command().args(words).stdin(file)).exits(0);
    assert_eq!(merged.silent_but(&["merged"]).stdout(), expected);

    // the shell may have read the start: `{ read line; barge ... -; } < FILE`
    barge.write("behind.tar", [b"a line\n".as_slice(), &bytes].concat());
    let mut file = File::open(barge.path("behind.tar")).unwrap();
    file.seek(SeekFrom::Start(7)).unwrap();
    assert_eq!(barge.finish(barge.command().args(words).stdin(file)).exits(0).stdout(), expected);

    for (packing, bytes) in
        [("", bytes.clone()), ("gzip", gzip(&bytes)), ("zstd", zstd::encode_all(&bytes[..], 1).unwrap())]
    {
        // what follows `-` begins like an option: clap wants to be told that it is none
        let commands: [&[&str]; 5] =
            [&words, &["verify", "--deep", "-"], &["ls", "-"], &["inspect", "--", "-:v1"], &["tree", "--", "-@0"]];
        for words in commands {
            let (read, mut write) = std::io::pipe().unwrap();
            let bytes = bytes.clone();
            let writer = std::thread::spawn(move || write.write_all(&bytes));
            let mut command = barge.command();
            let done = barge.finish(command.args(["--tmpdir", "."]).args(words).stdin(read)).exits(0);
            done.says(&["warning: - is a pipe", packing, "temporary file"]);
            writer.join().unwrap().unwrap();
        }
    }
    // what is no archive is told
    for (bytes, part) in
        [(&b""[..], "empty"), (b"{\"a\":1}", "JSON"), (b"PK\x03\x04", "zip"), (b"text", "neither a tar")]
    {
        let (read, mut write) = std::io::pipe().unwrap();
        write.write_all(bytes).unwrap();
        drop(write);
        barge.finish(barge.command().args(["ls", "-"]).stdin(read)).exits(4).says(&[part]);
    }
    barge.finish(barge.command().args(["ls", "-"])).exits(4).says(&["device"]); // /dev/null
    assert_clean(&barge, "afterwards");
}

#[test]
fn a_compressed_archive_is_unpacked_once_and_that_is_said() {
    let barge = Barge::new();
    barge.fixtures(&["skopeo-arm64.tar"]);
    let bytes = fs::read(barge.path("skopeo-arm64.tar")).unwrap();
    fs::create_dir(barge.path("tmp")).unwrap();
    let expected = barge.line("merge -o right.tar -t app:v1 skopeo-arm64.tar").exits(0).stdout().to_owned();
    let packed = [
        ("a.tar.gz", gzip(&bytes)),
        ("a.tar.zst", zstd::encode_all(&bytes[..], 3).unwrap()),
        ("misnamed.tar", gzip(&bytes)),
        ("two-members.tar.gz", [gzip(&bytes[..1000]), gzip(&bytes[1000..])].concat()),
    ];
    for (at, (name, packed)) in packed.into_iter().enumerate() {
        barge.write(name, packed);
        let merged = barge.line(&format!("merge -o out{at}.tar -t app:v1 {name}")).exits(0);
        assert_eq!(merged.stdout(), expected, "{name}");
        merged.says(&["warning: ", name, "unpacked once", "temporary file"]);
        let quiet = barge.line(&format!("verify -q --deep --tmpdir tmp {name}")).exits(0);
        quiet.silent();
        assert_clean(&barge, name);
    }
    let missing = barge.line("ls --tmpdir nowhere a.tar.gz").exits(3);
    missing.says(&["nowhere", "hint: ", "--tmpdir"]);
    for (name, bytes, part) in [
        ("a.tar.xz", &b"\xfd7zXZ\0"[..], "xz -d"),
        ("cut.tar.gz", &gzip(&bytes)[..600], "cut off"),
        ("twice.tar.gz", &gzip(&gzip(&bytes)), "again"),
        ("text.gz", &gzip(b"text"), "no tar"),
    ] {
        barge.write(name, bytes);
        barge.line(&format!("ls {name}")).exits(4).says(&[name, part, "hint: "]);
    }
    // a check sum that is wrong at the very end is seen
    let mut wrong = gzip(&bytes);
    let at = wrong.len() - 6;
    wrong[at] ^= 1;
    barge.write("sum.tar.gz", wrong);
    barge.line("merge -o never -t app:v1 sum.tar.gz").exits(4).says(&["sum.tar.gz"]);
    assert!(!barge.path("never").exists());
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure_and_a_closed_pipe_is_none() {
    let barge = Barge::new();
    barge.fixtures(&["umoci-amd64"]);
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for words in [
        "ls umoci-amd64",
        "tree umoci-amd64",
        "verify umoci-amd64",
        "inspect --raw umoci-amd64",
        "ls --json umoci-amd64",
        "version",
    ] {
        let child = barge.command().args(words.split(' ')).stdout(full()).stderr(std::process::Stdio::piped()).spawn();
        let output = child.unwrap().wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(10), "{words}: {stderr}");
        assert!(stderr.contains("standard output"), "{words}: {stderr}");
        // `barge ... | head -0`
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let child = barge.command().args(words.split(' ')).stdout(write).stderr(std::process::Stdio::piped()).spawn();
        let output = child.unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words}");
    }
    // an archive that did not arrive is no success, whoever closed the pipe
    let merge = ["merge", "-o", "-", "-t", HELLO, "umoci-amd64"];
    let (read, closed) = std::io::pipe().unwrap();
    drop(read);
    for stdout in [std::process::Stdio::from(full()), closed.into()] {
        let child = barge.command().args(merge).stdout(stdout).stderr(std::process::Stdio::piped()).spawn();
        let output = child.unwrap().wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(10), "{stderr}");
        assert!(stderr.contains("cannot write standard output"), "{stderr}");
    }
    // nobody listens to the talk
    let output =
        barge.command().args(["merge", "-o", "out", "-t", HELLO, "umoci-amd64"]).stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_terminal_gets_no_archive() {
    let barge = Barge::new();
    barge.fixtures(&["umoci-amd64"]);
    let script = std::process::Command::new("script").arg("--version").output().is_ok();
    if !available("script (util-linux)", script) {
        return;
    }
    let line = format!("{} merge -o - -t app:v1 umoci-amd64", env!("CARGO_BIN_EXE_barge"));
    let mut command = barge.around("script");
    let shown = barge.finish(command.args(["-q", "-e", "-c", &line, "/dev/null"])).exits(2);
    shown.prints(&["error: cannot write an archive to a terminal", "hint: "]).never(&["oci-layout"]);
    // and a bar on a terminal does not come into the way of the result
    let line = format!("{} merge -o out -t app:v1 umoci-amd64", env!("CARGO_BIN_EXE_barge"));
    let mut command = barge.around("script");
    barge
        .finish(command.args(["-q", "-e", "-c", &line, "/dev/null"]))
        .exits(0)
        .prints(&["merged 1 platform", "sha256:"]);
}

#[test]
fn quiet_says_nothing_and_progress_is_on_standard_error() {
    let barge = Barge::new();
    barge.fixtures(&["umoci-amd64"]);
    for words in ["merge -q -o out -t app:v1 umoci-amd64", "verify -q umoci-amd64", "ls -q umoci-amd64"] {
        barge.line(words).exits(0).silent();
    }
    barge.line("ls -q nowhere").exits(3).says(&["error: "]);
    for how in ["auto", "tty", "plain", "json", "none"] {
        let done = barge.line(&format!("merge --progress {how} -o {how} -t app:v1 umoci-amd64")).exits(0);
        assert_eq!(done.stdout().lines().count(), 1, "{how}");
    }
    let said = barge.line("merge -v -o loud -t app:v1 umoci-amd64").exits(0);
    said.says(&["wrote sha256:", "layer 1 of v1"]);
    barge.line("verify -v -q umoci-amd64").exits(2);
    barge.line("verify --jobs 0 umoci-amd64").exits(2);
    for jobs in ["1", "2", "64"] {
        barge.line(&format!("verify --deep --jobs {jobs} umoci-amd64")).exits(0);
        barge.line(&format!("merge --jobs {jobs} -o jobs{jobs} -t app:v1 umoci-amd64")).exits(0);
    }
}
