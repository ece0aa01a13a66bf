//! An archive whose blobs begin at multiples of a block is read by whatever reads tars, without a word.
//!
//! What loaders of images make of it is tried among the archives of `archives.rs`.

use std::fs;

use crate::images::{seen_as_text, sha256, six};
use crate::work::{Work, work};

/// How each program unpacks a tar into a directory that is there.
const UNPACKS: [(&str, &str); 4] = [
    ("tar", "tar -xf FILE -C DIR"),
    ("bsdtar", "bsdtar -xf FILE -C DIR"),
    ("python3", "python3 unpack.py FILE DIR"),
    ("busybox", "busybox tar -xf FILE -C DIR"),
];

/// Merges everything into an archive, aligned and not, and returns the digest.
fn merge(work: &Work, options: &str, file: &str) -> String {
    work.run(&format!("barge merge {options} -o {file} -t example.com/hello:v1 {}", six()))
}

#[test]
fn whatever_unpacks_tars_unpacks_the_same_without_a_word() {
    for (program, line) in UNPACKS {
        // not every machine has it, and none of what we promise is about it alone
        if program == "busybox" && std::process::Command::new(program).arg("true").status().is_err() {
            continue;
        }
        let Some(work) = work(&[program]) else { continue };
        work.write("unpack.py", "import sys, tarfile\ntarfile.open(sys.argv[1]).extractall(sys.argv[2])\n");
        merge(&work, "", "plain.tar");
        for option in ["--align", "--align=1K", "--align=512K"] {
            let file = format!("{}.tar", option.trim_start_matches("--").replace('=', "-"));
            merge(&work, option, &file);
            let unpack = |file: &str, directory: &str| {
                fs::create_dir(work.path(directory)).unwrap();
                let output = work.output(&line.replace("FILE", file).replace("DIR", directory));
                let said = String::from_utf8_lossy(&output.stderr);
                // Python announces that it will be stricter with names
                let is_quiet = said.is_empty() || (program == "python3" && said.contains("DeprecationWarning"));
                assert!(output.status.success() && is_quiet, "{program}: {said}");
            };
            unpack(&file, &format!("by-{file}"));
            work.run(&format!("barge verify --deep by-{file}"));
            unpack("plain.tar", &format!("plain-{file}"));
            work.run(&format!("diff -r by-{file} plain-{file}"));
        }
    }
}

#[test]
fn skopeo_finds_the_same_images() {
    let Some(work) = work(&["skopeo"]) else { return };
    let digest = merge(&work, "--align", "aligned.tar");
    assert_eq!(merge(&work, "", "plain.tar"), digest);
    assert_eq!(seen_as_text(&work, "aligned.tar"), seen_as_text(&work, "plain.tar"));
    assert_eq!(sha256(&work.bytes("skopeo inspect --raw oci-archive:aligned.tar:v1")), digest);
    work.run("skopeo copy --all --preserve-digests oci-archive:aligned.tar:v1 oci:copied:v1");
    work.run("barge verify copied");
}
