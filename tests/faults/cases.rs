//! The commands that are disturbed, and what each starts with.

use super::shapes::Shape;

/// A command line, and the place it changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) shape: Shape,
    /// What of `../start` lies in the working directory at first.
    pub(crate) start: &'static [&'static str],
    pub(crate) target: &'static str,
    /// Without `--jobs`: with one job all that matters happens in one thread, in the same order every time.
    pub(crate) line: &'static str,
}

const fn case(start: &'static [&'static str], target: &'static str, line: &'static str) -> Case {
    Case { shape: Shape::Place, start, target, line }
}

const fn whole(start: &'static [&'static str], target: &'static str, line: &'static str) -> Case {
    Case { shape: Shape::Whole, start, target, line }
}

const fn parts(start: &'static [&'static str], target: &'static str, line: &'static str) -> Case {
    Case { shape: Shape::Parts, start, target, line }
}

impl Case {
    /// Returns the end of the path that is renamed to in the one step that shows.
    pub(crate) fn shows_at(&self) -> String {
        self.shape.shows_at(self.target)
    }

    /// Returns whether threads besides the first change something.
    pub(crate) fn is_threaded(&self) -> bool {
        self.shape == Shape::Parts
    }
}

pub(crate) const MERGE: &[Case] = &[
    case(&["old"], "old", "merge -o old -t app:v2 ../in/amd64 ../in/arm64.tar"),
    case(&[], "new", "merge -o new -t app:v2 ../in/amd64 ../in/arm64.tar"),
    case(&["old.tar"], "old.tar", "merge -o old.tar -t app:v2 ../in/amd64 ../in/arm64.tar"),
    case(&[], "new.tar", "merge -o new.tar -t app:v2 ../in/amd64 ../in/arm64.tar"),
];

pub(crate) const COPY: &[Case] = &[
    case(&["old"], "old", "copy ../in/two old"),
    case(&["old"], "old", "copy ../in/two.tar old"),
    case(&[], "new", "copy ../in/two.tar new"),
    case(&["old.tar"], "old.tar", "copy ../in/two old.tar"),
    case(&[], "new.tar", "copy ../in/two.tar new.tar"),
];

pub(crate) const SAVE: &[Case] = &[
    case(&[], "new.tar", "save -o new.tar ../in/two"),
    case(&["old.tar"], "old.tar", "save --force -o old.tar ../in/two"),
];

pub(crate) const LOAD: &[Case] =
    &[case(&["old"], "old", "load -i ../in/two.tar -o old"), case(&[], "new", "load -i ../in/two.tar -o new")];

/// Out of the file system that is written, so that blobs are cloned on those that can.
pub(crate) const CLONED: &[Case] = &[
    case(&["full"], "new.tar", "save --align -o new.tar full"),
    case(&["aligned.tar"], "new", "load -i aligned.tar -o new"),
    case(&["full"], "new", "copy full new"),
];

pub(crate) const TAG: &[Case] = &[
    case(&["old"], "old", "tag old:keep:v1 other:v1 other:v2"),
    case(&["old.tar"], "old.tar", "tag old.tar:keep:v1 other:v1"),
];

pub(crate) const RM: &[Case] = &[
    case(&["full"], "full", "rm full:app:v1"),
    case(&["full"], "full", "rm --gc full:app:v1"),
    case(&["full"], "full", "rm --platform linux/arm64 full:app:v1"),
];

pub(crate) const GC: &[Case] = &[case(&["litter"], "litter", "gc --grace 0 litter")];

pub(crate) const BUILD: &[Case] = &[
    case(&["old"], "old", "build -o old -t built:v1 --platform linux/amd64,linux/arm64 ../in/context"),
    case(&[], "new", "build -o new -t built:v1 --platform linux/amd64,linux/arm64 ../in/context"),
    case(&[], "new.tar", "build -o new.tar -t built:v1 --platform linux/amd64,linux/arm64 ../in/context"),
];

pub(crate) const ATTACH: &[Case] = &[case(&["old"], "old", "attach old:keep:v1 --type test/note ../in/note.txt")];

pub(crate) const SIGN: &[Case] = &[
    case(&["old"], "old", "sign --key ../in/release.key old:keep:v1"),
    case(&["old"], "old", "sign --as referrer --key ../in/release.key old:keep:v1"),
];

pub(crate) const MANIFEST: &[Case] = &[
    case(&["old"], "old", "-L old manifest create list:v1 ../in/amd64"),
    case(&["full"], "full", "-L full manifest add app:v1 ../in/s390x.tar"),
    case(&["full"], "full", "-L full manifest annotate --index --annotation by=us app:v1"),
];

pub(crate) const EDIT: &[Case] = &[
    case(&["full"], "full", "edit full:app:v1 -t app:v1 --env A=B"),
    case(&["old.tar"], "old.tar", "edit old.tar:keep:v1 -t keep:v2 --env A=B"),
    case(&[], "new.tar", "edit ../in/two:app:v1 -o new.tar -t app:v1 --env A=B"),
];

pub(crate) const CONVERT: &[Case] = &[
    case(&["full"], "full", "convert --compression gzip full:app:v1"),
    case(&["old"], "old", "convert --to docker -o old -t app:v2 ../in/two:app:v1"),
    case(&[], "new.tar", "convert --compression zstd -o new.tar -t app:v2 ../in/two:app:v1"),
];

/// Parts have at least 1 MiB.
pub(crate) const SPLIT: &[Case] = &[
    parts(&[], "p.tar", "save --split 1M -o p.tar ../in/two"),
    parts(&[], "p.tar", "save --split 1M --split-mode archive -o p.tar ../in/two"),
    parts(&["set"], "set/p.tar", "save --force --split 1M -o set/p.tar ../in/two"),
];

/// It lacks what the other side has, so it is no archive that could be looked at by itself.
pub(crate) const DELTA: &[Case] = &[
    whole(&[], "delta.tar", "save --base ../in/site.json -o delta.tar ../in/two"),
    whole(&[], "delta.tar", "save --base ../in/site.json --sign-key ../in/release.key -o delta.tar ../in/two"),
];

pub(crate) const RECEIPT: &[Case] = &[
    whole(&[], "site.json", "receipt -o site.json ../in/two"),
    whole(&["site.json"], "site.json", "receipt --sign-key ../in/release.key -o site.json ../in/two"),
];

pub(crate) const UNPACK: &[Case] = &[whole(&[], "root", "unpack --platform linux/amd64 ../in/files:built:v1 root")];

pub(crate) const LOGOUT: &[Case] = &[Case {
    shape: Shape::Passwords,
    start: &["auth.json"],
    target: "auth.json",
    line: "logout --authfile auth.json a.example",
}];

/// Every command that makes or changes a layout or an archive.
pub(crate) const ALL: &[&[Case]] =
    &[MERGE, COPY, SAVE, LOAD, CLONED, TAG, RM, GC, BUILD, ATTACH, SIGN, MANIFEST, EDIT, CONVERT];

/// Every command that makes something else.
pub(crate) const OTHERS: &[&[Case]] = &[SPLIT, DELTA, RECEIPT, UNPACK, LOGOUT];

pub(crate) fn every() -> impl Iterator<Item = &'static Case> {
    ALL.iter().chain(OTHERS).copied().flatten()
}
