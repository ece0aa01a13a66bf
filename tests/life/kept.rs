//! What keeps a blob from `gc`: a table.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;

use super::bench::Bench;
use super::made::{Made, annotated, bare, belonging, dashed, digest, tagged, two_images};

/// What is shown, and what makes a place in which `wanted` has to stay and `gone` has to go.
struct Case {
    about: &'static str,
    made: Made,
    wanted: Vec<String>,
    /// Fields of `index.json` that nobody knows.
    top: serde_json::Value,
}

impl Case {
    /// Begins with a place that names one image; `add` returns the content that has to stay.
    fn new(about: &'static str, add: impl FnOnce(&mut Made) -> Vec<serde_json::Value>) -> Self {
        let mut made = two_images();
        let before: BTreeSet<String> = made.blobs.keys().cloned().collect();
        let wanted = add(&mut made);
        let wanted = before.into_iter().chain(wanted.iter().map(|one| digest(one).to_owned())).collect();
        Self { about, made, wanted, top: json!({}) }
    }
}

/// Adds an image that nothing names, and returns all of it.
fn hidden(made: &mut Made) -> Vec<serde_json::Value> {
    let mut alone = Made::new();
    let image = alone.image("linux/amd64", &["hidden"]);
    let index = alone.index(&[image]);
    made.blobs.extend(alone.blobs.clone());
    let mut all = vec![index.clone()];
    all.extend(alone.blobs.keys().filter(|key| *key != digest(&index)).map(|key| json!({"digest": key})));
    all
}

fn cases() -> Vec<Case> {
    const ODD: &str = "application/vnd.example.odd+json";
    let mut cases = vec![
        Case::new("an image without a name", |made| {
            let all = hidden(made);
            made.root(annotated(
                json!({"mediaType": barge::media::OCI_INDEX, "digest": all[0]["digest"],
                "size": made.blobs[digest(&all[0])].len()}),
                "x",
                "y",
            ));
            all
        }),
        Case::new("a subject that only its signature mentions", |made| {
            let all = hidden(made);
            let subject = json!({"mediaType": barge::media::OCI_INDEX, "digest": all[0]["digest"],
                "size": made.blobs[digest(&all[0])].len()});
            let signature = made.artifact("signature", Some(&subject));
            made.root(signature.clone());
            all.into_iter().chain([signature]).collect()
        }),
        Case::new("a referrer of a referrer", |made| {
            let app = bare(&made.roots[0]);
            let signature = made.artifact("signature", Some(&app));
            let of_it = made.artifact("of it", Some(&signature));
            made.root(of_it.clone());
            vec![signature, of_it, made.put("x", b"signature"), made.put("x", b"of it")]
        }),
        Case::new("a tag made of a digest", |made| {
            let all = hidden(made);
            let signature = made.artifact("signature", None);
            made.root(tagged(&signature, &format!("{}.sig", dashed(&all[0]))));
            all.into_iter().chain([signature]).collect()
        }),
        Case::new("containerd's annotation", |made| {
            let all = hidden(made);
            let signature = made.artifact("signature", None);
            made.root(belonging(signature.clone(), &all[0]));
            all.into_iter().chain([signature]).collect()
        }),
        Case::new("an annotation of the top level", |made| {
            let all = hidden(made);
            let root = made.roots[0].clone();
            made.roots[0] = annotated(root, "com.example.base", &format!("example.com/base@{}", digest(&all[0])));
            all
        }),
        Case::new("a JSON blob of an unknown type, in an image", |made| {
            let all = hidden(made);
            let odd = made.put(ODD, json!({"parts": [{"of": all[0]["digest"]}]}).to_string().as_bytes());
            let config = made.put("application/vnd.oci.empty.v1+json", b"{}");
            let manifest = json!({"schemaVersion": 2, "config": config, "layers": [odd]});
            let manifest = made.document(barge::media::OCI_MANIFEST, &manifest);
            made.root(manifest.clone());
            all.into_iter().chain([odd, manifest]).collect()
        }),
        Case::new("a document of an unknown type at the top", |made| {
            let all = hidden(made);
            let odd = made.put(ODD, json!({"mediaType": ODD, "a": {"b": all[0]["digest"]}}).to_string().as_bytes());
            made.root(odd.clone());
            all.into_iter().chain([odd]).collect()
        }),
        Case::new("a mention in what is only mentioned, without a type", |made| {
            let all = hidden(made);
            let first = made.put("x", json!({"next": all[0]["digest"]}).to_string().as_bytes());
            let second = made.put("x", json!([first["digest"]]).to_string().as_bytes());
            let root = made.roots[0].clone();
            made.roots[0] = annotated(root, "com.example.more", digest(&second));
            all.into_iter().chain([first, second]).collect()
        }),
        Case::new("a label in a config", |made| {
            let all = hidden(made);
            let config = json!({"os": "linux", "architecture": "amd64",
                "config": {"Labels": {"base": all[0]["digest"]}}, "rootfs": {"type": "layers", "diff_ids": []}});
            let config = made.document(barge::media::OCI_CONFIG, &config);
            let manifest = json!({"schemaVersion": 2, "config": config, "layers": []});
            let manifest = made.document(barge::media::OCI_MANIFEST, &manifest);
            made.root(tagged(&manifest, "labelled"));
            all.into_iter().chain([config, manifest]).collect()
        }),
        Case::new("an annotation and an unknown field of a manifest", |made| {
            let all = hidden(made);
            let alone = made.put("x", b"alone");
            let config = made.put("application/vnd.oci.empty.v1+json", b"{}");
            let manifest = json!({"schemaVersion": 2, "config": config, "layers": [], "x-more": [alone["digest"]],
                "annotations": {"base": all[0]["digest"]}});
            let manifest = made.document(barge::media::OCI_MANIFEST, &manifest);
            made.root(tagged(&manifest, "annotated"));
            all.into_iter().chain([manifest, alone]).collect()
        }),
        Case::new("a subject that is a layer of some sort", |made| {
            let all = hidden(made);
            // JSON under the type of a layer, which an image uses and an annotation mentions
            let text = json!({"mediaType": ODD, "next": all[0]["digest"]}).to_string();
            let image = made.image("linux/amd64", &[&text]);
            let layer = made.put("x", text.as_bytes());
            made.root(annotated(image, "com.example.list", digest(&layer)));
            all.into_iter().chain([layer]).collect()
        }),
    ];
    let mut unknown = Case::new("a field of index.json that nobody knows", hidden);
    let last = unknown.made.blobs.keys().find(|key| !two_images().blobs.contains_key(*key)).cloned();
    let hidden: Vec<String> =
        unknown.made.blobs.keys().filter(|key| !two_images().blobs.contains_key(*key)).cloned().collect();
    assert!(last.is_some());
    unknown.top = json!({"x-unknown": {"all": hidden}, "annotations": {"a": "b"}});
    cases.push(unknown);
    cases
}

#[test]
fn whatever_mentions_a_blob_keeps_it() {
    for Case { about, mut made, wanted, top } in cases() {
        let bench = Bench::new();
        let stray = made.put("x", b"a stray layer");
        let stray_image = made.image("linux/s390x", &["of a stray image"]);
        made.layout(&bench.path("layout"));
        let mut index: serde_json::Value = serde_json::from_slice(&made.index_json()).unwrap();
        index.as_object_mut().unwrap().extend(top.as_object().unwrap().clone());
        fs::write(bench.path("layout/index.json"), index.to_string()).unwrap();
        let dry = bench.ok("gc --dry-run --grace 0 layout");
        assert_eq!(bench.blobs("layout").len(), made.blobs.len());
        let ran = bench.ok("gc --grace 0 layout");
        assert_eq!(ran.text(), dry.text(), "{about}");
        let blobs = bench.blobs("layout");
        for one in &wanted {
            let text = String::from_utf8_lossy(&made.blobs[one]).into_owned();
            assert!(blobs.contains(one), "{about}: {one} went: {text}");
        }
        let gone = ran.digests();
        for one in [&stray, &stray_image] {
            assert!(gone.contains(&digest(one).to_owned()) && !blobs.contains(&digest(one).to_owned()), "{about}");
        }
        assert!(gone.len() >= 3, "{about}: {gone:?}");
        assert_eq!(blobs.len() + gone.len(), made.blobs.len(), "{about}");
        bench.verify("layout");
        bench.ok("gc --grace 0 layout").says("removed 0 blobs");
    }
}
