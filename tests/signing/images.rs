//! Signatures of images as sigstore bundles: what barge signs openssl checks, and what openssl signs barge checks.

use barge::digest::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::work::{Work, work};

const IMAGE: &str = "dist:ghcr.io/org/app:v1";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Makes a layout with an image, and keys of both types.
fn prepare() -> Option<Work> {
    let work = work(&["openssl"])?;
    for (name, key_type) in [("p256", "p256"), ("ed25519", "ed25519"), ("other", "p256")] {
        work.run(&format!("barge key generate -q --no-password --type {key_type} -o {name}"));
    }
    work.run(&format!("barge copy -q fixtures/buildx-amd64-arm64.tar {IMAGE}"));
    Some(work)
}

fn index(work: &Work, layout: &str) -> Value {
    serde_json::from_slice(&work.read(&format!("{layout}/index.json"))).unwrap()
}

fn image(work: &Work) -> String {
    index(work, "dist")["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

/// Puts content into the layout `dist`, and returns its descriptor.
fn put(work: &Work, bytes: &[u8], media_type: &str) -> Value {
    let digest = Digest::of(bytes);
    std::fs::write(work.path(&format!("dist/{}", digest.blob_path())), bytes).unwrap();
    json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
}

fn document(work: &Work, digest: &str) -> Value {
    serde_json::from_slice(&work.read(&format!("dist/blobs/{}", digest.replace(':', "/")))).unwrap()
}

/// The bytes that are signed of a payload.
fn encoded(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Ends with this code, and returns what it said.
#[track_caller]
fn ends(work: &Work, line: &str, code: i32) -> String {
    let output = work.output(line);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{line}: {said}");
    said
}

#[test]
fn what_barge_signs_as_a_bundle_openssl_checks() {
    let Some(work) = prepare() else { return };
    let image = image(&work);
    for (key, check) in [
        ("p256", "openssl dgst -sha256 -verify p256.pub -signature raw signed"),
        ("ed25519", "openssl pkeyutl -verify -pubin -inkey ed25519.pub -rawin -in signed -sigfile raw"),
    ] {
        let made = work.run(&format!("barge sign -q --as bundle -a build=7 --key {key}.key {IMAGE}"));
        let manifest = document(&work, made.trim());
        assert_eq!(manifest["artifactType"], BUNDLE);
        assert_eq!(manifest["subject"]["digest"], image);
        assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.empty.v1+json");
        assert_eq!(
            manifest["annotations"],
            json!({"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": SIGN})
        );
        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!((layers.len(), &layers[0]["mediaType"]), (1, &json!(BUNDLE)));
        let bundle = document(&work, layers[0]["digest"].as_str().unwrap());
        assert_eq!(bundle["mediaType"], BUNDLE);
        let der = work.bytes(&format!("openssl pkey -pubin -in {key}.pub -outform DER"));
        let hint = STANDARD.encode(Digest::of(&der).as_bytes());
        assert_eq!(bundle["verificationMaterial"], json!({"publicKey": {"hint": hint}}));
        let envelope = &bundle["dsseEnvelope"];
        assert_eq!(envelope["payloadType"], IN_TOTO);
        let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
        let hex = image.strip_prefix("sha256:").unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&payload).unwrap(),
            json!({"_type": "https://in-toto.io/Statement/v1", "predicateType": SIGN, "predicate": {},
                "subject": [{"digest": {"sha256": hex}, "annotations": {"build": "7"}}]})
        );
        let signatures = envelope["signatures"].as_array().unwrap();
        assert_eq!(signatures.len(), 1);
        let signature = STANDARD.decode(signatures[0]["sig"].as_str().unwrap()).unwrap();
        std::fs::write(work.path("raw"), signature).unwrap();
        std::fs::write(work.path("signed"), encoded(IN_TOTO, &payload)).unwrap();
        work.run(check);
        std::fs::write(work.path("signed"), encoded("text/plain", &payload)).unwrap();
        work.fails(check);
        let said = ends(&work, &format!("barge verify --key {key}.pub {IMAGE}"), 0);
        assert!(said.contains(", build=7\n"), "{said}");
        let json: Value =
            serde_json::from_slice(&work.bytes(&format!("barge verify --json --key {key}.pub dist"))).unwrap();
        let fingerprint = Digest::of(&der).to_string();
        assert_eq!(
            json["results"][0]["signatures"],
            json!([{"image": image, "signedBy": fingerprint, "identity": null, "annotations": {"build": "7"}, "manifest": made.trim()}])
        );
    }
    work.run("barge save -q -o app.tar dist");
    for key in ["p256", "ed25519"] {
        work.run(&format!("barge verify --key other.pub --key {key}.pub app.tar"));
        work.run(&format!("barge load -q -i app.tar -o loaded-{key} --require-signature {key}.pub"));
    }
    for line in [
        "barge verify --key other.pub dist",
        "barge load -i app.tar -o refused --require-signature other.pub",
        "barge push --plain-http --require-signature other.pub app.tar 127.0.0.1:1/refused",
        "barge merge -o refused -t app:v1 --require-signature other.pub app.tar:ghcr.io/org/app:v1",
    ] {
        let said = ends(&work, line, 4);
        assert!(said.contains("cannot trust") && said.contains("did not sign these bytes"), "{said}");
    }
    assert!(!work.path("refused").exists());
}

/// Signs a statement with openssl, and puts the bundle beside the image, as cosign does it.
fn sign_with_openssl(work: &Work, statement: &str, said: &str) {
    work.write("signed", std::str::from_utf8(&encoded(IN_TOTO, statement.as_bytes())).unwrap());
    work.run("openssl dgst -sha256 -sign p256.key -out raw signed");
    let bundle = json!({"mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": "any"}, "tlogEntries": []},
        "dsseEnvelope": {"payload": STANDARD.encode(statement), "payloadType": IN_TOTO,
            "signatures": [{"sig": STANDARD.encode(work.read("raw")), "keyid": ""}]}});
    let layer = put(work, bundle.to_string().as_bytes(), BUNDLE);
    let config = put(work, b"{}", "application/vnd.oci.empty.v1+json");
    let mut index = index(work, "dist");
    let image = index["manifests"][0].clone();
    let subject = json!({"mediaType": image["mediaType"], "digest": image["digest"], "size": image["size"]});
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "artifactType": BUNDLE,
        "config": config, "layers": [layer], "subject": subject,
        "annotations": {"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": said,
            "org.opencontainers.image.created": "2026-01-01T00:00:00Z"}});
    let root = put(work, manifest.to_string().as_bytes(), "application/vnd.oci.image.manifest.v1+json");
    index["manifests"] = json!([image, root]);
    work.write("dist/index.json", &index.to_string());
}

#[test]
fn what_openssl_signs_as_a_bundle_barge_checks() {
    let Some(work) = prepare() else { return };
    let hex = image(&work).replace("sha256:", "");
    // with blanks, as Go's protojson writes them
    let statement = |hex: &str, predicate_type: &str| {
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1", "subject":[{{"digest":{{"sha256":"{hex}"}}, "annotations":{{}}}}], "predicateType":"{predicate_type}", "predicate":{{}}}}"#
        )
    };
    sign_with_openssl(&work, &statement(&hex, SIGN), SIGN);
    work.run("barge verify --key p256.pub dist");
    work.run("barge save -q -o app.tar dist");
    work.run("barge load -q -i app.tar -o loaded --require-signature p256.pub");
    work.run(&format!("barge verify --key p256.pub {}", IMAGE.replace("dist", "loaded")));
    let other = Digest::of(b"another").hex();
    let spdx = "https://spdx.dev/Document";
    for (statement, said, complaint) in [
        (statement(&other, SIGN), SIGN, "another image"),
        (statement(&hex, spdx), SIGN, "statement.predicateType is \"https://spdx.dev/Document\""),
        (statement(&hex, spdx), spdx, "has no signature"),
        (statement("00", SIGN), SIGN, "names no image"),
        ("{}".to_owned(), SIGN, "statement._type is absent"),
    ] {
        sign_with_openssl(&work, &statement, said);
        work.run("barge save -q -f -o app.tar dist");
        for line in
            ["barge verify --key p256.pub dist", "barge load -i app.tar -o refused --require-signature p256.pub"]
        {
            let said = ends(&work, line, 4);
            assert!(said.contains("cannot trust") && said.contains(complaint), "{line}: {said}");
        }
    }
    assert!(!work.path("refused").exists());
}

/// Something that claims to belong to the signed image comes along with it, under a name of its own.
#[test]
fn nothing_comes_along_under_a_name_that_nobody_has_signed() {
    let Some(work) = prepare() else { return };
    work.run(&format!("barge sign -q --as bundle --key p256.key {IMAGE}"));
    work.run("barge copy -q fixtures/umoci-amd64 dist:ghcr.io/org/evil:v1");
    let mut index = index(&work, "dist");
    let image = image(&work);
    let evil = index["manifests"].as_array_mut().unwrap().last_mut().unwrap();
    evil["annotations"]["io.containerd.manifest.subject"] = json!(image);
    work.write("dist/index.json", &index.to_string());
    work.run("barge save -q -o app.tar dist");
    for line in [
        "barge load -i app.tar -o refused --require-signature p256.pub",
        "barge load -i app.tar:ghcr.io/org/app:v1 -o refused --require-signature p256.pub",
        "barge verify --key p256.pub dist",
    ] {
        let said = ends(&work, line, 4);
        assert!(said.contains("cannot trust ghcr.io/org/evil:v1"), "{line}: {said}");
    }
    assert!(!work.path("refused").exists());
    work.run("barge sign -q --key p256.key dist:ghcr.io/org/evil:v1");
    work.run("barge verify --key p256.pub dist");
}

#[test]
fn many_images_of_an_archive_are_signed_at_once() {
    let Some(work) = prepare() else { return };
    work.run("barge copy -q fixtures/umoci-amd64 dist:quay.io/org/two:v1");
    work.run("barge save -q -o app.tar dist");
    let line = "barge sign --json --recursive --as bundle --identity any --key p256.key app.tar:ghcr.io/org/app:v1 app.tar:quay.io/org/two:v1";
    let results = |line: &str| {
        let json: Value = serde_json::from_slice(&work.bytes(line)).unwrap();
        json["results"].as_array().unwrap().clone()
    };
    let dry = results(&format!("{line} --dry-run"));
    ends(&work, "barge verify --key p256.pub app.tar", 4);
    let signed = results(line);
    assert_eq!(signed.len(), 1 + 2 + 2 + 1, "an index, its images and attestations, and an image");
    for (signed, dry) in signed.iter().zip(&dry) {
        assert_eq!((&signed["digest"], &signed["unchanged"]), (&dry["digest"], &json!(false)));
        assert_eq!(signed["identity"], "any");
    }
    let said = ends(&work, "barge verify --key p256.pub app.tar", 0);
    assert_eq!(said.matches(" as any").count(), 2, "{said}");
    let before = work.read("app.tar");
    assert!(results(line).iter().all(|result| result["unchanged"] == true));
    assert!(work.read("app.tar") == before);
}
