//! What COPY and WORKDIR put into an image: what the table says that barge makes, buildah makes too. `src/ops/build/tests.rs`
//! holds barge against it. Where buildah 1.28 has no opinion the table has no line: --exclude, --parents, here-documents.
//! What ADD unpacks with --chown is given to nobody else by buildah; BuildKit does it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

#[path = "../support/copied.rs"]
mod table;

use crate::work::work;

/// Says what a directory has, in the order of the names' bytes.
fn listed(root: &Path) -> Vec<String> {
    let (mut todo, mut lines) = (vec![root.to_owned()], Vec::new());
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let stat = fs::symlink_metadata(&path).unwrap();
            let kind = match stat.file_type() {
                kind if kind.is_dir() => "/",
                kind if kind.is_symlink() => "@",
                _ => "",
            };
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            let line = format!("{name}{kind} {:o} {}:{}", stat.mode() & 0o7777, stat.uid(), stat.gid());
            lines.push((name.to_owned(), line));
            if stat.is_dir() {
                todo.push(path);
            }
        }
    }
    lines.sort_unstable();
    lines.into_iter().map(|(_, line)| line).collect()
}

#[test]
fn buildah_puts_files_where_the_table_says() {
    let Some(work) = work(&["buildah", "root"]) else { return };
    table::make(&work.path("context"));
    for (lines, expected) in table::LINES {
        work.write("Containerfile", &format!("FROM scratch\n{lines}\n"));
        let id = work.run("buildah bud --isolation chroot --layers=false -q -f Containerfile context");
        let container = work.run(&format!("buildah from {id}"));
        let root = PathBuf::from(work.run(&format!("buildah mount {container}")));
        assert_eq!(listed(&root), expected, "{lines}");
        work.run(&format!("buildah rm {container}"));
    }
}
