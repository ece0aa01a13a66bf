//! What belongs to an image, in a registry that knows nothing of it: Debian's lists no referrers.

use serde_json::Value;

use crate::bench::Bench;
use crate::distribution::{Distribution, Mode};
use crate::support::belonging::{belongs, blobs, signed, sorted};
use crate::support::image::digest;

#[test]
fn the_same_comes_back_and_skopeo_reads_the_list() {
    let Some(bench) = Bench::new(&["skopeo"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let host = registry.host();
    let signed = signed(&["linux/amd64", "linux/arm64"]);
    signed.images.layout(&bench.work.path("dist"));
    bench.ok(&format!("push dist {host}/team/app:v1"));
    bench.ok(&format!("pull -o back {host}/team/app:v1"));
    assert_eq!(belongs(&bench.work.path("back")), sorted(signed.belonging.clone()));
    assert_eq!(blobs(&bench.work.path("back")), blobs(&bench.work.path("dist")));
    registry.forget_log();
    let again = bench.ok(&format!("push back {host}/team/app:v1"));
    assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
    assert_eq!(registry.log().count("PUT", "/"), 0, "{:?}", registry.log());

    // three tags for lists, cosign's, and the image's
    assert_eq!(registry.tags("team/app").len(), 5);
    let tag = digest(&signed.image).replace(':', "-");
    let raw = bench.work.bytes(&format!("skopeo inspect --raw --tls-verify=false docker://{host}/team/app:{tag}"));
    let list: Value = serde_json::from_slice(&raw).unwrap();
    let listed: Vec<&str> = list["manifests"].as_array().unwrap().iter().map(digest).collect();
    assert_eq!(listed, [digest(&signed.belonging[0]), digest(&signed.belonging[3])]);
    let place = format!("docker://{host}/team/app:{tag}.sig oci:signature:v1");
    bench.work.run(&format!("skopeo copy -q --preserve-digests --src-tls-verify=false {place}"));
    assert_eq!(bench.digest_of("signature", "v1"), digest(&signed.belonging[4]));

    // from there to another repository, and away again
    bench.ok(&format!("copy docker://{host}/team/app:v1 docker://{host}/other:v2"));
    bench.ok(&format!("copy docker://{host}/other:v2 oci:third"));
    assert_eq!(belongs(&bench.work.path("third")), sorted(signed.belonging));
}

#[test]
fn two_that_push_at_once_lose_nothing_of_each_other() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let signed = signed(&["linux/amd64"]);
    let mut layouts = Vec::new();
    for (at, _) in [0, 3].iter().enumerate() {
        let mut images = signed.images.clone();
        let own = digest(&signed.belonging[[0, 3][at]]).to_owned();
        let name = images.roots[0].clone();
        images.roots.retain(|root| *root == name || digest(root) == own);
        images.layout(&bench.work.path(&format!("dist{at}")));
        layouts.push(format!("push dist{at} {}/app:v{at}", registry.host()));
    }
    let started: Vec<_> = layouts.iter().map(|line| bench.start(line)).collect();
    for one in started {
        let ran = one.end();
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    // whoever was overwritten between its look and the other's is there after the next push
    layouts.iter().for_each(|line| drop(bench.ok(line)));
    let list = registry.manifest("app", &digest(&signed.image).replace(':', "-")).unwrap();
    let list: Value = serde_json::from_slice(&list.bytes).unwrap();
    assert_eq!(list["manifests"].as_array().unwrap().len(), 2, "{list}");
}
