//! What other programs make of the results. One that is not installed is skipped, and must be there in CI.

use std::process::Command;

use barge::digest::Digest;
use serde_json::Value;

use super::bench::{Bench, allowed};
use super::{HELLO, of_fixture, ok};

fn there(program: &str) -> bool {
    allowed(Command::new(program).arg("--version").output().is_ok(), program)
}

fn tool(bench: &Bench, line: &str) -> Vec<u8> {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).current_dir(bench.root()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn skopeo_reads_what_was_edited_and_converted() {
    if !there("skopeo") {
        return;
    }
    let bench = of_fixture(HELLO);
    ok(&bench, "edit place -o out --env A=b --label n=v --entrypoint", &["/hello there"]);
    for (step, options) in [
        ("edited", "--to oci"),
        ("docker", "--to docker"),
        ("zstd", "--to oci --compression zstd"),
        ("plain", "--to docker --compression none"),
        ("gzip", "--to oci --compression gzip"),
    ] {
        let digest = bench.ok(&format!("convert out {options}")).digests().remove(0);
        let config: Value =
            serde_json::from_slice(&tool(&bench, "skopeo inspect --override-arch arm64 --config oci:out")).unwrap();
        assert_eq!(config["config"]["Entrypoint"][0], "/hello", "{step}");
        assert_eq!(config["config"]["Entrypoint"][1], "there", "{step}");
        assert_eq!(config["config"]["Labels"]["n"], "v", "{step}");
        tool(&bench, "skopeo --insecure-policy copy -q --all --preserve-digests oci:out dir:copied");
        let index = std::fs::read(bench.path("copied/manifest.json")).unwrap();
        assert_eq!(Digest::of(&index).to_string(), digest, "{step}");
        std::fs::remove_dir_all(bench.path("copied")).unwrap();
    }
}

#[test]
fn umoci_unpacks_what_was_packed_anew() {
    if !there("umoci") {
        return;
    }
    let bench = of_fixture(HELLO);
    bench.ok("copy -q place --platform linux/amd64 one");
    let manifest = super::json(&bench, "manifest", "one")["manifests"][0]["digest"].as_str().unwrap().to_owned();
    bench.ok(&format!("edit one@{manifest} -o out -t edited:v1 --user 1000 --env A=b"));
    bench.ok("convert out --compression gzip --recompress-all");
    tool(&bench, "umoci unpack --rootless --image out:v1 bundle");
    bench.ok("unpack out ours --no-same-owner");
    let read = |name: &str| std::fs::read(bench.path(name)).unwrap();
    assert_eq!(read("bundle/rootfs/hello"), read("ours/hello"));
    let config: Value = serde_json::from_slice(&read("bundle/config.json")).unwrap();
    assert!(config["process"]["env"].as_array().unwrap().contains(&Value::from("A=b")), "{config}");
}
