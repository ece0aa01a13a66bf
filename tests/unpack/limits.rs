//! Bombs, wrong digests, and a user who has changed their mind: nothing is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use barge::error::Class;
use barge::transfer::{Event, Observer};

use super::tar::{Block, Tar};
use super::*;

#[test]
fn an_image_that_unpacks_to_too_much_is_refused_and_the_limit_can_be_raised() {
    let zeros = Tar::new().file("zeros", &vec![0; 4 << 20]).finished();
    let packed = gzip(&zeros);
    assert!(packed.len() < 80_000);
    let source = image_with(&[packed], &[Digest::of(&zeros)]);
    let with = |size: u64| Options { size, ..options() };
    let bench = Bench::new();
    for size in [0, 512, 4 << 20] {
        let error = bench.unpack_from(&source, &with(size), &Cancel::default()).unwrap_err();
        assert!(told(&error).contains("it may be a bomb"), "{}", told(&error));
        assert_eq!(error.class(), Class::Unsupported);
        assert_eq!(error.hint().unwrap(), "if it is not, raise the limit with --max-size");
    }
    bench.unpack_from(&source, &with(zeros.len() as u64), &Cancel::default()).unwrap();
    // the limit is for all layers together, and headers and padding count as well
    let layer = Tar::new().file("x", b"1").finished();
    let two = [layer.clone(), layer.clone()];
    let error = Bench::new().unpack_with(&two, &with(2 * layer.len() as u64 - 1)).unwrap_err();
    assert_eq!(error.class(), Class::Unsupported);
    Bench::new().unpack_with(&two, &with(2 * layer.len() as u64)).unwrap();
    // what stands behind the end of a tar is read for its digest
    let tail = Tar::new().bytes(&vec![0; 1 << 20]).finished();
    assert!(Bench::new().unpack_with(&[tail], &with(1 << 19)).is_err());
}

#[test]
fn a_header_that_lies_about_its_size_writes_nothing_past_the_limit() {
    let tar = Tar::new().entry(Block::ustar("huge").size(8_000_000_000), b"").bytes(&[0; 4096]).unfinished();
    let error =
        Bench::new().unpack_with(std::slice::from_ref(&tar), &Options { size: 1 << 30, ..options() }).unwrap_err();
    assert!(told(&error).contains("\"huge\" at byte 0: the image unpacks to more than 1.0 GiB"), "{}", told(&error));
    let error = Bench::new().unpack(&[tar]).unwrap_err();
    assert!(told(&error).contains("in the middle of an entry"), "{}", told(&error));
}

#[test]
fn too_many_files_are_refused_over_all_layers() {
    let layer = Tar::new().file("a", b"").directory("b/").file(".wh.c", b"").finished();
    let with = |files: u64| Options { files, ..options() };
    let layers = [layer.clone(), layer];
    let error = Bench::new().unpack_with(&layers, &with(5)).unwrap_err();
    assert!(told(&error).contains("more than 5 files"), "{}", told(&error));
    assert_eq!(error.hint().unwrap(), "if it is not, raise the limit with --max-files");
    assert_eq!(Bench::new().unpack_with(&layers, &with(6)).unwrap().entries, 6);
}

#[test]
fn extensions_are_bounded() {
    let tar = Tar::new().extension(b'x', &vec![b'x'; (1 << 20) + 1]).file("f", b"").finished();
    let error = Bench::new().unpack(&[tar]).unwrap_err();
    assert!(told(&error).contains("expected at most 1048576"), "{}", told(&error));
}

#[test]
fn what_is_not_what_its_digests_say_leaves_nothing() {
    let layer = Tar::new().file("a", &[7; 100_000]).finished();
    let other = Digest::of(b"other");
    let bench = Bench::new();
    let error = bench
        .unpack_from(&image_with(std::slice::from_ref(&layer), &[other]), &options(), &Cancel::default())
        .unwrap_err();
    assert!(told(&error).contains(&format!("it unpacks to {}, expected the diff_id {other}", Digest::of(&layer))));
    assert_eq!(error.class(), Class::Content);
    let error =
        bench.unpack_from(&image_with(std::slice::from_ref(&layer), &[]), &options(), &Cancel::default()).unwrap_err();
    assert!(told(&error).contains("0 diff_ids, expected 1"), "{}", told(&error));

    // a layout in which one byte of the layer was flipped: the tar is spoilt there, and the reason is the digest
    for at in [600, 30] {
        let place = bench.temp.path().join(format!("layout-{at}"));
        layout(&place, std::slice::from_ref(&layer));
        let packed = gzip(&layer);
        let blob = place.join("blobs/sha256").join(Digest::of(&packed).hex());
        let mut spoilt = packed;
        let at = at.min(spoilt.len() - 1);
        spoilt[at] ^= 0xff;
        fs::write(blob, spoilt).unwrap();
        let source = barge::store::layout::Layout::open(&place).unwrap();
        let chosen = choose_image(&source, None, &PlatformFilter::All).unwrap();
        let error = unpack(&source, &chosen, &bench.root(), &options(), &Cancel::default(), &Deaf).unwrap_err();
        assert!(told(&error).contains("content is sha256:"), "{}", told(&error));
        assert!(told(&error).contains("layer 1 of linux/amd64"), "{}", told(&error));
        assert_eq!(fs::read_dir(bench.temp.path().join("work")).unwrap().count(), 0);
    }
    // and one that is cut off, or whose packing is damaged under a right digest
    let mut torn = gzip(&layer);
    let last = torn.len() - 5;
    torn[last] ^= 1;
    let error = bench.unpack_from(&image_with(&[torn], &[Digest::of(&layer)]), &options(), &Cancel::default());
    assert!(told(&error.unwrap_err()).contains("cannot be unpacked as gzip"));
}

#[test]
fn a_missing_layer_is_found_before_anything_is_written() {
    let bench = Bench::new();
    let layers = [Tar::new().file("a", b"").finished(), Tar::new().file("b", b"").finished()];
    let place = bench.temp.path().join("layout");
    layout(&place, &layers);
    fs::remove_file(place.join("blobs/sha256").join(Digest::of(&gzip(&layers[1])).hex())).unwrap();
    let source = barge::store::layout::Layout::open(&place).unwrap();
    let chosen = choose_image(&source, None, &PlatformFilter::All).unwrap();
    let error = unpack(&source, &chosen, &bench.root(), &options(), &Cancel::default(), &Deaf).unwrap_err();
    assert!(told(&error).contains("cannot find sha256:") && told(&error).contains("layer 2 of linux/amd64"));
}

/// Asks to stop as soon as bytes have passed.
struct Impatient(Arc<AtomicBool>);

impl Observer for Impatient {
    fn hear(&self, event: Event<'_>) {
        if matches!(event, Event::Advanced { .. }) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_request_to_stop_leaves_nothing() {
    let bench = Bench::new();
    let layers: Vec<Vec<u8>> =
        (0..3).map(|at| Tar::new().file(&format!("{at}"), &vec![at; 3 << 20]).finished()).collect();
    let source = image(&layers);
    let asked = Cancel::default();
    asked.cancel();
    let error = bench.unpack_from(&source, &options(), &asked).unwrap_err();
    assert_eq!(error.class(), Class::Interrupted);

    let flag = Arc::new(AtomicBool::new(false));
    let cancel = Cancel::from_flag(Arc::clone(&flag));
    let chosen = choose_image(&source, None, &PlatformFilter::All).unwrap();
    let error = unpack(&source, &chosen, &bench.root(), &options(), &cancel, &Impatient(flag)).unwrap_err();
    assert_eq!(error.class(), Class::Interrupted);
    assert_eq!(fs::read_dir(bench.temp.path().join("work")).unwrap().count(), 0);
}

#[test]
fn leftovers_of_the_dead_go_and_those_of_the_living_stay() {
    let bench = Bench::new();
    let work = bench.temp.path().join("work");
    let dead = work.join(".rootfs.barge-0123456789abcdef");
    let others = [".rootfs.barge-0123", ".rootfs.barge-0123456789ABCDEF", ".other.barge-0123456789abcdef"];
    for name in others {
        fs::create_dir(work.join(name)).unwrap();
    }
    fs::create_dir(&dead).unwrap();
    let source = image(&[Tar::new().file("a", b"").finished()]);
    let chosen = choose_image(&source, None, &PlatformFilter::All).unwrap();
    unpack(&source, &chosen, &bench.root(), &options(), &Cancel::default(), &Deaf).unwrap();
    // too young to be told from one that is just being made; its age is no time that a test could set
    assert!(dead.exists());
    for name in others {
        assert!(work.join(name).exists(), "{name}");
    }
}
