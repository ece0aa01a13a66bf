//! `save --compact`: what is made of the layers, and what is said about it.

use std::sync::Arc;

use barge::content::{Descriptor, total};
use barge::ops::Error;
use barge::ops::bundle::{BaseContents, Packing};
use barge::ops::compact::{AbsentImage, BaseLayers, CompactOptions, Report as Became, Staged, compact};
use barge::ops::lookup::select;
use barge::ops::open::{Context, Store, open, open_path, path_meant};
use barge::plan::Plan;
use barge::regzip::Way;
use barge::store::Source as _;
use barge::text::{escaped, human_size};
use serde_json::{Value, json};

use super::report::Report;
use super::split::SplitArgs;
use super::write::count;
use super::{Session, packed};

/// What the other side has, and where it may be found here.
pub(crate) struct Bases<'a> {
    /// What the user typed.
    pub(crate) words: &'a [String],
    /// Where else layers of it are read.
    pub(crate) from: &'a [String],
    /// What is there.
    pub(crate) bases: &'a [BaseContents],
    /// The places that are saved from: they often have the older layers still.
    pub(crate) stores: &'a [&'a Store],
}

/// Refuses what a compact archive cannot be.
pub(crate) fn refuse_compact(is_docker: bool, split: &SplitArgs) -> Result<(), Error> {
    if is_docker {
        return Err(Error::Unsupported {
            message: "cannot write a compact docker-archive".to_owned(),
            cause: Some("docker reads layers, and they are not in it".to_owned()),
            hint: Some("leave out --format docker, or --compact".to_owned()),
        });
    }
    if split.is_archives() {
        return Err(Error::Unsupported {
            message: "cannot split a compact archive into archives by themselves".to_owned(),
            cause: Some("what layers are made of belongs to all images at once".to_owned()),
            hint: Some("leave out --split-mode archive: the parts are pieces of one archive then".to_owned()),
        });
    }
    Ok(())
}

/// Puts what is in the layers of a plan in their place.
pub(crate) fn make_compact<'a>(
    (plan, staged): (&mut Plan<'a>, &'a Staged),
    packing: &mut Packing,
    bases: &Bases<'_>,
    options: &CompactOptions<'_>,
    session: &Session<'_>,
    report: &mut Report,
) -> Result<(), Error> {
    // a receipt says what is there, and has none of it
    let is_place =
        |base: &BaseContents| base.signature_file.is_empty() || base.signature_file == barge::bundle::BUNDLE_SIGNATURE;
    let words = bases.words.iter().zip(bases.bases).filter(|(_, base)| is_place(base)).map(|(word, _)| word);
    let words: Vec<&String> = words.chain(bases.from).collect();
    // one of them may be made of layers of another
    let paths = words.iter().filter_map(|word| path_meant(word)).collect::<Vec<_>>();
    let context = Context { bases: &paths, ..session.context() };
    let places = words.iter().map(|word| open(word, &context)).collect::<Result<Vec<_>, _>>()?;
    // one that cannot be read is no concern of who did not ask for it; mostly it is what is saved from
    let is_looked_into = |store: &Store| bases.stores.iter().any(|known| known.location() == store.location());
    let current = context.layout.and_then(|path| open_path(path, &context).ok()).filter(|it| !is_looked_into(it));
    let mut sources: Vec<(&Store, Vec<Descriptor>)> = Vec::new();
    if !bases.bases.is_empty() {
        for place in &places {
            let roots = match &place.selector {
                None => place.store.roots()?,
                selector => select(&place.store, selector.as_ref())?,
            };
            sources.push((&place.store, roots));
        }
        for store in bases.stores.iter().copied().chain(&current) {
            sources.push((store, store.roots()?));
        }
    }
    let layers = BaseLayers::find(&sources, bases.bases)?;
    let (goods, became) = compact(plan, &layers, staged, options, &context)?;
    if goods.is_some() && !became.bases.is_empty() {
        for base in bases.bases {
            if !packing.bases.contains(&base.base) {
                packing.bases.push(base.base.clone());
            }
        }
    }
    packing.compact = goods.map(Arc::new);
    say(session, &became, &layers, !bases.bases.is_empty());
    let (number, before) = became.again;
    let absent = |image: &AbsentImage| json!({"name": image.name, "digest": image.digest.map(|it| it.to_string())});
    report.stats.insert(
        "compact".to_owned(),
        json!({"layers": number, "layerBytes": before, "bytes": became.compact, "isLarger": became.is_larger,
            "packers": became.packers.iter().map(|(way, layers)| packer_value(*way, *layers)).collect::<Vec<_>>(),
            "bases": became.bases, "absentBases": layers.absent_images().iter().map(absent).collect::<Vec<_>>(),
            "stored": became.stored.iter().map(|(why, layers, bytes)| {
                json!({"why": why.to_string(), "layers": layers, "bytes": bytes})
            }).collect::<Vec<_>>()}),
    );
    Ok(())
}

/// Returns what packed some of the layers, for programs.
fn packer_value(way: Option<Way>, layers: u64) -> Value {
    match way {
        Some(way) => json!({"name": way.name(), "level": way.level(), "block": way.block(), "layers": layers}),
        None => json!({"name": null, "layers": layers}),
    }
}

/// Says which layers went which way.
fn say(session: &Session<'_>, became: &Became, layers: &BaseLayers<'_>, has_base: bool) {
    session.ui.finish();
    let (number, before) = became.again;
    if became.is_larger && number > 0 {
        let (now, before) = (human_size(became.compact), human_size(before));
        session
            .ui
            .say(&format!("not compact: it would be {now} in the place of {before}; the layers go along as they are"));
    } else if number > 0 {
        #[allow(clippy::cast_precision_loss)] // for people
        let ratio = became.compact as f64 * 100.0 / before as f64;
        let (now, before) = (human_size(became.compact), human_size(before));
        session.ui.say(&format!(
            "compact: {} made again from {now} instead of {before}, {ratio:.1} %; each was tried",
            count(number, "layer")
        ));
        let packers = became.packers.iter().map(|(way, layers)| match way {
            Some(way) => format!("{} at level {} ({layers})", way.name(), way.level()),
            None => format!("none ({layers})"),
        });
        session.ui.say(&format!("packers: {}", packers.collect::<Vec<_>>().join(", ")));
    }
    for (why, number, bytes) in &became.stored {
        let go = if *number == 1 { "goes" } else { "go" };
        let layers = count(*number, "layer");
        session.ui.say(&format!(
            "{layers}, {}, {go} along as {}: {why}",
            human_size(*bytes),
            if *number == 1 { "it is" } else { "they are" }
        ));
    }
    if number == 0 && total(became.stored.iter().map(|(_, number, _)| *number)) == 0 {
        session.ui.say("no layers go along: nothing to make compact");
    }
    if !became.bases.is_empty() && !became.is_larger {
        let names: Vec<String> = became.bases.iter().map(|name| escaped(name)).collect();
        session.ui.say(&format!("made against layers of {}: they must be where it is loaded", names.join(", ")));
    } else if has_base && number > 0 && layers.is_empty() && layers.absent_images().is_empty() {
        session.ui.say("none of the base's layers is found here: nothing is made against them");
    }
    if number > 0 {
        say_absent(session, layers);
    }
}

/// Says which images of the base are not here, and what would help.
fn say_absent(session: &Session<'_>, layers: &BaseLayers<'_>) {
    let images = layers.absent_images();
    let called = |image: &AbsentImage| match (&image.name, &image.digest) {
        (Some(name), Some(digest)) => format!("{} ({digest})", escaped(name)),
        (Some(name), None) => format!("layers of {}", escaped(name)),
        (None, Some(digest)) => digest.to_string(),
        (None, None) => "layers of an image without a name".to_owned(),
    };
    if images.is_empty() {
        return;
    }
    session.ui.say(&format!(
        "not found here, of the base: {}; with --base-from and a layout, a bundle or docker://NAME that has them it gets smaller",
        packed::first(images.iter().map(called))
    ));
}
