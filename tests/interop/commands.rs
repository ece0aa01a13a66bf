//! The commands that `barge save` prints, for the very file that it wrote.

use crate::work::{Work, work};

/// What is saved, how, and which programs are then offered: those that can read it, wherever that is.
const SAVES: [(&str, &str, &str); 18] = [
    ("one", "--format hybrid", "barge docker podman ctr nerdctl skopeo"),
    ("one", "--format hybrid --compress gzip", "barge docker podman nerdctl skopeo"),
    ("one", "--format hybrid --compress zstd", "barge podman nerdctl skopeo"),
    ("one", "--format oci", "barge podman ctr nerdctl skopeo"),
    ("one", "--format oci --compress gzip", "barge podman nerdctl skopeo"),
    ("one", "--format oci --compress zstd", "barge podman nerdctl skopeo"),
    ("one", "--format docker --platform linux/amd64", "barge docker podman ctr nerdctl skopeo"),
    ("one", "--format docker --platform linux/amd64 --compress gzip", "barge docker nerdctl"),
    ("one", "--format docker --platform linux/amd64 --compress zstd", "barge podman nerdctl skopeo"),
    ("three", "--format hybrid", "barge docker podman ctr nerdctl skopeo skopeo skopeo"),
    // podman reads several images by manifest.json only, and not in a file that is packed with gzip
    ("three", "--format hybrid --compress gzip", "barge docker nerdctl skopeo skopeo skopeo"),
    ("three", "--format hybrid --compress zstd", "barge podman nerdctl skopeo skopeo skopeo"),
    ("three", "--format oci", "barge ctr nerdctl skopeo skopeo skopeo"),
    ("three", "--format oci --compress gzip", "barge nerdctl skopeo skopeo skopeo"),
    ("three", "--format oci --compress zstd", "barge nerdctl skopeo skopeo skopeo"),
    // two of the three are the same for this platform
    ("three", "--format docker --platform linux/amd64", "barge docker podman ctr nerdctl skopeo skopeo"),
    ("three", "--format docker --platform linux/amd64 --compress gzip", "barge docker nerdctl"),
    ("three", "--format docker --platform linux/amd64 --compress zstd", "barge podman nerdctl skopeo skopeo"),
];

/// Makes layouts to save: an image, and three in two repositories that share a tag.
pub(crate) fn layouts(work: &Work) {
    let merge = |layout: &str, name: &str, sources: &str| {
        work.run(&format!("barge merge -o {layout} -t example.com/{name} {sources}"));
    };
    let both = "fixtures/umoci-amd64 fixtures/skopeo-arm64.tar";
    merge("one", "first:v1", both);
    merge("three", "first:v1", both);
    merge("three", "first:v2", "fixtures/buildx-amd64-arm64.tar");
    merge("three", "second:v1", &format!("{both} fixtures/containerd-s390x"));
}

/// Saves everything in turn, and hands over the name of the file and what is printed for it.
pub(crate) fn each_save(work: &Work, mut hear: impl FnMut(&str, &str, Vec<String>)) {
    layouts(work);
    for (at, (layout, options, programs)) in SAVES.into_iter().enumerate() {
        let file = format!("saved-{at}");
        let output = work.output(&format!("barge save -o {file} {options} {layout}"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{options}: {said}");
        let (_, after) = said.split_once("load it elsewhere with one of:").unwrap();
        let commands = after.lines().filter_map(|line| line.strip_prefix("  ")).map(str::to_owned).collect();
        hear(&file, programs, commands);
    }
}

#[test]
fn what_can_read_the_file_is_offered_and_nothing_else() {
    let Some(work) = work(&[]) else { return };
    each_save(&work, |file, programs, commands| {
        let offered: Vec<&str> = commands.iter().map(|command| command.split(' ').next().unwrap()).collect();
        assert_eq!(offered.join(" "), programs, "{file}: {commands:#?}");
        assert!(commands.iter().all(|command| command.contains(file)), "{commands:#?}");
    });
}

#[test]
fn each_image_goes_to_where_its_name_says() {
    let Some(work) = work(&[]) else { return };
    layouts(&work);
    let said = String::from_utf8(work.output("barge save -o three.tar three").stderr).unwrap();
    for command in [
        "skopeo copy --all --preserve-digests oci-archive:three.tar:v1 docker://example.com/first:v1",
        "skopeo copy --all --preserve-digests oci-archive:three.tar:v2 docker://example.com/first:v2",
        "skopeo copy --all --preserve-digests oci-archive:three.tar:example.com/second:v1 docker://example.com/second:v1",
    ] {
        assert!(said.contains(command), "{said}");
    }
}
