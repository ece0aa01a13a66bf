//! containerd pulls from it by its own name, and as a mirror through the `hosts.toml` of `docs/serve.md`.

use std::process::{Command, Stdio};

use crate::authority::Authority;
use crate::daemons;
use crate::support::image::sparse;
use crate::with_clients::refused::serve_to_a_user;
use crate::with_clients::{APP, app, blobs, requests, serve, shown};
use crate::work::{Work, work};

const NEEDS: [&str; 3] = ["containerd", "ctr", "root"];

/// Checks that an image is there with all its content, and that it runs.
#[track_caller]
fn has(work: &Work, name: &str, digest: &str) {
    let images = work.lines("ctr images ls");
    assert!(images.iter().any(|line| line.starts_with(name) && line.contains(digest)), "{images:?}");
    let content = work.lines("ctr content ls -q");
    for digest in blobs(work, "lib").keys() {
        assert!(content.contains(digest), "{digest}");
    }
    if cfg!(target_arch = "x86_64") {
        assert_eq!(work.run(&format!("ctr run --rm {name} one")), "hello from linux/amd64");
    }
}

#[test]
fn containerd_pulls_all_platforms_by_the_name_of_the_server() {
    let Some(work) = work(&NEEDS) else { return };
    let digest = app(&work);
    let serving = serve(&work, "lib");
    let _daemons = daemons::containerd(&work);
    let name = format!("{}/ghcr.io/org/app:v1", serving.authority());
    work.run(&format!("ctr images pull --plain-http --all-platforms {name}"));
    has(&work, &name, &digest);
    // a client that is answered before it has sent all waits for ever
    let new = format!("{}/ghcr.io/org/app:v2", serving.authority());
    let output = work.output(&format!("ctr images push --plain-http {new} {name}"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("405 Method Not Allowed"), "{} {said}", output.status);
    assert!(requests(&serving.said()).contains(&"PUT /v2/ghcr.io/org/app/manifests/v2 405".to_owned()));
}

#[test]
fn containerd_is_led_here_by_the_settings_of_the_page() {
    let Some(work) = work(&NEEDS) else { return };
    let digest = app(&work);
    // the same short name of another registry, which is not meant
    work.run("barge merge -q -o bundle.tar -t docker.io/org/app:v1 fixtures/buildx-amd64-arm64.tar");
    work.run(&format!("barge copy -q lib:{APP} bundle.tar"));
    let serving = serve(&work, "bundle.tar");
    std::fs::create_dir_all(work.path("certs.d/ghcr.io")).unwrap();
    let text = shown("/etc/containerd/certs.d/ghcr.io/hosts.toml", 0, serving.authority());
    work.write("certs.d/ghcr.io/hosts.toml", &text);
    let _daemons = daemons::containerd(&work);
    work.run(&format!("ctr images pull --hosts-dir certs.d --all-platforms {APP}"));
    has(&work, APP, &digest);
    let asked = requests(&serving.said());
    assert!(asked.contains(&"HEAD /v2/org/app/manifests/v1?ns=ghcr.io 200".to_owned()), "{asked:?}");
    assert!(asked.iter().all(|line| line.contains("?ns=ghcr.io ") && line.ends_with(" 200")), "{asked:?}");
    // as k3s writes it, and with a path of its own for each registry
    for (path, more) in [("/v2", ""), ("/v2/ghcr.io", "  override_path = true\n")] {
        let host = format!("[host.\"{}{path}\"]\n  capabilities = [\"pull\", \"resolve\"]\n{more}", serving.url());
        work.write("certs.d/ghcr.io/hosts.toml", &format!("server = \"https://ghcr.io/v2\"\n[host]\n{host}"));
        work.run(&format!("ctr images rm --sync {APP}"));
        work.run(&format!("ctr images pull --hosts-dir certs.d --all-platforms {APP}"));
        has(&work, APP, &digest);
    }
    let asked = requests(&serving.said());
    assert!(asked.contains(&"HEAD /v2/ghcr.io/org/app/manifests/v1?ns=ghcr.io 200".to_owned()), "{asked:?}");
    work.write("certs.d/ghcr.io/hosts.toml", &text);
    let said = work.fails("ctr images pull --hosts-dir certs.d ghcr.io/org/nothing:v1");
    assert!(said.contains("ghcr.io/org/nothing:v1: not found"), "{said}");
}

#[test]
fn containerd_shows_the_password_of_the_page() {
    let Some(work) = work(&["containerd", "ctr", "htpasswd", "openssl", "root"]) else { return };
    let digest = app(&work);
    let authority = Authority::new();
    let serving = serve_to_a_user(&work, &authority);
    std::fs::create_dir_all(work.path("certs.d/ghcr.io")).unwrap();
    let text = shown("/etc/containerd/certs.d/ghcr.io/hosts.toml", 1, serving.authority());
    let file = work.path("certs/ca.crt");
    let text = text.replace("/etc/containerd/certs.d/site.crt", file.to_str().unwrap());
    let _daemons = daemons::containerd(&work);
    for (without, part) in [
        ("authorization", "401 Unauthorized"),
        ("ca = ", "x509: certificate signed by unknown authority"),
        ("nothing", ""),
    ] {
        let lines = text.lines().filter(|line| !line.contains(without)).map(|line| format!("{line}\n"));
        work.write("certs.d/ghcr.io/hosts.toml", &lines.collect::<String>());
        let pull = format!("ctr images pull --hosts-dir certs.d --all-platforms {APP}");
        if part.is_empty() {
            work.run(&pull);
        } else {
            let said = work.fails(&pull);
            assert!(said.contains(part), "{said}");
        }
    }
    has(&work, APP, &digest);
}

#[test]
fn a_pull_that_was_killed_goes_on_where_it_was() {
    let Some(work) = work(&NEEDS) else { return };
    sparse(&work.path("huge"), "linux/amd64", &[256 << 20]);
    let serving = serve(&work, "huge");
    let _daemons = daemons::containerd(&work);
    let line = format!("content fetch --plain-http {}/huge:latest", serving.authority());
    // not by `timeout`, which would be killed in its place
    let mut command = Command::new("ctr");
    work.isolate(&mut command);
    let mut pull = command.args(line.split(' ')).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !work.lines("ctr content active").iter().any(|line| line.starts_with("layer-") && line.contains("MB")) {
        assert!(pull.try_wait().unwrap().is_none(), "it was faster than this test");
    }
    pull.kill().unwrap();
    pull.wait().unwrap();
    serving.says(" cut\n");
    work.run(&format!("ctr {line}"));
    let asked = requests(&serving.said());
    let parts: Vec<&String> = asked.iter().filter(|line| line.contains("/blobs/") && line.ends_with(" 206")).collect();
    assert_eq!(parts.len(), 1, "{asked:?}");
    let content = work.lines("ctr content ls -q");
    assert!(blobs(&work, "huge").keys().all(|digest| content.contains(digest)), "{content:?}");
}
