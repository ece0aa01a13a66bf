//! The page: what stands where.
//!
//! It holds whatever a place holds, up to a bound: a browser has to open it. What is cut off is said, with the command that lists it.

mod findings;
mod images;
mod picture;
mod summary;
mod table;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::html::Html;
use super::sharing::State;
use super::survey::{Image, Survey, Variant};
use crate::digest::Digest;
use crate::text::{escaped, human_size};

/// What a page says that it was made by: so it is known again.
pub const GENERATOR: &str = "barge report";

const STYLE: &str = include_str!("style.css");
/// How many characters of a foreign text are shown. Nobody reads more, and a hostile place could make any number.
const LONGEST: usize = 200;

/// Writes the page.
#[must_use]
pub fn page(survey: &Survey) -> String {
    let mut html = Html::new();
    html.open("html", &[("lang", "en")]);
    html.within("head", &[], |html| head(html, survey));
    html.within("body", &[], |html| {
        html.within("header", &[], |html| summary::header(html, survey));
        html.within("main", &[], |html| {
            findings::problems(html, survey);
            if !survey.images.is_empty() {
                picture::bytes(html, survey);
                picture::sharing(html, survey);
                images::list(html, survey);
                findings::attachments(html, survey);
            }
            findings::unreferenced(html, survey);
            images::each(html, survey);
        });
        html.within("footer", &[], |html| footer(html, survey));
    });
    html.close("html");
    html.finish()
}

fn head(html: &mut Html, survey: &Survey) {
    html.void("meta", &[("charset", "utf-8")]);
    html.void("meta", &[("name", "generator"), ("content", GENERATOR)]);
    // nothing is fetched, nothing runs, nothing is sent, and the one style is this one
    let style = STANDARD.encode(Digest::of(STYLE.as_bytes()).as_bytes());
    let policy = format!("default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'");
    html.void("meta", &[("http-equiv", "Content-Security-Policy"), ("content", &policy)]);
    html.void("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    html.void("meta", &[("name", "referrer"), ("content", "no-referrer")]);
    html.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    html.leaf("title", &[], &format!("{}: what it holds", short(&survey.title)));
    html.style(STYLE);
}

fn footer(html: &mut Html, survey: &Survey) {
    html.within("p", &[], |html| {
        html.text("Sizes are in units of 1024: 1 KiB is 1024 bytes, 1 MiB is 1024 KiB. What a registry and an archive store \
                   is counted, which is packed layers. A size and a digest say the rest when the pointer rests on them.");
    });
    html.within("p", &[], |html| {
        html.text(&format!("Written by barge {} of ", env!("CARGO_PKG_VERSION")));
        html.leaf("code", &[], &short(&survey.place));
        html.text(". The page runs no script, fetches nothing and has no date: the same content gives the same page.");
    });
}

/// Returns a foreign text, cut where nobody reads on.
fn short(text: &str) -> String {
    let mut cut: String = text.chars().take(LONGEST).collect();
    if cut.len() < text.len() {
        cut.push_str("...");
    }
    cut
}

/// Writes a size: rounded, and exact for who wants to know.
fn size(html: &mut Html, bytes: u64) {
    let (exact, title) = (bytes.to_string(), format!("{} bytes", grouped(bytes)));
    html.leaf("data", &[("value", &exact), ("title", &title), ("class", "size")], &human_size(bytes));
}

/// Writes the start of a digest, and the whole of it for who wants to know.
fn digest(html: &mut Html, digest: &Digest) {
    html.leaf("code", &[("title", &digest.to_string())], &digest.short());
}

/// Writes a name: whatever script it is in, it turns nothing around it.
fn name(html: &mut Html, text: &str) {
    html.leaf("bdi", &[], &short(text));
}

/// Returns a number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a number and what it counts.
fn count(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Returns what an image is called: its first name, else the start of its digest.
fn called(image: &Image) -> String {
    image.listed.names.first().map_or_else(|| image.listed.digest.short(), |name| short(&escaped(name)))
}

/// Returns what a variant is for.
fn platform(image: &Image, variant: &Variant) -> String {
    let known = variant.platform.as_ref().filter(|platform| !platform.architecture.is_empty());
    known.map_or_else(|| image.listed.kind.name().to_owned(), |platform| short(&platform.to_string()))
}

/// Returns what stands behind a layer that is not simply there.
const fn remark(state: State) -> Option<&'static str> {
    match state {
        State::Here => None,
        State::Elsewhere => Some("not here: elsewhere"),
        State::Missing => Some("missing"),
        State::Wrong => Some("wrong"),
    }
}
