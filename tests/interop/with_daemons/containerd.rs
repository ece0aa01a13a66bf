//! containerd imports what barge merged, whole, and barge reads what it exports.

use std::collections::BTreeMap;

use crate::daemons;
use crate::images::{SIX, seen, seen_as_text, six};
use crate::support::digests;
use crate::work::{Work, work};

const NEEDS: [&str; 3] = ["containerd", "ctr", "root"];

/// Every image of containerd: name and digest of its target.
fn images(work: &Work) -> BTreeMap<String, String> {
    let image = |line: &String| {
        let mut columns = line.split_whitespace();
        let (name, _media_type, digest) = (columns.next().unwrap(), columns.next().unwrap(), columns.next().unwrap());
        (name.to_owned(), digest.to_owned())
    };
    work.lines("ctr images ls").iter().skip(1).map(image).collect()
}

#[test]
fn all_platforms_of_every_name_are_imported() {
    let Some(work) = work(&NEEDS) else { return };
    let _daemons = daemons::containerd(&work);
    let hello = work.run(&format!("barge merge -o all.tar -t example.com/hello:v1 -t hello:latest {}", six()));
    let other = work.run(
        "barge merge -o all.tar -t example.com/other:v1 fixtures/buildx-amd64-arm64.tar fixtures/buildah-riscv64.tar",
    );
    work.run("ctr images import --all-platforms all.tar");
    let expected = [
        ("docker.io/library/hello:latest", &hello),
        ("example.com/hello:v1", &hello),
        ("example.com/other:v1", &other),
    ];
    assert_eq!(images(&work), expected.map(|(name, digest)| (name.to_owned(), digest.clone())).into());

    // removing a name collects all content that no other name holds, before it returns
    work.run("ctr images rm --sync docker.io/library/hello:latest");
    let content = work.lines("ctr content ls -q");
    assert!(content.contains(&hello) && content.contains(&other), "{content:?}");
    for line in digests::lines() {
        // an index is made anew by a merge
        if line.kind != "index" {
            assert!(content.contains(&line.digest), "{line:?}");
        }
    }
    if cfg!(target_arch = "x86_64") {
        assert_eq!(work.run("ctr run --rm example.com/hello:v1 one"), "hello from linux/amd64");
        assert_eq!(work.run("ctr run --rm example.com/other:v1 two"), "hello from linux/amd64");
    }
}

#[test]
fn what_containerd_exports_is_the_same_image() {
    let Some(work) = work(&NEEDS) else { return };
    let _daemons = daemons::containerd(&work);
    let hello = work.run(&format!("barge merge -o hello.tar -t example.com/hello:v1 {}", six()));
    work.run("ctr images import --all-platforms hello.tar");
    work.run("ctr images export --all-platforms exported.tar example.com/hello:v1");

    let images = seen(&work, "exported.tar");
    assert_eq!((images.len(), &images[0].digest), (1, &hello));
    assert_eq!(images[0].names, ["example.com/hello:v1"]);
    assert_eq!(images[0].platforms, SIX.map(|(platform, _)| platform));

    // as a source it gives the same index, and as a target it has everything already
    assert_eq!(work.run("barge merge -o again -t example.com/hello:v1 exported.tar"), hello);
    let before = work.read("exported.tar");
    assert_eq!(work.run(&format!("barge merge -o exported.tar -t example.com/hello:v1 {}", six())), hello);
    assert_eq!(work.read("exported.tar"), before);
}

#[test]
fn a_docker_manifest_list_is_imported() {
    let Some(work) = work(&NEEDS) else { return };
    let _daemons = daemons::containerd(&work);
    let list = work.run(&format!("barge merge --media-type docker -o hello.tar -t example.com/hello:v1 {}", six()));
    work.run("ctr images import --all-platforms hello.tar");
    assert_eq!(images(&work), [("example.com/hello:v1".to_owned(), list)].into());
}

#[test]
fn an_export_of_one_platform_is_merged_by_naming_it() {
    let Some(work) = work(&NEEDS) else { return };
    let _daemons = daemons::containerd(&work);
    work.run("ctr images import --all-platforms --base-name example.com/hello fixtures/buildx-amd64-arm64.tar");
    work.run("ctr images export --platform linux/arm64 arm64.tar example.com/hello:v1");
    // the index in it still lists the other platform and all attestations, none of which is there
    let said = work.fails("barge verify arm64.tar");
    assert!(said.contains("(manifest of linux/amd64)"), "{said}");
    let merge = "barge merge -o merged.tar -t example.com/hello:v1 arm64.tar fixtures/containerd-s390x";
    let said = work.fails(merge);
    assert!(said.contains("--platform"), "{said}");
    let said = work.fails(&format!("{merge} --platform linux/arm64,linux/s390x"));
    assert!(said.contains("--attestations drop"), "{said}");
    work.run(&format!("{merge} --platform linux/arm64,linux/s390x --attestations drop"));
    assert_eq!(seen_as_text(&work, "merged.tar"), ["example.com/hello:v1 linux/arm64,linux/s390x"]);
}
