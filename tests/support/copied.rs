//! What lines of a Containerfile make of a directory: a table that two sides are held against.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

/// Makes the directory: modes and content say which file it was.
pub(crate) fn make(root: &Path) {
    for (mode, file) in [
        (0o600, "one.txt"),
        (0o640, "two.txt"),
        (0o604, "three.md"),
        (0o644, "app/f"),
        (0o755, "app/sub/g"),
        (0o644, "app/sub/h.txt"),
        (0o644, "b1/x"),
        (0o640, "b2/y"),
        (0o600, "secret/key"),
        (0o644, "[x]"),
        (0o644, "deep/a/b/c.txt"),
        (0o644, "deep/d.txt"),
    ] {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::write(root.join(file), file).unwrap();
        fs::set_permissions(root.join(file), fs::Permissions::from_mode(mode)).unwrap();
    }
    for (mode, directory) in
        [(0o700, "app"), (0o711, "app/sub"), (0o755, "deep"), (0o750, "deep/a"), (0o755, "deep/a/b"), (0o755, "b1")]
    {
        fs::set_permissions(root.join(directory), fs::Permissions::from_mode(mode)).unwrap();
    }
    for (target, link) in
        [("app", "link"), ("../../one.txt", "file-link"), ("secret", "way"), ("/etc", "out"), ("nowhere", "dead")]
    {
        symlink(target, root.join(link)).unwrap();
    }
    symlink("f", root.join("app/sub/inner")).unwrap();
}

/// Lines, and what an image from scratch then holds: names, modes and owners, in the order of the names' bytes.
pub(crate) const LINES: [(&str, &[&str]); 22] = [
    // a directory gives its contents, and its destination is made with the usual mode
    (
        "COPY app /a",
        &[
            "a/ 755 0:0",
            "a/f 644 0:0",
            "a/sub/ 711 0:0",
            "a/sub/g 755 0:0",
            "a/sub/h.txt 644 0:0",
            "a/sub/inner@ 777 0:0",
        ],
    ),
    ("COPY app/sub/ /", &["g 755 0:0", "h.txt 644 0:0", "inner@ 777 0:0"]),
    ("COPY ./b1/../b1/. /a/b/", &["a/ 755 0:0", "a/b/ 755 0:0", "a/b/x 644 0:0"]),
    // a file becomes what is named, or goes into the directory
    ("COPY one.txt /n/m", &["n/ 755 0:0", "n/m 600 0:0"]),
    ("COPY one.txt /n/m/", &["n/ 755 0:0", "n/m/ 755 0:0", "n/m/one.txt 600 0:0"]),
    ("COPY one.txt /", &["one.txt 600 0:0"]),
    ("COPY b1 /n\nCOPY one.txt /n", &["n/ 755 0:0", "n/one.txt 600 0:0", "n/x 644 0:0"]),
    ("WORKDIR /w\nCOPY one.txt .", &["w/ 755 0:0", "w/one.txt 600 0:0"]),
    // links lead where they do in the context, and lend their names
    ("COPY link/sub/g /", &["g 755 0:0"]),
    (
        "COPY link /a",
        &[
            "a/ 755 0:0",
            "a/f 644 0:0",
            "a/sub/ 711 0:0",
            "a/sub/g 755 0:0",
            "a/sub/h.txt 644 0:0",
            "a/sub/inner@ 777 0:0",
        ],
    ),
    ("COPY file-link /", &["file-link 600 0:0"]),
    ("COPY file-link way* /d/", &["d/ 755 0:0", "d/file-link 600 0:0", "d/key 600 0:0"]),
    // wildcards
    ("COPY *.txt /d/", &["d/ 755 0:0", "d/one.txt 600 0:0", "d/two.txt 640 0:0"]),
    ("COPY on?.txt /d", &["d 600 0:0"]),
    ("COPY b* /d/", &["d/ 755 0:0", "d/x 644 0:0", "d/y 640 0:0"]),
    ("COPY */sub/[f-g] /d/", &["d/ 755 0:0", "d/g 755 0:0"]),
    ("COPY one.txt b1 /d/", &["d/ 755 0:0", "d/one.txt 600 0:0", "d/x 644 0:0"]),
    // owners and modes
    ("COPY --chown=5:6 app/sub /a", &["a/ 755 5:6", "a/g 755 5:6", "a/h.txt 644 5:6", "a/inner@ 777 5:6"]),
    ("COPY --chown=7 one.txt /n/m/", &["n/ 755 7:7", "n/m/ 755 7:7", "n/m/one.txt 600 7:7"]),
    (
        "COPY --chmod=640 app /a",
        &[
            "a/ 755 0:0",
            "a/f 640 0:0",
            "a/sub/ 640 0:0",
            "a/sub/g 640 0:0",
            "a/sub/h.txt 640 0:0",
            "a/sub/inner@ 777 0:0",
        ],
    ),
    ("COPY --chmod=4755 one.txt /x", &["x 4755 0:0"]),
    // WORKDIR
    ("WORKDIR /w/x", &["w/ 755 0:0", "w/x/ 755 0:0"]),
];
