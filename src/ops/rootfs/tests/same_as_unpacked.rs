//! On the disk: a flattened image unpacks to the very tree that its layers unpack to, whatever these are.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use proptest::prelude::*;

use super::*;
use crate::ops::unpack::unpack;

/// Unpacks layers and says what came of them: all that a system knows of each name, and which names are one thing.
fn unpacked(layers: &[Vec<u8>]) -> Result<BTreeMap<String, String>, String> {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("root");
    let source = image(layers);
    unpack(&source, &chosen(&source), &root, &options(), &Cancel::default(), &Deaf).map_err(|error| told(&error))?;
    let mut inodes: HashMap<u64, Vec<String>> = HashMap::new();
    let mut found = BTreeMap::new();
    let mut todo = vec![root.clone()];
    while let Some(path) = todo.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        let name = escaped(path.strip_prefix(&root).unwrap());
        let mut shown = format!(
            "{:o} {}:{} {}.{:09} {}",
            stat.mode(),
            stat.uid(),
            stat.gid(),
            stat.mtime(),
            stat.mtime_nsec(),
            stat.rdev()
        );
        if stat.is_symlink() {
            shown += &format!(" -> {}", escaped(&fs::read_link(&path).unwrap()));
        } else if stat.is_file() {
            shown += &format!(" {}", fs::read(&path).unwrap().escape_ascii());
        } else if stat.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        for attribute in ["security.capability", "user.binary"] {
            let mut value = Vec::with_capacity(100);
            if rustix::fs::lgetxattr(&path, attribute, rustix::buffer::spare_capacity(&mut value)).is_ok() {
                shown += &format!(" {attribute}={}", value.escape_ascii());
            }
        }
        if !stat.is_dir() {
            inodes.entry(stat.ino()).or_default().push(name.clone());
        }
        found.insert(name, shown);
    }
    for mut names in inodes.into_values() {
        names.sort();
        for name in &names {
            *found.get_mut(name).unwrap() += &format!(" {names:?}");
        }
    }
    Ok(found)
}

#[test]
fn flattened_and_unpacked_is_unpacked() {
    let (one, many) = (unpacked(&[flattened(&zoo())]).unwrap(), unpacked(&zoo()).unwrap());
    assert_eq!(one.keys().collect::<Vec<_>>(), many.keys().collect::<Vec<_>>());
    for (name, shown) in &many {
        assert_eq!(&one[name], shown, "{name}");
    }
    let links = |name: &str| many[name].matches('"').count() / 2;
    assert_eq!(
        [links("zz-a"), links("late-b"), links("etc/b"), links("etc/same-link"), links("ping")],
        [2, 1, 1, 2, 2]
    );
}

/// A name with few letters, so that layers meet.
fn name() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c")], 1..4).prop_map(|parts| parts.join("/"))
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![name(), name().prop_map(|name| format!("/{name}")), Just("..".to_owned()), Just(".".to_owned())]
}

fn layer() -> impl Strategy<Value = Vec<u8>> {
    let entry = (0..14_u8, name(), target(), 0..100_u64);
    proptest::collection::vec(entry, 0..12).prop_map(|entries| {
        let mut tar = Tar::new();
        for (kind, name, target, number) in entries {
            let (above, last) = name.rsplit_once('/').map_or(("", name.as_str()), |(above, last)| (above, last));
            let hidden = format!("{above}/.wh.{last}");
            tar = match kind {
                0..=3 => tar.entry(Block::ustar(&name).mtime(number).size(2), format!("{number:02}").as_bytes()),
                4..=7 => tar.entry(Block::ustar(&format!("{name}/")).flag(b'5').mode(0o755).mtime(number), b""),
                8 => tar.symlink(&name, &target),
                9 => tar.hard_link(&name, target.trim_start_matches('.')),
                10 | 11 => tar.file(&hidden, b""),
                12 => tar.file(&format!("{above}/.wh..wh..opq"), b""),
                _ => tar.entry(Block::ustar(&name).flag(b'6').mtime(number), b""),
            };
        }
        tar.finished()
    })
}

proptest! {
    /// The outline in memory and the tree on the disk know the same rules: both refuse, or both come to the same.
    #[test]
    fn any_layers_come_to_the_same(layers in proptest::collection::vec(layer(), 1..4)) {
        let source = image(&layers);
        match (read(&source), unpacked(&layers)) {
            (Ok(rootfs), Ok(many)) => {
                let mut flat = Vec::new();
                rootfs.flatten(&mut flat).unwrap();
                prop_assert_eq!(unpacked(&[flat]).unwrap(), many);
            }
            (Err(_), Err(_)) => {}
            (read, unpacked) => prop_assert!(false, "{:?} {:?}", read.map_err(|error| told(&error)), unpacked),
        }
    }
}
