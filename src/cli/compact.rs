//! `save --compact`: what is made of the layers, and what is said about it.

use std::sync::Arc;

use barge::content::total;
use barge::ops::Error;
use barge::ops::bundle::{BaseContents, Packing};
use barge::ops::compact::{BaseLayers, CompactOptions, Report as Became, Staged, base_layers, compact};
use barge::ops::lookup::select;
use barge::ops::open::{Opened, Store, open};
use barge::plan::Plan;
use barge::store::Source as _;
use barge::text::{escaped, human_size};
use serde_json::json;

use super::Session;
use super::report::Report;
use super::split::SplitArgs;
use super::write::count;

/// What the other side has, and where it may be found here.
pub(crate) struct Bases<'a> {
    /// What the user typed.
    pub(crate) words: &'a [String],
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
    let context = session.context();
    // a receipt says what is there, and has none of it
    let is_place =
        |base: &&BaseContents| base.signature_file.is_empty() || base.signature_file == barge::bundle::BUNDLE_SIGNATURE;
    let places = bases.words.iter().zip(bases.bases).filter(|(_, base)| is_place(base));
    let places: Vec<Opened> = places.map(|(word, _)| open(word, &context)).collect::<Result<_, _>>()?;
    let mut layers = BaseLayers::default();
    let is_wanted = |digest: &_| bases.bases.iter().any(|base| base.contents.contains_key(digest));
    if !bases.bases.is_empty() {
        for place in &places {
            let roots = match &place.selector {
                None => place.store.roots()?,
                selector => select(&place.store, selector.as_ref())?,
            };
            base_layers(&mut layers, &place.store, &roots, is_wanted)?;
        }
        for store in bases.stores {
            base_layers(&mut layers, *store, &store.roots()?, is_wanted)?;
        }
    }
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
    let (layers, before) = became.again;
    report.stats.insert(
        "compact".to_owned(),
        json!({"layers": layers, "layerBytes": before, "bytes": became.compact, "isLarger": became.is_larger,
            "stored": became.stored.iter().map(|(why, layers, bytes)| {
                json!({"why": why.to_string(), "layers": layers, "bytes": bytes})
            }).collect::<Vec<_>>()}),
    );
    Ok(())
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
    if !became.bases.is_empty() {
        let names: Vec<String> = became.bases.iter().map(|name| escaped(name)).collect();
        session.ui.say(&format!("made against layers of {}: they must be where it is loaded", names.join(", ")));
    } else if has_base && layers.is_empty() {
        session.ui.say("none of the base's layers is found here: nothing is made against them");
    }
    if !layers.absent.is_empty() {
        let number = count(layers.absent.len() as u64, "layer");
        session.ui.say(&format!("{number} of the base could not be used: not found here"));
    }
}
