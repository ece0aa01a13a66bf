//! `--rebase`: the layers of one base go, those of another come.

use serde_json::{Value, json};

use super::bench::Bench;
use super::made::{Made, digest, full, on_platform};
use super::{json, verify};

/// Adds an image of layers with these texts; each has a line, and a line without a layer follows the last.
fn image(made: &mut Made, on: &str, layers: &[&str]) -> Value {
    let layers: Vec<Value> = layers.iter().map(|text| made.put(barge::media::OCI_LAYER, text.as_bytes())).collect();
    let mut config = super::made::platform(on);
    let ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
    config["rootfs"] = json!({"type": "layers", "diff_ids": ids});
    config["config"] = json!({"Env": ["MINE=1"]});
    let mut history: Vec<Value> = layers.iter().map(|layer| json!({"created_by": layer["digest"]})).collect();
    history.push(json!({"created_by": format!("CMD {}", layers.len()), "empty_layer": true}));
    config["history"] = history.into();
    let config = made.document(barge::media::OCI_CONFIG, &config);
    let manifest =
        json!({"schemaVersion": 2, "mediaType": barge::media::OCI_MANIFEST, "config": config, "layers": layers});
    on_platform(made.document(barge::media::OCI_MANIFEST, &manifest), on)
}

/// A place with `old`, `new` and `app`, each for two platforms; `app` is based on `old`.
fn place() -> Bench {
    let mut made = Made::new();
    for (name, layers) in [("old", &["base", "tools"][..]), ("new", &["base 2", "tools 2", "more"]), ("app", &[])] {
        let images: Vec<Value> = ["linux/amd64", "linux/arm64"]
            .iter()
            .map(|on| {
                let texts: Vec<String> = layers.iter().map(|text| format!("{text} for {on}")).collect();
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                match name {
                    "app" => app(&mut made, on),
                    _ => image(&mut made, on, &texts),
                }
            })
            .collect();
        let index = made.index(&images);
        made.root(full(&index, &format!("docker.io/library/{name}:v1")));
    }
    let bench = Bench::new();
    made.layout(&bench.path("place"));
    bench
}

/// An image based on `old`, whose history begins with that of `old`.
fn app(made: &mut Made, on: &str) -> Value {
    let old = image(made, on, &[&format!("base for {on}"), &format!("tools for {on}")]);
    let manifest: Value = serde_json::from_slice(&made.blobs[digest(&old)]).unwrap();
    let mut config: Value = serde_json::from_slice(&made.blobs[digest(&manifest["config"])]).unwrap();
    let own = made.put(barge::media::OCI_LAYER, format!("app for {on}").as_bytes());
    config["rootfs"]["diff_ids"].as_array_mut().unwrap().push(own["digest"].clone());
    config["history"].as_array_mut().unwrap().push(json!({"created_by": "COPY app /"}));
    let config = made.document(barge::media::OCI_CONFIG, &config);
    let mut manifest = manifest;
    manifest["config"] = config;
    manifest["layers"].as_array_mut().unwrap().push(own);
    on_platform(made.document(barge::media::OCI_MANIFEST, &manifest), on)
}

#[test]
fn the_base_is_swapped_for_each_platform() {
    let bench = place();
    let bases = "--rebase place:old:v1=place:new:v1";
    bench.ok(&format!("edit place:app:v1 -t app:v2 {bases}"));
    for on in ["linux/amd64", "linux/arm64"] {
        let of = |name: &str, what: &str| json(&bench, what, &format!("place:{name} --platform {on}"));
        let (new, old, app) = (of("new:v1", "manifest"), of("app:v1", "manifest"), of("app:v2", "manifest"));
        let mut layers = new["layers"].as_array().unwrap().clone();
        layers.push(old["layers"][2].clone());
        assert_eq!(app["layers"], json!(layers), "{on}");
        let (new, old, config) = (of("new:v1", "config"), of("app:v1", "config"), of("app:v2", "config"));
        let mut history = new["history"].as_array().unwrap().clone();
        history.push(old["history"][3].clone());
        assert_eq!(config["history"], json!(history), "{on}");
        assert_eq!(config["config"], old["config"]);
        assert_eq!(app["annotations"]["org.opencontainers.image.base.name"], "docker.io/library/new:v1");
        let base = app["annotations"]["org.opencontainers.image.base.digest"].as_str().unwrap().to_owned();
        let index = json(&bench, "manifest", "place:new:v1");
        assert!(index["manifests"].as_array().unwrap().iter().any(|entry| digest(entry) == base), "{base}");
    }
    verify(&bench, "place");
    bench.ok(&format!("edit place:app:v2 {bases}")).says("nothing to do");
}

#[test]
fn packing_does_not_matter_and_another_place_serves() {
    let bench = place();
    bench.ok("convert place:old:v1 -o old.tar --compression gzip");
    bench.ok("convert place:new:v1 -o new.tar --compression zstd --to oci");
    bench.ok("edit place:app:v1 -o out.tar --rebase old.tar=new.tar --env A=b");
    let manifest = json(&bench, "manifest", "out.tar --platform linux/arm64");
    let types: Vec<&str> =
        manifest["layers"].as_array().unwrap().iter().map(|it| it["mediaType"].as_str().unwrap()).collect();
    assert_eq!(types.iter().filter(|it| it.ends_with("zstd")).count(), 3, "{types:?}");
    verify(&bench, "out.tar");
}

#[test]
fn an_image_with_another_base_is_refused() {
    let bench = place();
    let before = bench.listing();
    let ran = bench.exits(9, "edit place:new:v1 --rebase place:app:v1=place:old:v1");
    ran.says("cannot rebase linux/amd64: it is not based on place:app:v1").says("layer 1 has the diff_id sha256:");
    bench
        .exits(9, "edit place:old:v1 --rebase place:app:v1=place:new:v1")
        .says("it has 2 layers, and place:app:v1 has 3");
    bench.exits(3, "edit place:app:v1 --rebase place:nope=place:new:v1");
    assert_eq!(bench.listing(), before);
    // a base without one of the platforms
    bench.ok("copy -q place:new:v1 less --platform linux/amd64");
    bench.exits(3, "edit place:app:v1 --rebase place:old:v1=less:new:v1").says("cannot find linux/arm64");
    bench.ok("edit place:app:v1 --platform linux/amd64 --rebase place:old:v1=less:new:v1");
    verify(&bench, "place");
}
