//! The bundles of two build machines are one image.

use super::{APP, blobs, digests, serve};
use crate::images::{sha256, strings};
use crate::work::{Work, work};

/// Saves one image for each of two platforms under the same name, each on its own, and returns the digest that a merge of the two
/// has.
pub(crate) fn two_bundles(work: &Work) -> String {
    for (file, fixture) in [("amd64", "umoci-amd64"), ("arm64", "skopeo-arm64.tar")] {
        work.run(&format!("barge merge -q -o {file} -t {APP} fixtures/{fixture}"));
        work.run(&format!("barge save -q -o {file}.tar {file}"));
    }
    work.run(&format!("barge merge -o both -t {APP} amd64.tar arm64.tar"))
}

#[test]
fn skopeo_and_podman_see_what_a_merge_would_make() {
    let Some(work) = work(&["podman", "root", "skopeo"]) else { return };
    let digest = two_bundles(&work);
    for places in ["amd64.tar arm64.tar", "arm64.tar amd64.tar"] {
        let serving = serve(&work, &format!("--join {places}"));
        let name = format!("{}/org/app:v1", serving.authority());
        let raw = work.bytes(&format!("skopeo inspect --raw --tls-verify=false docker://{name}"));
        assert_eq!(
            (sha256(&raw), &raw),
            (digest.clone(), &work.read(&format!("both/blobs/{}", digest.replace(':', "/"))))
        );
        let back = places.split('.').next().unwrap();
        let copy = "skopeo copy -q --all --preserve-digests --src-tls-verify=false";
        work.run(&format!("{copy} docker://{name} oci:back-{back}:v1"));
        assert_eq!(blobs(&work, &format!("back-{back}")), blobs(&work, "both"));
        for arch in ["amd64", "arm64"] {
            work.run(&format!("podman pull -q --tls-verify=false --arch {arch} {name}"));
            let seen = work.json(&format!("podman image inspect {name}"));
            assert_eq!(seen[0]["Architecture"], arch);
            let known = strings(&seen[0]["RepoDigests"]);
            assert!(known.iter().any(|known| known.ends_with(&digest)), "{known:?}");
        }
        work.run("podman rmi --all --force");
        // each bundle's own image goes on being there
        for one in ["amd64", "arm64"] {
            let own = &digests(&work, &format!("{one}.tar"))[APP];
            let name = format!("docker://{}/org/app@{own}", serving.authority());
            assert_eq!(sha256(&work.bytes(&format!("skopeo inspect --raw --tls-verify=false {name}"))), *own);
        }
        assert!(!serving.stop().said.contains("warning"));
    }
}
