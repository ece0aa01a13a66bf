#[path = "../../../tests/support/copied.rs"]
mod copied;

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::copy::{Beneath, Terms, copy};
use super::origin::Found;
use super::origin::Origin as _;
use super::sources::From;
use super::work_dir::work_dir;
use crate::error::Class;
use crate::layer::{AddOptions, Context, Modes, Owner, Source, Standing, Tree, write};
use crate::ops::Error;
use crate::platform::Platform;
use crate::recipe::ignore::Ignore;
use crate::recipe::plan::{Bases, Change, Request, Work};
use crate::recipe::{Dialect, Recipe, evaluate};
use crate::tar::entry::EntryKind;
use crate::tar::stream::Stream;

fn terms() -> Terms<'static> {
    Terms { owner: None, modes: Modes::Keep, epoch: Some(1000), spool: Path::new("/tmp"), xattrs: &[] }
}

/// A context with one of everything.
struct Place {
    _temp: tempfile::TempDir,
    root: PathBuf,
    context: Context,
}

fn place() -> Place {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("context");
    copied::make(&root);
    let context = Context::open(&root).unwrap();
    let mut tree = Tree::new();
    let options =
        AddOptions { epoch: Some(1000), owner: Owner::Is { uid: 3, gid: 4 }, ..AddOptions::new(Path::new("")) };
    tree.add(&options, &Source::Path(&context, Path::new("app"))).unwrap();
    let mut tar = Vec::new();
    write(&tree, &mut tar).unwrap();
    fs::write(root.join("t.tar"), &tar).unwrap();
    fs::write(root.join("t.tar.zst"), zstd::encode_all(&tar[..], 1).unwrap()).unwrap();
    fs::write(root.join("t.tar.xz"), b"\xfd7zXZ\0rest").unwrap();
    fs::write(root.join("t.tar.bz2"), b"BZh91AY").unwrap();
    for archive in ["t.tar", "t.tar.zst", "t.tar.xz", "t.tar.bz2"] {
        fs::set_permissions(root.join(archive), fs::Permissions::from_mode(0o644)).unwrap();
    }
    Place { _temp: temp, root, context }
}

/// What the image has already.
fn standing(path: &Path) -> Option<Standing> {
    match path.to_str()? {
        "old" | "old/d" | "home" => Some(Standing::Directory),
        "old/file" => Some(Standing::Other),
        "lib" => Some(Standing::Symlink(b"old/d".to_vec())),
        "dangling" => Some(Standing::Symlink(b"made/here".to_vec())),
        _ => None,
    }
}

#[allow(clippy::unnecessary_wraps)] // what a reader of an image has
fn accounts(file: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok((file == "etc/passwd").then(|| b"app:x:101:202::/:\n".to_vec()))
}

const BENEATH: Beneath<'_> = Beneath { standing: &standing, accounts: &accounts };

/// Adds what lines of a recipe say to one layer.
fn run_with(from: From<'_>, terms: &Terms<'_>, lines: &str) -> Result<Tree, Error> {
    let platform: Platform = "linux/arm64".parse().unwrap();
    let text = format!("FROM scratch\n{lines}\n");
    let recipe = Recipe::parse("Containerfile", text.as_bytes(), Dialect::Containerfile).unwrap();
    let request = Request { target: None, platform: &platform, build_platform: &platform, build_args: &[] };
    let plan = evaluate(&recipe, &request, &Bases::new()).unwrap();
    let (mut tree, mut user) = (Tree::new(), None);
    for step in &plan.stages[0].steps {
        match &step.work {
            Work::Files(files) => copy(&mut tree, files, from, terms, &BENEATH)?,
            Work::Config(changes) => {
                for change in changes {
                    match change {
                        Change::User(name) => user = Some(name.clone()),
                        Change::WorkingDir(path) => {
                            let before = tree.len();
                            let added = work_dir(&mut tree, path, user.as_deref(), terms, &BENEATH)?;
                            assert_eq!(added, tree.len() > before);
                        }
                        _ => {}
                    }
                }
            }
            Work::Nothing => {}
        }
    }
    Ok(tree)
}

fn run(place: &Place, ignore: &str, lines: &str) -> Result<Tree, Error> {
    let ignore = Ignore::parse(".dockerignore", ignore.as_bytes()).unwrap();
    let from = From::Context { context: &place.context, ignore: &ignore, ignore_file: ".dockerignore" };
    run_with(from, &terms(), lines)
}

/// Says what a tree has: names, modes, owners.
fn listed(tree: &Tree) -> Vec<String> {
    let mut tar = Vec::new();
    write(tree, &mut tar).unwrap();
    let mut stream = Stream::new(Cursor::new(tar));
    let mut lines = Vec::new();
    while let Some(entry) = stream.next().unwrap() {
        stream.skip_content().unwrap();
        let attributes = &entry.attributes;
        let name = String::from_utf8(entry.name.clone()).unwrap();
        let name = name.trim_end_matches('/');
        let kind = match &entry.kind {
            EntryKind::Directory => "/",
            EntryKind::SymLink(_) => "@",
            _ => "",
        };
        lines.push(format!("{name}{kind} {:o} {}:{}", attributes.mode, attributes.uid, attributes.gid));
    }
    lines
}

fn told(error: &Error) -> String {
    format!("{error}: {} ({})", error.causes().join(": "), error.hint().unwrap_or_default())
}

#[test]
fn lines_put_files_where_docker_puts_them() {
    let place = place();
    let ours = [
        // a directory gives its contents, and its destination is made with the usual mode
        ("COPY b1 old/d", &["old/d/x 644 0:0"][..]),
        ("COPY b1 /lib", &["old/d/x 644 0:0"]),
        ("COPY b1 /dangling", &["made/ 755 0:0", "made/here/ 755 0:0", "made/here/x 644 0:0"]),
        // a file becomes what is named, or goes into the directory
        ("COPY one.txt /old/d", &["old/d/one.txt 600 0:0"]),
        ("COPY one.txt /lib", &["old/d/one.txt 600 0:0"]),
        ("COPY one.txt /lib/new", &["old/d/new 600 0:0"]),
        ("COPY one.txt /old/file", &["old/file 600 0:0"]),
        // wildcards
        ("COPY *.txt /old/d", &["old/d/one.txt 600 0:0", "old/d/two.txt 640 0:0"]),
        ("COPY ./[[]x] /y", &["y 644 0:0"]),
        // owners and modes
        ("COPY --chown=app one.txt /old/n/", &["old/n/ 755 101:202", "old/n/one.txt 600 101:202"]),
        // what is left out
        ("COPY --exclude=sub --exclude=*.md app /a", &["a/ 755 0:0", "a/f 644 0:0"]),
        ("COPY --exclude=*.txt app/sub /", &["g 755 0:0", "inner@ 777 0:0"]),
        ("COPY --exclude=t*.txt *.txt /d/", &["d/ 755 0:0", "d/one.txt 600 0:0"]),
        ("COPY --exclude=b2 b* /d", &["d/ 755 0:0", "d/x 644 0:0"]),
        (
            "COPY --exclude=sub --exclude=!sub/g app /a",
            &["a/ 755 0:0", "a/f 644 0:0", "a/sub/ 711 0:0", "a/sub/g 755 0:0"],
        ),
        // directories above a source
        (
            "COPY --parents deep/a/b/c.txt b1/x /p/",
            &[
                "p/ 755 0:0",
                "p/b1/ 755 0:0",
                "p/b1/x 644 0:0",
                "p/deep/ 755 0:0",
                "p/deep/a/ 750 0:0",
                "p/deep/a/b/ 755 0:0",
                "p/deep/a/b/c.txt 644 0:0",
            ],
        ),
        (
            "COPY --parents ./deep/./a/*/c.txt /p/",
            &["p/ 755 0:0", "p/a/ 750 0:0", "p/a/b/ 755 0:0", "p/a/b/c.txt 644 0:0"],
        ),
        (
            "COPY --parents deep/**/*.txt /",
            &["deep/ 755 0:0", "deep/a/ 750 0:0", "deep/a/b/ 755 0:0", "deep/a/b/c.txt 644 0:0", "deep/d.txt 644 0:0"],
        ),
        ("COPY --parents --exclude=deep/a deep /", &["deep/ 755 0:0", "deep/d.txt 644 0:0"]),
        ("COPY --parents --chown=5 b1 /q/", &["q/ 755 5:5", "q/b1/ 755 5:5", "q/b1/x 644 5:5"]),
        // here-documents
        (
            "COPY --chown=9 --chmod=700 <<a <<b one.txt /d/\nx\na\ny\nb",
            &["d/ 755 9:9", "d/a 700 9:9", "d/b 700 9:9", "d/one.txt 700 9:9"],
        ),
        ("COPY <<a /etc/conf\nx\na", &["etc/ 755 0:0", "etc/conf 644 0:0"]),
        // ADD unpacks, COPY does not
        (
            "ADD t.tar /t",
            &[
                "t/ 755 0:0",
                "t/f 644 3:4",
                "t/sub/ 711 3:4",
                "t/sub/g 755 3:4",
                "t/sub/h.txt 644 3:4",
                "t/sub/inner@ 777 3:4",
            ],
        ),
        (
            "ADD --chown=5:6 --chmod=640 t.tar.zst one.txt /t/",
            &[
                "t/ 755 5:6",
                "t/f 640 5:6",
                "t/one.txt 640 5:6",
                "t/sub/ 640 5:6",
                "t/sub/g 640 5:6",
                "t/sub/h.txt 640 5:6",
                "t/sub/inner@ 777 5:6",
            ],
        ),
        ("ADD --unpack=false t.tar /", &["t.tar 644 0:0"]),
        ("COPY t.tar t.tar.xz /", &["t.tar 644 0:0", "t.tar.xz 644 0:0"]),
        // WORKDIR
        ("USER app\nWORKDIR /home/w", &["home/w/ 755 101:202"]),
        ("USER nobody\nWORKDIR /old/d\nWORKDIR /lib", &[]),
    ];
    for (lines, expected) in copied::LINES.into_iter().chain(ours) {
        let tree = run(&place, "", lines).unwrap_or_else(|error| panic!("{lines}: {}", told(&error)));
        assert_eq!(listed(&tree), expected, "{lines}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let place = place();
    use Class::{Absent, Unsupported, Usage};
    for (lines, class, expected) in [
        ("COPY one.txr /", Absent, "cannot find \"one.txr\" in"),
        ("COPY one.txr /", Absent, "(did you mean one.txt?)"),
        ("COPY app/sub/gg /", Absent, "(did you mean g?)"),
        ("COPY one.txt/x /", Absent, "cannot find \"one.txt/x\""),
        ("COPY none* /", Absent, "cannot find anything that matches \"none*\""),
        ("COPY [x] /d", Absent, "a file has this very name: write [[]x]"),
        ("COPY [x /", Usage, "\"[x\": it is no pattern: a [ has no ]"),
        ("COPY out/passwd /", Absent, "cannot find \"out/passwd\""),
        ("COPY out /", Absent, "it is a symbolic link that leads to nothing"),
        ("COPY dead /", Absent, "it is a symbolic link that leads to nothing"),
        ("COPY --parents deep/x*/y /", Absent, "cannot find anything that matches \"deep/x*/y\""),
        ("COPY --parents deep/a/x /", Absent, "cannot find \"deep/a/x\""),
        ("COPY --parents one.txt/./x /", Usage, "\"one.txt\" in"),
        ("COPY --parents --exclude=b1 b1 /", Absent, "--exclude leaves out all of it"),
        ("COPY --exclude=one.txt one.txt /", Absent, "--exclude leaves out all of it"),
        ("COPY *.txt /new", Usage, "cannot copy 2 files to \"/new\""),
        ("COPY b* /old/file", Usage, "end the destination with a slash"),
        ("COPY b1 /old/file", Unsupported, "something else than a directory"),
        ("COPY one.txt /old/file/", Unsupported, "something else than a directory"),
        ("COPY app /n/one.txt\nCOPY one.txt /n/", Unsupported, "the image has a directory there"),
        ("COPY <<d /old/\nd", Unsupported, "\"/old/d\": the image has a directory there"),
        ("COPY --chown=apq one.txt /", Absent, "did you mean app? use numbers, such as 1000:1000"),
        ("COPY --chown=app:staff one.txt /", Absent, "the image has no etc/group"),
        ("ADD t.tar.xz /", Unsupported, "unpack it with `xz -d` first, or COPY it"),
        ("ADD t.tar.bz2 /", Unsupported, "unpack it with `bzip2 -d` first, or COPY it"),
        ("ADD t.tar /old/file", Unsupported, "something else than a directory"),
        ("USER nobody\nWORKDIR /new", Absent, "cannot find the user \"nobody\""),
        ("WORKDIR /old/file/x", Unsupported, "\"old/file\" is no directory"),
    ] {
        let error = run(&place, "", lines).map(|tree| listed(&tree)).expect_err(lines);
        assert_eq!(error.class(), class, "{lines}: {}", told(&error));
        assert!(told(&error).contains(expected), "{lines}: {}", told(&error));
    }
}

#[test]
fn an_ignore_file_counts_whatever_leads_there() {
    let place = place();
    for (ignore, lines, expected) in [
        ("secret", "COPY secret /s", Err("it is left out by .dockerignore")),
        ("secret", "COPY secret/key /s", Err("it is left out by .dockerignore")),
        ("secret", "COPY way /s", Err("it is left out by .dockerignore")),
        ("secret", "COPY way/key /s", Err("it is left out by .dockerignore")),
        ("way", "COPY way/key /s", Err("it is left out by .dockerignore")),
        ("way", "COPY secret /s", Ok(&["s/ 755 0:0", "s/key 600 0:0"][..])),
        ("secret/key", "COPY way /s", Ok(&["s/ 755 0:0"])),
        ("*.txt", "COPY *.txt /d/", Err("it is left out by .dockerignore")),
        ("two.txt", "COPY *.txt /d", Ok(&["d 600 0:0"])),
        ("app/*\n!app/sub/g", "COPY app /a", Ok(&["a/ 755 0:0", "a/sub/ 711 0:0", "a/sub/g 755 0:0"])),
        ("app\n!app/sub/g", "COPY app /a", Ok(&["a/ 755 0:0", "a/sub/ 711 0:0", "a/sub/g 755 0:0"])),
        ("app\n!other", "COPY app /a", Err("it is left out by .dockerignore")),
        ("*\n!b1", "COPY . /", Ok(&["b1/ 755 0:0", "b1/x 644 0:0"])),
        ("*\n!b1", "COPY b* /d", Ok(&["d/ 755 0:0", "d/x 644 0:0"])),
        ("*\n!deep/a/b/c.txt", "COPY deep/a b? /d/", Err("anything that matches \"b?\"")),
        ("*\n!deep/a/b/c.txt", "COPY deep /", Ok(&["a/ 750 0:0", "a/b/ 755 0:0", "a/b/c.txt 644 0:0"])),
        ("deep/a", "COPY --parents deep/**/*.txt /", Ok(&["deep/ 755 0:0", "deep/d.txt 644 0:0"])),
        ("deep/a", "COPY --parents deep/a/b /", Err("it is left out by .dockerignore")),
        ("deep", "COPY --parents deep/./a /", Err("it is left out by .dockerignore")),
        ("secret", "COPY secrex /s", Err("cannot find \"secrex\"")),
        ("t.tar", "ADD t.tar /", Err("it is left out by .dockerignore")),
        // as docker has it: neither is left out by itself
        ("", "COPY .dockerignore Containerfile /", Ok(&[".dockerignore 644 0:0", "Containerfile 644 0:0"])),
    ] {
        for name in [".dockerignore", "Containerfile"] {
            fs::write(place.root.join(name), ignore).unwrap();
            fs::set_permissions(place.root.join(name), fs::Permissions::from_mode(0o644)).unwrap();
        }
        match (run(&place, ignore, lines).map(|tree| listed(&tree)), expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{ignore:?} {lines}"),
            (Err(error), Err(expected)) => {
                assert!(told(&error).contains(expected), "{ignore:?} {lines}: {}", told(&error));
                assert!(!told(&error).contains("did you mean secret"), "what is left out is not named");
            }
            (got, expected) => panic!("{ignore:?} {lines}: {got:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn files_of_an_image_keep_their_owners_and_are_not_unpacked() {
    let place = place();
    let own = fs::metadata(&place.root).unwrap();
    let own = {
        use std::os::unix::fs::MetadataExt as _;
        format!("{}:{}", own.uid(), own.gid())
    };
    let image = From::Image(&place.context);
    let listed = |terms: &Terms<'_>, lines| listed(&run_with(image, terms, lines).unwrap());
    assert_eq!(listed(&terms(), "ADD t.tar /d/"), ["d/ 755 0:0", &format!("d/t.tar 644 {own}")]);
    let plain = Terms { modes: Modes::Plain, ..terms() };
    assert_eq!(listed(&plain, "COPY one.txt /x"), [format!("x 600 {own}")], "somebody set it");
    let given = Terms { owner: Some(Owner::Is { uid: 8, gid: 9 }), ..terms() };
    assert_eq!(listed(&given, "COPY one.txt /x"), ["x 600 8:9"]);
    assert_eq!(listed(&given, "COPY --chown=1:2 one.txt /x"), ["x 600 1:2"]);
}

#[test]
fn terms_are_for_what_says_nothing_itself() {
    let place = place();
    let ignore = Ignore::default();
    let from = From::Context { context: &place.context, ignore: &ignore, ignore_file: ".dockerignore" };
    let terms = Terms { owner: Some(Owner::Is { uid: 8, gid: 9 }), modes: Modes::Plain, ..terms() };
    let listed = |lines| listed(&run_with(from, &terms, lines).unwrap());
    assert_eq!(listed("COPY one.txt /d/"), ["d/ 755 8:9", "d/one.txt 644 8:9"]);
    assert_eq!(listed("COPY --chown=1 --chmod=600 one.txt /"), ["one.txt 600 1:1"]);
    assert_eq!(listed("ADD t.tar /")[1], "sub/ 711 3:4", "a tar says whose files are, and how they are kept");
}

#[test]
fn a_pattern_means_what_stands_in_the_context() {
    let place = place();
    fs::create_dir(place.root.join("Ω")).unwrap();
    fs::write(place.root.join("Ω/.hidden"), "").unwrap();
    for (pattern, expected) in [
        ("", &[""][..]),
        ("/app//./f", &["app/f"]),
        ("nothing", &[]),
        ("*/f", &["app/f"]),
        ("link/*/g", &["link/sub/g"]),
        ("app/*/inner", &["app/sub/inner"]),
        ("*/sub/*", &["app/sub/g", "app/sub/h.txt", "app/sub/inner"]),
        ("*/nothing", &[]),
        ("b?/*", &["b1/x", "b2/y"]),
        ("link/s*/*", &["link/sub/g", "link/sub/h.txt", "link/sub/inner"]),
        ("dea*", &["dead"]),
        ("?/*", &["Ω/.hidden"]),
        ("one.txt/*", &[]),
        ("\\[x]", &["[x]"]),
        ("out/*", &[]),
    ] {
        let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(place.context.matches(pattern).unwrap(), expected, "{pattern}");
    }
    for (path, expected) in [
        ("", Some(Found::Directory)),
        ("link/f", Some(Found::File)),
        ("dead", Some(Found::Other)),
        ("../one.txt", Some(Found::File)),
        ("none", None),
    ] {
        assert_eq!(place.context.look(Path::new(path)).unwrap(), expected, "{path}");
    }
}
