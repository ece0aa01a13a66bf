//! The fixtures are what their script makes.

use crate::support::digests;
use crate::work::{skip, work};

const NEEDS: [&str; 14] = [
    "aarch64-linux-gnu-gcc",
    "arm-linux-gnueabihf-gcc",
    "buildah",
    "containerd",
    "ctr",
    "docker",
    "dockerd",
    "powerpc64le-linux-gnu-gcc",
    "python3",
    "riscv64-linux-gnu-gcc",
    "s390x-linux-gnu-gcc",
    "skopeo",
    "umoci",
    "x86_64-linux-gnu-gcc",
];

#[test]
fn made_again_they_have_the_same_digests() {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let says = |line: &str| release.lines().any(|other| other.replace('"', "") == line);
    if !(says("ID=debian") && says("VERSION_ID=12") && cfg!(target_arch = "x86_64")) {
        // other compilers make other bytes: that is no failure, in CI neither
        return skip("not Debian 12 on amd64, whose compilers and tools made the fixtures");
    }
    let needs: Vec<&str> = NEEDS.into_iter().chain(["root"]).collect();
    let Some(work) = work(&needs) else { return };
    let _turn = crate::daemons::turn();
    work.run("fixtures/make.sh again");
    let committed = std::fs::read_to_string(digests::fixtures().join("digests.txt")).unwrap();
    assert_eq!(String::from_utf8(work.read("again/digests.txt")).unwrap(), committed);
}
