//! What was found wrong, what belongs to images, and what belongs to nothing.

use super::super::html::Html;
use super::super::survey::Survey;
use super::summary::signature;
use super::table::{Column, Extent, cut, folded};
use super::{called, count, digest, name, short, size};
use crate::ops::verify::Depth;
use crate::text::human_size;

const PROBLEMS: &[Column] = &[("What", "what name"), ("Is", ""), ("Problem", ""), ("Detail", "long")];
const ATTACHMENTS: &[Column] = &[
    ("Belongs to", "what name"),
    ("Platform", ""),
    ("Type", "long"),
    ("Digest", ""),
    ("Size", "number"),
    ("Signature", "long"),
];
const UNREFERENCED: &[Column] = &[("Blob", "what"), ("Size", "number")];

pub(super) fn problems(html: &mut Html, survey: &Survey) {
    let verified = &survey.verified;
    html.open("section", &[("aria-labelledby", "problems")]);
    html.leaf("h2", &[("id", "problems")], "Problems");
    if verified.problems.is_empty() {
        html.leaf(
            "p",
            &[],
            match survey.depth {
                Depth::Presence => {
                    "None found, as far as it was looked: nothing is missing or of a wrong size. Content was not read."
                }
                Depth::Digests => "None found: nothing is missing, cut, changed or malformed.",
                Depth::DiffIds => {
                    "None found: nothing is missing, cut, changed or malformed, and layers unpack to what they should."
                }
            },
        );
    } else {
        let extent = Extent { shown: 50, most: 1000, command: "barge verify" };
        folded(html, "problem", PROBLEMS, &verified.problems, extent, |row, _, problem| {
            row.cell(|html| html.leaf("code", &[("class", "whole")], &short(&problem.subject)));
            row.cell(|html| name(html, &problem.about));
            row.cell(|html| html.leaf("b", &[("class", "bad")], problem.status.name()));
            row.cell(|html| name(html, &problem.detail));
        });
        if verified.more_problems > 0 {
            cut(html, verified.more_problems, "problem", "barge verify");
        }
    }
    html.close("section");
}

pub(super) fn attachments(html: &mut Html, survey: &Survey) {
    html.open("section", &[("aria-labelledby", "attached")]);
    html.leaf("h2", &[("id", "attached")], "Signatures, attestations and other attachments");
    if survey.attachments.is_empty() {
        html.leaf("p", &[], "None: nothing here says that it belongs to one of the images.");
    } else {
        let extent = Extent { shown: 50, most: 2000, command: "barge referrers" };
        folded(html, "attachment", ATTACHMENTS, &survey.attachments, extent, |row, _, one| {
            row.cell(|html| match one.image.and_then(|at| survey.images.get(at)) {
                Some(image) => name(html, &called(image)),
                None => digest(html, &one.referrer.subject),
            });
            let platform = one.referrer.platform.as_ref();
            row.text(&platform.map_or_else(|| "whole image".to_owned(), |platform| short(&platform.to_string())));
            row.cell(|html| {
                let types = &one.referrer.types;
                match one.signatures.is_empty() {
                    true => name(html, types.last().map_or(one.referrer.media_type.as_str(), String::as_str)),
                    false => html.text("signature"),
                }
                html.text(&format!(
                    ", by {}",
                    one.referrer.by.iter().map(|by| by.name()).collect::<Vec<_>>().join(", ")
                ));
                if let Some(problem) = &one.referrer.problem {
                    html.text(", ");
                    html.leaf("b", &[("class", "bad")], &short(problem));
                }
            });
            row.cell(|html| digest(html, &one.referrer.digest));
            row.cell(|html| size(html, one.referrer.size));
            row.cell(|html| {
                for (at, verdict) in one.signatures.iter().take(5).enumerate() {
                    if at > 0 {
                        html.text("; ");
                    }
                    signature(html, verdict);
                }
                if one.signatures.len() > 5 {
                    html.text(&format!("; and {} more", one.signatures.len() - 5));
                }
            });
        });
    }
    html.close("section");
}

pub(super) fn unreferenced(html: &mut Html, survey: &Survey) {
    let blobs = &survey.verified.unreferenced;
    if blobs.is_empty() {
        return;
    }
    html.open("section", &[("aria-labelledby", "unreferenced")]);
    html.leaf("h2", &[("id", "unreferenced")], "Blobs that nothing refers to");
    let sum = human_size(survey.bytes.unreferenced);
    let said = format!(
        "{}, {sum}. They do no harm and were not read; `barge gc` removes them from a layout.",
        count(blobs.len() as u64, "blob")
    );
    html.leaf("p", &[], &said);
    let extent = Extent { shown: 10, most: 500, command: "barge verify --json" };
    folded(html, "blob", UNREFERENCED, blobs, extent, |row, _, (blob, bytes)| {
        row.cell(|html| html.leaf("code", &[("class", "whole")], &blob.to_string()));
        row.cell(|html| size(html, *bytes));
    });
    html.close("section");
}
