//! Deltas and signed bundles that come in parts, one medium after the other.

use std::fs;

use crate::environment::{Barge, listing};
use crate::support::image::{Images, Layer, named, noise};

/// Writes the layouts `v1` and `v2`: a base of their own, and a layer on top that differs.
fn prepare(barge: &Barge) {
    for version in [1, 2] {
        let mut images = Images::new();
        let base = Layer::plain(&noise(7, 1_500_000));
        let top = Layer::plain(&noise(version, 2_500_000));
        let image = images.image("linux/amd64", &[base, top]);
        images.root(named(image, &format!("ghcr.io/org/app:v{version}")));
        images.layout(&barge.path(format!("v{version}")));
    }
}

/// Moves parts with their notes to a medium.
fn carry(barge: &Barge, archive: &str, numbers: &[u32], medium: &str) {
    fs::create_dir_all(barge.path(medium)).unwrap();
    for number in numbers {
        for name in [format!("{archive}.{number:03}"), format!("{archive}.part-{number:03}.json")] {
            fs::rename(barge.path(&name), barge.path(medium).join(&name)).unwrap();
        }
    }
}

#[test]
fn a_split_delta_says_with_its_first_part_that_its_base_is_not_there() {
    let barge = Barge::new();
    prepare(&barge);
    barge.line("save -o d.tar --base v1 --split 1M v2").exits(0).says(&["in 3 parts"]);
    carry(&barge, "d.tar", &[1], "one");
    carry(&barge, "d.tar", &[2], "two");
    carry(&barge, "d.tar", &[3], "three");
    barge.line("load -i one/d.tar.001 -o empty").exits(4).says(&["what it builds on is not there: 1 blob, 1.4 MiB"]);
    assert!(!barge.path("empty").exists(), "something was written");

    barge.line("copy v1 site").exits(0);
    barge.line("load -i two/d.tar.002 -o site").exits(3).says(&["parts 1 and 3", "barge load -i"]);
    barge.line("load -i three/d.tar.003 -o site").exits(3);
    barge.line("load -i one/d.tar.001 -o site").exits(0).says(&["site: wrote names alone", "were not read again"]);
    barge.line("verify --deep site").exits(0).prints(&["2 images"]);
    let left: Vec<_> = listing(&barge.path("site")).into_keys().filter(|name| name.contains("/.barge")).collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn nothing_is_taken_of_parts_before_it_is_known_who_signed_them() {
    let barge = Barge::new();
    prepare(&barge);
    for key in ["release", "other"] {
        barge.line(&format!("key generate --no-password -o {key}")).exits(0);
    }
    barge.line("save -o d.tar --sign-key release.key --split 1M v1").exits(0).says(&["in 4 parts"]);
    barge.line("verify --verify-key release.pub d.tar").exits(0);
    for (number, medium) in [(1, "one"), (2, "two"), (3, "three"), (4, "four")] {
        carry(&barge, "d.tar", &[number], medium);
    }
    let unknown = barge.line("load --verify-key release.pub -i two/d.tar.002 -o site").exits(3);
    unknown.says(&["cannot tell who signed d.tar before its first part is there", "part 1"]);
    barge.line("load --verify-key other.pub -i one/d.tar.001 -o site").exits(4).says(&["cannot trust"]);
    assert!(!barge.path("site").exists());
    // a damaged part of what is trusted is kept out, and the rest is taken
    barge.line("load --verify-key release.pub -i one/d.tar.001 -o site").exits(3);
    barge.line("load --verify-key release.pub -i three/d.tar.003 -o site").exits(3);
    barge.line("load --verify-key other.pub -i two/d.tar.002 -o site").exits(4).says(&["cannot trust"]);
    barge.line("load --verify-key release.pub -i two/d.tar.002 -o site").exits(3);
    barge.line("load --verify-key release.pub -i four/d.tar.004 -o site").exits(0);
    barge.line("verify --deep site").exits(0);
}

#[test]
fn the_list_of_a_split_bundle_says_how_many_parts_there_are() {
    let barge = Barge::new();
    prepare(&barge);
    for (size, parts) in [("1M", 4), ("2M", 2), ("3900K", 2), ("1G", 1)] {
        barge.line(&format!("save -f -o d.tar --split {size} v1")).exits(0);
        let list = barge.line("inspect --json d.tar").exits(0).json()["results"][0]["bundle"].clone();
        assert_eq!(list["split"]["parts"], parts, "{size}");
        assert!(barge.path(format!("d.tar.{parts:03}")).exists());
        assert!(!barge.path(format!("d.tar.{:03}", parts + 1)).exists());
    }
    barge.line("inspect d.tar").exits(0).prints(&["parts      1 of at most 1.0 GiB"]);
}
