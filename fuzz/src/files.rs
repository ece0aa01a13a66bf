//! Files that a user has from somebody else: recipes, lists, what stands beside an archive.

use barge::bundle::{PackingList, PartNames, PartNote, Receipt};
use barge::image_list::{Expected, ImageList};
use barge::platform::Platform;
use barge::recipe::ignore::Ignore;
use barge::recipe::plan::{Bases, Inherited, Request};
use barge::recipe::{Dialect, Recipe, bases, evaluate};

use crate::{is_plain, shown};

/// A Containerfile or a Kubefile, evaluated for a platform with bases that have `ONBUILD` of their own.
pub fn containerfile(input: &[u8]) {
    let Some((first, text)) = input.split_first() else { return };
    let dialect = if first & 1 == 0 { Dialect::Containerfile } else { Dialect::Kubefile };
    if let Ok(ignore) = Ignore::parse("it", text) {
        let _ = ignore.excludes("a/b/c");
    }
    let recipe = match Recipe::parse("it", text, dialect) {
        Ok(recipe) => recipe,
        Err(error) => return shown(&error),
    };
    let platform = Platform::local();
    let arguments = [("A".to_owned(), "a b$C".to_owned())];
    let request = Request { target: None, platform: &platform, build_platform: &platform, build_args: &arguments };
    let mut known = Bases::new();
    // what a stage starts from may say what the next one starts from
    for _ in 0..8 {
        match bases(&recipe, &request, &known) {
            Ok(wanted) => {
                for (_, base) in wanted {
                    let inherited = Inherited {
                        environment: vec!["PATH=/bin".to_owned(), "C=$A".to_owned()],
                        on_build: vec!["COPY . /on".to_owned()],
                        ..Inherited::default()
                    };
                    known.insert(base, inherited);
                }
            }
            Err(error) => return shown(&error),
        }
    }
    match evaluate(&recipe, &request, &known) {
        Ok(plan) => plan.warnings.iter().for_each(|warning| is_plain(&warning.message)),
        Err(error) => shown(&error),
    }
}

/// A list of images: words, YAML, JSON.
pub fn image_list(input: &[u8]) {
    let Some((first, text)) = input.split_first() else { return };
    let expected = if first & 1 == 0 { Expected::Anything } else { Expected::Manifests };
    let mut list = ImageList::default();
    if let Err(error) = list.add("list", text, expected) {
        shown(&error);
    }
    list.images().iter().for_each(|image| is_plain(&image.to_string()));
    list.notes().iter().for_each(|note| is_plain(note));
}

/// `bundle.json`, a receipt, the note on a part, the name of a part: what is taken is what it prints.
pub fn packing_list(input: &[u8]) {
    match PackingList::parse(input) {
        Ok(list) => {
            let again = PackingList::parse(&list.encode()).expect("what is printed is a packing list");
            assert_eq!(again.encode(), list.encode());
            drop((list.left_out_sizes(), list.part(), list.is_delta()));
        }
        Err(error) => shown(&error),
    }
    match Receipt::parse(input) {
        Ok(receipt) => {
            let again = Receipt::parse(&receipt.encode()).expect("what is printed is a receipt");
            assert_eq!(again.encode(), receipt.encode());
        }
        Err(error) => shown(&error),
    }
    match PartNote::parse(input) {
        Ok(note) => {
            let again = PartNote::parse(&note.encode()).expect("what is printed is a note");
            assert_eq!(again.encode(), note.encode());
        }
        Err(error) => shown(&error),
    }
    if let Ok(name) = std::str::from_utf8(input) {
        drop(PartNames::recognised(name));
    }
}
