//! The top of the page: what the place is, whether it was verified, and the numbers that most people want.

use super::super::attachment::Verdict;
use super::super::html::Html;
use super::super::sharing::State;
use super::super::survey::Survey;
use super::{count, grouped, name, short, size};
use crate::ops::verify::Depth;
use crate::platform::Platform;
use crate::text::human_size;

/// How many platforms are named before the rest is counted.
const PLATFORMS: usize = 12;

pub(super) fn header(html: &mut Html, survey: &Survey) {
    html.within("p", &[("class", "kind")], |html| html.text("What is in"));
    html.within("h1", &[], |html| name(html, &survey.title));
    html.leaf("p", &[("class", "place")], &short(&survey.place));
    verdict(html, survey);
    html.within("dl", &[("class", "facts")], |html| facts(html, survey));
}

/// Says whether it was verified, and never more than was done.
fn verdict(html: &mut Html, survey: &Survey) {
    let verified = &survey.verified;
    let problems = verified.problems.len() as u64 + verified.more_problems;
    // nobody has read what is not here
    let is_whole = verified.left_out.0 == 0
        && verified.cut == 0
        && survey.layers.iter().all(|layer| layer.state != State::Elsewhere);
    let (class, word) = match (problems, survey.depth) {
        (0, Depth::Presence) => ("badge unknown", "Not verified".to_owned()),
        (0, _) if !is_whole => ("badge unknown", "Verified in part".to_owned()),
        (0, _) => ("badge good", "Verified".to_owned()),
        (number, _) => ("badge bad", format!("{} found", count(number, "problem"))),
    };
    let (pieces, bytes) = (count(verified.pieces, "blob"), human_size(verified.bytes));
    let mut said = match survey.depth {
        Depth::Presence => {
            "Layers were looked for and not read: nobody knows from this page whether their content is right."
                .to_owned()
        }
        Depth::Digests | Depth::DiffIds if problems == 0 && !is_whole => format!(
            "Every whole blob that is here was read ({pieces}, {bytes}), and each is what its digest says. The rest is not here."
        ),
        Depth::Digests | Depth::DiffIds if problems == 0 => {
            format!("Every blob of the images was read ({pieces}, {bytes}), and each is what its digest says.")
        }
        Depth::Digests | Depth::DiffIds => format!("{pieces}, {bytes}, were read and are what their digests say."),
    };
    if verified.unpacked > 0 {
        let layers = count(verified.unpacked, "layer");
        said.push_str(&format!(" {layers} were unpacked and compared with what the configs say."));
    }
    html.within("p", &[("class", "verdict")], |html| {
        html.leaf("b", &[("class", class)], &word);
        html.text(" ");
        html.text(&said);
    });
    if verified.left_out.0 > 0 {
        let (blobs, size) = (count(verified.left_out.0, "blob"), human_size(verified.left_out.1));
        let said = format!("It is a delta: {blobs}, {size}, are not in it and have to be where it is taken to.");
        html.leaf("p", &[], &said);
    }
    if let Some(facts) = &verified.made {
        let (layers, size) = (count(facts.layers, "layer"), human_size(facts.layer_bytes));
        let mut said = format!(
            "It is compact: {layers}, {size}, are made again from {}, to the byte, by barge and no other program.",
            human_size(facts.bytes)
        );
        let needed: Vec<String> = facts.needed().iter().take(PLATFORMS).map(|name| short(name)).collect();
        if !needed.is_empty() {
            said.push_str(&format!(" That takes layers of {}, where it is taken to.", needed.join(", ")));
        }
        if verified.lacking_base.0 > 0 {
            let (layers, size) = (count(verified.lacking_base.0, "layer"), human_size(verified.lacking_base.1));
            said.push_str(&format!(" These are not here, so {layers}, {size}, were not checked."));
        }
        html.leaf("p", &[], &said);
    }
    if verified.cut > 0 {
        let said = format!(
            "{} of larger blobs were not checked: only all parts together show whether they are right.",
            count(verified.cut, "piece")
        );
        html.leaf("p", &[], &said);
    }
}

fn facts(html: &mut Html, survey: &Survey) {
    fact(html, "Images", |html| html.text(&grouped(survey.images.len() as u64)));
    let platforms = platforms(survey);
    if !platforms.is_empty() {
        fact(html, "Platforms", |html| {
            let named: Vec<String> = platforms.iter().take(PLATFORMS).map(|it| short(&it.to_string())).collect();
            html.text(&named.join(", "));
            if platforms.len() > PLATFORMS {
                html.text(&format!(" and {} more", grouped((platforms.len() - PLATFORMS) as u64)));
            }
        });
    }
    fact(html, "Content", |html| size(html, survey.bytes.total()));
    if survey.bytes.saved > 0 {
        fact(html, "Saved by sharing", |html| size(html, survey.bytes.saved));
    }
    fact(html, "Signatures", |html| html.text(&signatures(survey)));
    if survey.parts > 0 {
        fact(html, "Parts", |html| html.text(&grouped(survey.parts as u64)));
    }
    if let Some(bundle) = &survey.bundle {
        fact(html, "Packing list", |html| {
            html.leaf("code", &[("class", "whole")], &bundle.digest.to_string());
            if !bundle.is_current {
                html.text(" (of before: index.json has been changed since)");
            }
        });
        fact(html, "Signature of the bundle", |html| match &bundle.signature {
            None => html.text("none"),
            Some(verdict) => signature(html, verdict),
        });
        if !bundle.bases.is_empty() {
            fact(html, "Builds on", |html| name(html, &bundle.bases.join(", ")));
        }
    }
}

fn fact(html: &mut Html, term: &str, content: impl FnOnce(&mut Html)) {
    html.within("div", &[], |html| {
        html.leaf("dt", &[], term);
        html.within("dd", &[], content);
    });
}

/// Returns the platforms of all images, each once, in the order of the place.
fn platforms(survey: &Survey) -> Vec<&Platform> {
    let mut known = std::collections::HashSet::new();
    let all = survey.images.iter().flat_map(|image| &image.listed.platforms);
    all.filter(|platform| known.insert(platform.key())).collect()
}

fn signatures(survey: &Survey) -> String {
    let all = survey.attachments.iter().flat_map(|one| &one.signatures);
    let number = all.clone().count() as u64;
    if number == 0 {
        return "none".to_owned();
    }
    if survey.keys == 0 {
        return format!("{}, not checked: no key was given", count(number, "signature"));
    }
    let right = all.filter(|verdict| matches!(verdict, Verdict::Holds { .. })).count() as u64;
    format!("{}, of which {} by the keys given", grouped(number), grouped(right))
}

/// Writes what is known of a signature.
pub(super) fn signature(html: &mut Html, verdict: &Verdict) {
    match verdict {
        Verdict::Unchecked => html.text("there, not checked: no key was given"),
        Verdict::Holds { signer, identity } => {
            html.leaf("b", &[("class", "good")], "holds");
            html.text(", by key ");
            html.leaf("code", &[], &short(signer));
            if let Some(identity) = identity {
                html.text(" as ");
                name(html, identity);
            }
        }
        Verdict::Fails(reason) => {
            html.leaf("b", &[("class", "bad")], "not by the keys given");
            html.text(": ");
            html.leaf("bdi", &[], &short(reason));
        }
    }
}
