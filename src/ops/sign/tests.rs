//! Signing and checking, over a store in memory.

use serde_json::json;

use super::*;
use crate::content::{CONTAINERD_SUBJECT, Descriptor, Kind, REF_NAME};
use crate::digest::Digest;
use crate::media::{OCI_CONFIG, OCI_MANIFEST};
use crate::ops::Error;
use crate::ops::bundle::Untrusted;
use crate::signing::{KeyType, PrivateKey, PublicKey};
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
    let options = SignOptions { form, ..SignOptions::default() };
    let (pieces, root) = {
        let signing = sign(store, image, key, &options).unwrap();
        let plan = &signing.plan;
        let pieces: Vec<(Vec<u8>, Kind)> = plan
            .inventory()
            .contents
            .iter()
            .map(|content| (plan.open(content).unwrap().into_bytes().unwrap(), content.kind.clone()))
            .collect();
        (pieces, signing.root.clone())
    };
    for (bytes, kind) in pieces {
        store.add(&bytes, kind);
    }
    name(store, root.clone());
    root
}

#[test]
fn what_was_signed_is_trusted_in_both_forms_and_nothing_else_is() {
    for form in [Form::Tag, Form::Referrer] {
        let (mut store, image) = store();
        let ((key, public), (_, other)) = (key(), key());
        let reason = |error: Error| match error {
            Error::Untrusted { reason: Untrusted::Image { wrong, .. }, .. } => wrong,
            other => panic!("{other}"),
        };
        let keys = [public];
        assert!(reason(check_image(&store, &image, &keys).unwrap_err()).is_empty(), "nobody has signed it");
        let root = signed(&mut store, &image, &key, form);
        let checked = check_image(&store, &image, &keys).unwrap();
        assert_eq!(checked.len(), 1);
        assert_eq!(checked[0].payload.reference, "ghcr.io/org/app");
        assert_eq!((checked[0].payload.image, checked[0].manifest), (*image.digest(), *root.digest()));
        let wrong = reason(check_image(&store, &image, &[other]).unwrap_err());
        assert!(matches!(wrong.as_slice(), [Unsigned::Signature { .. }]), "{wrong:?}");
        match form {
            Form::Tag => assert_eq!(root.annotation(REF_NAME), Some(&*signature_tag(image.digest()))),
            Form::Referrer => {
                assert_eq!(root.annotation(CONTAINERD_SUBJECT), Some(&*image.digest().to_string()));
                let document = read_document(&store, &root).unwrap();
                assert_eq!(document.subject().unwrap().digest(), image.digest());
            }
        }
    }
}

#[test]
fn signing_again_changes_nothing_and_another_key_joins_in() {
    let (mut store, image) = store();
    let ((one, public_one), (two, public_two)) = (key(), key());
    let first = signed(&mut store, &image, &one, Form::Tag);
    let options = SignOptions::default();
    assert!(sign(&store, &image, &one, &options).unwrap().is_there);
    let second = signed(&mut store, &image, &two, Form::Tag);
    assert_ne!(first.digest(), second.digest());
    for key in [&public_one, &public_two] {
        assert_eq!(check_image(&store, &image, std::slice::from_ref(key)).unwrap().len(), 1);
    }
    assert_eq!(check_image(&store, &image, &[public_one, public_two]).unwrap().len(), 2);
    assert!(
        sign(&store, &image, &one, &options).unwrap().is_there
            && sign(&store, &image, &two, &options).unwrap().is_there
    );
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
        let signing = sign(&store, &named, &key, &SignOptions::default());
        assert_eq!(signing.ok().map(|signing| signing.identity).as_deref(), expected, "{name:?}");
    }
    let options = SignOptions { identity: Some("quay.io/x".to_owned()), ..SignOptions::default() };
    let signing = sign(&store, &image, &key, &options).unwrap();
    let layer = signing.plan.inventory().contents.iter().find(|content| content.kind == Kind::Blob).unwrap();
    let payload = Payload::parse(&signing.plan.open(layer).unwrap().into_bytes().unwrap()).unwrap();
    assert_eq!(payload.reference, "quay.io/x");
}
