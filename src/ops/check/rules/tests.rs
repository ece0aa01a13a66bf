//! The rules for the programs that Debian does not have, and for what no archive in `tests/interop` has.

use super::super::facts::{Element, Facts, Image, Listed};
use super::super::{Loader, Prediction, Verdict};
use super::predict;
use crate::content::{CONTAINERD_NAME, Descriptor, REF_NAME};
use crate::media::{Compression, OCI_INDEX};
use crate::platform::Platform;

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

/// An index of two platforms, under the names that are given.
fn image(content: &str, full: Option<&str>, own: Option<&str>) -> Image {
    let mut root = Descriptor::of(&OCI_INDEX.into(), content.as_bytes());
    for (key, name) in [(CONTAINERD_NAME, full), (REF_NAME, own)] {
        root = name.into_iter().fold(root, |root, name| root.with_annotation(key, name));
    }
    let both = ["linux/amd64", "linux/arm64"].map(platform).to_vec();
    Image {
        root,
        full: full.map(str::to_owned),
        own: own.map(str::to_owned),
        attached: false,
        listed: Some(both.iter().map(|platform| Listed { platform: platform.clone(), whole: true }).collect()),
        platforms: both,
        missing: 0,
    }
}

fn facts(images: Vec<Image>) -> Facts {
    let host = platform("linux/amd64");
    Facts { compression: Compression::None, layout: true, images, elements: None, needs: None, host }
}

fn hello() -> Image {
    image("hello", Some("docker.io/library/hello:v1"), Some("v1"))
}

fn summary(prediction: &Prediction) -> (&'static str, String, String) {
    (prediction.verdict.name(), prediction.names.join(" "), prediction.commands.join("; "))
}

#[test]
fn docker_finds_only_full_names_again() {
    for (full, own, verdict, names) in [
        (Some("docker.io/library/hello:v1"), Some("v1"), "yes", "docker.io/library/hello:v1"),
        (None, Some("example.com/hello:v1"), "yes", "example.com/hello:v1"),
        (Some("hello:v1"), Some("v1"), "partly", ""),
        (Some("example.com/hello"), Some("v1"), "partly", ""),
        (None, Some("v1"), "partly", ""),
        (None, Some("V1"), "partly", ""),
        (None, None, "partly", ""),
    ] {
        let prediction = predict(Loader::Docker, &facts(vec![image("a", full, own)]), "f.tar");
        let command = "docker load -i f.tar".to_owned();
        assert_eq!(summary(&prediction), (verdict, names.to_owned(), command), "{full:?} {own:?}");
    }
}

#[test]
fn nerdctl_puts_a_tag_behind_a_word() {
    let tag = predict(Loader::Nerdctl, &facts(vec![image("a", None, Some("v1"))]), "f.tar");
    assert_eq!((tag.verdict, tag.names.len()), (Verdict::TakesPart, 0));
    assert!(tag.remarks[0].reason.ends_with("import:v1"), "{tag:?}");
    let none = predict(Loader::Nerdctl, &facts(vec![image("a", None, None)]), "f.tar");
    assert!(none.remarks[0].reason.ends_with("import@DIGEST"), "{none:?}");
}

#[test]
fn docker_and_nerdctl_read_packed_archives() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let facts = Facts { compression, ..facts(vec![hello()]) };
        assert_eq!(predict(Loader::Docker, &facts, "f.tar").verdict, Verdict::Takes);
        assert_eq!(predict(Loader::Nerdctl, &facts, "f.tar").verdict, Verdict::Takes);
        assert_eq!(predict(Loader::Ctr, &facts, "f.tar").verdict, Verdict::Refuses);
    }
}

#[test]
fn of_a_sparse_archive_each_takes_what_it_can() {
    let there_is_only = |there: &str| {
        let mut image = hello();
        image.missing = 1;
        for listed in image.listed.iter_mut().flatten() {
            listed.whole = listed.platform == platform(there);
        }
        image.platforms = vec![platform(there)];
        facts(vec![image])
    };
    let (mine, other) = (there_is_only("linux/amd64"), there_is_only("linux/arm64"));
    for (loader, of_mine, of_other) in [
        (Loader::Docker, "docker load -i f.tar", "docker load -i f.tar"),
        (Loader::Nerdctl, "nerdctl load -i f.tar", ""),
        (Loader::Ctr, "ctr -n k8s.io images import f.tar", ""),
        (Loader::Podman, "podman load -i f.tar", ""),
        (Loader::Skopeo, "", ""),
    ] {
        assert_eq!(predict(loader, &mine, "f.tar").commands.join(""), of_mine, "{loader}");
        assert_eq!(predict(loader, &other, "f.tar").commands.join(""), of_other, "{loader}");
    }
}

#[test]
fn two_images_under_one_name_are_told_of() {
    let facts = facts(vec![hello(), image("other", Some("docker.io/library/hello:v1"), Some("v1"))]);
    for loader in [Loader::Docker, Loader::Nerdctl] {
        let prediction = predict(loader, &facts, "f.tar");
        assert_eq!((prediction.verdict, prediction.names.len()), (Verdict::TakesPart, 1));
        assert!(prediction.remarks[0].reason.contains("the last one"), "{prediction:?}");
    }
}

#[test]
fn docker_archives_are_read_by_their_names() {
    let element =
        |tags: &[&str]| Element { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), ..Element::default() };
    let of = |elements: Vec<Element>| Facts { layout: false, elements: Some(elements), ..facts(Vec::new()) };
    for (elements, names) in [
        (vec![element(&["hello:v1"])], "docker.io/library/hello:v1"),
        (vec![element(&["a.io/a:1", "a.io/a:2"]), element(&["b.io/b:1"])], "a.io/a:1 a.io/a:2 b.io/b:1"),
    ] {
        for loader in [Loader::Docker, Loader::DockerClassic, Loader::Nerdctl] {
            let prediction = predict(loader, &of(elements.clone()), "f.tar");
            assert_eq!(
                (prediction.verdict, prediction.names.join(" ")),
                (Verdict::Takes, names.to_owned()),
                "{loader}"
            );
        }
    }
    let skopeo = predict(Loader::Skopeo, &of(vec![element(&["a.io/a:1"]), element(&[])]), "f.tar");
    assert_eq!(
        skopeo.commands,
        [
            "skopeo copy docker-archive:f.tar:a.io/a:1 docker://a.io/a:1",
            "skopeo copy docker-archive:f.tar:@1 docker://HOST/REPOSITORY:TAG",
        ]
    );
}

#[test]
fn a_file_with_a_colon_is_nothing_for_skopeo() {
    let prediction = predict(Loader::Skopeo, &facts(vec![hello()]), "a:b.tar");
    assert_eq!(prediction.verdict, Verdict::Refuses);
    assert_eq!(predict(Loader::Podman, &facts(vec![hello()]), "a:b.tar").commands, ["podman load -i a:b.tar"]);
}

#[test]
fn an_archive_of_nothing_is_refused_by_all() {
    for loader in Loader::ALL {
        assert_eq!(predict(loader, &facts(Vec::new()), "f.tar").verdict, Verdict::Refuses, "{loader}");
    }
}
