//! Compact archives that lie: in every field, in pieces, recipes and guides. Each is refused with a sentence, or yields bytes that
//! are not those of the layer, which whoever reads them sees; nothing panics, and nothing large is made of little.

use barge::compact::{CompactIndex, Frame, Guide, LARGEST_FRAME, Packer, Recipe, Space, Span, Step};
use barge::digest::Digest;
use barge::regzip::Checkpoint;

use crate::archive::{images, write_with};
use crate::environment::Barge;
use crate::inputs::Random;
use crate::packer::{Made, Maker, frame};
use crate::rebuild::{read, tar};

const PLAIN: &[u8] = b"what is in the layer, and nothing else";

/// Returns what comes of the only layer, or why nothing does.
fn outcome(made: &Made) -> Result<Vec<u8>, String> {
    read(&made.stock(2), 0, 4096).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(what: &str, made: &Made, said: &str) {
    let error = outcome(made).map(|bytes| bytes.len()).expect_err(what);
    assert!(error.contains(said), "{what}: {error}");
}

/// Makes a layer by a recipe, of 60 bytes in the pool.
fn by(heads: Vec<Step>, body: Vec<Step>) -> Made {
    let mut maker = Maker::default();
    maker.recipe(&[7; 60]);
    maker.layer_by(&Recipe { heads, body }, PLAIN, None, 0);
    maker.finish()
}

fn copy(space: Space, from: u64, length: u64) -> Step {
    Step::Copy(Span { space, from, length })
}

#[test]
fn recipes_that_take_what_is_not_there() {
    let length = PLAIN.len() as u64;
    let pool = |from, length| copy(Space::Pool, from, length);
    let patch = |frame, against| Step::Patch { frame, against };
    let frame = Frame { piece: 0, offset: 0, length: 5, plain: length };
    let outside = "outside of the packs";
    let far = Span { space: Space::Pool, from: 59, length: 2 };
    for (what, heads, body, said) in [
        ("behind the pools", vec![], vec![pool(60 - length + 1, length)], "a step takes 38 bytes from byte 23 of 60"),
        ("far behind", vec![], vec![pool(1 << 61, length)], "a step takes 38 bytes"),
        ("a base that is not", vec![], vec![copy(Space::Base(0), 0, length)], "base 0, which is not in the index"),
        ("heads of it", vec![], vec![copy(Space::BaseHeads(9), 0, length)], "base 9, which is not in the index"),
        ("too little", vec![], vec![pool(0, length - 1)], "its recipe yields 37 bytes, expected 38"),
        ("too much", vec![], vec![pool(0, length + 1)], "its recipe yields 39 bytes, expected 38"),
        ("no heads", vec![], vec![Step::Heads(length)], "it takes more heads than there are"),
        ("heads of heads", vec![Step::Heads(length)], vec![Step::Heads(length)], "the heads take from the heads"),
        ("a frame in a pool", vec![], vec![patch(Frame { piece: 1, ..frame }, None)], outside),
        ("a frame nowhere", vec![], vec![patch(Frame { piece: 2, ..frame }, None)], outside),
        ("a frame too far", vec![], vec![patch(Frame { offset: 1 << 40, ..frame }, None)], outside),
        ("a frame too long", vec![], vec![patch(Frame { length: 1 << 40, ..frame }, None)], outside),
        ("no frame", vec![], vec![patch(Frame { offset: 1, ..frame }, None)], "is spoilt"),
        (
            "a prefix that is not there",
            vec![],
            vec![patch(frame, Some(far))],
            "a step takes 2 bytes from byte 59 of 60",
        ),
    ] {
        refused(what, &by(heads, body), said);
    }
}

#[test]
fn patches_that_read_much_for_little() {
    let mut maker = Maker::default();
    maker.recipe(&Random::new(9).bytes(16 << 20));
    let frame = maker.put(b"x", &[]);
    let whole = Span { space: Space::Pool, from: 0, length: 16 << 20 };
    let body = vec![Step::Patch { frame, against: Some(whole) }; 100];
    maker.layer_by(&Recipe { heads: vec![], body }, &[b'x'; 100], None, 0);
    refused("prefixes", &maker.finish(), "its patches are made against 1677721600 bytes, too many for 100");
}

#[test]
fn pieces_that_are_not_what_is_said() {
    let mut maker = Maker::default();
    let layer = maker.layer(&tar(50, 5, 40_000), Some(6), 50_000);
    let made = maker.finish();
    assert!(outcome(&made).unwrap() == layer);
    let changed = |change: &dyn Fn(&mut Made)| {
        let mut made = made.clone();
        change(&mut made);
        made
    };
    // a piece that is another one under its right digest: what is in it counts
    let replace = |made: &mut Made, number: usize, bytes: Vec<u8>| {
        (made.index.pieces[number].digest, made.index.pieces[number].size) = (Digest::of(&bytes), bytes.len() as u64);
        made.pieces[number] = bytes;
    };
    for number in [0, 1] {
        refused("a bit", &changed(&|made| made.pieces[number][9] ^= 1), "a piece is sha256:");
        refused("cut off", &changed(&|made| made.pieces[number].truncate(5)), "a piece is sha256:");
        refused("gone", &changed(&|made| made.pieces.truncate(number)), "reading failed");
    }
    let plain = made.index.pieces[1].pool.unwrap();
    refused("a longer pool", &changed(&|made| made.index.pieces[1].pool = Some(plain + 1)), "expected");
    let shorter = changed(&|made| made.index.pieces[1].pool = Some(plain - 1));
    assert!(outcome(&shorter).is_err());
    refused("no frame", &changed(&|made| replace(made, 1, b"no frame".to_vec())), "is spoilt");
    refused(
        "two frames",
        &changed(&|made| {
            let twice = [frame(b"1", &[]), frame(b"2", &[])].concat();
            replace(made, 1, twice);
        }),
        "is more than a zstd frame",
    );
    let bomb = frame(&vec![0; 64 << 20], &[]);
    assert!(bomb.len() < 20_000);
    refused("a bomb", &changed(&|made| replace(made, 1, bomb.clone())), "is spoilt");

    for (what, change) in [
        ("less plain", &(|made: &mut Made| made.index.layers[0].plain -= 1) as &dyn Fn(&mut Made)),
        ("more plain", &|made| made.index.layers[0].plain += 1),
        ("no recipe", &|made| made.index.layers[0].recipe.clear()),
        ("a recipe twice", &|made| {
            let recipe = made.index.layers[0].recipe.clone();
            made.index.layers[0].recipe.extend(recipe);
        }),
        ("the guide as a recipe", &|made| made.index.layers[0].recipe = made.index.layers[0].guide.clone()),
        ("the recipe as a guide", &|made| made.index.layers[0].guide = made.index.layers[0].recipe.clone()),
        ("a short frame", &|made| made.index.layers[0].recipe[0].length -= 1),
        ("a frame with other plain bytes", &|made| made.index.layers[0].recipe[0].plain += 1),
        ("a recipe without end", &|made| {
            let frame = Frame { plain: LARGEST_FRAME, ..made.index.layers[0].recipe[0] };
            made.index.layers[0].recipe = vec![frame; 1000];
        }),
    ] {
        assert!(outcome(&changed(change)).is_err(), "{what}");
    }
    // another level, header or trailer: other bytes
    let others = changed(&|made| {
        if let Packer::Gzip { header, trailer, .. } = &mut made.index.layers[0].packer {
            header[4] ^= 1;
            trailer.clear();
        }
    });
    assert!(outcome(&others).unwrap() != layer);
}

#[test]
fn guides_that_lead_astray() {
    let plain = tar(51, 12, 250_000);
    let mut maker = Maker::default();
    let layer = maker.layer(&plain, Some(6), 600_000);
    let recipe = maker.recipe(&plain);
    let (_, _, right) = crate::packer::packed(&plain, 6, 600_000);
    assert!(right.checkpoints.len() > 1);
    let change = |what: &str, change: &dyn Fn(&mut Vec<Checkpoint>)| {
        let mut guide = Guide { checkpoints: right.checkpoints.clone(), early: vec![] };
        change(&mut guide.checkpoints);
        let mut maker = Maker::default();
        maker.recipe(&plain);
        maker.layer_by(&recipe, &plain, Some(6), u64::MAX);
        let frame = maker.put(&guide.encode(), &[]);
        let mut made = maker.finish();
        made.index.layers[0].guide = vec![frame];
        assert!(outcome(&made).map_or(true, |got| got != layer), "{what}");
    };
    change("a bit too far", &|all| all[0].bits += 1);
    change("elsewhere", &|all| all[0].position += 1);
    change("an impossible repetition", &|all| all[0].found = Some((9, 9)));
    change("another window", &|all| all[0].window = all[0].window.saturating_sub(65_536));
    change("near the end", &|all| all[0].position = plain.len() as u64 - 1);
    change("of another level", &|all| all[0].findable = Some(Box::new([255; 4096])));
}

#[test]
fn anything_as_a_recipe_or_a_guide() {
    let mut random = Random::new(77);
    let plain = tar(52, 3, 2000);
    let mut maker = Maker::default();
    let recipe = maker.recipe(&plain).encode();
    for round in 0..300 {
        let mut bytes = recipe.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = random.next() as u8;
        }
        if round % 3 == 0 {
            bytes = random.bytes(1 + round % 60);
        }
        let mut maker = Maker::default();
        maker.layer(&plain, Some(1), 1000);
        let frame = maker.put(&bytes, &[]);
        let mut made = maker.finish();
        let layer = &mut made.index.layers[0];
        if round % 2 == 0 {
            layer.recipe = vec![frame];
        } else {
            layer.guide = vec![frame];
        }
        drop(outcome(&made));
    }
}

#[test]
fn what_an_archive_says_is_refused_by_name() {
    let barge = Barge::new();
    let mut maker = Maker::default();
    let images = images(&mut maker, 60);
    let made = maker.finish();
    let text = String::from_utf8(made.index.encode()).unwrap();
    let write = |name: &str, index: &str, made: &Made| write_with(&barge.path(name), &images, made, index.as_bytes());
    for (name, from, to, said) in [
        ("version.tar", "compact/v1", "compact/v9", "this version of barge reads"),
        ("packer.tar", "go1.19", "go1.99", "can make again"),
        ("json.tar", "{", "[", "compact.json"),
    ] {
        write(name, &text.replacen(from, to, 1), &made);
        barge.line(&format!("verify {name}")).exits(4).says(&["cannot use compact.json", said, "update this one"]);
    }
    // a layer of another size than its image says
    let layer = &made.index.layers[0];
    write("size.tar", &text.replacen(&format!("\"size\":{}", layer.size), "\"size\":5", 1), &made);
    barge.line("verify size.tar").exits(4).prints(&[&layer.digest.to_string()]);
    // pieces that are gone
    let mut lost = made.clone();
    lost.pieces.pop();
    write("lost.tar", &text, &lost);
    barge.line("verify lost.tar").exits(4).prints(&["cannot be made again", "is not there"]);
    barge.line("copy lost.tar out").exits(4).says(&["cannot be made again"]);
    assert_eq!(CompactIndex::parse(text.as_bytes()).unwrap(), made.index);
}
