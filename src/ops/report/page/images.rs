//! The images: a table of all, and for each of the first its platforms with their layers.

use super::super::html::Html;
use super::super::survey::{Image, Survey, Variant};
use super::picture::mark;
use super::table::{Column, Extent, folded, table};
use super::{called, count, digest, grouped, name, platform, remark, short, size};
use crate::media::Role;

/// Of how many images the layers are listed.
const DETAILED: usize = 100;
/// How many images are shown unfolded.
const UNFOLDED: usize = 4;
/// How many layers the page lists, over all images.
const LAYERS: usize = 10_000;
/// How many layers of one platform are listed.
const LAYERS_OF_ONE: usize = 200;

const IMAGES: &[Column] = &[
    ("Image", "what name"),
    ("Platforms", "long"),
    ("Size", "number"),
    ("Only here", "number"),
    ("Signed", "long"),
    ("State", ""),
];
const LAYER: &[Column] =
    &[("Layer", "what"), ("Digest", ""), ("Size", "number"), ("Packing", ""), ("Who has it", "long")];

pub(super) fn list(html: &mut Html, survey: &Survey) {
    html.open("section", &[("aria-labelledby", "images")]);
    html.leaf("h2", &[("id", "images")], "Images");
    html.leaf("p", &[], "Size is all content of an image, only here what no other image of this place has. A layer that two images share is in both sizes.");
    let extent = Extent { shown: 50, most: 20_000, command: "barge ls" };
    folded(html, "image", IMAGES, &survey.images, extent, |row, at, image| {
        let listed = &image.listed;
        row.cell(|html| {
            for (number, text) in listed.names.iter().take(8).enumerate() {
                if number > 0 {
                    html.void("br", &[]);
                }
                match at < DETAILED && number == 0 {
                    true => html.within("a", &[("href", &format!("#image-{}", at + 1))], |html| name(html, text)),
                    false => name(html, text),
                }
            }
            match listed.names.len() {
                0 => html.text("(no name)"),
                number if number > 8 => html.text(&format!(" and {} more names", grouped(number as u64 - 8))),
                _ => {}
            }
            html.leaf("code", &[("class", "whole below")], &listed.digest.to_string());
        });
        row.text(&platforms(image));
        row.cell(|html| size(html, listed.size));
        row.cell(|html| size(html, listed.unique));
        row.cell(|html| signed(html, survey, image));
        row.cell(|html| state(html, image));
    });
    html.close("section");
}

fn platforms(image: &Image) -> String {
    let all = &image.listed.platforms;
    let named: Vec<String> = all.iter().take(12).map(|platform| short(&platform.to_string())).collect();
    match all.len() {
        0 => format!("({})", image.listed.kind.name()),
        1..=12 => named.join(", "),
        number => format!("{} and {} more", named.join(", "), number - 12),
    }
}

/// Says whether an image is signed, and by whom as far as that was checked.
fn signed(html: &mut Html, survey: &Survey, image: &Image) {
    match (image.signatures, image.signers.as_slice()) {
        (0, _) => html.text("no"),
        (number, _) if survey.keys == 0 => html.text(&format!("{}, not checked", count(number as u64, "signature"))),
        (_, []) => html.leaf("b", &[("class", "bad")], "not by the keys given"),
        (_, signers) => {
            html.leaf("b", &[("class", "good")], "yes");
            html.text(", by key ");
            html.leaf("code", &[], &short(&signers.join(", ")));
        }
    }
}

fn state(html: &mut Html, image: &Image) {
    let listed = &image.listed;
    match (listed.missing, listed.broken) {
        (0, 0) if listed.left_out > 0 => html.text(&format!("{} in its base", count(listed.left_out as u64, "piece"))),
        (0, 0) => html.text("complete"),
        (missing, 0) if listed.elsewhere => html.text(&format!("{} in a registry", count(missing as u64, "piece"))),
        (missing, 0) => html.leaf("b", &[("class", "bad")], &format!("{} missing", grouped(missing as u64))),
        (0, broken) => html.leaf("b", &[("class", "bad")], &format!("{} broken", grouped(broken as u64))),
        (missing, broken) => {
            let said = format!("{} missing, {} broken", grouped(missing as u64), grouped(broken as u64));
            html.leaf("b", &[("class", "bad")], &said);
        }
    }
}

/// Writes the platforms and layers of each image, as far as they are listed.
pub(super) fn each(html: &mut Html, survey: &Survey) {
    if survey.images.is_empty() {
        return;
    }
    html.open("section", &[("aria-labelledby", "layers")]);
    html.leaf("h2", &[("id", "layers")], "Layers, image by image");
    if survey.images.len() > UNFOLDED {
        html.leaf("p", &[("class", "paper")], "What is folded on the screen is not printed.");
    }
    let mut left = LAYERS;
    let mut done = 0;
    for (at, image) in survey.images.iter().take(DETAILED).enumerate() {
        let number: usize = image.variants.iter().map(|variant| variant.layers.len().min(LAYERS_OF_ONE) + 1).sum();
        if number > left {
            break;
        }
        left -= number;
        done += 1;
        let id = format!("image-{}", at + 1);
        let attributes = [("id", id.as_str()), ("class", "image"), ("open", "")];
        // few are there to be read, many to be looked up
        let attributes = if survey.images.len() <= UNFOLDED { &attributes[..] } else { &attributes[..2] };
        html.within("details", attributes, |html| one(html, survey, image));
    }
    if done < survey.images.len() {
        let rest = count((survey.images.len() - done) as u64, "further image");
        html.within("p", &[("class", "note")], |html| {
            html.text(&format!("The layers of {rest} are not on this page. "));
            html.leaf("code", &[], "barge tree");
            html.text(" shows those of every image.");
        });
    }
    html.close("section");
}

fn one(html: &mut Html, survey: &Survey, image: &Image) {
    html.within("summary", &[], |html| {
        html.within("h3", &[], |html| name(html, &called(image)));
    });
    html.within("p", &[], |html| {
        html.text("Digest ");
        html.leaf("code", &[("class", "whole")], &image.listed.digest.to_string());
    });
    for variant in &image.variants {
        of_variant(html, survey, image, variant);
    }
}

fn of_variant(html: &mut Html, survey: &Survey, image: &Image, variant: &Variant) {
    html.within("h4", &[], |html| name(html, &platform(image, variant)));
    html.within("p", &[], |html| {
        html.text("Manifest ");
        html.leaf("code", &[("class", "whole")], &variant.digest.to_string());
        match variant.size {
            Some(bytes) => {
                html.text(", ");
                size(html, bytes);
            }
            None => {
                html.text(", ");
                html.leaf("b", &[("class", "bad")], "cannot be read");
            }
        }
        if let Some(created) = &variant.created {
            html.text(", made ");
            name(html, created);
        }
    });
    if variant.layers.is_empty() {
        return;
    }
    let layers = variant.layers.iter().take(LAYERS_OF_ONE).enumerate();
    let caption = format!("{}, from the base up", count(variant.layers.len() as u64, "layer"));
    table(html, &caption, LAYER, layers, |row, (at, &position)| {
        let Some(layer) = survey.layers.get(position) else { return };
        row.cell(|html| {
            html.text(&format!("{} ", at + 1));
            mark(html, survey, position);
        });
        row.cell(|html| digest(html, &layer.digest));
        row.cell(|html| size(html, layer.size));
        row.cell(|html| match layer.media_type.role() {
            Role::Layer(compression) => html.text(&compression.to_string()),
            _ => name(html, layer.media_type.as_str()),
        });
        row.cell(|html| {
            match layer.users.len() {
                0 | 1 => html.text("this one alone"),
                number => html.text(&format!("this one and {} more", grouped(number as u64 - 1))),
            }
            if let Some(remark) = remark(layer.state) {
                html.text("; ");
                html.leaf("b", &[("class", "bad")], remark);
            }
        });
    });
    if variant.layers.len() > LAYERS_OF_ONE {
        super::table::cut(html, (variant.layers.len() - LAYERS_OF_ONE) as u64, "layer", "barge tree");
    }
}
