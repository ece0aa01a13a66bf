//! Layers as programs make them: odd, right, and taken.

use crate::layers::{becomes, tried};
use crate::support::tar::{Block, Tar};

fn dir(name: &str) -> Block {
    Block::ustar(name).flag(b'5').mode(0o755)
}

#[test]
fn layers_that_programs_make() {
    let tool = ("usr/bin/tool", "file 755 x");
    let bin = |name: &str| Block::ustar(name).mode(0o755).size(1);
    let debian = || {
        let tar = Tar::new().entry(dir("./"), b"").entry(dir("./usr/"), b"").entry(dir("./usr/bin/"), b"");
        tar.symlink("./bin", "usr/bin").entry(bin("./usr/bin/tool"), b"x")
    };
    let (usr, usr_bin, link) = (("usr", "dir 755"), ("usr/bin", "dir 755"), ("bin", "-> usr/bin"));
    tried(vec![
        becomes("tar -c .", "debootstrap: names with `./`, the root first", [debian()], [usr, usr_bin, link, tool]),
        becomes(
            "buildah",
            "names without `./`, directories before what is in them",
            [Tar::new().entry(dir("usr"), b"").entry(dir("usr/bin"), b"").entry(bin("usr/bin/tool"), b"x")],
            [usr, usr_bin, tool],
        ),
        becomes(
            "docker, over usrmerge",
            "a name through `/bin -> usr/bin` of the base",
            [debian(), Tar::new().entry(bin("bin/more"), b"x")],
            [usr, usr_bin, link, tool, ("usr/bin/more", "file 755 x")],
        ),
        becomes(
            "docker, an opaque directory",
            "the directory, its whiteout, then what is new",
            {
                let upper =
                    Tar::new().entry(dir("usr/"), b"").entry(dir("usr/bin/"), b"").file("usr/bin/.wh..wh..opq", b"");
                [debian(), upper.entry(bin("usr/bin/new"), b"x")]
            },
            [usr, usr_bin, link, ("usr/bin/new", "file 755 x")],
        ),
        becomes(
            "umoci, whiteouts in between",
            "in the order of names",
            {
                let upper = Tar::new().entry(dir("usr/"), b"").entry(dir("usr/bin"), b"").file("usr/bin/.wh.tool", b"");
                [debian(), upper.file(".wh.bin", b"")]
            },
            [usr, usr_bin],
        ),
        becomes(
            "buildah, a whiteout with a time and a mode",
            "a character file of overlay became it",
            [debian(), Tar::new().entry(Block::ustar("usr/bin/.wh.tool").mode(0).mtime(1_700_000_000), b"")],
            [usr, usr_bin, link],
        ),
        becomes(
            "kaniko",
            "absolute names, parents again in each layer",
            {
                let top = || Tar::new().entry(dir("/"), b"").entry(dir("/usr/"), b"").entry(dir("/usr/bin/"), b"");
                [top(), top().entry(bin("/usr/bin/tool"), b"x")]
            },
            [usr, usr_bin, tool],
        ),
        becomes(
            "ko and bazel",
            "no entries for directories",
            [Tar::new().entry(bin("/usr/bin/tool"), b"x")],
            [usr, usr_bin, tool],
        ),
        becomes(
            "nix",
            "all of 1970, directories that nobody may write",
            {
                let at = |block: Block| block.mtime(1);
                let tar =
                    Tar::new().entry(at(dir("nix").mode(0o755)), b"").entry(at(dir("nix/store").mode(0o555)), b"");
                let tar = tar.entry(at(dir("nix/store/h-tool").mode(0o555)), b"");
                [tar.entry(at(Block::ustar("nix/store/h-tool/tool").mode(0o555).size(1)), b"x")]
            },
            [
                ("nix", "dir 755 at 1.000000000"),
                ("nix/store", "dir 555 at 1.000000000"),
                ("nix/store/h-tool", "dir 555 at 1.000000000"),
                ("nix/store/h-tool/tool", "file 555 x at 1.000000000"),
            ],
        )
        .timed(),
        becomes(
            "estargz",
            "a landmark, and a table of contents at the end",
            [Tar::new().file(".no.prefetch.landmark", b"\x0f").file("a", b"x").file("stargz.index.json", b"{}")],
            [(".no.prefetch.landmark", "file 644 \\x0f"), ("a", "file 644 x"), ("stargz.index.json", "file 644 {}")],
        ),
        becomes(
            "Windows",
            "files and hives, with records of its own",
            {
                let record = [
                    ("MSWINDOWS.fileattr", "32"),
                    ("MSWINDOWS.rawsd", "AQAEgA=="),
                    ("LIBARCHIVE.creationtime", "1700000000.5"),
                ];
                [Tar::new().entry(dir("Files"), b"").pax(&record).file("Files/a.txt", b"x").entry(dir("Hives"), b"")]
            },
            [("Files", "dir 755"), ("Files/a.txt", "file 644 x"), ("Hives", "dir 755")],
        ),
        becomes(
            "GNU long names",
            "more than a header holds",
            {
                let (name, target) = (format!("{}\0", "n".repeat(150)), format!("{}\0", "t".repeat(150)));
                [Tar::new().extension(b'L', name.as_bytes()).extension(b'K', target.as_bytes()).symlink("cut", "cut")]
            },
            [("n".repeat(150), format!("-> {}", "t".repeat(150)))],
        ),
        becomes(
            "GNU times beside the name",
            "they are no prefix",
            [Tar::new().entry(Block::gnu("a").field(345, b"14000000000\x0014000000000\0"), b"")],
            [("a", "file 644")],
        ),
        becomes(
            "busybox",
            "hard links of one file, hundreds of them",
            {
                let tar = Tar::new().entry(dir("bin/"), b"").entry(bin("bin/["), b"x");
                [(0..300).fold(tar, |tar, at| tar.hard_link(&format!("bin/applet{at}"), "bin/["))]
            },
            {
                let mut all =
                    vec![("bin".to_owned(), "dir 755".to_owned()), ("bin/[".to_owned(), "file 755 x x301".to_owned())];
                all.extend((0..300).map(|at| (format!("bin/applet{at}"), "file 755 x x301".to_owned())));
                all
            },
        ),
        becomes(
            "update-alternatives",
            "absolute links over absolute links",
            {
                let tar = Tar::new().entry(bin("usr/bin/vim"), b"x").symlink("etc/alternatives/editor", "/usr/bin/vim");
                [tar.symlink("usr/bin/editor", "/etc/alternatives/editor")]
            },
            [
                usr,
                usr_bin,
                ("etc", "dir 755"),
                ("etc/alternatives", "dir 755"),
                ("etc/alternatives/editor", "-> /usr/bin/vim"),
                ("usr/bin/editor", "-> /etc/alternatives/editor"),
                ("usr/bin/vim", "file 755 x"),
            ],
        ),
        becomes(
            "/var/run",
            "an absolute link that later layers go through",
            [Tar::new().entry(dir("run"), b"").symlink("var/run", "/run"), Tar::new().file("var/run/a.pid", b"1")],
            [("run", "dir 755"), ("run/a.pid", "file 644 1"), ("var", "dir 755"), ("var/run", "-> /run")],
        ),
        becomes(
            "/dev of a base image",
            "devices, a FIFO, links to /proc",
            {
                let tar = Tar::new()
                    .entry(dir("dev/"), b"")
                    .entry(Block::ustar("dev/null").flag(b'3').mode(0o666).device(1, 3), b"");
                let tar = tar.entry(Block::ustar("dev/initctl").flag(b'6').mode(0o600), b"");
                [tar.symlink("dev/fd", "/proc/self/fd").symlink("dev/stdin", "/proc/self/fd/0")]
            },
            [
                ("dev", "dir 755"),
                ("dev/null", "char 666 1:3"),
                ("dev/initctl", "fifo 600"),
                ("dev/fd", "-> /proc/self/fd"),
                ("dev/stdin", "-> /proc/self/fd/0"),
            ],
        ),
        becomes(
            "shadow, sudo and ping",
            "rights of others",
            {
                let capability = [("SCHILY.xattr.user.note", "x")];
                let tar = Tar::new().entry(Block::ustar("etc/shadow").mode(0o640).owner(0, 42), b"");
                let tar = tar.entry(Block::ustar("usr/bin/sudo").mode(0o4755), b"").entry(dir("tmp").mode(0o1777), b"");
                [tar.pax(&capability).entry(Block::ustar("usr/bin/ping").mode(0o755), b"")]
            },
            [
                usr,
                usr_bin,
                ("etc", "dir 755"),
                ("etc/shadow", "file 640 of 0:42"),
                ("tmp", "dir 1777"),
                ("usr/bin/ping", "file 755 user.note=x"),
                ("usr/bin/sudo", "file 4755"),
            ],
        ),
        becomes(
            "empty layers among others",
            "as docker made them for ENV",
            [Tar::new(), debian(), Tar::new(), Tar::new().file("a", b"x"), Tar::new()],
            [usr, usr_bin, link, tool, ("a", "file 644 x")],
        ),
    ]);
}
