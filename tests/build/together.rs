//! Builds beside each other, beside `gc`, and on top of what is in a registry.

use super::registry::FakeRegistry;
use super::*;

#[test]
fn builds_into_one_place_at_the_same_time_lose_nothing_of_each_other() {
    let barge = Barge::new();
    for name in ["a", "b", "c"] {
        barge.write(&format!("{name}/Containerfile"), "FROM scratch\nCOPY . /\n");
        barge.write(&format!("{name}/common"), "common".repeat(200_000));
        barge.write(&format!("{name}/own"), name.repeat(400_000));
    }
    // a new archive that appears under the name in the meantime is never overwritten, so it is there before
    barge.line("build -o all.tar -t a --platform linux/amd64,linux/arm64 a").exits(0);
    for out in ["lay", "all.tar"] {
        let start = |name: &str| {
            let mut command = barge.command();
            command.args([
                "build",
                "-o",
                out,
                "-t",
                name,
                "--platform",
                "linux/amd64,linux/arm64",
                "--lock-timeout",
                "50",
                name,
            ]);
            Running::start(&mut command)
        };
        let running: Vec<Running> = ["a", "b", "c"].into_iter().map(start).collect();
        for one in running {
            one.output(&barge).exits(0);
        }
        barge.line(&format!("verify --deep {out}")).exits(0);
        let names = barge.line(&format!("ls --json {out}")).exits(0).json()["results"].as_array().unwrap().len();
        assert_eq!(names, 3, "{out}");
    }
}

#[test]
fn gc_takes_nothing_that_a_build_has_made_and_not_named_yet() {
    let barge = Barge::new();
    barge.write("old/Containerfile", "FROM scratch\nCOPY Containerfile /\n");
    barge.line("build -o lay -t old --platform linux/amd64 old").exits(0);
    barge.write("c/Containerfile", "FROM scratch\nCOPY one /\nCOPY two /\n");
    for name in ["one", "two"] {
        let mut bytes = Vec::new();
        for at in 0_u64..3_000_000 {
            bytes.extend_from_slice(&at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[..5]);
        }
        barge.write(&format!("c/{name}"), bytes);
    }
    let mut command = barge.command();
    command.args("build -o lay -t new --platform linux/amd64 --compression-level 9 c".split(' '));
    let mut building = Running::start(&mut command);
    while !building.has_ended() {
        // it waits for the build, or gives up: never does it remove what the build is about to name
        let code = barge.line("gc --lock-timeout 0 lay").code();
        assert!(code == 0 || code == 8, "{code}");
    }
    building.output(&barge).exits(0);
    barge.line("gc lay").exits(0);
    barge.line("verify --deep lay").exits(0);
    assert_eq!(barge.line("ls --json lay").exits(0).json()["results"].as_array().unwrap().len(), 2);
}

#[test]
fn a_base_comes_from_a_registry_only_when_that_is_said() {
    let barge = Barge::new();
    let registry = FakeRegistry::start();
    let name = format!("{}/org/base:v1", registry.host());
    barge.fixtures(&["buildx-amd64-arm64.tar"]);
    let source = barge.line("--json ls buildx-amd64-arm64.tar").exits(0).json()["results"][0]["names"][0].clone();
    let source = source.as_str().unwrap().to_owned();
    barge.line(&format!("push --plain-http buildx-amd64-arm64.tar:{source} {name}")).exits(0);
    barge.write("c/app", "app");
    let build = |from: &str, options: &str, out: &str| {
        barge.write("c/Containerfile", format!("FROM {from}\nCOPY app /opt/\nCOPY --from={from} /. /copy/\n"));
        barge.line(&format!("build --plain-http -o {out} -t a --platform linux/amd64,linux/arm64 {options} c"))
    };
    build(&name, "", "no").exits(3).says(&["line 1 of c/Containerfile", "--online", &format!("docker://{name}")]);
    let said = build(&format!("docker://{name}"), "", "one").exits(0);
    let asked = build(&name, "--online", "two").exits(0);
    assert_eq!(
        Image::of(&barge.path("one"), Some("linux/amd64")).config["rootfs"],
        Image::of(&barge.path("two"), Some("linux/amd64")).config["rootfs"]
    );
    for (output, out) in [(said, "one"), (asked, "two")] {
        let image = Image::of(&barge.path(out), Some("linux/arm64"));
        assert_eq!(image.manifest["annotations"]["org.opencontainers.image.base.name"], name, "{}", output.stderr());
        barge.line(&format!("verify --deep {out}")).exits(0);
    }
}
