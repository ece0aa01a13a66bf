//! Parts that somebody has to have signed.

use super::prepared::{Form, noise, twice};
use super::support::image::{Images, Layer, named};
use super::*;

/// Writes a signed set of three parts, and a key of somebody else.
fn signed(barge: &Barge, form: Form) {
    let mut images = Images::new();
    let content = if form == Form::Plain { noise(1, 2_500_000) } else { twice(1, 5_000_000) };
    let image = images.image("linux/amd64", &[Layer::plain(&content)]);
    images.root(named(image, "app:v1")).layout(&barge.path("source"));
    for key in ["release", "stranger"] {
        barge.line(&format!("key generate -q --no-password -o {key}")).exits(0);
    }
    barge.line(&format!("{} -q --split 1M --sign-key release.key -o x.tar source", form.save())).exits(0);
}

/// Writes a part with one byte changed.
fn damage(barge: &Barge, part: &str, at: usize) {
    let mut bytes = fs::read(barge.path(part)).unwrap();
    bytes[at] ^= 1;
    barge.write(part, bytes);
}

#[test]
fn of_damaged_parts_nothing_is_kept_that_another_one_signed() {
    // in the layer; in the header of an entry, so that the archive cannot even be opened
    let cases = [("x.tar.003", ""), ("x.tar.001", "blobs/sha256/")];
    for (form, (part, at)) in Form::ALL.into_iter().flat_map(|form| cases.map(|case| (form, case))) {
        let barge = Barge::new();
        signed(&barge, form);
        let bytes = fs::read(barge.path(part)).unwrap();
        // `manifest.json` has such names too, and stands before
        let at = match at {
            "" => 1000,
            text => bytes.windows(text.len()).rposition(|window| window == text.as_bytes()).unwrap(),
        };
        damage(&barge, part, at);
        if part == "x.tar.001" {
            barge.line("ls x.tar.001").exits(4);
        }
        for key in ["stranger", "release"] {
            let _ = fs::remove_dir_all(barge.path("out"));
            let refused = barge.line(&format!("load --verify-key {key}.pub -i x.tar.001 -o out")).exits(4);
            assert_eq!(barge.path("out").exists(), key == "release", "{part}: {}", refused.stderr());
        }
        fs::remove_file(barge.path(part)).unwrap();
        barge.line(&format!("{} -q --split 1M --sign-key release.key -o x.tar source", form.save())).exits(0);
        barge.line(&format!("load --verify-key release.pub -i {part} -o out")).exits(0);
        barge.line("verify out").exits(0).prints(&["ok: 1 image"]);
    }
}

#[test]
fn what_was_begun_without_a_key_does_not_go_on_with_one_that_did_not_sign() {
    let barge = Barge::new();
    signed(&barge, Form::Compact);
    for number in 1..=3 {
        let medium = barge.path(format!("m{number}"));
        fs::create_dir(&medium).unwrap();
        for name in [format!("x.tar.{number:03}"), format!("x.tar.part-{number:03}.json")] {
            fs::rename(barge.path(&name), medium.join(&name)).unwrap();
        }
    }
    barge.line("load -i m1/x.tar.001 -o out").exits(3);
    let before = environment::listing(&barge.path("out"));
    barge.line("load --verify-key stranger.pub -i m2/x.tar.002 -o out").exits(4).says(&["did not sign"]);
    assert_eq!(environment::listing(&barge.path("out")), before, "something was taken in");
    // the command that is told asks for the same key
    let told = barge.line("load --verify-key release.pub -i m2/x.tar.002 -o out").exits(3);
    told.says(&["continue with `barge load --verify-key release.pub -i x.tar.003 -o out`"]);
    barge.line("load --verify-key release.pub -i m3/x.tar.003 -o out").exits(0);
}
