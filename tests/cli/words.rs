//! The words of the command line: places, names, the current layout, and what is said when one means nothing.

use std::fs;

use super::support::image::{Images, Layer, REF_NAME, annotated, simple};
use super::*;

#[test]
fn names_that_no_loader_takes_are_refused_before_anything_is_read() {
    let barge = Barge::new();
    let digest = format!("app@sha256:{}", "0".repeat(64));
    for (name, part) in [
        ("", "no repository"),
        ("App:v1", "hint: write app:v1"),
        ("app:", "a tag is"),
        ("app:v1:v2", "a tag is"),
        ("app:-x", "a tag is"),
        ("-", "repository"),
        ("a b", "repository"),
        ("http://x/y:v1", "host"),
        ("app/", "repository"),
        ("/app", "repository"),
        (":v1", "no repository"),
        (&digest, "hint: give a name and a tag"),
    ] {
        // a source that is not there would be exit code 3: the name is looked at first
        barge.run(["merge", "-o", "out", "-t", name, "nowhere"]).exits(2).says(&["error: cannot ", part]);
    }
    let long = format!("app:{}", "x".repeat(129));
    barge.run(["merge", "-o", "out", "-t", &long, "nowhere"]).exits(2);
    barge.line("merge -o out nowhere").exits(2).says(&["--tag"]);
    barge.line("merge -o out -t app:v1").exits(2).says(&["SRC"]);
}

#[test]
fn words_of_the_output_mean_a_place() {
    let barge = Barge::new();
    simple(&["linux/amd64"]).layout(&barge.path("source"));
    fs::create_dir(barge.path("full")).unwrap();
    barge.write("full/notes", "mine");
    let cases = [
        ("full", 4, "notes"),
        ("docker://registry.example/app", 9, "barge push"),
        ("docker-archive:x.tar", 9, "digest"),
        ("x.tar.gz", 9, "uncompressed"),
        ("x.tgz", 9, "uncompressed"),
        ("x.TAR.ZST", 9, "uncompressed"),
        ("nowhere/x.tar", 3, "nowhere"),
        ("nowhere/layout", 3, "nowhere"),
        ("oci-archive:nowhere/x", 3, "nowhere"),
        ("oci:nowhere/x", 3, "nowhere"),
        (":app:v1", 2, "-t NAME"),
        ("@0", 2, "-t NAME"),
        ("oci:dist:app:v1", 2, "-t NAME"),
        ("oci-archive:x.tar:v1", 2, "-t NAME"),
        ("", 2, "empty"),
        ("docker-daemon:app:v1", 9, "docker-daemon:"),
        ("https://example.com/x.tar", 9, "docker://"),
        ("source/index.json", 4, "JSON"),
        ("source/index.json/x.tar", 10, "index.json"),
    ];
    let before = listing(&barge.path(""));
    for (word, code, part) in cases {
        let refused = barge.run(["merge", "-o", word, "-t", "app:v1", "source"]);
        refused.exits(code).says(&["error: ", part]);
        assert_eq!(listing(&barge.path("")), before, "{word}");
    }
    for (word, made) in [
        ("dist", "dist/index.json"),
        ("./dist2/", "dist2/index.json"),
        ("oci:dist3", "dist3/index.json"),
        ("oci-layout://dist4", "dist4/index.json"),
        ("ocidir://dist5", "dist5/index.json"),
        ("dist.tar", "dist.tar"),
        ("oci-archive:dist6", "dist6"),
        ("with a space.tar", "with a space.tar"),
        ("Ünïcode", "Ünïcode/index.json"),
    ] {
        barge.run(["merge", "-q", "-o", word, "-t", "app:v1", "source"]).exits(0).silent();
        assert!(barge.path(made).is_file(), "{word}");
    }
}

#[test]
fn the_current_layout_is_where_words_without_a_place_mean() {
    let barge = Barge::new();
    simple(&["linux/amd64"]).layout(&barge.path("source"));
    barge.line("merge -t app:v1 source").exits(3).says(&["current layout", "-o PLACE", "-L DIR", "BARGE_LAYOUT"]);
    barge.line("ls").exits(3).says(&["-L DIR", "BARGE_LAYOUT"]);
    barge.line("inspect :app:v1").exits(3).says(&["-L DIR", "BARGE_LAYOUT"]);

    // by option, by variable, by the directory itself; a layout that is not there yet is made
    let digest = barge.line("-L dist merge -t app:v1 source").exits(0).stdout().to_owned();
    barge.finish(barge.command().env("BARGE_LAYOUT", "dist2").args(["merge", "-t", "app:v1", "source"])).exits(0);
    for words in ["ls --no-trunc -L dist", "inspect --json -L dist :app:v1", "inspect --json -L dist app:v1"] {
        barge.line(words).exits(0).prints(&[&digest]);
    }
    barge.finish(barge.command().env("BARGE_LAYOUT", "dist").args(["verify"])).exits(0);
    barge.finish(barge.command().env("BARGE_LAYOUT", "nowhere").args(["verify"])).exits(3).says(&["nowhere"]);
    let option_first = barge.finish(barge.command().env("BARGE_LAYOUT", "nowhere").args(["-L", "dist", "ls"]));
    option_first.exits(0).prints(&["library/app:v1"]);
    let inside = |words: &[&str]| barge.finish(barge.command().current_dir(barge.path("dist")).args(words));
    for words in [&["ls"][..], &["tree", ":v1"], &["inspect", "app:v1"], &["merge", "-t", "app:v2", "../source"]] {
        inside(words).exits(0);
    }
    inside(&["ls", "."]).exits(0).prints(&["library/app:v2"]);
}

#[test]
fn a_word_that_is_a_path_and_a_name_is_refused_with_both_spellings() {
    let barge = Barge::new();
    simple(&["linux/amd64"]).layout(&barge.path("app"));
    barge.line("-L dist merge -t app -t app:v1 ./app").exits(0);
    barge.line("-L dist inspect app").exits(3).says(&["./app", ":app", "hint: "]);
    barge.line("-L dist inspect ./app").exits(0);
    barge.line("-L dist inspect :app:v1").exits(0);
    // without the current layout there is one meaning
    barge.line("inspect app").exits(0);
    // two paths
    barge.line("merge -q -o x.tar -t v1 app").exits(0);
    fs::rename(barge.path("x.tar"), barge.path("x")).unwrap();
    fs::copy(barge.path("x"), barge.path("x:v1")).unwrap();
    barge.line("inspect x:v1").exits(3).says(&["x:v1", "hint: "]);
}

#[test]
fn what_is_mistyped_is_guessed_in_the_hint_alone() {
    let barge = Barge::new();
    simple(&["linux/amd64"]).layout(&barge.path("images/arm64"));
    barge.line("merge -q -o dist.tar -t ghcr.io/org/app:v1 images/arm64").exits(0);
    for (word, meant) in [
        ("dits.tar", "did you mean dist.tar ?"),
        ("images/arm46", "did you mean images/arm64 ?"),
        ("./dist.tra", "did you mean"),
        ("dist.tar:ghcr.io/org/ap:v1", "did you mean :ghcr.io/org/app:v1 ?"),
        ("dist.tar:v2", "did you mean :v1 ?"),
    ] {
        barge.line(&format!("inspect {word}")).exits(3).says(&["error: cannot find ", "hint: ", meant]);
        barge.line(&format!("merge -o out -t app:v1 {word}")).exits(3).says(&[meant]);
    }
    barge.line("inspect nothing/like/this").exits(3).never(&["hint: did you mean"]);
    barge.line("mrege -o out -t app:v1 x").exits(2).says(&["merge"]);
    assert!(!barge.path("out").exists());
}

#[test]
fn sources_of_other_programs_say_what_to_do_instead() {
    let barge = Barge::new();
    for (word, code, instead) in [
        // nobody listens there
        ("docker://127.0.0.1:1/app:v1", 6, "refused"),
        ("docker-daemon:app:v1", 9, "docker save"),
        ("containers-storage:app", 9, "podman save"),
        ("https://example.com/app.tar", 9, "docker://"),
        ("oci://registry.example/app", 9, "docker://"),
        ("nope://x", 9, "oci-archive:"),
        ("oci:", 2, "no path"),
        ("@nothex", 2, "hint: "),
    ] {
        let refused = barge.run(["merge", "-o", "out", "-t", "app:v1", word]);
        refused.exits(code).says(&["error: ", instead]);
    }
}

#[test]
fn an_image_is_found_by_every_way_to_say_it() {
    let barge = Barge::new();
    simple(&["linux/amd64"]).layout(&barge.path("source"));
    let digest = barge.line("merge -o dist -t ghcr.io/org/app:v1 source").exits(0).stdout().to_owned();
    barge.line("merge -o dist.tar -t ghcr.io/org/app:v1 source").exits(0);
    let hex = digest.strip_prefix("sha256:").unwrap();
    let short = &hex[..7];
    for place in ["dist", "./dist", "oci:dist", "oci-layout://dist", "dist.tar", "oci-archive:dist.tar"] {
        let mut selectors = vec![
            String::new(),
            ":v1".into(),
            "@0".into(),
            format!("@{digest}"),
            format!("@{short}"),
            format!("@sha256:{short}"),
            format!(":v1@{short}"),
        ];
        // to buildx and regctl only a tag follows the path
        if !place.contains("//") {
            selectors.push(":ghcr.io/org/app:v1".into());
        }
        for selector in selectors {
            let found = barge.line(&format!("inspect --json {place}{selector}")).exits(0).json();
            assert_eq!(found["results"][0]["digest"], digest, "{place}{selector}");
        }
        for absent in [":v2", "@7", "@0000000"] {
            barge.line(&format!("inspect {place}{absent}")).exits(3).says(&["error: cannot find"]);
        }
    }
    barge.line("inspect docker-archive:dist.tar").exits(0);
}

#[test]
fn help_and_version_need_nothing() {
    let barge = Barge::new();
    let version = format!("barge {}\n", env!("CARGO_PKG_VERSION"));
    for words in ["version", "--version"] {
        let shown = barge.line(words).exits(0).silent();
        assert_eq!(shown.bytes(), version.as_bytes());
    }
    for command in ["merge", "verify", "ls", "inspect", "tree", "push", "pull", "login", "serve"] {
        barge.line(&format!("{command} --help")).exits(0).prints(&["Examples:", "barge"]);
    }
    barge.run::<&str>([]).exits(2);
    for (alias, command) in [("images", "ls"), ("fsck", "verify"), ("validate", "verify")] {
        let said = barge.line(&format!("{alias} nowhere --json")).exits(3).json();
        assert_eq!(said["command"], command, "{alias}");
    }
}

#[test]
fn a_mistyped_word_is_told_with_what_it_may_mean() {
    let barge = Barge::new();
    let mut images = Images::new();
    for (at, name) in ["app:v1", "ghcr.io/org/web:v2"].into_iter().enumerate() {
        let image = images.image("linux/amd64", &[Layer::plain(&[u8::try_from(at).unwrap()])]);
        images.root(annotated(image, REF_NAME, name));
    }
    images.layout(&barge.path("dist"));
    for (line, code, hint) in [
        ("-L dist ls apq:v1", 3, "hint: did you mean :app:v1 ?"),
        ("-L dist ls :apq:v1", 3, "hint: did you mean :app:v1 ?"),
        ("-L dist tag web:v2 x", 3, "hint: did you mean :ghcr.io/org/web:v2 ?"),
        ("-L dist manifest rm apq:v1", 3, "hint: did you mean :app:v1 ?"),
        ("inspect dist:ghcr.io/org/wbe:v2", 3, "hint: did you mean :ghcr.io/org/web:v2 ?"),
        ("-L dist ls dits", 3, "hint: did you mean dist ?"),
        ("copy --platform linux/amd46 dist out", 2, "hint: did you mean linux/amd64?"),
        ("mrege", 2, "merge"),
        ("merge --on-duplciate keep", 2, "--on-duplicate"),
        ("merge --on-duplicate kep", 2, "keep"),
        ("load dist.tar", 2, "tip: write 'barge load -i dist.tar'"),
        ("import -q dist.tar -o new", 2, "tip: write 'barge load -i dist.tar'"),
    ] {
        barge.line(line).exits(code).says(&[hint]);
    }
}

/// Returns the numbers at the beginning of the rows of the first table after a heading.
fn first_column(text: &str, heading: &str) -> Vec<String> {
    let after = text.split_once(heading).unwrap_or_else(|| panic!("no {heading}")).1;
    let rows = after.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1)).map(str::trim);
    cells.filter(|cell| cell.parse::<u8>().is_ok()).map(str::to_owned).collect()
}

#[test]
fn exit_codes_are_told_alike_by_the_program_and_the_pages() {
    let barge = Barge::new();
    let help = barge.line("--help").exits(0).prints(&["docker://", "Exit codes: "]).stdout().to_owned();
    let list = help.split_once("Exit codes: ").unwrap().1.split('.').next().unwrap().replace('\n', " ");
    let told: Vec<&str> = list.split(", ").map(|code| code.split_whitespace().next().unwrap()).collect();
    assert_eq!(told, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "130"]);
    let page = |name: &str| fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert_eq!(first_column(&page("docs/exit-codes.md"), "# Exit codes"), told);
    assert_eq!(first_column(&page("docs/reference.md"), "## Exit codes"), told);
    let registry = first_column(&page("docs/registry.md"), "## Exit codes");
    assert!(registry.iter().all(|code| told.contains(&code.as_str())) && registry.len() > 5, "{registry:?}");
}
