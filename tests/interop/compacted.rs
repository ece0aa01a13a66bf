//! Layers of those who pack them are made again from a compact archive, and the summary knows whose they are.

use std::fs;

use crate::made_again::{comes_back, make};
use crate::support::image::{GZIP, Images, Layer, named};
use crate::work::{Work, work};

/// Writes a layout with an image whose layers are these files, which unpack to `root.tar`.
fn layout(work: &Work, name: &str, files: &[&str]) {
    let plain = Layer::plain(&work.read("root.tar"));
    let layer = |file: &&str| Layer { media_type: GZIP, bytes: work.read(file), ..plain.clone() };
    let layers: Vec<Layer> = files.iter().map(layer).collect();
    let mut images = Images::new();
    let image = images.image("linux/amd64", &layers);
    images.root(named(image, "v1"));
    images.layout(&work.path(name));
}

/// Runs a command, and makes a file of what it writes to its standard output.
fn keep(work: &Work, line: &str, file: &str) {
    fs::write(work.path(file), work.bytes(line)).unwrap();
}

#[test]
fn gzip() {
    let Some(work) = work(&["gzip", "tar"]) else { return };
    make(&work);
    // what tar is told about its parts keeps them the same
    work.run("tar -C root --owner=0 --group=0 --numeric-owner --sort=name -czf by-tar.gz .");
    keep(&work, "gzip -1 -c root.tar", "fast.gz");
    keep(&work, "gzip -9 -n -c root.tar", "best.gz");
    layout(&work, "made", &["by-tar.gz", "fast.gz", "best.gz"]);
    comes_back(&work, "made", "gzip at level 6 (1), gzip at level 1 (1), gzip at level 9 (1)");
}

#[test]
fn pigz() {
    let Some(work) = work(&["pigz", "tar"]) else { return };
    make(&work);
    keep(&work, "pigz -p 4 -c root.tar", "usual.gz");
    keep(&work, "pigz -p 1 -1 -c root.tar", "single.gz");
    keep(&work, "pigz -9 -i -b 256 -c root.tar", "independent.gz");
    layout(&work, "made", &["usual.gz", "single.gz", "independent.gz"]);
    let packers = "pigz at level 6 (1), pigz-single at level 1 (1), pigz-independent at level 9 (1)";
    comes_back(&work, "made", packers);
}

#[test]
fn python_and_bsdtar_with_zlib() {
    let Some(work) = work(&["bsdtar", "python3", "tar"]) else { return };
    make(&work);
    work.run("python3 -m gzip --best root.tar");
    fs::rename(work.path("root.tar.gz"), work.path("by-python.gz")).unwrap();
    keep(&work, "bsdtar -cz --format=ustar @root.tar", "by-bsdtar.gz");
    layout(&work, "made", &["by-python.gz"]);
    comes_back(&work, "made", "zlib at level 9 (1)");
    // bsdtar makes a tar of its own
    fs::write(work.path("root.tar"), work.bytes("gzip -dc by-bsdtar.gz")).unwrap();
    layout(&work, "other", &["by-bsdtar.gz"]);
    comes_back(&work, "other", "zlib at level 6 (1)");
}

#[test]
fn umoci() {
    let Some(work) = work(&["tar", "umoci"]) else { return };
    make(&work);
    work.run("umoci init --layout made");
    work.run("umoci new --image made:v1");
    work.run("umoci insert --rootless --image made:v1 root /");
    comes_back(&work, "made", "klauspost1.15 at level 5 (1)");
}

#[test]
fn skopeo() {
    let Some(work) = work(&["skopeo", "tar"]) else { return };
    make(&work);
    work.run("barge build -o plain -t v1 --platform linux/amd64 --from scratch --add root:/ --compression none");
    work.run("skopeo copy -q oci:plain oci:made:v1");
    comes_back(&work, "made", "klauspost1.15 at level 5 (1)");
}

#[test]
fn podman() {
    let Some(work) = work(&["podman", "root", "tar"]) else { return };
    make(&work);
    work.run("podman import -q root.tar localhost/made:v1");
    work.run("podman push -q localhost/made:v1 oci:made:v1");
    comes_back(&work, "made", "klauspost1.15 at level 5 (1)");
}

#[test]
fn buildah() {
    let Some(work) = work(&["buildah", "root", "tar"]) else { return };
    make(&work);
    let container = work.run("buildah from scratch");
    work.run(&format!("buildah add -q {container} root /"));
    work.run(&format!("buildah commit -q --disable-compression=false {container} oci:made:v1"));
    comes_back(&work, "made", "klauspost1.15 at level 5 (1)");
}

#[test]
fn barge() {
    let Some(work) = work(&["tar"]) else { return };
    make(&work);
    for (layout, options, packer) in [
        ("usual", "", "barge at level 5 (1)"),
        ("best", "--compression-level 9", "barge at level 9 (1)"),
        ("plain", "--compression none", "none (1)"),
    ] {
        work.run(&format!(
            "barge build -o {layout} -t v1 --platform linux/amd64 --from scratch --add root:/ {options}"
        ));
        comes_back(&work, layout, packer);
    }
}
