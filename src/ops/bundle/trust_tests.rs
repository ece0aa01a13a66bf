#![allow(clippy::unwrap_used)] // tests

use std::io::Write as _;

use super::*;
use crate::blob::Cancel;
use crate::bundle::{Base, PackedImage, PackedReferrer};
use crate::signing::{KeyType, PrivateKey};
use crate::store::archive::ReadOptions;
use crate::tar::made::Tar;

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const MANIFEST: &[u8] = br#"[]"#;

/// Two images and what belongs to one of them, by what their digests are of.
const ROOTS: [&str; 3] = ["app", "db", "signature"];

fn index(roots: &[&str]) -> Vec<u8> {
    let entry = |root: &&str| {
        let (digest, size) = (Digest::of(root.as_bytes()), root.len());
        format!(r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{size}}}"#)
    };
    let entries: Vec<String> = roots.iter().map(entry).collect();
    format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(",")).into_bytes()
}

/// A list of these images, with these files.
fn list(files: Vec<CoveredFile>) -> PackingList {
    let image = |root: &str| PackedImage {
        name: Some(root.to_owned()),
        digest: Digest::of(root.as_bytes()),
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        size: 3,
        platforms: Vec::new(),
        referrers: Vec::new(),
    };
    let mut images = vec![image(ROOTS[0]), image(ROOTS[1])];
    images[0].referrers.push(PackedReferrer { digest: Digest::of(ROOTS[2].as_bytes()), artifact_type: None });
    PackingList { images, files, ..PackingList::default() }
}

/// An archive with these files, opened.
fn archive(files: &[(&str, &[u8])]) -> Store {
    let tar = files.iter().fold(Tar::new(), |tar, (name, bytes)| tar.file(name, bytes)).finished();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&tar).unwrap();
    Store::Archive(Archive::open(file.path(), &ReadOptions::default(), &Cancel::default()).unwrap())
}

fn reason(store: &Store, keys: &[PublicKey]) -> Untrusted {
    match trusted(store, keys).unwrap_err() {
        Error::Untrusted { reason, .. } => reason,
        other => unreachable!("{other}"),
    }
}

#[test]
fn the_front_of_an_archive_is_what_was_signed_and_nothing_else() {
    let key = PrivateKey::generate(KeyType::Ed25519).unwrap();
    let keys = [key.public_key()];
    let whole = index(&ROOTS);
    let both = vec![CoveredFile::of("index.json", &whole), CoveredFile::of("manifest.json", MANIFEST)];
    let with = |list: &PackingList, index: &[u8], more: &[(&str, &[u8])]| {
        let list = list.encode();
        let signature = key.sign(&list).unwrap().to_text();
        let front: [(&str, &[u8]); 4] = [
            ("oci-layout", LAYOUT),
            ("index.json", index),
            ("bundle.json", &list),
            ("bundle.json.sig", signature.as_bytes()),
        ];
        archive(&[&front[..], more].concat())
    };
    let manifest = ("manifest.json", MANIFEST);
    let right = with(&list(both.clone()), &whole, &[manifest]);
    assert_eq!(trusted(&right, &keys).unwrap(), &keys[0]);

    let changed = |name: &str| Untrusted::Changed { name: name.to_owned() };
    let not_covered = |what: &str| Untrusted::NotCovered { what: what.to_owned() };
    let more = index(&["app", "db", "signature", "another"]);
    let another = Digest::of(b"another").to_string();
    let covers_more = vec![CoveredFile::of("index.json", &more), CoveredFile::of("manifest.json", MANIFEST)];
    let twice = [both.clone(), vec![CoveredFile::of("index.json", b"another")]].concat();
    let three = [both.clone(), vec![CoveredFile::of("notes", b"x")]].concat();
    for (case, files, index, entries, expected) in [
        ("an image was added", &both, &more, &[manifest][..], changed("index.json")),
        ("an image that the list does not name", &covers_more, &more, &[manifest], not_covered(&another)),
        ("another manifest.json", &both, &whole, &[("manifest.json", b"{}")], changed("manifest.json")),
        ("a longer one", &both, &whole, &[("manifest.json", b"[] ")], changed("manifest.json")),
        ("none", &both, &whole, &[], Untrusted::Gone { name: "manifest.json".to_owned() }),
        ("one that is not covered", &both[..1].to_vec(), &whole, &[manifest], not_covered("manifest.json")),
        ("index.json is not covered", &both[1..].to_vec(), &whole, &[manifest], not_covered("index.json")),
        (
            "a file that docker once read",
            &both,
            &whole,
            &[manifest, ("repositories", b"{}")],
            not_covered("\"repositories\""),
        ),
        ("a file is listed twice", &twice, &whole, &[manifest], changed("index.json")),
        ("a further file is gone", &three, &whole, &[manifest], Untrusted::Gone { name: "notes".to_owned() }),
        ("a further file changed", &three, &whole, &[manifest, ("notes", b"y")], changed("notes")),
    ] {
        assert_eq!(reason(&with(&list(files.clone()), index, entries), &keys), expected, "{case}");
    }
    trusted(&with(&list(three), &whole, &[manifest, ("notes", b"x")]), &keys).unwrap();
    // blobs are looked at when they are taken, and what nothing refers to never is
    let blob = format!("blobs/sha256/{}", Digest::of(b"app").hex());
    trusted(&with(&list(both), &whole, &[manifest, (&blob, b"xyz")]), &keys).unwrap();
}

#[test]
fn only_the_signature_of_a_key_that_was_given_counts() {
    let [signer, other] = [KeyType::P256, KeyType::Ed25519].map(|key_type| PrivateKey::generate(key_type).unwrap());
    let index = index(&ROOTS);
    let list = list(vec![CoveredFile::of("index.json", &index)]);
    let with = |list: &[u8], signature: Option<&[u8]>| {
        let front: [(&str, &[u8]); 3] = [("oci-layout", LAYOUT), ("index.json", &index), ("bundle.json", list)];
        let signature: Vec<(&str, &[u8])> = signature.map(|bytes| ("bundle.json.sig", bytes)).into_iter().collect();
        archive(&[&front[..], &signature].concat())
    };
    let raw = list.encode();
    let signature = signer.sign(&raw).unwrap().to_text();
    let signed = with(&raw, Some(signature.as_bytes()));
    let [right, wrong] = [&signer, &other].map(PrivateKey::public_key);
    assert_eq!(trusted(&signed, &[wrong.clone(), right.clone()]).unwrap(), &right);

    let told = |store: &Store, keys: &[PublicKey]| {
        let error = trusted(store, keys).unwrap_err();
        assert_eq!(error.class(), crate::error::Class::Content);
        assert!(error.hint().is_some());
        error.causes().join("; ")
    };
    assert!(told(&signed, std::slice::from_ref(&wrong)).contains(&wrong.fingerprint().to_string()));
    assert_eq!(told(&signed, &[]), "its signature does not hold");
    // of two keys both are named
    let third = PrivateKey::generate(KeyType::P256).unwrap().public_key();
    let both = told(&signed, &[wrong.clone(), third.clone()]);
    assert!(
        both.contains(&wrong.fingerprint().to_string()) && both.contains(&third.fingerprint().to_string()),
        "{both}"
    );

    let keys = [right];
    let changed = PackingList { bases: vec![Base { place: "x".to_owned(), list: None }], ..list };
    let of_another = other.sign(&raw).unwrap().to_text();
    for (case, store, expected) in [
        ("no list", archive(&[("oci-layout", LAYOUT), ("index.json", &index)]), "it has no packing list"),
        ("a list of another program", with(b"{}", Some(signature.as_bytes())), "it has no packing list"),
        ("no signature", with(&raw, None), "it is not signed: there is no bundle.json.sig"),
        ("an empty one", with(&raw, Some(b"")), "it is no signature: it is empty"),
        ("no base64", with(&raw, Some(b"????")), "it is no signature: it is not base64"),
        ("another list", with(&changed.encode(), Some(signature.as_bytes())), "did not sign these bytes"),
        ("the signature of another key", with(&raw, Some(of_another.as_bytes())), "another key made it"),
    ] {
        let said = told(&store, &keys);
        assert!(said.contains(expected), "{case}: {said}");
    }
    // a list that cannot be read is as wrong
    let error = trusted(&with(br#"{"schema":"barge/bundle/v9"}"#, None), &keys).unwrap_err();
    assert_eq!(error.class(), crate::error::Class::Content);
}

#[test]
fn what_was_said_of_a_base_is_signed_in_its_own_way() {
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let keys = [key.public_key()];
    let raw = b"a receipt".to_vec();
    let signature = key.sign(&raw).unwrap().to_text().into_bytes();
    let base = |list: Option<&[u8]>, signature: Option<&[u8]>| BaseContents {
        path: None,
        base: Base { place: "site".to_owned(), list: None },
        contents: std::collections::HashMap::new(),
        images: Vec::new(),
        list: list.map(<[u8]>::to_vec),
        signature: signature.map(<[u8]>::to_vec),
        signature_file: "site.json.sig".to_owned(),
    };
    trusted_base("site.json", &base(Some(&raw), Some(&signature)), &keys).unwrap();
    for (base, expected) in [
        (base(None, Some(&signature)), "it has no packing list"),
        (base(Some(&raw), None), "there is no site.json.sig"),
        (base(Some(b"a receipT"), Some(&signature)), "did not sign these bytes"),
    ] {
        let error = trusted_base("site.json", &base, &keys).unwrap_err();
        assert_eq!(error.to_string(), "cannot trust site.json");
        assert!(error.causes()[0].contains(expected), "{:?}", error.causes());
    }
}
