//! Signatures of images: what barge signs skopeo finds in a registry, and what openssl signs barge checks.

use barge::digest::Digest;
use serde_json::{Value, json};

use crate::distribution::{Distribution, Mode};
use crate::work::{Work, work};

const NEEDS: [&str; 2] = ["docker-registry", "skopeo"];

/// Makes a pair of keys as `cosign generate-key-pair` does.
fn keys(work: &Work, name: &str) {
    with_password(work, &format!("barge key generate -o {name}"));
}

/// Runs a command that is given the password of a key.
fn with_password(work: &Work, line: &str) {
    let output = work.command(line).env("COSIGN_PASSWORD", "secret").output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Says that skopeo takes only what a key has signed, and looks for signatures as cosign keeps them.
fn policy(work: &Work, host: &str, key: &str) {
    let key = work.path(key);
    work.write(
        "policy.json",
        &format!(
            r#"{{"default":[{{"type":"reject"}}],"transports":{{"oci":{{"":[{{"type":"insecureAcceptAnything"}}]}},"docker":{{"{host}":[
            {{"type":"sigstoreSigned","keyPath":"{}","signedIdentity":{{"type":"matchRepository"}}}}]}}}}}}"#,
            key.display()
        ),
    );
    std::fs::create_dir_all(work.path("registries.d")).unwrap();
    work.write("registries.d/site.yaml", &format!("docker:\n  {host}:\n    use-sigstore-attachments: true\n"));
}

fn take(work: &Work, host: &str, to: &str) -> std::process::Output {
    work.output(&format!(
        "skopeo --policy policy.json --registries.d registries.d copy --remove-signatures --all --preserve-digests --src-tls-verify=false \
         docker://{host}/team/app:v1 oci:{to}:v1"
    ))
}

#[test]
fn what_barge_signs_skopeo_finds_for_the_index_and_each_platform() {
    let Some(work) = work(&NEEDS) else { return };
    let registry = Distribution::start(Mode::Plain);
    let host = registry.host();
    keys(&work, "release");
    keys(&work, "other");
    work.run(&format!("barge copy fixtures/buildx-amd64-arm64.tar dist:{host}/team/app:v1"));
    work.run(&format!("barge push --plain-http dist {host}"));
    policy(&work, &host, "release.pub");
    let refused = take(&work, &host, "unsigned");
    assert!(!refused.status.success(), "nobody has signed it");
    for (place, key) in [("dist", "other"), ("dist", "release")] {
        with_password(&work, &format!("barge sign --recursive --key {key}.key {place}:{host}/team/app:v1"));
    }
    work.run(&format!("barge push --plain-http dist {host}"));
    // Debian's skopeo finds signatures of this form, and was built to accept none: it says that of each of the two
    let taken = take(&work, &host, "taken");
    let said = String::from_utf8_lossy(&taken.stderr).into_owned();
    if said.contains("sigstore disabled") {
        assert_eq!(said.matches("sigstore disabled").count(), 2, "{said}");
    } else {
        assert!(taken.status.success(), "{said}");
        work.run("barge diff dist oci:taken:v1");
    }
    work.run("barge verify --key release.pub dist");
    let there = format!("docker://{host}/team/app:v1");
    work.run(&format!("barge verify --plain-http --key release.pub {there}"));
    let listed = work.run(&format!("barge referrers --plain-http {there}"));
    assert!(listed.contains("cosign tag") && listed.contains("linux/arm64"), "{listed}");
    assert_eq!(listed.matches("cosign tag").count(), work.run("barge referrers dist").matches("cosign tag").count());
    policy(&work, &host, "third.pub");
    keys(&work, "third");
    assert!(!take(&work, &host, "by-none").status.success(), "by none of these keys");
    let said = work.fails("barge verify --key third.pub dist");
    assert!(said.contains("cannot trust"), "{said}");
}

#[test]
fn what_openssl_signs_in_cosigns_form_barge_checks() {
    let Some(work) = work(&["openssl"]) else { return };
    work.run("barge key generate --no-password -o release");
    keys(&work, "other");
    work.run("barge copy fixtures/umoci-amd64 dist:ghcr.io/org/app:v1");
    let index: Value = serde_json::from_slice(&work.read("dist/index.json")).unwrap();
    let image = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    // as `cosign sign --key` writes it
    let payload = format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"ghcr.io/org/app"}},"image":{{"docker-manifest-digest":"{image}"}},"type":"cosign container image signature"}},"optional":{{"build":"7"}}}}"#
    );
    work.write("payload", &payload);
    work.run("openssl dgst -sha256 -sign release.key -out signature payload");
    work.run("openssl base64 -A -in signature -out text");
    let text = String::from_utf8(work.read("text")).unwrap();
    let put = |bytes: &[u8], media_type: &str| {
        let digest = Digest::of(bytes);
        std::fs::write(work.path(&format!("dist/{}", digest.blob_path())), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    };
    let mut layer = put(payload.as_bytes(), "application/vnd.dev.cosign.simplesigning.v1+json");
    layer["annotations"] = json!({"dev.cosignproject.cosign/signature": text.trim()});
    let config = put(b"{}", "application/vnd.oci.image.config.v1+json");
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [layer]});
    let mut root = put(manifest.to_string().as_bytes(), "application/vnd.oci.image.manifest.v1+json");
    root["annotations"] = json!({"org.opencontainers.image.ref.name": format!("{}.sig", image.replace(':', "-"))});
    let mut signed = index;
    signed["manifests"].as_array_mut().unwrap().push(root);
    work.write("dist/index.json", &signed.to_string());

    work.run("barge verify --key release.pub dist");
    work.run("barge verify --key release.pub dist:ghcr.io/org/app:v1");
    work.run("barge save -q -o app.tar dist");
    work.run("barge load -i app.tar -o loaded --require-signature other.pub --require-signature release.pub");
    work.run("barge verify --key release.pub loaded");
    work.run("barge merge -o both -t app:v1 --require-signature release.pub app.tar:ghcr.io/org/app:v1");
    for command in [
        "barge verify --key other.pub dist",
        "barge verify --key release.pub both",
        "barge load -i app.tar -o refused --require-signature other.pub",
        "barge push --plain-http --require-signature other.pub app.tar 127.0.0.1:1/refused",
        "barge merge -o refused -t app:v1 --require-signature other.pub app.tar:ghcr.io/org/app:v1",
    ] {
        let output = work.output(command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{command}: {said}");
        assert!(said.contains("cannot trust"), "{said}");
    }
    assert!(!work.path("refused").exists());
    // another key joins in, and a byte of what was signed changes
    with_password(&work, "barge sign --key other.key dist:ghcr.io/org/app:v1");
    work.run("barge verify --key other.pub dist");
    work.run("barge verify --key release.pub dist");
    let blob = work.path(&format!("loaded/{}", Digest::of(payload.as_bytes()).blob_path()));
    std::fs::write(blob, payload.replace("\"7\"", "\"8\"")).unwrap();
    assert_eq!(work.output("barge verify --key release.pub loaded").status.code(), Some(4));
}

/// The registry lists no referrers itself: the list under the fallback tag has the bundles.
#[test]
fn a_bundle_is_found_in_a_registry_and_taken_along() {
    let Some(work) = work(&["docker-registry"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let host = registry.host();
    for key in ["release", "other"] {
        work.run(&format!("barge key generate -q --no-password -o {key}"));
    }
    let image = format!("dist:{host}/team/app:v1");
    work.run(&format!("barge copy -q fixtures/buildx-amd64-arm64.tar {image}"));
    work.run(&format!("barge sign -q --as bundle --recursive --key release.key {image}"));
    work.run(&format!("barge push -q --plain-http --require-signature release.pub dist {host}"));
    let there = format!("docker://{host}/team/app:v1");
    work.run(&format!("barge verify --plain-http --key release.pub {there}"));
    let output = work.output(&format!("barge verify --plain-http --key other.pub {there}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("did not sign these bytes"), "{said}");
    work.run(&format!("barge copy -q --plain-http {there} oci:back:{host}/team/app:v1"));
    work.run("barge verify --key release.pub back");
    assert_eq!(work.run("barge referrers back"), work.run("barge referrers dist"));
}
