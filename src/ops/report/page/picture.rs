//! The pictures: where the bytes are, and who shares what.
//!
//! Each bar is an SVG of its own whose lengths are per cents: it takes the width that there is, on a phone and on paper, and its
//! letters stay as large as the text around them.

use std::cmp::Reverse;

use super::super::html::Html;
use super::super::sharing::{Layer, State};
use super::super::survey::{Survey, Variant};
use super::table::{Column, Extent, folded};
use super::{called, count, digest, grouped, name, platform, remark, size};
use crate::content::total;
use crate::text::human_size;

/// What the first of the layers that are shared have: a letter, the same where they are missing or wrong, and a colour.
const LETTERS: [(&str, &str, &str); 8] = [
    ("A", "A!", "layer-a"),
    ("B", "B!", "layer-b"),
    ("C", "C!", "layer-c"),
    ("D", "D!", "layer-d"),
    ("E", "E!", "layer-e"),
    ("F", "F!", "layer-f"),
    ("G", "G!", "layer-g"),
    ("H", "H!", "layer-h"),
];
/// How many bars are drawn.
const MOST_BARS: usize = 40;
/// The least width of a layer that is drawn by itself, in per cent of the longest bar: less cannot be seen.
const SMALL: f64 = 0.4;
/// The least width of a layer that has its letter in it.
const ROOM_FOR_A_LETTER: f64 = 3.0;

const SHARED: &[Column] = &[
    ("Layer", "what"),
    ("Digest", ""),
    ("Size", "number"),
    ("In how many", "number"),
    ("Saves", "number"),
    ("For instance in", "long"),
];

/// A piece of a bar.
struct Piece {
    class: &'static str,
    letter: &'static str,
    bytes: u64,
    title: String,
}

pub(super) fn bytes(html: &mut Html, survey: &Survey) {
    let bytes = survey.bytes;
    let whole = bytes.total();
    html.open("section", &[("aria-labelledby", "bytes")]);
    html.leaf("h2", &[("id", "bytes")], "Where the bytes are");
    let said = format!("{} of content, each blob counted once.", human_size(whole));
    html.leaf("p", &[], &said);
    let parts = [
        ("shared", "Layers that several images share", bytes.shared),
        ("single", "Layers that one image has", bytes.single),
        ("documents", "Indexes, manifests and configs", bytes.documents),
        ("other", "Signatures, attestations and other files", bytes.other),
        ("unreferenced", "Blobs that nothing refers to", bytes.unreferenced),
    ];
    let parts: Vec<_> = parts.into_iter().filter(|(_, _, bytes)| *bytes > 0).collect();
    let piece = |(class, what, bytes): &(&'static str, &str, u64)| Piece {
        class,
        letter: "",
        bytes: *bytes,
        title: format!("{what}: {}", human_size(*bytes)),
    };
    let pieces: Vec<Piece> = parts.iter().map(piece).collect();
    let label = pieces.iter().map(|piece| piece.title.as_str()).collect::<Vec<_>>().join("; ");
    html.within("figure", &[], |html| {
        bar(html, &pieces, whole, &label);
        html.within("ul", &[("class", "legend")], |html| {
            for (class, what, bytes) in &parts {
                html.within("li", &[], |html| {
                    swatch(html, class, "");
                    html.text(&format!(" {what}: "));
                    size(html, *bytes);
                    html.text(&format!(" ({})", percent(*bytes, whole)));
                });
            }
        });
    });
    html.close("section");
}

pub(super) fn sharing(html: &mut Html, survey: &Survey) {
    let mut drawn: Vec<(usize, &Variant, u64)> = Vec::new();
    for (at, image) in survey.images.iter().enumerate() {
        drawn.extend(image.variants.iter().map(|variant| (at, variant, length(survey, variant))));
    }
    drawn.retain(|(_, variant, _)| !variant.layers.is_empty());
    if drawn.is_empty() {
        return;
    }
    let all = drawn.len();
    if all > MOST_BARS {
        let mut order: Vec<usize> = (0..all).collect();
        order.sort_by_key(|&at| (Reverse(drawn[at].2), at));
        order.truncate(MOST_BARS);
        order.sort_unstable();
        drawn = order.into_iter().map(|at| drawn[at]).collect();
    }
    html.open("section", &[("aria-labelledby", "sharing")]);
    html.leaf("h2", &[("id", "sharing")], "Who shares what");
    html.leaf("p", &[], &explained(survey, all, drawn.len()));
    html.within("figure", &[], |html| {
        legend(html, survey);
        let longest = drawn.iter().map(|(_, _, bytes)| *bytes).max().unwrap_or_default();
        html.within("div", &[("class", "bar axis"), ("aria-hidden", "true")], |html| axis(html, longest));
        for bars in drawn.chunk_by(|one, other| one.0 == other.0) {
            html.within("div", &[("class", "group")], |html| group(html, survey, bars, longest));
        }
    });
    shared(html, survey);
    html.close("section");
}

/// Draws the bars of one image.
fn group(html: &mut Html, survey: &Survey, bars: &[(usize, &Variant, u64)], longest: u64) {
    let Some(image) = bars.first().and_then(|(at, ..)| survey.images.get(*at)) else { return };
    html.within("p", &[("class", "of")], |html| name(html, &called(image)));
    for (_, variant, bytes) in bars {
        let platform = platform(image, variant);
        let pieces = pieces(survey, variant, longest);
        let label = described(survey, variant, &format!("{} for {platform}", called(image)), *bytes);
        html.within("div", &[("class", "bar")], |html| {
            html.within("span", &[("class", "label")], |html| name(html, &platform));
            bar(html, &pieces, longest, &label);
            size(html, *bytes);
        });
    }
}

fn explained(survey: &Survey, all: usize, drawn: usize) -> String {
    let which = match drawn < all {
        true => format!("Of {} images for one platform each the {drawn} largest are drawn. ", grouped(all as u64)),
        false => String::new(),
    };
    let saved = match survey.layers.first().is_some_and(Layer::is_shared) {
        true if survey.bytes.saved == 0 => String::new(), // what is shared is not here
        true => format!(" Stored one by one, the layers would take {} more.", human_size(survey.bytes.saved)),
        false => " No two of these images share a layer.".to_owned(),
    };
    format!(
        "{which}Each bar is an image for one platform: its layers, the lowest one on the left, as long as they are large. The same \
         letter and colour is the same layer, which is stored once.{saved}"
    )
}

fn legend(html: &mut Html, survey: &Survey) {
    let has = |wanted: fn(&Layer) -> bool| survey.layers.iter().any(wanted);
    let shared = survey.layers.iter().filter(|layer| layer.is_shared()).count();
    html.within("ul", &[("class", "legend")], |html| {
        let mut line = |class: &'static str, letter: &'static str, text: &str| {
            html.within("li", &[], |html| {
                swatch(html, class, letter);
                html.text(" ");
                html.text(text);
            });
        };
        if shared > 0 {
            let last = LETTERS[shared.min(LETTERS.len()) - 1].0;
            let what = match shared {
                1 => "the layer that several images share".to_owned(),
                _ => format!("to {last}: layers that several images share, those that save most first"),
            };
            line(LETTERS[0].2, LETTERS[0].0, &what);
        }
        if shared > LETTERS.len() {
            line("shared", "+", "another layer that several share");
        }
        if has(|layer| !layer.is_shared() && layer.state == State::Here) {
            line("single", "", "a layer that this image alone has");
        }
        if has(|layer| layer.state == State::Elsewhere) {
            line("elsewhere", "", "not here, and need not be");
        }
        if has(|layer| matches!(layer.state, State::Missing | State::Wrong)) {
            line("wrong", "!", "missing or wrong");
        }
    });
}

/// Lists the layers that are shared.
fn shared(html: &mut Html, survey: &Survey) {
    let shared: Vec<usize> = (0..survey.layers.len()).filter(|&at| survey.layers[at].is_shared()).collect();
    if shared.is_empty() {
        return;
    }
    html.leaf("h3", &[], "Shared layers");
    let extent = Extent { shown: 20, most: 200, command: "barge tree" };
    folded(html, "shared layer", SHARED, &shared, extent, |row, _, &at| {
        let layer = &survey.layers[at];
        row.cell(|html| mark(html, survey, at));
        row.cell(|html| digest(html, &layer.digest));
        row.cell(|html| size(html, layer.size));
        row.text(&grouped(layer.users.len() as u64));
        row.cell(|html| size(html, layer.saved()));
        row.cell(|html| {
            for (number, (at, variant)) in layer.users.iter().take(2).enumerate() {
                let Some(image) = survey.images.get(*at) else { continue };
                let Some(variant) = image.variants.get(*variant) else { continue };
                if number > 0 {
                    html.void("br", &[]);
                }
                name(html, &called(image));
                html.text(" ");
                name(html, &platform(image, variant));
            }
        });
    });
}

/// Writes the sign by which a layer is known in the picture.
pub(super) fn mark(html: &mut Html, survey: &Survey, at: usize) {
    if let Some(layer) = survey.layers.get(at) {
        let (class, letter) = sign(layer, at);
        swatch(html, class, letter);
    }
}

/// Returns the class and the letter of a layer.
fn sign(layer: &Layer, at: usize) -> (&'static str, &'static str) {
    let letters = LETTERS.get(at).filter(|_| layer.is_shared());
    match (layer.state, letters) {
        (State::Missing | State::Wrong, letters) => ("wrong", letters.map_or("!", |(_, wrong, _)| wrong)),
        (State::Elsewhere, letters) => ("elsewhere", letters.map_or("", |(letter, ..)| letter)),
        (State::Here, Some((letter, _, class))) => (class, letter),
        (State::Here, None) if layer.is_shared() => ("shared", "+"),
        (State::Here, None) => ("single", ""),
    }
}

/// Returns the pieces of a bar: what is too small to be seen becomes one piece with its neighbours.
fn pieces(survey: &Survey, variant: &Variant, longest: u64) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut small: Vec<&Layer> = Vec::new();
    for &at in &variant.layers {
        let Some(layer) = survey.layers.get(at) else { continue };
        if share(layer.size, longest) < SMALL {
            small.push(layer);
            continue;
        }
        pieces.extend(gathered(&mut small));
        let (class, letter) = sign(layer, at);
        let letter_of = if letter.is_empty() { String::new() } else { format!("{letter}: ") };
        let users = match layer.users.len() {
            0 | 1 => "in this image alone".to_owned(),
            number => format!("in {} images", grouped(number as u64)),
        };
        let remark = remark(layer.state).map(|remark| format!(", {remark}")).unwrap_or_default();
        let title = format!("{letter_of}{}, {}, {users}{remark}", layer.digest.short(), human_size(layer.size));
        pieces.push(Piece { class, letter, bytes: layer.size, title });
    }
    pieces.extend(gathered(&mut small));
    pieces
}

/// Makes one piece of small layers.
fn gathered(small: &mut Vec<&Layer>) -> Option<Piece> {
    let layers = std::mem::take(small);
    layers.first()?;
    let class = if layers.iter().any(|layer| matches!(layer.state, State::Missing | State::Wrong)) {
        "wrong"
    } else if layers.iter().all(|layer| layer.state == State::Elsewhere) {
        "elsewhere"
    } else if layers.iter().all(|layer| layer.is_shared()) {
        "shared"
    } else {
        "single"
    };
    let bytes = total(layers.iter().map(|layer| layer.size));
    let shared = layers.iter().filter(|layer| layer.is_shared()).count() as u64;
    let title = format!(
        "{}, {}, {} of them shared",
        count(layers.len() as u64, "small layer"),
        human_size(bytes),
        grouped(shared)
    );
    Some(Piece { class, letter: "", bytes, title })
}

fn length(survey: &Survey, variant: &Variant) -> u64 {
    total(variant.layers.iter().filter_map(|&at| survey.layers.get(at)).map(|layer| layer.size))
}

/// Says what a bar shows, for who does not see it.
fn described(survey: &Survey, variant: &Variant, what: &str, bytes: u64) -> String {
    let mut letters: Vec<&str> = Vec::new();
    let mut own = 0u64;
    for &at in &variant.layers {
        let Some(layer) = survey.layers.get(at) else { continue };
        match LETTERS.get(at).filter(|_| layer.is_shared()) {
            Some((letter, ..)) => letters.push(letter),
            None if !layer.is_shared() => own = own.saturating_add(layer.size),
            None => {}
        }
    }
    let shared = if letters.is_empty() { String::new() } else { format!(", shared {}", letters.join(" ")) };
    let layers = count(variant.layers.len() as u64, "layer");
    format!("{what}: {layers}, {}{shared}, {} of its own", human_size(bytes), human_size(own))
}

/// Draws a bar. `whole` is what the full width stands for.
fn bar(html: &mut Html, pieces: &[Piece], whole: u64, label: &str) {
    html.open(
        "svg",
        &[("role", "img"), ("aria-label", label), ("width", "100%"), ("height", "24"), ("class", "pieces")],
    );
    let mut from = 0.0;
    for piece in pieces {
        let width = share(piece.bytes, whole);
        let (x, shown) = (format!("{from:.3}%"), format!("{:.3}%", width.max(SMALL / 2.0)));
        let attributes = [("class", piece.class), ("x", &x), ("y", "1"), ("width", &shown), ("height", "22")];
        html.within("rect", &attributes, |html| html.leaf("title", &[], &piece.title));
        if !piece.letter.is_empty() && width >= ROOM_FOR_A_LETTER {
            let middle = format!("{:.3}%", from + width / 2.0);
            html.leaf("text", &[("x", &middle), ("y", "17"), ("class", piece.class)], piece.letter);
        }
        from += width;
    }
    html.close("svg");
}

/// Draws the scale above the bars: three to six sizes that are easy to read.
fn axis(html: &mut Html, longest: u64) {
    html.leaf("span", &[("class", "label")], "");
    html.open("svg", &[("width", "100%"), ("height", "20"), ("class", "scale")]);
    for tick in ticks(longest) {
        let at = share(tick, longest);
        let x = format!("{at:.3}%");
        html.void("line", &[("x1", &x), ("x2", &x), ("y1", "14"), ("y2", "20")]);
        let anchor = match at {
            at if at < 5.0 => "start",
            at if at > 92.0 => "end",
            _ => "middle",
        };
        let text = if tick == 0 { "0".to_owned() } else { human_size(tick).replace(".0 ", " ") };
        html.leaf("text", &[("x", &x), ("y", "11"), ("text-anchor", anchor)], &text);
    }
    html.close("svg");
    html.leaf("span", &[("class", "size")], "Size");
}

/// Returns the sizes that stand on a scale: at most four besides nothing, each so round that its text is exact.
fn ticks(longest: u64) -> Vec<u64> {
    let mut step = 1u64;
    while longest / step > 4 {
        step *= 2;
    }
    (0..=longest / step).map(|number| number * step).collect()
}

fn swatch(html: &mut Html, class: &'static str, letter: &str) {
    let label = if letter.is_empty() { class } else { letter };
    html.open("svg", &[("class", "swatch"), ("width", "18"), ("height", "18"), ("role", "img"), ("aria-label", label)]);
    html.void("rect", &[("class", class), ("x", "1"), ("y", "1"), ("width", "16"), ("height", "16")]);
    if !letter.is_empty() {
        html.leaf("text", &[("x", "50%"), ("y", "13.5"), ("class", class)], letter);
    }
    html.close("svg");
}

/// Returns a part in per cent of the whole.
#[allow(clippy::cast_precision_loss)] // it is drawn
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn percent(part: u64, whole: u64) -> String {
    match share(part, whole) {
        little if little < 0.1 => "less than 0.1\u{a0}%".to_owned(),
        share => format!("{share:.1}\u{a0}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_has_few_sizes_and_round_ones() {
        const KIB: u64 = 1024;
        for (longest, expected) in [
            (0, vec![0]),
            (3, vec![0, 1, 2, 3]),
            (700, vec![0, 256, 512]),
            (9 * KIB, vec![0, 2 * KIB, 4 * KIB, 6 * KIB, 8 * KIB]),
            (16 * KIB, vec![0, 4 * KIB, 8 * KIB, 12 * KIB, 16 * KIB]),
            (130 * KIB, vec![0, 32 * KIB, 64 * KIB, 96 * KIB, 128 * KIB]),
        ] {
            assert_eq!(ticks(longest), expected, "{longest}");
        }
        assert!(ticks(u64::MAX).len() <= 5);
    }
}
