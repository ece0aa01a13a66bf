//! Archives that are cut, and archives that go on.

use std::fs;

use crate::dialects::whole;
use crate::ordeal::Ordeal;
use crate::support::image::Layer;

#[test]
fn cut_at_every_block_and_in_between() {
    let tar = whole().finished();
    let content = tar.len() - tar.iter().rev().position(|byte| *byte != 0).unwrap();
    let mut ordeal = Ordeal::new();
    let (mut count, mut told) = (0, 0);
    for block in (0..tar.len()).step_by(512) {
        for keep in [block, block + 1, block + 257] {
            fs::write(ordeal.path("x.tar"), &tar[..keep.min(tar.len())]).unwrap();
            count += 1;
            for line in ["verify x.tar", "copy --no-sync x.tar out"] {
                let ran = ordeal.run(&format!("cut at {keep}"), line);
                // what is only padding is not missed, but said
                let expected = if keep >= content { 0 } else { 4 };
                if ran.code != expected {
                    ordeal.fault(format!("cut at {keep} of {}: {line}: {} {}", tar.len(), ran.code, ran.stderr));
                }
                if keep < tar.len() - 512 && keep >= content && !ran.says("warning: ") {
                    ordeal.fault(format!("cut at {keep} of {}: {line}: no warning", tar.len()));
                }
                told += usize::from(ran.says("cut off") || ran.says("ends"));
                if ran.code != 0 && ordeal.path("out/index.json").exists() {
                    ordeal.fault(format!("cut at {keep}: a name is there"));
                }
            }
            ordeal.clear("out");
        }
    }
    println!("{count} cases");
    assert!(told > count, "said {told} times");
    ordeal.judge();
}

#[test]
fn compressed_and_cut() {
    let tar = whole().finished();
    let mut ordeal = Ordeal::new();
    for packed in [Layer::gzip(&tar).bytes, Layer::zstd(&tar).bytes] {
        for keep in (1..packed.len()).step_by(packed.len() / 23) {
            fs::write(ordeal.path("x.tar"), &packed[..keep]).unwrap();
            let ran = ordeal.run(&format!("cut at {keep}"), "verify x.tar");
            if ran.code != 4 {
                ordeal.fault(format!("cut at {keep}: {} {}", ran.code, ran.stdout));
            }
        }
        for (what, more) in [("zeros", vec![0; 512]), ("garbage", b"garbage".to_vec()), ("a byte", vec![1])] {
            fs::write(ordeal.path("x.tar"), [&packed[..], &more].concat()).unwrap();
            let ran = ordeal.run(what, "verify x.tar");
            if ran.code != 4 {
                ordeal.fault(format!("{what} behind: {} {}", ran.code, ran.stderr));
            }
        }
    }
    ordeal.judge();
}

#[test]
fn what_goes_on_after_its_end_is_read_to_its_end() {
    let tar = whole().finished();
    let other = crate::support::tar::Tar::new().file("index.json", b"{}").finished();
    let mut ordeal = Ordeal::new();
    for (what, more, is_warned) in [
        ("zeros", vec![0; 20 * 512], false),
        ("a megabyte of zeros", vec![0; 1 << 20], false),
        ("itself again", tar.clone(), true),
        ("another archive", other, true),
        ("garbage", b"garbage".repeat(1000), true),
        ("a byte", vec![7], true),
        ("an escape", b"\x1b[2J".to_vec(), true),
    ] {
        fs::write(ordeal.path("x.tar"), [&tar[..], &more].concat()).unwrap();
        for (line, ran) in ordeal.try_all(what, "x.tar") {
            if ran.code != 0 || ran.says("are ignored") != is_warned {
                ordeal.fault(format!("{what}: {line}: {} {}", ran.code, ran.stderr));
            }
        }
    }
    ordeal.judge();
}
