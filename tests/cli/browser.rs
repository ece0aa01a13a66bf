//! The page of `report` in Chromium: what it makes of hostile names, that nothing runs, that something is drawn, and that it prints.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::support::image::{FULL_NAME, Images, Layer, annotated, named, on, simple};
use super::*;

/// What runs when any of a page is taken for markup: the title of the page changes.
const HOSTILE: [&str; 10] = [
    "\"><script>document.title='ran'</script>",
    "</title><script>document.title='ran'</script>",
    "'><img src=x onerror=\"document.title='ran'\">",
    "</style></svg><svg onload=\"document.title='ran'\">",
    "<!--<script>",
    "&lt;script&gt;document.title='ran'&lt;/script&gt;",
    "]]><b onmouseover=alert(1)>b</b>",
    "javascript:document.title='ran'",
    "\u{202e}gpj.exe\u{2066}\u{200b}\u{7}\u{1b}[2J\u{85}\n",
    "<iframe src=\"data:text/html,x\"></iframe><meta http-equiv=refresh content=\"0;url=x\">",
];

fn chromium() -> bool {
    has("chromium")
}

fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    available(program, std::env::split_paths(&path).any(|directory| directory.join(program).is_file()))
}

/// Starts Chromium without a window on a page, with nothing of this machine's user.
fn browser(barge: &Barge, page: &Path, words: &[&str]) -> Command {
    let mut command = barge.around("chromium");
    let profile = format!("--user-data-dir={}", barge.path("profile").display());
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--disable-background-networking", "--hide-scrollbars", "--window-size=1200,1600", &profile])
        .args(words)
        .arg(format!("file://{}", page.display()));
    command
}

/// Returns the document as the browser has it once everything has run that may.
fn dom(barge: &Barge, page: &Path) -> String {
    let dumped = barge.finish(&mut browser(barge, page, &["--dump-dom"])).exits(0);
    String::from_utf8(dumped.bytes().to_vec()).unwrap()
}

fn title(dom: &str) -> &str {
    dom.split_once("<title>").unwrap().1.split_once("</title>").unwrap().0
}

#[test]
fn hostile_text_stays_text_and_nothing_runs() {
    let barge = Barge::new();
    let mut images = Images::new();
    for (at, text) in HOSTILE.iter().enumerate() {
        let layers = [Layer::plain(b"base"), Layer::plain(text.as_bytes())];
        let image = images.image("linux/amd64", &layers);
        let mut variant = on(image, "linux/amd64");
        variant["platform"]["variant"] = json!(text);
        variant["platform"]["os.version"] = json!(text);
        let mut artifact = images.image(&format!("linux/a{at}"), &[]);
        artifact["artifactType"] = json!(text);
        let index = images.index(&[variant, artifact]);
        images.root(annotated(named(index, text), FULL_NAME, text));
        // what belongs to an image has foreign words too
        let subject = images.roots[at].clone();
        let config = images.put(text, b"{}");
        let referrer = json!({"schemaVersion": 2, "mediaType": support::image::MANIFEST, "artifactType": text,
            "config": config, "layers": [], "annotations": {text.to_string(): text},
            "subject": {"mediaType": subject["mediaType"], "digest": subject["digest"], "size": subject["size"]}});
        let referrer = images.document(support::image::MANIFEST, &referrer);
        images.root(referrer);
    }
    images.layout(&barge.path("dist"));
    barge.line("report dist -o page.html").exits(0);
    let page = fs::read_to_string(barge.path("page.html")).unwrap();
    for unsafe_one in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{7}', '\u{1b}', '\u{85}'] {
        assert!(!page.contains(unsafe_one), "{unsafe_one:?}");
    }
    if !chromium() {
        return;
    }
    let dom = dom(&barge, &barge.path("page.html"));
    assert_eq!(title(&dom), "dist: what it holds");
    for element in
        ["<script", "<img", "<iframe", "<b onmouseover", "<!--", "<link", "<svg onload", "<meta http-equiv=\"refresh"]
    {
        let in_text = dom.replace("&lt;", "").matches(element).count();
        assert_eq!(in_text, 0, "{element} is an element of the page");
    }
    // and it is there to be read
    for text in [
        "\"&gt;&lt;script&gt;document.title='ran'&lt;/script&gt;",
        "&amp;lt;script&amp;gt;",
        "\\u{202e}gpj.exe\\u{2066}\\u{200b}\\u{7}\\u{1b}[2J\\u{85}\\u{a}",
    ] {
        assert!(dom.contains(text), "{text} is not shown in\n{dom}");
    }
}

#[test]
fn a_script_that_got_into_the_page_would_not_run() {
    if !chromium() {
        return;
    }
    let barge = Barge::new();
    simple(&["linux/amd64"]).layout(&barge.path("dist"));
    barge.line("report dist -o page.html").exits(0);
    let page = fs::read_to_string(barge.path("page.html")).unwrap();
    let spoilt = page.replace(
        "</header>",
        "</header><script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">",
    );
    let path = barge.write("spoilt.html", &spoilt);
    assert_eq!(title(&dom(&barge, &path)), "dist: what it holds");
    // it is the policy that stops it, and scripts do run here
    let free = spoilt.replace("Content-Security-Policy", "x-nothing");
    assert_eq!(title(&dom(&barge, &barge.write("free.html", free))), "ran");
}

#[test]
fn something_is_drawn_on_the_screen() {
    if !chromium() {
        return;
    }
    let barge = Barge::new();
    simple(&["linux/amd64", "linux/arm64"]).layout(&barge.path("dist"));
    barge.line("report dist -o page.html").exits(0);
    for (name, words) in [("light", vec![]), ("dark", vec!["--blink-settings=preferredColorScheme=0"])] {
        let file = barge.path(format!("{name}.png"));
        let shot = format!("--screenshot={}", file.display());
        let words: Vec<&str> = words.into_iter().chain([shot.as_str()]).collect();
        drop(barge.finish(&mut browser(&barge, &barge.path("page.html"), &words)).exits(0));
        let changes = changes(&fs::read(&file).unwrap());
        assert!(changes > 20_000, "{name}: {changes} bytes differ from their neighbours");
    }
    let blank = barge.write("blank.html", "<!doctype html><title>x</title>");
    let file = barge.path("blank.png");
    let shot = format!("--screenshot={}", file.display());
    drop(barge.finish(&mut browser(&barge, &blank, &[&shot])).exits(0));
    assert!(changes(&fs::read(&file).unwrap()) < 20_000, "a blank page is told from ours");
}

/// Returns how many bytes of a PNG, unpacked, are not nothing: in a picture of one colour few are, for the rows are written as what
/// differs from the neighbours (PNG, 9.2).
fn changes(png: &[u8]) -> usize {
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let (mut rest, mut packed) = (&png[8..], Vec::new());
    while rest.len() > 12 {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        if &rest[4..8] == b"IDAT" {
            packed.extend_from_slice(&rest[8..8 + length]);
        }
        rest = &rest[12 + length..];
    }
    let mut rows = Vec::new();
    flate2::read::ZlibDecoder::new(packed.as_slice()).read_to_end(&mut rows).unwrap();
    rows.iter().filter(|byte| **byte != 0).count()
}

#[test]
fn it_can_be_printed_and_the_paper_has_the_digests() {
    if !chromium() || !has("pdftotext") {
        return;
    }
    let barge = Barge::new();
    let mut images = simple(&["linux/amd64", "linux/arm64"]);
    images.roots[0] = named(images.roots[0].clone(), "example.com/hello:v1");
    images.layout(&barge.path("dist"));
    barge.line("report dist -o page.html").exits(0);
    let pdf = barge.path("page.pdf");
    let print = format!("--print-to-pdf={}", pdf.display());
    drop(barge.finish(&mut browser(&barge, &barge.path("page.html"), &[&print, "--no-pdf-header-footer"])).exits(0));
    let mut command = barge.around("pdftotext");
    command.args(["-layout", "page.pdf", "-"]);
    let printed = barge.finish(&mut command).exits(0);
    printed.prints(&["What is in", "Verified", "Who shares what", "example.com/hello:v1", "linux/arm64"]);
    let mut command = barge.around("pdftotext");
    command.args(["-raw", "page.pdf", "-"]);
    let words: String = barge.finish(&mut command).exits(0).stdout().split_whitespace().collect();
    for root in &images.roots {
        let digest = root["digest"].as_str().unwrap();
        assert!(words.contains(digest), "{digest} is not on paper");
    }
}
