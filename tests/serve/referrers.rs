//! What belongs to an image is served with it, and is pulled with it.

use crate::environment::Barge;
use crate::harness::Serving;
use crate::support::belonging::{SBOM, belongs, blobs, signed, sorted};

#[test]
fn what_is_served_is_pulled_whole() {
    let barge = Barge::new();
    let mut signed = signed(&["linux/amd64", "linux/arm64"]);
    let root = &mut signed.images.roots[0];
    root["annotations"] = serde_json::json!({"io.containerd.image.name": "ghcr.io/org/app:v1"});
    signed.images.layout(&barge.path("dist"));
    signed.images.archive(&barge.path("dist.tar"));
    for (source, kind) in [("dist", "layout"), ("dist.tar", "archive")] {
        let mut serve = barge.command();
        serve.args(["serve", "--listen", "127.0.0.1:0", source]);
        let serving = Serving::start(&mut serve);
        let name = format!("{}/org/app:v1", serving.authority());
        barge.line(&format!("pull -o back-{kind} {name}")).exits(0).says(&["brings 5 referrers"]);
        let back = barge.path(format!("back-{kind}"));
        assert_eq!(belongs(&back), sorted(signed.belonging.clone()));
        assert_eq!(blobs(&back), blobs(&barge.path("dist")));
        barge.line(&format!("pull -o sboms-{kind} --referrers {SBOM} {name}")).exits(0);
        assert_eq!(belongs(&barge.path(format!("sboms-{kind}"))).len(), 2);
        barge.line(&format!("pull -o none-{kind} --referrers none {name}")).exits(0);
        assert!(belongs(&barge.path(format!("none-{kind}"))).is_empty());
    }
}
