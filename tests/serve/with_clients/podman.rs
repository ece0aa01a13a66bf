//! podman pulls by the names that images have, through the settings of `docs/serve.md` and others.

use super::{APP, app, requests, serve, shown};
use crate::images::{config_of, host, strings};
use crate::work::{Work, work};

const NEEDS: [&str; 2] = ["podman", "root"];

fn settings(work: &Work, text: &str) {
    work.write("home/.config/containers/registries.conf", text);
}

/// Pulls an image, and compares the id.
#[track_caller]
fn pulls(work: &Work, words: &str) {
    assert_eq!(format!("sha256:{}", work.run(&format!("podman pull -q {words}"))), config_of(host()), "{words}");
}

#[test]
fn names_lead_here_by_the_settings_of_the_page() {
    let Some(work) = work(&NEEDS) else { return };
    let digest = app(&work);
    work.run(&format!("barge tag -q lib:{APP} docker.io/library/tool:v1"));
    work.run("barge save -q -o bundle.tar lib");
    let serving = serve(&work, "bundle.tar");
    settings(&work, &shown("/etc/containers/registries.conf.d/site.conf", 0, serving.authority()));
    pulls(&work, APP);
    pulls(&work, "docker.io/library/tool:v1");
    pulls(&work, "docker.io/tool:v1");
    let asked = requests(&serving.said());
    for request in ["GET /v2/ghcr.io/org/app/manifests/v1 200", "GET /v2/docker.io/library/tool/manifests/v1 200"] {
        assert!(asked.contains(&request.to_owned()), "{asked:?}");
    }
    let known = work.json(&format!("podman image inspect {APP}"));
    assert!(strings(&known[0]["RepoDigests"]).contains(&format!("ghcr.io/org/app@{digest}")), "{known}");
    // what is not here
    let said = work.fails("podman pull -q ghcr.io/org/nothing:v1");
    assert!(said.contains("name unknown: no image ghcr.io/org/nothing is served here"), "{said}");
    let said = work.fails("podman pull -q ghcr.io/org/app:v9");
    assert!(said.contains("manifest unknown: ghcr.io/org/app has no tag v9"), "{said}");
}

#[test]
fn a_mirror_is_asked_with_and_without_the_registry_in_its_path() {
    let Some(work) = work(&NEEDS) else { return };
    let digest = app(&work);
    let serving = serve(&work, "lib");
    for path in ["", "/ghcr.io"] {
        settings(
            &work,
            &format!(
                "[[registry]]\nprefix = \"ghcr.io\"\nlocation = \"ghcr.io\"\n[[registry.mirror]]\n\
                 location = \"{}{path}\"\ninsecure = true\n",
                serving.authority()
            ),
        );
        for reference in [APP.to_owned(), format!("ghcr.io/org/app@{digest}")] {
            pulls(&work, &reference);
            work.run("podman rmi --all --force");
        }
        let asked = requests(&serving.said());
        for word in ["v1", &digest] {
            let request = format!("GET /v2{path}/org/app/manifests/{word} 200");
            assert!(asked.contains(&request), "{request} {asked:?}");
        }
        let listed = work.json(&format!("podman manifest inspect {APP}"));
        assert_eq!(listed["manifests"].as_array().unwrap().len(), 6, "{listed}");
    }
    pulls(&work, APP);
    if cfg!(target_arch = "x86_64") {
        let limits = "--ulimit nofile=1024:1024 --ulimit nproc=1024:1024";
        let ran = work.run(&format!("podman run --rm --network none {limits} {APP}"));
        assert_eq!(ran, "hello from linux/amd64");
    }
}

#[test]
fn every_platform_is_pulled_by_the_name_of_the_server() {
    let Some(work) = work(&["buildah", "podman", "root"]) else { return };
    app(&work);
    let serving = serve(&work, "lib");
    let name = format!("{}/org/app:v1", serving.authority());
    for (platform, words) in
        [("linux/arm64", "--arch arm64"), ("linux/s390x", "--arch s390x"), ("linux/arm/v7", "--arch arm --variant v7")]
    {
        let id = work.run(&format!("podman pull -q --tls-verify=false {words} {name}"));
        assert_eq!(format!("sha256:{id}"), config_of(platform), "{platform}");
    }
    let container = work.run(&format!("buildah from --pull-always --tls-verify=false {name}"));
    let image = work.run(&format!("buildah inspect --format {{{{.FromImageID}}}} {container}"));
    assert_eq!(format!("sha256:{image}"), config_of(host()));
    work.run(&format!("buildah rm {container}"));
}
