//! Compact updates pushed to registries that have what they are made of, and nobody else has: the older layers are read from there.

use barge::text::human_size;
use serde_json::json;

use super::distribution::{Distribution, Mode};
use super::environment::listing;
use super::made::{cut_evenly, lay};
use super::prepared::{by_go, noise};
use super::support::image::{FULL_NAME, Images, annotated, digest, named};
use super::support::tar::Tar;
use super::*;

/// Writes a layout with a version of some images of one layer each, in which each version has one file more. Returns its layers and images.
fn version(barge: &Barge, place: &str, number: u32, names: &[&str]) -> (Vec<String>, Vec<String>) {
    let mut images = Images::new();
    let mut layers = Vec::new();
    for (at, name) in (0..).zip(names) {
        let mut tar = Tar::new();
        for file in 0..=number {
            let length = if file == 0 { 300_000 } else { 20_000 } + 777 * at as usize;
            tar = tar
                .file(&format!("{}/{file}", "srv".repeat(at as usize + 1)), &noise(1000 * at + 2 * file + 1, length));
        }
        let layer = by_go(&tar.finished());
        layers.push(barge::digest::Digest::of(&layer.bytes).to_string());
        let image = images.image("linux/amd64", &[layer]);
        let (_, tag) = name.rsplit_once(':').unwrap();
        images.root(annotated(named(image, tag), FULL_NAME, &format!("example.com/{name}")));
    }
    images.layout(&barge.path(place));
    (layers, images.roots.iter().map(|root| digest(root).to_owned()).collect())
}

/// Returns how often the bytes of a blob were asked for.
fn reads(registry: &Distribution, digest: &str) -> usize {
    let log = registry.log();
    let of_it = |request: &&distribution::log::Request| request.method == "GET" && request.path.ends_with(digest);
    log.requests.iter().filter(of_it).count()
}

/// Returns every request that could have changed something.
fn writes(registry: &Distribution) -> Vec<String> {
    let requests = registry.log().requests;
    let writing = requests.iter().filter(|request| !["GET", "HEAD"].contains(&request.method.as_str()));
    writing.map(|request| format!("{request:?}")).collect()
}

fn registry() -> Option<Distribution> {
    available("docker-registry", Path::new("/usr/bin/docker-registry").exists())
        .then(|| Distribution::start(Mode::Plain))
}

#[test]
fn an_update_is_made_of_layers_that_the_registry_has() {
    let Some(registry) = registry() else { return };
    let barge = Barge::new();
    let (bases, _) = version(&barge, "v1", 1, &["org/app:v1"]);
    let (_, tops) = version(&barge, "v2", 2, &["org/app:v2"]);
    barge
        .line("save --compact -o update.tar --base v1 v2")
        .exits(0)
        .says(&["against layers of example.com/org/app:v1"]);
    assert!(fs::metadata(barge.path("update.tar")).unwrap().len() < 50_000);
    let host = registry.host();
    barge.line(&format!("push --plain-http v1 {host}/mirror")).exits(0);
    let size = fs::metadata(barge.path("v1/blobs").join(bases[0].replace(':', "/"))).unwrap().len();
    fs::remove_dir_all(barge.path("v1")).unwrap();
    let before = listing(&barge.path(""));

    let read = format!(
        "1 layer of example.com/org/app:v1, {}, from docker://{host}/mirror/org/app, to make new ones of it",
        human_size(size)
    );
    let push = format!("push --plain-http update.tar {host}/mirror");
    registry.forget_log();
    barge.line(&format!("{push} --dry-run")).exits(0).says(&[&format!("would read {read}"), "would send 2 blobs"]);
    let foreseen = barge.line(&format!("{push} --dry-run --json")).exits(0).json()["stats"].clone();
    assert_eq!((&foreseen["bases"], foreseen["baseBytes"].as_u64()), (&json!(1), Some(size)), "{foreseen}");
    assert_eq!((reads(&registry, &bases[0]), writes(&registry)), (0, Vec::new()), "a dry run");
    barge.line(&push).exits(0).says(&[&format!("reading {read}"), "sent 2 blobs"]);
    assert_eq!(reads(&registry, &bases[0]), 1);
    assert_eq!(registry.manifest("mirror/org/app", "v2").unwrap().digest, tops[0]);
    assert_eq!(listing(&barge.path("")), before, "something is left behind");
    // what is there needs nothing
    registry.forget_log();
    barge.line(&push).exits(0).says(&["nothing to do"]).never(&["reading"]);
    assert_eq!(reads(&registry, &bases[0]), 0);

    cut_evenly(&fs::read(barge.path("update.tar")).unwrap(), "x.tar", 3)
        .iter()
        .for_each(|part| lay(&barge.path(""), part));
    // as by copy, by sync and from parts; each to a registry that has only the older image
    for how in [
        "copy --plain-http update.tar docker://HOST/org/app:v2",
        "sync --plain-http",
        "push --plain-http x.tar.002 HOST",
    ] {
        let other = Distribution::start(Mode::Plain);
        let host = other.host();
        version(&barge, "v1", 1, &["org/app:v1"]);
        barge.line(&format!("push -q --plain-http v1 {host}")).exits(0);
        fs::remove_dir_all(barge.path("v1")).unwrap();
        fs::write(
            barge.path("barge.yaml"),
            format!("sync:\n- from: [{{archive: update.tar}}]\n  to: [{{registry: \"{host}\"}}]\n"),
        )
        .unwrap();
        other.forget_log();
        barge.line(&how.replace("HOST", &host)).exits(0).says(&["reading 1 layer of example.com/org/app:v1"]);
        assert_eq!(reads(&other, &bases[0]), 1, "{how}");
        barge.line(&format!("verify --plain-http --deep docker://{host}/org/app:v2")).exits(0);
        assert_clean(&barge, how);
    }
}

#[test]
fn bases_are_found_in_other_repositories_and_in_one_registry_for_all() {
    let (Some(registry), Some(other)) = (registry(), registry()) else { return };
    let barge = Barge::new();
    let (bases, _) = version(&barge, "v1", 1, &["org/app:v1", "org/db:v1"]);
    let (_, tops) = version(&barge, "v2", 2, &["org/application:v2", "org/database:v2"]);
    barge.line("save --compact -o update.tar --base v1 v2").exits(0);
    let (host, second) = (registry.host(), other.host());
    barge.line(&format!("push --plain-http v1 {host}")).exits(0);
    fs::rename(barge.path("v1"), barge.path("gone")).unwrap();
    registry.forget_log();
    // only what is sent needs something
    let one = barge.line(&format!("push --plain-http update.tar:example.com/org/application:v2 {host}/a/b:c")).exits(0);
    one.says(&["reading 1 layer of example.com/org/app:v1", &format!("docker://{host}/org/app, ")]).never(&["org/db"]);
    assert_eq!([reads(&registry, &bases[0]), reads(&registry, &bases[1])], [1, 0]);
    barge.line(&format!("push --plain-http update.tar {host} {second}")).exits(0);
    assert_eq!([reads(&registry, &bases[0]), reads(&registry, &bases[1])], [2, 1], "for both registries once");
    for registry in [&registry, &other] {
        assert_eq!(registry.manifest("org/application", "v2").unwrap().digest, tops[0]);
        assert_eq!(registry.manifest("org/database", "v2").unwrap().digest, tops[1]);
    }
    // a layout that has them is nearer
    registry.forget_log();
    barge.line(&format!("push --plain-http -L gone update.tar {host}/third")).exits(0).never(&["reading"]);
    assert_eq!([reads(&registry, &bases[0]), reads(&registry, &bases[1])], [0, 0]);
}

#[test]
fn without_its_bases_nothing_is_sent_and_a_damaged_one_is_none() {
    let Some(registry) = registry() else { return };
    let barge = Barge::new();
    let (bases, _) = version(&barge, "v1", 1, &["org/app:v1", "org/db:v1"]);
    version(&barge, "v2", 2, &["org/app:v2", "org/db:v2"]);
    barge.line("save --compact -o update.tar --base v1 v2").exits(0);
    let host = registry.host();
    // one of two images
    barge.line(&format!("push --plain-http v1:example.com/org/app:v1 {host}/org/app:v1")).exits(0);
    registry.forget_log();
    for how in
        [format!("push --plain-http update.tar {host}"), format!("push --dry-run --plain-http update.tar {host}")]
    {
        let refused = barge.line(&how).exits(4);
        let refused = refused.says(&[
            "1 blob",
            &format!("{} (a layer of example.com/org/db:v1, of whose bytes", bases[1]),
            "with -L DIR",
        ]);
        refused.never(&[&bases[0], "reading"]);
    }
    assert_eq!((reads(&registry, &bases[0]), writes(&registry)), (0, Vec::new()));
    // both, of which one is damaged where the registry keeps it: cut short, it is not believed to be there
    barge.line(&format!("push --plain-http v1 {host}")).exits(0);
    let file = registry.blob_file(&bases[1]);
    let right = fs::read(&file).unwrap();
    fs::write(&file, &right[..right.len() - 1]).unwrap();
    registry.forget_log();
    barge.line(&format!("push --plain-http update.tar {host}")).exits(4).says(&["1 blob", &bases[1]]);
    fs::write(&file, &right).unwrap();
    spoil(&file, right[0] ^ 1);
    let refused = barge.line(&format!("push --plain-http update.tar {host}")).exits(4);
    refused.says(&[
        &format!("cannot read {} (a layer of example.com/org/db:v1, of whose bytes others are made) in docker://{host}/org/db", bases[1]),
        "caused by: content is sha256:",
        "the copy of the registry is damaged: name a layout that has this layer with -L DIR",
    ]);
    assert_eq!(writes(&registry), [""; 0], "something was written before its bytes were known to be right");
    assert_eq!((registry.tags("org/app"), registry.tags("org/db")), (vec!["v1".to_owned()], vec!["v1".to_owned()]));
    barge.line(&format!("push --plain-http -L v1 update.tar {host}")).exits(0);
    assert_clean(&barge, "after refusals");
}
