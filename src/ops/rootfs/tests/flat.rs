//! The whole file system as one tar.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use super::*;
use crate::media::Compression;
use crate::ops::rootfs::FlattenError;
use crate::pack::{PackOptions, pack};
use crate::tar::entry::EntryKind;
use crate::tar::stream::Stream;

#[test]
fn one_layer_is_what_many_come_to() {
    let flat = flattened(&zoo());
    let (one, many) = (files(std::slice::from_ref(&flat)), files(&zoo()));
    assert_eq!(one.keys().collect::<Vec<_>>(), many.keys().collect::<Vec<_>>());
    for (name, facts) in &many {
        assert_eq!(one[name].unlike(facts), "", "{name}");
    }
    assert!(flattened(std::slice::from_ref(&flat)) == flat, "flat is flat");
    assert!(flattened(&zoo()) == flat, "the same layers give the same bytes");
}

#[test]
fn directories_come_first_and_every_name_stands_for_itself() {
    let flat = flattened(&zoo());
    let mut stream = Stream::new(&flat[..]);
    let mut ranks = Vec::new();
    let mut seen: Vec<Vec<u8>> = Vec::new();
    while let Some(entry) = stream.next().unwrap() {
        let text = entry.name.escape_ascii().to_string();
        assert!(!text.contains(".wh."), "{text}");
        assert!(!seen.contains(&entry.name), "{text} is there twice");
        ranks.push(match &entry.kind {
            EntryKind::Directory => 0,
            EntryKind::SymLink(_) | EntryKind::Special(_) => 1,
            EntryKind::Regular => 2,
            EntryKind::HardLink(target) => {
                assert!(seen.contains(&target.to_vec()), "{text} comes before what it is another name of");
                3
            }
        });
        if let Some(above) = Path::new(&text).parent().filter(|above| *above != Path::new("")) {
            let above = [above.to_str().unwrap().as_bytes(), b"/"].concat();
            assert!(seen.contains(&above), "{text} comes before its directory");
        }
        seen.push(entry.name);
    }
    assert!(ranks.is_sorted());
    assert_eq!(seen[0], b"./", "the lower layer says something of the root");
    let without = flattened(&[Tar::new().file("a/b", b"").finished()]);
    let first = Stream::new(&without[..]).next().unwrap().unwrap();
    assert_eq!((first.name, first.attributes.mode), (b"a/".to_vec(), 0o755), "nobody says anything of this one's");
}

#[test]
fn what_was_written_is_counted() {
    let layers =
        [Tar::new().file("d/a", b"12345").hard_link("b", "d/a").finished(), Tar::new().file("c", b"67").finished()];
    let source = image(&layers);
    let flat = read(&source).unwrap().flatten(&mut io::sink()).unwrap();
    assert_eq!((flat.entries, flat.bytes), (4, 7));
    let nothing = read(&source).map(|_| flattened(&[])).unwrap();
    assert_eq!(nothing, [0; 1024]);
}

/// Takes so many bytes and no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let count = bytes.len().min(self.0);
        self.0 -= count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failure_to_write_is_told_as_that_wherever_it_comes() {
    let source = image(&zoo());
    let rootfs = read(&source).unwrap();
    let length = flattened(&zoo()).len();
    for room in (0..length).step_by(300) {
        match rootfs.flatten(&mut Full(room)) {
            Err(FlattenError::To(error)) => assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{room}"),
            other => panic!("{room}: {other:?}"),
        }
    }
    assert!(rootfs.flatten(&mut Full(length)).is_ok());
}

/// A layer is packed while it is written: the reason has to pass through a packer, which only knows I/O errors.
#[test]
fn what_fails_at_the_source_passes_through_a_packer() {
    let source = image(&zoo());
    let cancel = Cancel::default();
    let layers = layers_of(&source, &chosen(&source)).unwrap();
    let rootfs = Rootfs::read(layers, &Limits::default(), &cancel, &Deaf).unwrap();
    cancel.cancel();
    let options = PackOptions { compression: Compression::Gzip, level: 6, jobs: NonZeroUsize::MIN };
    let packed = pack(&options, &mut io::sink(), |tar| {
        rootfs.flatten(tar).map_err(|error| match error {
            FlattenError::From(error) => io::Error::other(error),
            FlattenError::To(error) => error,
        })
    });
    let error = packed.unwrap_err().downcast::<Error>().unwrap();
    assert_eq!(error.class(), crate::error::Class::Interrupted);
}

#[test]
fn what_no_tar_can_hold_is_said() {
    let deep = |part: &str| format!("{}/", vec![part.repeat(249); 12].join("/"));
    let (deep, deeper) = (deep("d"), deep("f"));
    let layer = Tar::new()
        .extension(b'L', deep.as_bytes())
        .directory("cut")
        .extension(b'K', deep.as_bytes())
        .symlink("l", "cut")
        .extension(b'L', format!("l/{deeper}x").as_bytes())
        .file("cut", b"");
    let equals = Tar::new().pax(&[("LIBARCHIVE.xattr.user.a%3Db", "AA==")]).file("f", b"");
    for (layer, complaint) in [(layer, "a path has 4250 bytes, expected at most 4096"), (equals, "equals sign")] {
        let source = image(&[layer.finished()]);
        let error = read(&source).unwrap().flatten(&mut io::sink()).unwrap_err();
        let FlattenError::From(error) = error else { panic!("{error}") };
        assert!(told(&error).contains(complaint), "{}", told(&error));
        assert_eq!(error.class(), crate::error::Class::Unsupported);
    }
}

#[test]
fn fifty_thousand_files_take_no_long_time() {
    let (mut lower, mut upper) = (Tar::new(), Tar::new());
    for at in 0..50_000 {
        lower = lower.file(&format!("d{}/e{}/f{at}", at % 50, at % 7), b"content");
        upper = match at % 5 {
            0 => upper.file(&format!("d{}/e{}/f{at}", at % 50, at % 7), b"other content"),
            1 => upper.file(&format!("d{}/e{}/.wh.f{at}", at % 50, at % 7), b""),
            _ => upper,
        };
    }
    let source = image(&[lower.finished(), upper.finished()]);
    let start = Instant::now();
    let rootfs = read(&source).unwrap();
    let flat = rootfs.flatten(&mut io::sink()).unwrap();
    assert_eq!(flat.entries, 40_000 + 50 + 350);
    let spool = tempfile::tempdir().unwrap();
    let picking = Picking::new(&rootfs, "base", spool.path());
    assert_eq!(picking.matches("*/*/f*5").unwrap().len(), 5_000);
    let mut tree = Tree::new();
    picking.add(&mut tree, &AddOptions::new(Path::new("/to")), Path::new("/")).unwrap();
    assert_eq!(tree.len(), 40_000 + 50 + 350 + 1);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}
