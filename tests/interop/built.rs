//! Whole builds: from the same files, barge and buildah make the same config and the same file system.
//!
//! Not compared is where barge differs on purpose: times, which barge clamps to SOURCE_DATE_EPOCH; the history, which has a
//! line for each instruction here and one in all there; which layer a file is in, because buildah squashes its own.
//! Not in the table, because barge means otherwise: setuid and setgid bits of the context, which it keeps, as BuildKit does
//! since 0.13; a link to nothing in the place of a file, which it replaces; VOLUME, which adds no directory.
//! Not in the table, because buildah 1.28 lacks it or does otherwise than BuildKit, which barge follows: --exclude,
//! --parents, here-documents, the owner of what ADD --chown unpacks, CMD and ENTRYPOINT under a SHELL of their own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};
use serde_json::Value;

use crate::recipe::picked;
use crate::support::tree::{Facts, facts};
use crate::work::{Work, work};

/// An image that both start from.
const BASE: &str = "FROM scratch\n\
    COPY root /\n\
    COPY --chown=0:42 --chmod=640 shadow /etc/\n\
    ENV PATH=/usr/bin BASE=1\n\
    LABEL base=yes both=base\n\
    USER me\n\
    WORKDIR /home/me\n\
    EXPOSE 80\n\
    VOLUME /var/lib/data\n\
    ENTRYPOINT [\"/usr/bin/base\"]\n\
    CMD [\"serve\"]\n\
    STOPSIGNAL SIGINT\n";
/// One whose children are told what to do.
const TRIGGERS: &str =
    "FROM example.com/base:v1\nUSER 0\nONBUILD ENV triggered=yes\nONBUILD COPY conf/a.conf /triggered/\n";

/// A whole build.
struct Case {
    name: &'static str,
    /// Further options, the same for both.
    options: &'static str,
    /// What the ignore file has.
    ignore: &'static str,
    recipe: &'static str,
}

const PLAIN: Case = Case { name: "", options: "", ignore: "", recipe: "" };

const CASES: [Case; 21] = [
    Case {
        name: "stages give files to each other, by name and by number",
        recipe: "FROM scratch AS made\nCOPY app /out/app\nCOPY conf/*.conf /out/etc/\n\
            FROM scratch\nWORKDIR /in\nCOPY app/main .\nUSER 9\n\
            FROM scratch\nCOPY --from=made /out/app/lib /usr/lib/\nCOPY --from=1 --chown=3:4 /in/main /usr/bin/\n\
            COPY --from=made /out/etc/[a-b].conf /etc/\nENTRYPOINT [\"/usr/bin/main\"]\n",
        ..PLAIN
    },
    Case {
        name: "a stage goes on from another one",
        recipe: "FROM scratch AS first\nCOPY app /app\nENV a=1 b=1\nWORKDIR /app\nCMD [\"c\"]\n\
            FROM first AS second\nENV b=2\nCOPY conf/a.conf lib/\nFROM second\nCOPY --chmod=600 conf/b.conf lib/a.so\n\
            ENTRYPOINT e\n",
        ..PLAIN
    },
    Case {
        name: "a base keeps what nothing changes",
        recipe: "FROM example.com/base:v1\nCOPY app/main /usr/bin/app\nENV BASE=2 own=$BASE\nLABEL both=child own=yes\n",
        ..PLAIN
    },
    Case {
        name: "an entry point resets the command of a base",
        recipe: "FROM example.com/base:v1\nENTRYPOINT [\"/usr/bin/app\"]\nEXPOSE 443\nVOLUME /more\nCOPY conf/a.conf /a\n",
        ..PLAIN
    },
    Case {
        name: "names of owners are those of the image",
        recipe: "FROM example.com/base:v1\nCOPY --chown=me app /home/me/app\nCOPY --chown=me:staff conf/a.conf /a\n\
            COPY --chown=7:staff conf/b.conf /b/c/\nCOPY --chown=root:9 conf/b.conf /d\n",
        ..PLAIN
    },
    Case {
        name: "what a base has is replaced and merged",
        recipe: "FROM example.com/base:v1\nCOPY passwd.new /etc/passwd\nCOPY over /\nCOPY conf/a.conf /home/me\n",
        ..PLAIN
    },
    Case {
        name: "links of a base lead on",
        recipe: "FROM example.com/base:v1\nCOPY app/main /bin/\nCOPY app/lib /lib/app\nWORKDIR /bin\nCOPY conf/a.conf in/\n",
        ..PLAIN
    },
    Case {
        name: "tars are unpacked",
        recipe: "FROM example.com/base:v1\nADD files.tar /\nADD files.tar.gz /opt/more/\nADD conf/a.conf files.txt /plain/\n\
            COPY files.tar /as/it/is.tar\n",
        ..PLAIN
    },
    Case {
        name: "an ignore file leaves files out",
        ignore: "# what is left out\n**/*.so\n!app/lib/b.so\nconf\n*.tar*\nover/\nroot\n",
        recipe: "FROM scratch\nCOPY . /src\nCOPY app /app\n",
        ..PLAIN
    },
    Case { name: "a whole context", ignore: "Containerfile\n", recipe: "FROM scratch\nCOPY . /\n", ..PLAIN },
    Case {
        name: "arguments choose the base and the files",
        options: "--build-arg WHICH=b --build-arg UNUSED=1 --build-arg NAME=base",
        recipe: "ARG NAME=none\nARG TAG=v1\nFROM example.com/${NAME}:${TAG}\nARG WHICH=a\nARG TAG\nARG TARGETARCH\n\
            COPY conf/${WHICH}.conf /etc/${TARGETARCH:-none}.conf\nENV which=$WHICH tag=$TAG\nLABEL arch=${TARGETARCH}\n\
            WORKDIR /srv/$which\nCOPY app/main .\n",
        ..PLAIN
    },
    Case {
        name: "another image gives files",
        recipe: "FROM scratch\nCOPY --from=example.com/base:v1 /etc /etc\nCOPY --from=example.com/base:v1 /usr/bin/b* /b/\n\
            COPY --from=example.com/base:v1 --chown=1 --chmod=711 /bin/base /x\nWORKDIR /w\n",
        ..PLAIN
    },
    Case {
        name: "triggers of a base are pulled",
        recipe: "FROM example.com/triggers:v1\nCOPY conf/b.conf /triggered/\nLABEL x=$triggered\n",
        ..PLAIN
    },
    Case {
        name: "the stage that is asked for",
        options: "--target wanted",
        recipe: "FROM scratch AS none\nCOPY app /app\nFROM scratch AS wanted\nCOPY --from=none /app/lib /lib\nLABEL a=b\n\
            FROM scratch\nCOPY conf /conf\n",
        ..PLAIN
    },
    Case {
        name: "everything that a config has",
        recipe: "FROM scratch\nCOPY app/main /main\nENV a=b \\\n  c=\"d e\"\nLABEL l=$a\nEXPOSE 1 2/udp\nVOLUME [\"/v\"]\nUSER 1:2\n\
            STOPSIGNAL 9\nHEALTHCHECK --interval=3s --retries=2 CMD /main check\nONBUILD COPY . /\nWORKDIR /a\nWORKDIR b\n\
            CMD [\"x\", \"y z\"]\nENTRYPOINT [\"/main\"]\nSHELL [\"/main\", \"-c\"]\n",
        ..PLAIN
    },
    Case {
        name: "links of a base in the place of a destination",
        recipe: "FROM example.com/base:v1\nCOPY conf/a.conf /etc/to-shadow\nCOPY conf/b.conf /etc/to-home\nADD bin.tar /\n",
        ..PLAIN
    },
    Case {
        name: "names with spaces, further names, attributes, pipes and the sticky bit",
        recipe: "FROM scratch AS first\nCOPY [\"odd/a name\", \"/a b/\"]\nCOPY odd /odd\nCOPY odd/sticky /sticky/\n\
            FROM scratch\nCOPY --from=first /odd /again\n",
        ..PLAIN
    },
    Case {
        name: "all of a stage, and what its links lead to",
        recipe: "FROM example.com/base:v1 AS first\nCOPY app/main /new\nFROM scratch\nCOPY --from=first / /\n\
            COPY --from=first /home/me/ /me\nCOPY --from=first /usr/bin/../lib /l\nCOPY --from=first /bin /b\n\
            COPY --from=first /etc/to-shadow /s\nCOPY --from=first /etc/to-home /h\n",
        ..PLAIN
    },
    Case {
        name: "destinations below the working directory",
        recipe: "FROM example.com/base:v1\nCOPY conf/a.conf .\nCOPY conf ./sub\nCOPY app/ ../x/\nWORKDIR new/one\n\
            COPY app/lib/*.so conf/?.conf ${PATH}/d/\nCOPY */a.conf as-file\nUSER 0\nWORKDIR ..\nCOPY conf/b.conf .\n",
        ..PLAIN
    },
    Case {
        name: "stages for the machine that builds",
        recipe: "FROM --platform=$BUILDPLATFORM scratch AS tools\nCOPY app /app\n\
            FROM --platform=$TARGETPLATFORM scratch\nCOPY --from=tools /app /app\n",
        ..PLAIN
    },
    Case {
        name: "links go as they are, and lead where they do",
        recipe: "FROM scratch\nCOPY links /l\nCOPY links/to-main /one\nCOPY links/to-lib /two\nCOPY links/*o-* /three/\n",
        ..PLAIN
    },
];

fn make(work: &Work) {
    for (mode, name) in [
        (0o755, "context/app/main"),
        (0o644, "context/app/lib/a.so"),
        (0o640, "context/app/lib/b.so"),
        (0o600, "context/conf/a.conf"),
        (0o644, "context/conf/b.conf"),
        (0o644, "context/files.txt"),
        (0o644, "context/passwd.new"),
        (0o600, "context/over/etc/new"),
        (0o644, "context/over/usr/bin/base"),
        (0o755, "base/root/usr/bin/base"),
        (0o4755, "base/root/usr/bin/bsu"),
        (0o644, "base/root/usr/lib/libc.so"),
        (0o644, "base/root/var/lib/data/seed"),
        (0o600, "base/root/home/me/.profile"),
        (0o644, "base/shadow"),
    ] {
        let path = work.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, name).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir(work.path("base/root/etc")).unwrap();
    work.write("base/root/etc/passwd", "root:x:0:0::/root:/bin/sh\nme:x:1000:1001::/home/me:/bin/sh\n");
    work.write("base/root/etc/group", "root:x:0:\nme:x:1001:\nstaff:x:50:me\n");
    for directory in ["bin", "lib"] {
        symlink(format!("usr/{directory}"), work.path(&format!("base/root/{directory}"))).unwrap();
    }
    fs::create_dir(work.path("context/links")).unwrap();
    for (target, link) in [("../app/main", "to-main"), ("../app/lib", "to-lib"), ("nowhere", "dead"), ("/etc", "out")] {
        symlink(target, work.path(&format!("context/links/{link}"))).unwrap();
    }
    for (mode, directory) in [(0o700, "context/app/lib"), (0o711, "context/over/etc"), (0o750, "base/root/home/me")] {
        fs::set_permissions(work.path(directory), fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink("shadow", work.path("base/root/etc/to-shadow")).unwrap();
    symlink("/home/me", work.path("base/root/etc/to-home")).unwrap();
    make_odd(&work.path("context/odd"));
    make_tars(work);
    for (name, text) in [("base", BASE), ("triggers", TRIGGERS)] {
        work.write(&format!("{name}.Containerfile"), text);
        work.run(&format!(
            "barge build -L lib -o lib -t example.com/{name}:v1 --platform linux/amd64 --index -f {name}.Containerfile base"
        ));
        work.run(&format!("barge save -o {name}.tar lib:example.com/{name}:v1"));
        work.run(&format!("podman load -q -i {name}.tar"));
    }
}

/// What a context rarely has.
fn make_odd(odd: &Path) {
    fs::create_dir_all(odd.join("sticky")).unwrap();
    fs::set_permissions(odd.join("sticky"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::write(odd.join("a name"), "name").unwrap();
    fs::hard_link(odd.join("a name"), odd.join("another name")).unwrap();
    fs::write(odd.join("noted"), "noted").unwrap();
    setxattr(odd.join("noted"), "user.note", b"\0note", XattrFlags::empty()).unwrap();
    mknodat(CWD, odd.join("sticky/pipe"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
}

/// Tars with owners of their own, a directory that the base has with another mode, links, and no directory for some files.
fn make_tars(work: &Work) {
    let mut tar = tar::Builder::new(Vec::new());
    let header = |kind, mode, owner: (u64, u64), size| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner.0);
        header.set_gid(owner.1);
        header.set_size(size);
        header
    };
    tar.append_data(&mut header(tar::EntryType::Directory, 0o711, (5, 6), 0), "etc/", &b""[..]).unwrap();
    tar.append_data(&mut header(tar::EntryType::Regular, 0o640, (5, 6), 3), "etc/in-tar", &b"tar"[..]).unwrap();
    tar.append_data(&mut header(tar::EntryType::Regular, 0o4711, (0, 0), 3), "srv/deep/file", &b"set"[..]).unwrap();
    tar.append_link(&mut header(tar::EntryType::Symlink, 0o777, (7, 8), 0), "srv/link", "deep/file").unwrap();
    // in the base this is a link to a directory
    let mut bin = tar::Builder::new(Vec::new());
    bin.append_data(&mut header(tar::EntryType::Directory, 0o750, (0, 0), 0), "bin/", &b""[..]).unwrap();
    bin.append_data(&mut header(tar::EntryType::Regular, 0o750, (0, 0), 5), "bin/added", &b"added"[..]).unwrap();
    fs::write(work.path("context/bin.tar"), bin.into_inner().unwrap()).unwrap();

    let tar = tar.into_inner().unwrap();
    fs::write(work.path("context/files.tar"), &tar).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &tar).unwrap();
    fs::write(work.path("context/files.tar.gz"), packed.finish().unwrap()).unwrap();
}

/// What was made: the config, and everything but times in the file system.
type Result = (Value, BTreeMap<PathBuf, Facts>);

fn tree(root: &Path) -> BTreeMap<PathBuf, Facts> {
    let (mut found, _) = facts(root);
    found.remove(Path::new(""));
    found.values_mut().for_each(|facts| facts.modified = (0, 0));
    found
}

fn ours(work: &Work, case: &Case) -> Result {
    work.run(&format!(
        "barge build -L lib -o out -t example.com/it:v1 --platform linux/amd64 {} -f context/Containerfile context",
        case.options
    ));
    let config = work.json("barge cat config out:example.com/it:v1");
    work.run("barge unpack --no-sync out:example.com/it:v1 unpacked");
    let tree = tree(&work.path("unpacked"));
    for made in ["out", "unpacked"] {
        fs::remove_dir_all(work.path(made)).unwrap();
    }
    (picked(&config["config"]).into(), tree)
}

fn buildahs(work: &Work, case: &Case) -> Result {
    let id = work.run(&format!(
        "buildah bud --isolation chroot --layers=false --format docker --platform linux/amd64 -q {} \
         -f context/Containerfile context",
        case.options
    ));
    let image = work.json(&format!("buildah inspect --type image {id}"));
    // a container of it would pull its triggers
    let tree = tree(Path::new(&work.run(&format!("podman image mount {id}"))));
    work.run(&format!("podman image unmount {id}"));
    (picked(&image["Docker"]["config"]).into(), tree)
}

#[test]
fn a_whole_build_makes_what_buildah_makes() {
    let Some(work) = work(&["buildah", "podman", "root"]) else { return };
    make(&work);
    let mut different = Vec::new();
    for case in &CASES {
        work.write("context/Containerfile", case.recipe);
        work.write("context/.containerignore", case.ignore);
        let ((config, tree), (expected, expected_tree)) = (ours(&work, case), buildahs(&work, case));
        assert!(!expected_tree.is_empty() && expected != Value::from(serde_json::Map::new()), "{}", case.name);
        if config != expected {
            different.push(format!("{}:\n  got      {config}\n  expected {expected}", case.name));
        }
        for name in tree.keys().chain(expected_tree.keys().filter(|name| !tree.contains_key(*name))) {
            if tree.get(name) != expected_tree.get(name) {
                let (got, expected) = (tree.get(name), expected_tree.get(name));
                different.push(format!("{}: {name:?}\n  got      {got:?}\n  expected {expected:?}", case.name));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
