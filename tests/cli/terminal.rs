//! Text from images, archives and directories never moves a terminal: not in tables, not in errors, not in JSON.

use std::fs;

use serde_json::json;

use super::support::image::{
    CONFIG, FULL_NAME, INDEX, Images, Layer, MANIFEST, annotated, config, manifest, named, on, simple,
};
use super::support::tar::Tar;
use super::*;

/// Clears the screen, C1 the same in one character, turns the direction around, breaks the line, hides.
const HOSTILE: [&str; 6] = ["a\u{1b}[2Jb", "a\u{9b}2Jb", "a\u{202e}b", "a\nb\r", "a\u{200b}\u{feff}b", "a\u{7f}b"];

const COMMANDS: [&str; 10] = [
    "ls",
    "ls --all --no-trunc",
    "ls --json",
    "tree",
    "tree --json",
    "verify -v",
    "verify --deep --json",
    "inspect",
    "inspect --json",
    "inspect --config",
];

#[track_caller]
fn assert_tame(barge: &Barge, words: &[&str]) {
    let output = barge.run(words);
    let code = output.code();
    let checked = output.exits(code);
    for (name, text) in
        [("stdout", String::from_utf8_lossy(checked.bytes()).into_owned()), ("stderr", checked.stderr().to_owned())]
    {
        // a line end is what the program itself writes: hostile ones are looked for by what stands around them
        let wild = text.chars().find(|character| *character != '\n' && barge::text::is_unsafe(*character));
        assert_eq!(wild, None, "{name} of {words:?}: {text:?}");
        assert!(!text.contains("a\nb"), "{name} of {words:?}: {text:?}");
    }
}

fn run_all(barge: &Barge, place: &str) {
    for command in COMMANDS {
        let words: Vec<&str> = command.split_whitespace().chain([place]).collect();
        assert_tame(barge, &words);
    }
    for options in [&["--dry-run"][..], &["-v"], &["--json", "-v"]] {
        let words = [&["merge", "-o", "out", "-t", "app:v1"], options, &[place]].concat();
        assert_tame(barge, &words);
    }
    for target in ["out.tar", place] {
        assert_tame(barge, &["merge", "-o", target, "-t", "app:v2", place]);
    }
    // what is not found is told with what is there
    for selector in [":nothing", "@9", "@0000000"] {
        assert_tame(barge, &["inspect", &format!("{place}{selector}")]);
    }
    let _ = (fs::remove_dir_all(barge.path("out")), fs::remove_file(barge.path("out.tar")));
}

#[test]
fn hostile_text_in_documents_is_shown_escaped() {
    let barge = Barge::new();
    for (at, images) in poisoned(&HOSTILE.concat()).into_iter().enumerate() {
        for place in [format!("{at}"), format!("{at}.tar")] {
            images.write(&barge.path(&place));
            run_all(&barge, &place);
        }
    }
}

/// Returns places with a hostile text wherever one can stand.
fn poisoned(text: &str) -> Vec<Images> {
    let layers = [Layer::plain(b"x")];
    let one = |with: &dyn Fn(&mut Images)| {
        let mut images = Images::new();
        with(&mut images);
        images
    };
    vec![
        // names
        one(&|images| {
            let image = images.image("linux/amd64", &layers);
            images.root(named(annotated(image.clone(), FULL_NAME, text), text));
            images.root(named(image, &format!("{text}:v1")));
        }),
        // one name for two images: a problem that names it
        one(&|images| {
            for platform in ["linux/amd64", "linux/arm64"] {
                let image = images.image(platform, &layers);
                images.root(named(image, text));
            }
        }),
        // platforms, in the index and in the config
        one(&|images| {
            let mut config = config("linux/amd64", &layers);
            config["architecture"] = json!(text);
            config["variant"] = json!(text);
            config["created"] = json!(text);
            let image = images.image_with(&config, &layers);
            let mut stated = on(image.clone(), "linux/amd64");
            stated["platform"]["os"] = json!(text);
            stated["platform"]["os.version"] = json!(text);
            stated["platform"]["os.features"] = json!([text]);
            let index = images.index(&[stated, on(image.clone(), "linux/arm64")]);
            images.root(named(index, "v1"));
        }),
        // media types, annotations, artifact types
        one(&|images| {
            let config = images.put(text, b"{}");
            let blob = images.put(&format!("x/{text}"), b"blob");
            let mut document = manifest(&config, &[annotated(blob, text, text)]);
            document["artifactType"] = json!(text);
            document["annotations"] = json!({text: text});
            let artifact = images.document(MANIFEST, &document);
            let attestation = on(artifact.clone(), "unknown/unknown");
            let attestation = annotated(attestation, "vnd.docker.reference.type", "attestation-manifest");
            let attestation = annotated(attestation, "vnd.docker.reference.digest", text);
            let image = images.image("linux/amd64", &layers);
            let index = images.index(&[artifact, on(image, "linux/amd64"), attestation]);
            images.root(index);
        }),
        // documents that parsers complain of, with the text in the complaint
        one(&|images| {
            let wrong = images.document(MANIFEST, &json!({"schemaVersion": text, "mediaType": text}));
            let twice = format!("{{{0}:1,{0}:2}}", json!(text));
            let twice = images.put(INDEX, twice.as_bytes());
            let config = images.document(CONFIG, &json!({"os": "linux", "architecture": [text]}));
            let image = images.document(MANIFEST, &manifest(&config, &[]));
            for (root, name) in [(wrong, "a"), (twice, "b"), (image, "c")] {
                images.root(named(root, name));
            }
        }),
        // index.json itself
        one(&|images| {
            images.index_json = Some(
                json!({"schemaVersion": 2, "manifests": [{"mediaType": text, "size": 1, "digest": text}]})
                    .to_string()
                    .into_bytes(),
            );
        }),
        one(&|images| {
            images.index_json = Some(format!("{{\"schemaVersion\":2, {text}").into_bytes());
        }),
    ]
}

#[test]
fn hostile_names_of_files_are_shown_escaped() {
    let barge = Barge::new();
    let hostile = &HOSTILE.concat();
    let images = simple(&["linux/amd64"]);
    let whole = || {
        let tar = Tar::new().file("oci-layout", barge::store::OCI_LAYOUT).file("index.json", &images.index_json());
        images
            .blobs
            .iter()
            .fold(tar, |tar, (digest, bytes)| tar.file(&format!("blobs/{}", digest.replace(':', "/")), bytes))
    };
    let docker = json!([{"Config": hostile, "Layers": [hostile], "RepoTags": [hostile]}]).to_string();
    let long = whole().extension(b'L', format!("{hostile}\0").as_bytes());
    for (at, tar) in [
        whole().file(hostile, b"x"),
        whole().file(hostile, b"x").file(hostile, b"x"),
        whole().file(hostile, b"x").file(hostile, b"y"),
        whole().symlink(hostile, hostile),
        whole().file(&format!("blobs/sha256/{hostile}"), b""),
        whole().symlink(&format!("blobs/sha256/{hostile}"), hostile),
        whole().pax(&[("comment", hostile)]).file("x", b""),
        whole().pax(&[(hostile, "x"), ("path", hostile)]).file("x", b""),
        whole().pax(&[("size", hostile)]).file("x", b""),
        long.pax(&[("path", hostile)]).file("x", b""),
        Tar::new().symlink("oci-layout", hostile).file("index.json", b"{}"),
        Tar::new().file(&format!("{hostile}/oci-layout"), b""),
        Tar::new().file("manifest.json", docker.as_bytes()),
        Tar::new().file("manifest.json", docker.as_bytes()).file(hostile, b"{}"),
    ]
    .into_iter()
    .enumerate()
    {
        let place = format!("{at}.tar");
        barge.write(&place, tar.finished());
        run_all(&barge, &place);
    }
    images.layout(&barge.path("layout"));
    barge.write(&format!("layout/blobs/sha256/{hostile}"), "x");
    run_all(&barge, "layout");
    barge.write(&format!("full/{hostile}"), "x");
    assert_tame(&barge, &["merge", "-o", "full", "-t", "app:v1", "layout"]);
    // in the hint for a mistyped word
    for hostile in HOSTILE {
        images.layout(&barge.path(format!("images-{hostile}")));
        for word in ["images-ab", "images-a2Jb", "./images-ab"] {
            assert_tame(&barge, &["inspect", word]);
            assert_tame(&barge, &["inspect", "--json", word]);
        }
    }
}

#[test]
fn hostile_words_are_refused_or_shown_escaped() {
    let barge = Barge::new();
    simple(&["linux/amd64"]).layout(&barge.path("layout"));
    for hostile in HOSTILE {
        let at = format!("layout:{hostile}");
        for words in [
            &["ls", hostile][..],
            &["inspect", &at],
            &["tree", "-L", "layout", hostile],
            &["ls", "-L", hostile],
            &["merge", "-o", "out", "-t", hostile, "layout"],
            &["merge", "-o", hostile, "-t", "app:v1", "layout/nothing"],
            &["merge", "-o", "out", "-t", "app:v1", "--platform", hostile, "layout"],
            &["merge", "-o", "out", "-t", "app:v1", "--annotation", hostile, "layout"],
        ] {
            assert_tame(&barge, words);
        }
    }
}

#[test]
fn json_holds_the_text_itself() {
    let barge = Barge::new();
    for hostile in HOSTILE {
        let mut images = simple(&["linux/amd64"]);
        images.roots[0] = named(images.roots[0].clone(), hostile);
        images.layout(&barge.path("layout"));
        let report = barge.line("ls --json layout").exits(0).json();
        assert_eq!(report["results"][0]["names"], json!([hostile]));
    }
}
