//! Receipts that are signed, and bases that have to be.

use std::fs;

use barge::signing::{KeyType, PrivateKey};

use crate::environment::{Barge, listing};
use crate::versions::layouts;

fn keys(barge: &Barge) -> PrivateKey {
    let [site, other] = [KeyType::Ed25519, KeyType::P256].map(|key_type| PrivateKey::generate(key_type).unwrap());
    for (name, key) in [("site", &site), ("other", &other)] {
        barge.write(&format!("{name}.key"), key.to_pem().unwrap().as_bytes());
        barge.write(&format!("{name}.pub"), key.public_key().to_pem());
    }
    site
}

#[test]
fn a_signed_receipt_is_a_base_for_those_who_know_its_key() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    let key = keys(&barge);
    let said = format!("signed with key {}", key.public_key().fingerprint());
    barge.line("receipt -L v1 --sign-key site.key -o site.json").exits(0).says(&[&said]);
    let signature = barge::signing::Signature::parse(&fs::read(barge.path("site.json.sig")).unwrap()).unwrap();
    key.public_key().verify(&fs::read(barge.path("site.json")).unwrap(), &signature).unwrap();

    let save = "save -f -o update.tar --base site.json --base-key";
    barge.line(&format!("{save} site.pub v2")).exits(0).says(&[&format!("site.json is {said}"), "are left out"]);
    barge.line(&format!("{save} other.pub --base-key site.pub v2")).exits(0);
    // again, over the old one; both are new
    let json = barge.line("receipt --json -L v2 --sign-key site.key -o site.json").exits(0).json();
    assert_eq!(json["results"][0]["signedBy"], key.public_key().fingerprint().to_string());
    barge.line(&format!("{save} site.pub v1")).exits(0);
    // without a signature the old one no longer holds
    barge.line("receipt -L v1 -o site.json").exits(0).says(&["warning: site.json.sig is of the receipt before"]);
    barge.line(&format!("{save} site.pub v2")).exits(4).says(&["did not sign these bytes"]);
}

#[test]
fn a_base_that_nobody_signed_is_refused() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    let wanted = keys(&barge).public_key().fingerprint().to_string();
    barge.line("save -q -o signed.tar --sign-key site.key v1").exits(0);
    barge.line("save -q -o plain.tar v1").exits(0);
    barge.line("save -q -o others.tar --sign-key other.key v1").exits(0);
    barge.line("receipt -q -L v1 -o plain.json").exits(0);
    barge.line("receipt -q -L v1 --sign-key other.key -o others.json").exits(0);
    barge.line("receipt -q -L v1 --sign-key site.key -o changed.json").exits(0);
    let changed = fs::read_to_string(barge.path("changed.json")).unwrap().replace("app:v1", "app:v7");
    barge.write("changed.json", changed);
    barge.line("receipt -q -L v1 --sign-key site.key -o swapped.json").exits(0);
    fs::copy(barge.path("others.json.sig"), barge.path("swapped.json.sig")).unwrap();
    barge.line("receipt -q -L v1 -o directory.json").exits(0);
    fs::create_dir(barge.path("directory.json.sig")).unwrap();
    barge.line("receipt -q -L v1 -o long.json").exits(0);
    barge.write("long.json.sig", "A".repeat(100_000));

    let before = listing(&barge.path(""));
    let (not_by, other_type) = (format!("the key {wanted} did not sign"), format!("no signature by the key {wanted}"));
    for (base, cause) in [
        ("plain.tar", "there is no bundle.json.sig"),
        ("others.tar", other_type.as_str()),
        ("plain.json", "there is no plain.json.sig"),
        ("others.json", &other_type),
        ("swapped.json", &other_type),
        ("changed.json", &not_by),
        ("directory.json", "there is no directory.json.sig"),
        ("long.json", "it has more than 4096 bytes"),
        ("v1", "it has no packing list"),
        // one image of a bundle is looked at itself
        ("signed.tar:v1", "it has no packing list"),
    ] {
        for bases in [format!("--base {base}"), format!("--base signed.tar --base {base}")] {
            let refused = barge.line(&format!("save -o update.tar {bases} --base-key site.pub v2")).exits(4);
            refused.says(&[&format!("error: cannot trust {base}\n"), cause, "\nhint: "]);
        }
        assert_eq!(listing(&barge.path("")), before, "{base}");
        barge.line(&format!("save --dry-run -o update.tar --base {base} v2")).exits(0);
    }
    barge.line("save -o update.tar --base signed.tar --base-key site.pub v2").exits(0).says(&["are left out"]);
}

#[test]
fn what_else_is_there_is_not_lost_to_a_signature() {
    let barge = Barge::new();
    layouts(&barge, &[1]);
    keys(&barge);
    barge.write("site.json.sig", "precious");
    let before = listing(&barge.path(""));
    for (line, code, said) in [
        ("receipt -L v1 --sign-key site.key -o site.json", 9, "something else than a signature is there"),
        ("receipt -L v1 --sign-key site.key", 2, "--output"),
        ("receipt -L v1 --sign-key site.pub -o other.json", 2, "it is a public key"),
        ("save -o x.tar --base-key site.pub v1", 2, "--base"),
    ] {
        barge.line(line).exits(code).says(&[said]);
        assert_eq!(listing(&barge.path("")), before, "{line}");
    }
}
