//! The commands that are disturbed, and what each starts with.

/// A command line, and the place it changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// What of `../start` lies in the working directory at first.
    pub(crate) start: &'static [&'static str],
    pub(crate) target: &'static str,
    /// Without `--jobs`: with one job all that matters happens in one thread, in the same order every time.
    pub(crate) line: &'static str,
}

const fn case(start: &'static [&'static str], target: &'static str, line: &'static str) -> Case {
    Case { start, target, line }
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

pub(crate) const EDIT: &[Case] = &[case(&["full"], "full", "edit full:app:v1 -t app:v1 --env A=B")];

/// Every command.
pub(crate) const ALL: &[&[Case]] = &[MERGE, COPY, SAVE, LOAD, TAG, RM, GC, BUILD, ATTACH, SIGN, MANIFEST, EDIT];
