//! Debian root file systems for two platforms become one image, which other programs unpack, load and run.

use std::fs;
use std::path::Path;

use crate::daemons;
use crate::support::tree::{Facts, add_rarities, debian, facts};
use crate::work::{Work, skip, work};

const NEEDS: [&str; 9] = ["containerd", "ctr", "debootstrap", "docker", "dockerd", "podman", "root", "skopeo", "umoci"];
const NAME: &str = "example.com/debian:v1";

/// Compares two directories, file by file. Times in a layer are whole seconds, and it says nothing of its root.
fn assert_same(got: &Path, expected: &Path) {
    let in_layer = |root| {
        let (mut found, groups) = facts(root);
        found.remove(Path::new(""));
        found.values_mut().for_each(|facts| facts.modified.1 = 0);
        (found, groups)
    };
    let ((got, got_groups), (expected, expected_groups)) = (in_layer(got), in_layer(expected));
    let differs = |name: &&std::path::PathBuf| got.get(*name) != expected.get(*name);
    let named = |name: &std::path::PathBuf| -> String {
        let side = |facts: Option<&Facts>| format!("{facts:?}");
        format!("{}\n  got      {}\n  expected {}", name.display(), side(got.get(name)), side(expected.get(name)))
    };
    let names: std::collections::BTreeSet<_> = got.keys().chain(expected.keys()).collect();
    let different: Vec<_> = names.into_iter().filter(differs).map(named).collect();
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different[..different.len().min(10)].join("\n"));
    assert_eq!(got_groups, expected_groups);
    assert!(got.len() > 5000, "{} are no Debian", got.len());
}

/// What a shell in the image says of it, whoever runs it. Each container is a copy of the whole image: one says it all.
fn assert_runs(work: &Work, run: &str) {
    let lines = [
        (". /etc/os-release; echo $VERSION_CODENAME", "bookworm"),
        ("stat -c %a:%u:%g:%h /rare/su", "6755:0:0:2"),
        ("test /rare/su -ef /rare/closed/hard && echo one file", "one file"),
        ("stat -c %F:%t:%T /rare/null", "character special file:7:12c"),
        ("stat -c %F:%t:%T /rare/loop", "block special file:7:12c"),
        ("stat -c %u:%g:%N /rare/link", "77:88:'/rare/link' -> '/absolute/../path'"),
        ("dpkg --audit; dpkg-query -W -f '${Status}\\n' bash", "install ok installed"),
        ("test -p /rare/fifo && ls -d /rare/name* | wc -l", "2"),
    ];
    let script: Vec<_> = lines.iter().map(|(line, _)| *line).collect();
    let said = work.command(&format!("{run} {NAME} bash -c")).arg(script.join("\n")).output().unwrap();
    let out = String::from_utf8_lossy(&said.stdout).into_owned();
    let expected: Vec<_> = lines.iter().map(|(_, expected)| *expected).collect();
    assert_eq!(out.lines().collect::<Vec<_>>(), expected, "{run}\n{}", String::from_utf8_lossy(&said.stderr));
    // the command of the image is a shell, which finds nothing to read
    work.run(&format!("{run} {NAME}"));
}

#[test]
fn a_debian_root_file_system_is_built_unpacked_loaded_and_run() {
    let Some(work) = work(&NEEDS) else { return };
    let roots = ["amd64", "arm64"].map(|architecture| (work.path(&format!("rootfs-{architecture}")), architecture));
    let made = std::thread::scope(|scope| {
        let running = roots.each_ref().map(|(root, architecture)| scope.spawn(|| debian(root, architecture)));
        running.map(|one| one.join().unwrap())
    });
    if let Some(reason) = made.into_iter().find_map(Result::err) {
        assert!(std::env::var_os("CI").is_none(), "{reason}: in CI nothing is skipped");
        return skip(reason);
    }
    roots.iter().for_each(|(root, _)| add_rarities(root));
    let build = format!(
        "barge build --no-sync -t {NAME} --from scratch --owner keep --keep-times --add rootfs-{{arch}}/:/ --cmd /bin/bash \
         --platform linux/amd64,linux/arm64 --compression-level 1"
    );
    let digest = work.run(&format!("{build} -o layout"));
    work.run("barge verify --deep layout");
    assert_eq!(work.run(&format!("{build} -o debian.tar")), digest);

    for architecture in ["amd64", "arm64"] {
        let expected = work.path(&format!("rootfs-{architecture}"));
        work.run(&format!("barge unpack --no-sync --platform linux/{architecture} layout:{NAME} by-barge"));
        assert_same(&work.path("by-barge"), &expected);
        fs::remove_dir_all(work.path("by-barge")).unwrap();
        // it takes no image out of an index of several
        work.run(&format!("barge copy --no-sync --platform linux/{architecture} layout:{NAME} one-{architecture}"));
        work.run(&format!("umoci unpack --image one-{architecture}:v1 bundle"));
        assert_same(&work.path("bundle/rootfs"), &expected);
        fs::remove_dir_all(work.path("bundle")).unwrap();
        fs::remove_dir_all(expected).unwrap();
    }
    work.run("skopeo copy -q --all --preserve-digests oci:layout:v1 dir:by-skopeo");
    assert_eq!(crate::images::sha256(&work.read("by-skopeo/manifest.json")), digest);

    assert_eq!(work.run("podman load -q -i debian.tar"), format!("Loaded image: {NAME}"));
    if cfg!(target_arch = "x86_64") {
        // no systemd is asked for, and no more processes and open files than whoever runs the test may have
        let options = "--rm --network none --ulimit nofile=1000:1000 --ulimit nproc=1000:1000";
        assert_runs(&work, &format!("podman --cgroup-manager cgroupfs run {options}"));
    }
    work.run("podman rmi --all --force");

    let _daemons = daemons::docker(&work);
    assert_eq!(work.run("docker load -i debian.tar"), format!("Loaded image: {NAME}"));
    if cfg!(target_arch = "x86_64") {
        assert_runs(&work, "docker run --rm --network none");
    }
}
