//! Signing and checking, over a store in memory.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::content::{CONTAINERD_SUBJECT, Descriptor, Kind, REF_NAME};
use crate::digest::Digest;
use crate::media::{OCI_CONFIG, OCI_EMPTY, OCI_INDEX, OCI_MANIFEST};
use crate::ops::Error;
use crate::ops::bundle::Untrusted;
use crate::ops::copy::Extent;
use crate::signing::{KeyType, PrivateKey, PublicKey};
use crate::sigstore_bundle::{BUNDLE, Envelope, IMAGE_SIGNATURE, PREDICATE_TYPE, Statement};
use crate::simple_signing::{PAYLOAD, Payload, SIGNATURE, signature_tag};
use crate::store::memory::Memory;
use crate::store::{Inventory, Sink as _, Source as _, read_document};

/// A store with one image.
fn store() -> (Memory, Descriptor) {
    let mut store = Memory::new("test");
    let config = br#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}"#;
    store.add(config, Kind::Config);
    let config = Descriptor::of(&OCI_CONFIG.into(), config);
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config.to_value(), "layers": []});
    let manifest = manifest.to_string().into_bytes();
    store.add(&manifest, Kind::Manifest(OCI_MANIFEST.into()));
    let image = Descriptor::of(&OCI_MANIFEST.into(), &manifest).with_annotation(REF_NAME, "ghcr.io/org/app:v1");
    store.add_root(image.clone());
    (store, image)
}

fn key() -> (PrivateKey, PublicKey) {
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let public = key.public_key();
    (key, public)
}

/// Gives something its place at the top, as every commit does.
fn name(store: &mut Memory, root: Descriptor) {
    store.commit(&Inventory { roots: vec![root], ..Inventory::default() }).unwrap();
}

/// Signs an image and puts what was made into the store.
fn signed(store: &mut Memory, image: &Descriptor, key: &PrivateKey, form: Form) -> Descriptor {
    signed_with(store, image, key, &SignOptions { form, ..SignOptions::default() })
}

fn signed_with(store: &mut Memory, image: &Descriptor, key: &PrivateKey, options: &SignOptions) -> Descriptor {
    let (pieces, root) = {
        let images = to_sign(store, image.clone(), false, options).unwrap();
        let signing = sign(store, &images, key, options).unwrap();
        let plan = &signing.plan;
        let pieces: Vec<(Vec<u8>, Kind)> = plan
            .inventory()
            .contents
            .iter()
            .map(|content| (plan.open(content).unwrap().into_bytes().unwrap(), content.kind.clone()))
            .collect();
        (pieces, signing.signed[0].root.clone())
    };
    for (bytes, kind) in pieces {
        store.add(&bytes, kind);
    }
    name(store, root.clone());
    root
}

/// Returns whether signing an image would change nothing.
fn is_there(store: &Memory, image: &Descriptor, key: &PrivateKey, form: Form) -> bool {
    let options = SignOptions { form, ..SignOptions::default() };
    let images = to_sign(store, image.clone(), false, &options).unwrap();
    let signing = sign(store, &images, key, &options).unwrap();
    assert_eq!(signing.signed[0].is_there, signing.plan.inventory().contents.is_empty());
    assert_eq!(signing.signed[0].is_there, signing.plan.inventory().roots.is_empty());
    signing.signed[0].is_there
}

/// Returns what is said to be wrong with the signatures of an image.
fn reason(error: Error) -> Vec<Unsigned> {
    match error {
        Error::Untrusted { reason: Untrusted::Image { wrong, .. }, .. } => wrong,
        other => panic!("{other}"),
    }
}

#[test]
fn what_was_signed_is_trusted_in_every_form_and_nothing_else_is() {
    for (form, key_type) in [
        (Form::Tag, KeyType::P256),
        (Form::Referrer, KeyType::P256),
        (Form::Bundle, KeyType::P256),
        (Form::Tag, KeyType::Ed25519),
        (Form::Bundle, KeyType::Ed25519),
    ] {
        let (mut store, image) = store();
        let ((_, other), key) = (key(), PrivateKey::generate(key_type).unwrap());
        let keys = [other.clone(), key.public_key()];
        assert!(reason(check_image(&store, &image, &keys).unwrap_err()).is_empty(), "nobody has signed it");
        let annotations = BTreeMap::from([("build".to_owned(), "7".to_owned())]);
        let options = SignOptions { form, annotations, ..SignOptions::default() };
        let root = signed_with(&mut store, &image, &key, &options);
        let checked = check_image(&store, &image, &keys).unwrap();
        assert_eq!(checked.len(), 1);
        assert_eq!(checked[0].reference.as_deref(), (form != Form::Bundle).then_some("ghcr.io/org/app"));
        assert_eq!(checked[0].annotations, BTreeMap::from([("build".to_owned(), json!("7"))]));
        assert_eq!((checked[0].key, checked[0].manifest), (&keys[1], *root.digest()));
        let wrong = reason(check_image(&store, &image, &[other]).unwrap_err());
        assert!(matches!(wrong.as_slice(), [Unsigned::Signature { .. }]), "{wrong:?}");
        if form == Form::Tag {
            assert_eq!(root.annotation(REF_NAME), Some(&*signature_tag(image.digest())));
        } else {
            assert_eq!(root.annotation(CONTAINERD_SUBJECT), Some(&*image.digest().to_string()));
            let document = read_document(&store, &root).unwrap();
            assert_eq!(document.subject().unwrap().digest(), image.digest());
            assert_eq!(document.artifact_type(), root.artifact_type());
        }
        // where only the list under the fallback tag has it
        let entry = root.clone().without_annotations(&[REF_NAME, CONTAINERD_SUBJECT]);
        let list = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry.to_value()]});
        let list = list.to_string().into_bytes();
        store.commit(&Inventory { gone: vec![root], ..Inventory::default() }).unwrap();
        assert!(check_image(&store, &image, &keys).is_err());
        store.add(&list, Kind::Manifest(OCI_INDEX.into()));
        let tag = image.digest().to_string().replace(':', "-");
        name(&mut store, Descriptor::of(&OCI_INDEX.into(), &list).with_annotation(REF_NAME, &tag));
        assert_eq!(check_image(&store, &image, &keys).unwrap().len(), 1);
    }
}

#[test]
fn signing_again_changes_nothing_and_another_key_joins_in() {
    let (mut store, image) = store();
    let ((one, public_one), (two, public_two)) = (key(), key());
    let first = signed(&mut store, &image, &one, Form::Tag);
    assert!(is_there(&store, &image, &one, Form::Tag));
    let second = signed(&mut store, &image, &two, Form::Tag);
    assert_ne!(first.digest(), second.digest());
    for key in [&public_one, &public_two] {
        assert_eq!(check_image(&store, &image, std::slice::from_ref(key)).unwrap().len(), 1);
    }
    assert_eq!(check_image(&store, &image, &[public_one, public_two]).unwrap().len(), 2);
    assert!(is_there(&store, &image, &one, Form::Tag) && is_there(&store, &image, &two, Form::Tag));
    for form in [Form::Referrer, Form::Bundle] {
        assert!(!is_there(&store, &image, &one, form));
        signed(&mut store, &image, &one, form);
        assert!(is_there(&store, &image, &one, form) && !is_there(&store, &image, &two, form));
    }
}

#[test]
fn a_signature_that_was_damaged_is_made_again() {
    for form in [Form::Tag, Form::Referrer, Form::Bundle] {
        let (mut store, image) = store();
        let (key, public) = key();
        let root = signed(&mut store, &image, &key, form);
        let document = read_document(&store, &root).unwrap();
        let crate::document::Body::Manifest(manifest) = document.body() else { panic!() };
        let payload = store.open(&manifest.layers[0].content()).unwrap().into_bytes().unwrap();
        // the same place without what is signed
        let (mut damaged, _) = self::store();
        damaged.add(document.raw(), Kind::Manifest(OCI_MANIFEST.into()));
        name(&mut damaged, root.clone());
        assert!(check_image(&damaged, &image, std::slice::from_ref(&public)).is_err());
        assert!(!is_there(&damaged, &image, &key, form), "{form:?}");
        assert_eq!(signed(&mut damaged, &image, &key, form).digest(), root.digest(), "{form:?}");
        assert_eq!(damaged.open(&manifest.layers[0].content()).unwrap().into_bytes().unwrap(), payload);
        assert!(check_image(&damaged, &image, std::slice::from_ref(&public)).is_ok());
    }
}

#[test]
fn a_signature_of_another_image_or_of_other_bytes_is_no_signature() {
    let (mut store, image) = store();
    let (key, public) = key();
    let make = |store: &mut Memory, payload: &[u8], text: &str| {
        store.add(payload, Kind::Blob);
        let layer = Descriptor::of(&PAYLOAD.into(), payload).with_annotation(SIGNATURE, text);
        let config = Descriptor::of(&OCI_CONFIG.into(), b"{}");
        store.add(b"{}", Kind::Config);
        let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config.to_value(), "layers": [layer.to_value()]});
        let manifest = manifest.to_string().into_bytes();
        store.add(&manifest, Kind::Manifest(OCI_MANIFEST.into()));
        let root = Descriptor::of(&OCI_MANIFEST.into(), &manifest);
        name(store, root.with_annotation(REF_NAME, &signature_tag(image.digest())));
    };
    let of = |image: Digest| Payload { reference: String::new(), image, optional: Default::default() }.encode();
    let sign = |bytes: &[u8]| key.sign(bytes).unwrap().to_text();
    let right = of(*image.digest());
    let other = of(Digest::of(b"another image"));
    let cases: [(&str, Vec<u8>, String); 5] = [
        ("another image", other.clone(), sign(&other)),
        ("of other bytes", right.clone(), sign(&other)),
        ("no base64", right.clone(), "?".to_owned()),
        ("no document", b"{}".to_vec(), sign(b"{}")),
        ("too large", vec![b' '; 70_000], sign(&[b' '; 70_000])),
    ];
    for (case, payload, text) in cases {
        make(&mut store, &payload, &text);
        let error = check_image(&store, &image, std::slice::from_ref(&public)).unwrap_err();
        assert_eq!(error.class(), crate::error::Class::Content, "{case}");
        assert_eq!(error.causes().len(), 1, "{case}: {:?}", error.causes());
    }
    make(&mut store, &right, &sign(&right));
    assert!(check_image(&store, &image, &[public]).is_ok());
}

#[test]
fn a_name_is_asked_for_where_the_image_has_none() {
    let (store, image) = store();
    let (key, _) = key();
    for (name, expected) in [
        (Some("v1"), None),
        (None, None),
        (Some("app:v1"), Some("docker.io/library/app")),
        (Some("ghcr.io/org/app:v1"), Some("ghcr.io/org/app")),
    ] {
        let bare = image.clone().without_annotations(&[REF_NAME]);
        let named = name.map_or(bare.clone(), |name| bare.with_annotation(REF_NAME, name));
        let images = to_sign(&store, named.clone(), false, &SignOptions::default());
        assert_eq!(images.ok().and_then(|images| images[0].identity.clone()).as_deref(), expected, "{name:?}");
        // a bundle need not say it
        let bundle = SignOptions { form: Form::Bundle, ..SignOptions::default() };
        assert_eq!(to_sign(&store, named, false, &bundle).unwrap()[0].identity, None);
    }
    let options = SignOptions { identity: Some("quay.io/x".to_owned()), ..SignOptions::default() };
    let images = to_sign(&store, image, false, &options).unwrap();
    let signing = sign(&store, &images, &key, &options).unwrap();
    let layer = signing.plan.inventory().contents.iter().find(|content| content.kind == Kind::Blob).unwrap();
    let payload = Payload::parse(&signing.plan.open(layer).unwrap().into_bytes().unwrap()).unwrap();
    assert_eq!(payload.reference, "quay.io/x");
}

/// Puts a bundle beside an image, in a manifest with one annotation.
fn put_bundle(store: &mut Memory, image: &Descriptor, bundle: &[u8], said: &str) -> Descriptor {
    store.add(bundle, Kind::Blob);
    store.add(b"{}", Kind::Blob);
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": BUNDLE,
        "config": Descriptor::of(&OCI_EMPTY.into(), b"{}").to_value(),
        "layers": [Descriptor::of(&BUNDLE.into(), bundle).to_value()],
        "subject": image.to_value(), "annotations": {PREDICATE_TYPE: said}});
    let manifest = manifest.to_string().into_bytes();
    store.add(&manifest, Kind::Manifest(OCI_MANIFEST.into()));
    let root = Descriptor::of(&OCI_MANIFEST.into(), &manifest);
    name(store, root.clone());
    root
}

/// Signs a statement whatever it says.
fn bundle_over(statement: &str, payload_type: &str, key: &PrivateKey) -> Value {
    use base64::Engine as _;
    let signed = format!("DSSEv1 {} {payload_type} {} {statement}", payload_type.len(), statement.len());
    let signature = key.sign(signed.as_bytes()).unwrap().to_text();
    let payload = base64::engine::general_purpose::STANDARD.encode(statement);
    json!({"mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": ""}},
        "dsseEnvelope": {"payload": payload, "payloadType": payload_type, "signatures": [{"sig": signature}]}})
}

#[test]
fn a_bundle_that_does_not_sign_the_image_is_told_of() {
    let (_, image) = store();
    let (key, public) = key();
    let of = |image: Digest| String::from_utf8(Statement::of(image, None, BTreeMap::new()).encode()).unwrap();
    let (right, other) = (of(*image.digest()), of(Digest::of(b"another image")));
    let in_toto = "application/vnd.in-toto+json";
    let bundle = |statement: &str| bundle_over(statement, in_toto, &key);
    let changed = |pointer: &str, new: Value| {
        let mut bundle = bundle(&right);
        *bundle.pointer_mut(pointer).unwrap() = new;
        bundle
    };
    let two = |first: Value| json!([first, bundle(&right)["dsseEnvelope"]["signatures"][0]]);
    let mut certificate = bundle(&right);
    certificate["verificationMaterial"] = json!({"certificate": {"rawBytes": ""}});
    let spdx = right.replace(IMAGE_SIGNATURE, "https://spdx.dev/Document");
    let cases: Vec<(&str, Value, &str)> = vec![
        ("of another image", bundle(&other), "another image"),
        ("of nothing", bundle(&right.replace("sha256", "md5")), "names no image"),
        ("an SBOM", bundle(&spdx), "statement.predicateType is \"https://spdx.dev/Document\""),
        ("no statement", bundle("{}"), "statement._type is absent"),
        ("of another type", bundle_over(&right, "text/plain", &key), "payloadType is \"text/plain\""),
        (
            "another statement",
            changed("/dsseEnvelope/payload", bundle(&other)["dsseEnvelope"]["payload"].clone()),
            "did not sign",
        ),
        ("another type", changed("/dsseEnvelope/payloadType", json!("text/plain")), "did not sign"),
        ("no base64", changed("/dsseEnvelope/payload", json!("?")), "expected base64"),
        ("no signature", changed("/dsseEnvelope/signatures/0/sig", json!("AAAA")), "expected a signature"),
        ("no signatures", changed("/dsseEnvelope/signatures", json!([])), "is a list of 0"),
        ("two signatures", changed("/dsseEnvelope/signatures", two(json!({"sig": "AAAA"}))), "is a list of 2"),
        ("nothing", changed("/dsseEnvelope", Value::Null), "dsseEnvelope is absent"),
        ("a certificate", certificate, "only what was signed with a key"),
        ("too large", json!({"x": "x".repeat(200_000)}), "expected at most 131072"),
    ];
    for (case, bundle, complaint) in cases {
        let (mut store, _) = store();
        let bundle = bundle.to_string().into_bytes();
        let root = put_bundle(&mut store, &image, &bundle, IMAGE_SIGNATURE);
        let error = check_image(&store, &image, std::slice::from_ref(&public)).unwrap_err();
        assert_eq!(error.class(), crate::error::Class::Content, "{case}");
        let causes = error.causes();
        assert!(matches!(causes.as_slice(), [one] if one.contains(complaint)), "{case}: {causes:?}");
        assert!(causes[0].starts_with(&root.digest().to_string()), "{case}: {causes:?}");
        let is_by_another = complaint == "did not sign";
        assert_eq!(error.hint().unwrap().starts_with("give the public key"), is_by_another, "{case}");
        // what says itself that it is something else is no signature, right or wrong
        let (mut store, _) = self::store();
        put_bundle(&mut store, &image, &bundle, "https://spdx.dev/Document");
        assert!(reason(check_image(&store, &image, std::slice::from_ref(&public)).unwrap_err()).is_empty(), "{case}");
    }
    let (mut store, _) = store();
    let bundle = bundle(&right).to_string().into_bytes();
    assert_eq!(Envelope::parse(&bundle).unwrap().statement().unwrap().subjects.len(), 1);
    let said = put_bundle(&mut store, &image, &bundle, "https://spdx.dev/Document");
    assert!(check_image(&store, &image, std::slice::from_ref(&public)).is_err(), "it says that it is another");
    store.commit(&Inventory { gone: vec![said], ..Inventory::default() }).unwrap();
    put_bundle(&mut store, &image, &bundle, IMAGE_SIGNATURE);
    assert!(check_image(&store, &image, &[public]).is_ok());
}

/// Adds an image that nobody signs, and returns it.
fn another(store: &mut Memory, subject: Option<&Descriptor>) -> Descriptor {
    let config = Descriptor::of(
        &OCI_CONFIG.into(),
        br#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}"#,
    );
    let mut manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config.to_value(), "layers": [],
        "annotations": {"a": "b"}});
    if let Some(subject) = subject {
        manifest["subject"] = subject.to_value();
    }
    let manifest = manifest.to_string().into_bytes();
    store.add(&manifest, Kind::Manifest(OCI_MANIFEST.into()));
    Descriptor::of(&OCI_MANIFEST.into(), &manifest)
}

#[test]
fn no_image_escapes_by_what_it_says_of_itself() {
    const OWN: &str = "ghcr.io/org/evil:v1";
    let full = crate::content::CONTAINERD_NAME;
    for (case, has_subject, annotations, is_checked) in [
        ("a name", false, &[(REF_NAME, OWN)][..], true),
        ("a name, and it belongs to the signed one", false, &[(REF_NAME, OWN), (CONTAINERD_SUBJECT, "IMAGE")], true),
        ("a name for containerd", false, &[(full, OWN), (CONTAINERD_SUBJECT, "IMAGE")], true),
        ("two names, one of them a signature's", false, &[(full, OWN), (REF_NAME, "TAG")], true),
        ("the other way round", false, &[(REF_NAME, OWN), (full, "TAG")], true),
        ("a subject and a name", true, &[(REF_NAME, OWN)], true),
        ("no name", false, &[], true),
        ("the name of a signature", false, &[(REF_NAME, "TAG")], false),
        ("an artifact without a name", true, &[], false),
    ] {
        let (mut store, image) = store();
        let (key, public) = key();
        signed(&mut store, &image, &key, Form::Bundle);
        let keys = [public];
        let mut evil = another(&mut store, has_subject.then_some(&image));
        for (key, value) in annotations {
            let value = value.replace("IMAGE", &image.digest().to_string());
            evil = evil.with_annotation(key, &value.replace("TAG", &signature_tag(image.digest())));
        }
        name(&mut store, evil.clone());
        let roots = store.roots().unwrap();
        let result = require(&store, &roots, Extent::Whole, &keys);
        assert_eq!(result.is_err(), is_checked, "{case}");
        // with the signed image only comes what belongs to it
        let comes = is_checked && (has_subject || annotations.len() > 1);
        let result = require(&store, std::slice::from_ref(&image), Extent::Chosen, &keys);
        assert_eq!(result.is_err(), comes && case != "the other way round", "{case}");
        // what is chosen is used
        assert!(require(&store, std::slice::from_ref(&evil), Extent::Chosen, &keys).is_err(), "{case}");
        // what is alone is used
        store.commit(&Inventory { gone: roots, ..Inventory::default() }).unwrap();
        name(&mut store, evil.clone());
        assert!(require(&store, &[evil], Extent::Whole, &keys).is_err(), "{case}");
    }
}

#[test]
fn many_images_are_signed_in_one_plan() {
    let (mut store, image) = store();
    let (key, public) = key();
    let two = another(&mut store, None).with_annotation(REF_NAME, "ghcr.io/org/two:v1");
    name(&mut store, two.clone());
    let again = image.clone().with_annotation(REF_NAME, "quay.io/org/app:v1");
    name(&mut store, again.clone());
    let options = SignOptions::default();
    let images: Vec<ToSign> = [&image, &two, &again, &image]
        .into_iter()
        .flat_map(|image| to_sign(&store, image.clone(), true, &options).unwrap())
        .collect();
    let (pieces, roots) = {
        let Signing { plan, signed } = sign(&store, &images, &key, &options).unwrap();
        let names: Vec<_> = signed.iter().map(|one| one.identity.clone().unwrap()).collect();
        assert_eq!(names, ["ghcr.io/org/app", "quay.io/org/app", "ghcr.io/org/two"]);
        assert_eq!(signed[0].root, signed[1].root, "under one tag lie all signatures of an image");
        let inventory = plan.inventory();
        assert_eq!(inventory.roots.len(), 2);
        let open = |content: &crate::content::Content| plan.open(content).unwrap().into_bytes().unwrap();
        let pieces: Vec<_> = inventory.contents.iter().map(|it| (open(it), it.kind.clone())).collect();
        (pieces, inventory.roots.clone())
    };
    for (bytes, kind) in pieces {
        store.add(&bytes, kind);
    }
    for root in roots {
        name(&mut store, root);
    }
    let keys = [public];
    assert_eq!(check_image(&store, &image, &keys).unwrap().len(), 2);
    let checked = require(&store, &store.roots().unwrap(), Extent::Whole, &keys).unwrap();
    assert_eq!(checked.len(), 2, "each image once");
}
