//! A Debian root file system, unpacked as root, equals what `tar` makes of it: file by file.

use super::tree::{add_rarities, debian, facts, run};
use super::*;

/// Makes a layer of a directory in a format, unpacks it with `tar` and with barge, and compares.
fn equals_tar(bench: &Bench, from: &Path, format: &str) {
    let (tar, plain) = (bench.temp.path().join("layer.tar"), bench.temp.path().join("by-tar"));
    fs::create_dir(&plain).unwrap();
    let [from, file, to] = [from, &tar, &plain].map(|path| path.to_str().unwrap());
    // only POSIX' format has extended attributes
    let xattrs = if format == "posix" { &["--xattrs", "--xattrs-include=*"][..] } else { &[] };
    let format = format!("--format={format}");
    assert!(run("tar", &[xattrs, &[&format, "-C", from, "-cf", file, "."]].concat()));
    assert!(run("tar", &[xattrs, &["--numeric-owner", "-C", to, "-xpf", file]].concat()));
    let unpacked = bench.unpack(&[fs::read(&tar).unwrap()]).unwrap();
    let (expected, expected_groups) = facts(&plain);
    let (got, got_groups) = facts(&bench.root());
    for (name, facts) in &expected {
        assert_eq!(got.get(name), Some(facts), "{}", name.display());
    }
    assert_eq!(got.len(), expected.len());
    assert_eq!(got_groups, expected_groups);
    assert_eq!(unpacked.skipped, barge::ops::unpack::Skipped::default());
    fs::remove_dir_all(plain).unwrap();
    fs::remove_dir_all(bench.root()).unwrap();
}

#[test]
fn rare_things_equal_tars_result() {
    if !is_root() {
        return skip("not root");
    }
    let bench = Bench::new();
    let root = bench.temp.path().join("made");
    fs::create_dir(&root).unwrap();
    add_rarities(&root);
    // this machine's own: links to programs, a password file that not everybody may read
    for path in ["etc", "usr/share/zoneinfo"] {
        let above = root.join(path).parent().unwrap().to_path_buf();
        fs::create_dir_all(&above).unwrap();
        assert!(run("cp", &["-a", &format!("/{path}"), above.to_str().unwrap()]));
    }
    equals_tar(&bench, &root, "posix");
    equals_tar(&bench, &root, "gnu");
}

#[test]
fn a_debian_root_file_system_equals_tars_result() {
    if !is_root() {
        return skip("not root");
    }
    let bench = Bench::new();
    let root = bench.temp.path().join("debian");
    if let Err(reason) = debian(&root, "amd64") {
        return skip(reason);
    }
    add_rarities(&root);
    equals_tar(&bench, &root, "posix");
}
