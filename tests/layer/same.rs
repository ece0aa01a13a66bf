//! The same files give the same bytes, wherever and by whomever they are packed.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use barge::digest::Digest;
use barge::layer::{AddOptions, Context, Modes, Owner, Source, Tree};
use barge::media::{Compression, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD};

use super::{at, built, is_root, path, skip, tar_of};

const EPOCH: i64 = 1_000_000;

/// A small tree that any user can make: names, modes, a link, a hard link, a long name. Made in this order or the other.
fn small(root: &Path, reverse: bool) {
    let mut names: Vec<String> = ["a/one", "a/two", "a-b", "b/c/d", "z"].map(str::to_owned).to_vec();
    names.extend((0..60).map(|number| format!("many/{:03}", number * 7 % 60)));
    names.push(format!("{}/{}", "long".repeat(30), "name".repeat(30)));
    if reverse {
        names.reverse();
    }
    for name in &names {
        let file = root.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, format!("{name}\n").repeat(200)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(if name == "z" { 0o755 } else { 0o644 })).unwrap();
    }
    symlink("a/one", root.join("link")).unwrap();
    fs::hard_link(root.join("a/one"), root.join("other-one")).unwrap();
    for directory in ["a", "b", "b/c", "many", &"long".repeat(30)] {
        fs::set_permissions(root.join(directory), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_fingerprint_is_that_of_the_tar() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("context");
    small(&root, false);
    fs::write(root.join("t.tar"), tar_of(&tree(&root.join("a"), Modes::Keep))).unwrap();
    fs::write(root.join("t.tar.gz"), built(&tree(&root.join("b"), Modes::Keep), Compression::Gzip, 1).1).unwrap();
    let context = Context::open(&root).unwrap();
    let source = |from| Source::Path(&context, Path::new(from));
    let print = |adds: &[(AddOptions<'_>, Source<'_>)]| {
        let mut tree = Tree::new();
        adds.iter().for_each(|(options, source)| tree.add(options, source).unwrap());
        (tree.fingerprint(), tar_of(&tree))
    };
    let owner = |uid| AddOptions { owner: Owner::Is { uid, gid: 0 }, ..at("d") };
    let tar = |name| Source::Tar { context: &context, path: Path::new(name), spool: temp.path() };
    let mut known: Vec<(Option<Digest>, Vec<u8>)> = Vec::new();
    for adds in [
        vec![],
        vec![(at("d"), source(""))],
        vec![(at("e"), source(""))],
        vec![(at("d"), source("a"))],
        vec![(at("d/one"), source("a/one"))],
        vec![(at("d/one"), source("a/two"))],
        vec![(owner(1), source(""))],
        vec![(AddOptions { modes: Modes::Are(0o600), ..at("d") }, source(""))],
        vec![(AddOptions { epoch: Some(1), ..at("d") }, source(""))],
        vec![(at("d"), Source::Bytes(b"x"))],
        vec![(at("d"), Source::Bytes(b"y"))],
        vec![(at("d"), tar("t.tar"))],
        vec![(at("d"), tar("t.tar")), (at("d/srv/one"), source("a/one"))],
        // one file under two names is two files unless both came with one directory
        vec![(at("d/x"), source("a/one")), (at("d/y"), source("other-one"))],
    ] {
        let got = print(&adds);
        assert!(got.0.is_some());
        assert_eq!(got, print(&adds), "{adds:?}");
        assert!(known.iter().all(|(other, tar)| *other != got.0 && *tar != got.1), "{adds:?}");
        known.push(got);
    }
    let apart = [(at("d/b"), source("b")), (at("d/a"), source("a"))];
    let turned = [(at("d/a"), source("a")), (at("d/b"), source("b"))];
    assert_eq!(print(&apart), print(&turned), "the order of adding does not matter");
    assert_eq!(print(&[(at("d"), tar("t.tar.gz"))]).0, None, "what was unpacked is not known");
}

fn tree(directory: &Path, modes: Modes) -> Tree {
    let mut tree = Tree::new();
    let options = AddOptions { epoch: Some(EPOCH), modes, ..at("/srv") };
    tree.add(&options, &path(&Context::open(directory).unwrap())).unwrap();
    tree.add(&AddOptions { epoch: Some(EPOCH), ..at("/etc/motd") }, &Source::Bytes(b"hello\n")).unwrap();
    tree
}

const DIFF_ID: &str = "sha256:0007d82ceb47559d9287b27b17aa8558f3b1bada3c25387f2f4f6bb9b47f7f60";
const GZIP: &str = "sha256:1ad57fb0661bf3e2d9cb08a3f5957e4c758be0fc2fd20189718c70d3065363df";
const ZSTD: &str = "sha256:8147640fa4de56aec653d853447a924cc102aa44d9074c3bd6955b36bbe88bfc";

/// A digest that changes here changes every image that is built: then a person decides.
#[test]
fn the_digests_of_a_small_tree_are_known() {
    let temp = tempfile::tempdir().unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).unwrap();
    small(temp.path(), false);
    let tree = tree(temp.path(), Modes::Keep);
    for (compression, media_type, expected) in [
        (Compression::None, OCI_LAYER, DIFF_ID),
        (Compression::Gzip, OCI_LAYER_GZIP, GZIP),
        (Compression::Zstd, OCI_LAYER_ZSTD, ZSTD),
    ] {
        let (built, bytes) = built(&tree, compression, 2);
        assert_eq!(built.digest, Digest::of(&bytes));
        assert_eq!(built.diff_id.to_string(), DIFF_ID);
        assert_eq!(built.unpacked_size, tar_of(&tree).len() as u64);
        assert_eq!((built.media_type.as_str(), built.digest.to_string().as_str()), (media_type, expected));
        assert_eq!(built.descriptor().size(), bytes.len() as u64);
    }
}

#[test]
fn order_times_and_threads_do_not_matter() {
    let temp = tempfile::tempdir().unwrap();
    let mut tars = Vec::new();
    for (name, reverse) in [("one", false), ("two", true)] {
        let root = temp.path().join(name);
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        small(&root, reverse);
        let tree = tree(&root, Modes::Keep);
        tars.push(tar_of(&tree));
        for compression in [Compression::Gzip, Compression::Zstd] {
            let one = built(&tree, compression, 1);
            for jobs in [2, 8] {
                assert!(built(&tree, compression, jobs) == one, "{compression} {jobs}");
            }
        }
        let later = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
        fs::File::open(root.join("z")).unwrap().set_modified(later).unwrap();
        assert!(tar_of(&super::same::tree(&root, Modes::Keep)) == tars[0]);
    }
    assert!(tars[0] == tars[1]);
    assert_eq!(Digest::of(&tars[0]).to_string(), DIFF_ID);
}

/// A part of the test below, run by itself as another process.
#[test]
#[ignore = "run by `another_user_and_another_umask_give_the_same`"]
fn digest_of_a_directory() {
    let directory = std::env::var_os("LAYER_OF").unwrap();
    println!("diff_id={}", Digest::of(&tar_of(&tree(Path::new(&directory), Modes::Keep))));
}

#[test]
fn another_user_and_another_umask_give_the_same() {
    if !is_root() {
        return skip("only root can become somebody else");
    }
    let temp = tempfile::tempdir().unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (program, root) = (temp.path().join("test"), temp.path().join("files"));
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    small(&root, false);
    for umask in ["000", "022", "077"] {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            &format!("umask {umask}; exec ./test --ignored --exact --nocapture same::digest_of_a_directory"),
        ]);
        let output = command.current_dir(temp.path()).env("LAYER_OF", &root).uid(65534).gid(65534).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains(&format!("diff_id={DIFF_ID}")),
            "{umask}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    // what nobody may read is named
    fs::set_permissions(root.join("b/c/d"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new("./test");
    command.args(["--ignored", "--exact", "--nocapture", "same::digest_of_a_directory"]);
    let output = command.current_dir(temp.path()).env("LAYER_OF", &root).uid(65534).gid(65534).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("files/b/c/d") && text.contains("PermissionDenied"), "{text}");
}

#[test]
fn a_checkout_under_another_umask_gives_the_same_with_plain_modes() {
    let temp = tempfile::tempdir().unwrap();
    let mut found = Vec::new();
    for (name, file, tool, directory) in [("one", 0o600, 0o700, 0o700), ("two", 0o664, 0o775, 0o775)] {
        let root = temp.path().join(name);
        fs::create_dir_all(root.join("d")).unwrap();
        for (name, mode) in [("d/file", file), ("d/tool", tool)] {
            fs::write(root.join(name), name).unwrap();
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(root.join("d"), fs::Permissions::from_mode(directory)).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(directory)).unwrap();
        assert_ne!(tar_of(&tree(&root, Modes::Keep)), tar_of(&tree(&root, Modes::Plain)));
        found.push(tar_of(&tree(&root, Modes::Plain)));
    }
    assert!(found[0] == found[1]);
}
