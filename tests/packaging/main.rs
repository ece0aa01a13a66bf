//! What a release is made of (`scripts/dist`): the policy for dependencies, licences, SBOM, Debian package, image, and the crate.
//!
//! Here the scripts run with the binary of the tests, in a minute; `make dist` runs them with the released ones, and tries these.

#![allow(clippy::unwrap_used, clippy::panic)] // all of this is tests

#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)] // the other programs' tests use more of it
#[path = "../interop/work.rs"]
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const TARGET: &str = "x86_64-unknown-linux-gnu";
const CYCLONEDX: &str = "application/vnd.cyclonedx+json";
/// Any time will do, as long as it is the same.
const EPOCH: &str = "1700000000";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a program in the repository; its environment is that of the tests, for it asks cargo.
fn output(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(repository()).env("CARGO", env!("CARGO"));
    // how small a package becomes is nothing that is tried here
    command.env("DPKG_DEB_COMPRESSOR_LEVEL", "1");
    command.env("SOURCE_DATE_EPOCH", EPOCH).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap()
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs what must succeed, and returns its standard output.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = output(program, arguments);
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{}", output.status, both(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The binary of the tests without its symbols, which a package does not have.
fn stripped(work: &work::Work) -> PathBuf {
    let stripped = work.path("barge");
    run("strip", &["-o", stripped.to_str().unwrap(), env!("CARGO_BIN_EXE_barge")]);
    stripped
}

#[test]
fn the_dependencies_are_as_the_policy_allows() {
    if work::work(&["python3"]).is_none() {
        return;
    }
    let said = run("scripts/dist/policy.py", &[]);
    assert!(said.contains("licences, duplicates and sources are as deny.toml allows"), "{said}");
}

/// A check that finds nothing when there is something would pass as well.
#[test]
fn a_dependency_outside_of_the_policy_is_named_with_its_reason() {
    let Some(work) = work::work(&["python3"]) else { return };
    let policy = fs::read_to_string(repository().join("deny.toml")).unwrap();
    let cases = [
        (r#""ISC", "#, "", "untrusted 0.9.0: licence: ISC is not allowed by [licenses] allow"),
        ("getrandom@0.2.17", "getrandom@0.2.0", "getrandom: duplicates: 0.2.17, 0.4"),
        ("getrandom@0.2.17", "getrandom@0.2.0", "getrandom@0.2.0: [bans] skip names a crate that is not there"),
        ("[sources]", "[sources]\nallow-registry = []", "serde 1.0.229: source: registry+https://"),
    ];
    for (here, other, expected) in cases {
        assert!(policy.contains(here), "{here}");
        work.write("deny.toml", &policy.replace(here, other));
        let output = output("scripts/dist/policy.py", &[work.path("deny.toml").to_str().unwrap()]);
        let said = both(&output);
        // versions move on with Cargo.lock
        let expected = expected.split(" 1.0.229").next().unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{expected}\n{said}");
    }
}

#[test]
fn licence_expressions_are_read_as_spdx_says() {
    if work::work(&["python3"]).is_none() {
        return;
    }
    let cases = [
        ("MIT OR Apache-2.0", "('or', 'MIT', 'Apache-2.0')"),
        ("MIT/Apache-2.0", "('or', 'MIT', 'Apache-2.0')"),
        ("MIT OR ISC AND Zlib", "('or', 'MIT', ('and', 'ISC', 'Zlib'))"),
        ("(MIT OR Apache-2.0) AND ISC", "('and', ('or', 'MIT', 'Apache-2.0'), 'ISC')"),
        ("Apache-2.0 WITH LLVM-exception OR MIT", "('or', 'Apache-2.0 WITH LLVM-exception', 'MIT')"),
        ("(MIT", "ValueError: (MIT: a parenthesis is not closed"),
        ("MIT OR", "ValueError: MIT OR: something is missing"),
        ("MIT ISC", "ValueError: MIT ISC: ISC is one too many"),
        ("MIT AND OR", "ValueError: MIT AND OR: OR is no licence"),
    ];
    let program =
        "import sys; sys.path.insert(0, 'scripts/dist'); import crates; print(crates.expression(sys.argv[1]))";
    for (text, expected) in cases {
        let said = both(&output("python3", &["-c", program, text]));
        assert!(said.trim_end().ends_with(expected), "{text}: {said}");
    }
    let program = "import sys; sys.path.insert(0, 'scripts/dist'); import crates
print(crates.narrowed(crates.expression('Unlicense OR MIT'), {'MIT'}), crates.narrowed(crates.expression('MIT AND GPL-3.0'), {'MIT'}))";
    assert_eq!(run("python3", &["-c", program]), "MIT None\n");
}

#[test]
fn the_sbom_names_every_crate_with_its_checksum() {
    if work::work(&["python3"]).is_none() {
        return;
    }
    let make = || run("scripts/dist/sbom.py", &[TARGET, "dynamic", env!("CARGO_BIN_EXE_barge")]);
    let text = make();
    assert_eq!(text, make());
    let sbom: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&sbom["bomFormat"], &sbom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    assert!(sbom["serialNumber"].as_str().unwrap().starts_with("urn:uuid:"));
    assert_eq!(sbom["metadata"]["timestamp"], "2023-11-14T22:13:20Z");
    assert_eq!(sbom["metadata"]["component"]["version"], env!("CARGO_PKG_VERSION"));

    let lock = fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    let mut scopes = BTreeMap::new();
    for component in sbom["components"].as_array().unwrap() {
        let text = |field: &str| component[field].as_str().unwrap_or_else(|| panic!("{field}: {component}"));
        let (name, version, reference) = (text("name"), text("version"), text("bom-ref"));
        assert_eq!((text("purl"), text("type")), (reference, "library"));
        assert!(
            component["licenses"][0]["expression"].as_str().is_some_and(|licence| !licence.contains('/')),
            "{component}"
        );
        if reference.starts_with("pkg:cargo/") {
            assert_eq!(reference, format!("pkg:cargo/{name}@{version}"));
            let checksum = component["hashes"][0]["content"].as_str().unwrap();
            assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"")), "{reference}");
            assert!(lock.contains(checksum), "{reference}");
        }
        assert!(scopes.insert(reference.to_owned(), text("scope").to_owned()).is_none(), "{reference} is there twice");
    }
    let scope = |name: &str| {
        let crates = scopes.iter().find(|(reference, _)| reference.starts_with(&format!("pkg:cargo/{name}@")));
        crates.map(|(_, scope)| scope.as_str())
    };
    assert_eq!(
        [scope("rustls"), scope("zstd-sys"), scope("clap_derive")],
        [Some("required"), Some("required"), Some("excluded")]
    );
    // tests and other systems have crates of their own
    assert_eq!([scope("proptest"), scope("windows-sys"), scope("barge")], [None; 3]);
    assert!(scopes.keys().any(|reference| reference.starts_with("pkg:generic/rust-std@")));

    let root = sbom["metadata"]["component"]["bom-ref"].as_str().unwrap();
    let known: BTreeSet<&str> = scopes.keys().map(String::as_str).chain([root]).collect();
    let mut said = BTreeSet::new();
    for dependency in sbom["dependencies"].as_array().unwrap() {
        said.insert(dependency["ref"].as_str().unwrap());
        for to in dependency["dependsOn"].as_array().unwrap() {
            assert!(known.contains(to.as_str().unwrap()), "{dependency}");
        }
    }
    assert_eq!(said, known);
}

#[test]
fn the_licences_of_all_linked_crates_are_in_the_copyright_file() {
    if work::work(&["python3"]).is_none() {
        return;
    }
    let copyright = run("scripts/dist/copyright.py", &[TARGET]);
    let sbom: Value =
        serde_json::from_str(&run("scripts/dist/sbom.py", &[TARGET, "dynamic", env!("CARGO_BIN_EXE_barge")])).unwrap();
    let notices = run("scripts/dist/copyright.py", &[TARGET, "--notices"]);
    let paragraphs: Vec<&str> = copyright.split("\n\n").collect();
    let mut crates = 0;
    for component in sbom["components"].as_array().unwrap() {
        let [name, version] = ["name", "version"].map(|field| component[field].as_str().unwrap());
        if component["scope"] == "required" && component["purl"].as_str().unwrap().starts_with("pkg:cargo/") {
            let begins = format!("Files: vendor/{name}-{version}/*\nCopyright: ");
            let found = paragraphs.iter().find(|paragraph| paragraph.starts_with(&begins));
            let licence = found.unwrap_or_else(|| panic!("{begins}")).lines().last().unwrap();
            for one in licence.strip_prefix("License: ").unwrap().split(" or ").flat_map(|all| all.split(" and ")) {
                let text = format!("License: {one}\n");
                assert!(paragraphs.iter().any(|paragraph| paragraph.starts_with(&text)), "{name}: no text of {one}");
            }
            assert!(notices.contains(&format!("{name} {version}: ")), "{name}: no licence file");
            crates += 1;
        }
    }
    assert!(crates > 100, "{crates}");
}

#[test]
fn the_debian_package_is_reproducible_clean_for_lintian_and_purged_without_a_trace() {
    let Some(work) = work::work(&["root", "python3", "dpkg-deb", "lintian", "strip", "readelf"]) else { return };
    let barge = stripped(&work);
    let [one, two] = ["one", "two"].map(|name| work.path(name).to_str().unwrap().to_owned());
    let package = run("scripts/dist/deb.sh", &[barge.to_str().unwrap(), &one]);
    let again = run("scripts/dist/deb.sh", &[barge.to_str().unwrap(), &two]);
    assert!(fs::read(package.trim_end()).unwrap() == fs::read(again.trim_end()).unwrap(), "the same gives other bytes");
    let said = run("scripts/dist/check-deb.sh", &[package.trim_end()]);
    assert!(said.contains("installed, run and purged"), "{said}");
}

#[test]
fn a_package_without_what_the_program_says_of_itself_is_not_made() {
    let Some(work) = work::work(&["python3", "dpkg-deb"]) else { return };
    let out = work.path("out");
    let output = output("scripts/dist/deb.sh", &["/bin/false", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(both(&output).contains("and the package needs what it writes"), "{}", both(&output));
    assert!(!out.exists());
}

#[test]
fn the_image_is_read_by_skopeo_and_has_its_sbom_for_each_platform() {
    let Some(work) = work::work(&["python3", "skopeo", "strip"]) else { return };
    if !Path::new("/usr/share/ca-certificates/mozilla").is_dir() {
        assert!(std::env::var_os("CI").is_none(), "CI must have ca-certificates");
        return work::skip("no ca-certificates");
    }
    let barge = stripped(&work);
    let barge = barge.to_str().unwrap();
    let sbom = run("scripts/dist/sbom.py", &[TARGET, "static", barge]);
    work.write("sbom.json", &sbom);
    let sbom_file = work.path("sbom.json");
    let platforms = ["amd64", "arm64"].map(|arch| format!("linux/{arch}={barge}={}", sbom_file.display()));
    let make = |name: &str| {
        let out = work.path(name);
        run("scripts/dist/image.sh", &[barge, out.to_str().unwrap(), "localhost/barge", &platforms[0], &platforms[1]]);
        out
    };
    let image = make("image.tar");
    assert!(fs::read(&image).unwrap() == fs::read(make("again.tar")).unwrap(), "the same gives other bytes");

    let version = env!("CARGO_PKG_VERSION");
    for arch in ["amd64", "arm64"] {
        let seen =
            work.json(&format!("skopeo inspect --config --override-arch {arch} oci-archive:image.tar:{version}"));
        assert_eq!(seen["architecture"], arch);
        assert_eq!(seen["config"]["Entrypoint"], serde_json::json!(["/usr/bin/barge"]));
        assert_eq!(seen["created"], "2023-11-14T22:13:20Z");
    }
    let listed = work.json(&format!("barge referrers image.tar:localhost/barge:{version} --type {CYCLONEDX} --json"));
    let referrers = listed["results"].as_array().unwrap();
    assert_eq!(referrers.len(), 2, "{listed}");
    for referrer in referrers {
        let digest = referrer["digest"].as_str().unwrap();
        assert_eq!(work.bytes(&format!("barge cat layer image.tar@{digest}")), sbom.as_bytes());
    }
    let listing = run("tar", &["-tf", image.to_str().unwrap()]);
    assert!(listing.contains("oci-layout"), "{listing}");
}

/// A path, a link with its machine in it, or a library that not every Debian has would be found by who installs it.
#[test]
fn a_binary_that_others_cannot_run_is_no_release() {
    let Some(work) = work::work(&["readelf", "strings"]) else { return };
    let check = |binary: &Path, linking: &str| {
        let output = output("scripts/dist/check-binary.sh", &[binary.to_str().unwrap(), linking]);
        (output.status.success(), both(&output))
    };
    let (passed, said) = check(Path::new(env!("CARGO_BIN_EXE_barge")), "dynamic");
    assert!(!passed && (said.contains("more than 15 MB") || said.contains("not stripped")), "{said}");
    // small, stripped and everywhere, but not static, and then with a path in it
    let (passed, said) = check(Path::new("/bin/true"), "dynamic");
    assert!(passed && said.contains("glibc 2."), "{said}");
    let (passed, said) = check(Path::new("/bin/true"), "static");
    assert!(!passed && said.contains("not static"), "{said}");
    let with_path = work.path("true");
    let mut bytes = fs::read("/bin/true").unwrap();
    bytes.extend_from_slice(b"\0/home/somebody/.cargo/registry/src/x.rs\0");
    fs::write(&with_path, bytes).unwrap();
    let (passed, said) = check(&with_path, "dynamic");
    assert!(!passed && said.contains("paths of this machine"), "{said}");
}

#[test]
fn the_crate_has_the_source_and_nothing_else() {
    let listed = run(env!("CARGO"), &["package", "--locked", "--offline", "--list", "--allow-dirty"]);
    let mut beside: Vec<&str> = listed.lines().filter(|path| !path.starts_with("src/")).collect();
    beside.retain(|path| *path != ".cargo_vcs_info.json" && !path.starts_with("LICENSES/"));
    let expected =
        ["CHANGELOG.md", "Cargo.lock", "Cargo.toml", "Cargo.toml.orig", "LICENSE", "README.md", "SECURITY.md"];
    assert_eq!(beside, expected);
    let source: Vec<&str> = listed.lines().filter(|path| path.starts_with("src/")).collect();
    assert!(source.contains(&"src/main.rs"));
    for path in source {
        let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
        let known =
            extension.is_some_and(|extension| ["rs", "css", "bash", "zsh", "fish", "elv", "ps1"].contains(&extension));
        assert!(known, "{path} is no source");
    }
}
