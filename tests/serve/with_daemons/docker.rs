//! docker pulls from it, as a mirror of Docker Hub and by its own name.

use serde_json::json;

use crate::authority::Authority;
use crate::daemons;
use crate::images::{config_of, host, strings};
use crate::with_clients::joined::two_bundles;
use crate::with_clients::refused::serve_to_a_user;
use crate::with_clients::{APP, app, digests, requests, serve, shown_json};
use crate::work::{Work, work};

const NEEDS: [&str; 5] = ["containerd", "ctr", "docker", "dockerd", "root"];

fn runs(work: &Work, name: &str) {
    if cfg!(target_arch = "x86_64") {
        assert_eq!(work.run(&format!("docker run --rm --network none {name}")), "hello from linux/amd64", "{name}");
    }
}

#[test]
fn docker_pulls_runs_and_is_told_that_nothing_is_taken() {
    let Some(work) = work(&NEEDS) else { return };
    let digest = app(&work);
    work.run(&format!("barge tag -q lib:{APP} docker.io/library/tool:v1"));
    // 20.10 pulls what OCI's types have, and its `manifest inspect` knows Docker's alone
    work.run(&format!("barge convert -q --to docker -t ghcr.io/org/list:v1 lib:{APP}"));
    let list = digests(&work, "lib")["ghcr.io/org/list:v1"].clone();
    work.run("barge save -q -o bundle.tar lib");
    let serving = serve(&work, "bundle.tar");
    let authority = serving.authority();
    let settings = shown_json("/etc/docker/daemon.json", authority);
    let _daemons = daemons::docker_with(&work, settings);

    for name in [format!("{authority}/org/app:v1"), format!("{authority}/ghcr.io/org/app:v1"), "tool:v1".to_owned()] {
        let pulled = work.run(&format!("docker pull {name}"));
        assert!(pulled.contains(&format!("Digest: {digest}")), "{name}: {pulled}");
        assert_eq!(work.run(&format!("docker image inspect --format {{{{.Id}}}} {name}")), config_of(host()));
        runs(&work, &name);
    }
    let asked = requests(&serving.said());
    for request in ["HEAD /v2/org/app/manifests/v1 200", "HEAD /v2/library/tool/manifests/v1 200"] {
        assert!(asked.contains(&request.to_owned()), "{asked:?}");
    }
    let known = work.json("docker image inspect tool:v1");
    assert!(strings(&known[0]["RepoDigests"]).contains(&format!("tool@{digest}")), "{known}");
    let exactly = format!("{authority}/org/app@{digest}");
    assert!(work.run(&format!("docker pull {exactly}")).contains(&digest));
    for reference in ["list:v1".to_owned(), format!("list@{list}")] {
        let listed = work.json(&format!("docker manifest inspect --insecure {authority}/org/{reference}"));
        assert_eq!(listed["manifests"].as_array().unwrap().len(), 6, "{listed}");
        assert!(work.run(&format!("docker pull --platform linux/s390x {authority}/org/{reference}")).contains(&list));
    }

    let read_only = "unsupported: this registry is read-only: it is served from a layout or an archive";
    work.run(&format!("docker tag tool:v1 {authority}/org/new:v1"));
    for (line, part) in [
        (format!("docker push {authority}/org/new:v1"), read_only),
        (format!("docker pull {authority}/org/nothing:v1"), "name unknown: no image org/nothing is served here"),
        (format!("docker pull {authority}/org/app:v9"), "manifest unknown: org/app has no tag v9"),
    ] {
        let said = work.fails(&line);
        assert!(said.contains(part), "{line}: {said}");
    }
}

#[test]
fn docker_pulls_its_platform_of_two_bundles() {
    let Some(work) = work(&NEEDS) else { return };
    let digest = two_bundles(&work);
    let _daemons = daemons::docker(&work);
    let serving = serve(&work, "--join arm64.tar amd64.tar");
    let name = format!("{}/org/app:v1", serving.authority());
    for architecture in ["amd64", "arm64"] {
        let pulled = work.run(&format!("docker pull --platform linux/{architecture} {name}"));
        assert!(pulled.contains(&format!("Digest: {digest}")), "{pulled}");
        let id = work.run(&format!("docker image inspect --format {{{{.Id}}}} {name}"));
        assert_eq!(id, config_of(&format!("linux/{architecture}")));
    }
    if ["linux/amd64", "linux/arm64"].contains(&host()) {
        work.run(&format!("docker pull --platform {} {name}", host()));
        runs(&work, &name);
    }
}

#[test]
fn docker_shows_the_password_that_it_has() {
    let needs: Vec<&str> = NEEDS.into_iter().chain(["htpasswd", "openssl"]).collect();
    let Some(work) = work(&needs) else { return };
    let digest = app(&work);
    let _daemons = daemons::docker(&work);
    let authority = Authority::new();
    let serving = serve_to_a_user(&work, &authority);
    let name = format!("{}/org/app:v1", serving.authority());
    // docker trusts any certificate at 127.0.0.1, and there it tries again without TLS when it is refused
    for (auth, part) in [
        ("", "unsupported: this port speaks TLS: ask for https:// instead of http://"),
        ("bm9kZTp3cm9uZw==", "unauthorized: name or password is wrong"),
        ("bm9kZTpzZWNyZXQ=", ""),
    ] {
        let auths = json!({"auths": {serving.authority(): {"auth": auth}}});
        work.write("home/config.json", &auths.to_string());
        if part.is_empty() {
            assert!(work.run(&format!("docker pull {name}")).contains(&digest));
        } else {
            let said = work.fails(&format!("docker pull {name}"));
            assert!(said.contains(part), "{said}");
        }
    }
    runs(&work, &name);
}
