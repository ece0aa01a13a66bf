//! The layers of `src/`: who may know whom. A `use` that climbs, or a backend that knows its neighbour, fails here.

#![allow(clippy::unwrap_used, clippy::panic)] // all of this is tests

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// The layers from the bottom up: a module may know what stands in a row above its own (that is: earlier), and itself.
/// A name ending in `::` stands for that module and all below it.
const LAYERS: [&[&str]; 12] = [
    // words: no I/O
    &["text"],
    &["digest", "media", "platform", "reference", "error", "json", "regzip", "signing", "tar", "yaml"],
    // content and documents
    &["content", "positions"],
    &["blob", "document", "image_list", "pack", "recipe", "sigstore_bundle", "simple_signing"],
    &["bundle", "compact"],
    &["sync_file"],
    // the contract
    &["store"],
    // backends, and layers from files: know the above, never each other
    &["store::names", "store::flock", "store::lanes", "store::room"],
    &["store::referrer_list", "store::beside"],
    &["store::memory", "store::layout", "store::archive", "store::registry", "layer"],
    // the engine, which knows the contract and no backend
    &["graph", "plan", "transfer"],
    // operations
    &["ops"],
];

/// What only the terminal may use.
const TERMINAL_ONLY: [&str; 5] = ["clap", "unicode_width", "signal_hook", "std::env", "std::process"];

/// Exceptions, each with its reason.
const ALLOWED: [(&str, &str); 4] = [
    // facts of the executable, fixed when it was compiled
    ("platform", "std::env::consts"),
    // digests, media types and references belong to the words, and refuse each other's texts
    ("reference", "digest"),
    ("content", "platform"),
    // a credential helper is a program
    ("store::registry", "std::process"),
];

/// Modules of the engine must not know a backend, although backends stand below them.
const ENGINE: [&str; 3] = ["graph", "plan", "transfer"];
const BACKENDS: [&str; 6] =
    ["store::memory", "store::layout", "store::archive", "store::registry", "store::names", "store::referrer_list"];

struct Uses {
    paths: BTreeSet<String>,
    in_tests: usize,
}

impl<'ast> Visit<'ast> for Uses {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let test = item.attrs.iter().any(|attribute| {
            attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|ident| ident == "test")
        });
        self.in_tests += usize::from(test);
        visit::visit_item_mod(self, item);
        self.in_tests -= usize::from(test);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if self.in_tests == 0 {
            flatten(&item.tree, String::new(), &mut self.paths);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if self.in_tests == 0 && path.segments.len() > 1 {
            let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.paths.insert(names.join("::"));
        }
        visit::visit_path(self, path);
    }
}

fn flatten(tree: &syn::UseTree, before: String, paths: &mut BTreeSet<String>) {
    let join = |name: &str| if before.is_empty() { name.to_owned() } else { format!("{before}::{name}") };
    match tree {
        syn::UseTree::Path(path) => flatten(&path.tree, join(&path.ident.to_string()), paths),
        syn::UseTree::Name(name) => drop(paths.insert(join(&name.ident.to_string()))),
        syn::UseTree::Rename(name) => drop(paths.insert(join(&name.ident.to_string()))),
        syn::UseTree::Glob(_) => drop(paths.insert(before)),
        syn::UseTree::Group(group) => group.items.iter().for_each(|item| flatten(item, before.clone(), paths)),
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Returns the module of a file: `store::archive::read` for `src/store/archive/read.rs`.
fn module_of(path: &Path, src: &Path) -> String {
    let relative = path.strip_prefix(src).unwrap().with_extension("");
    let mut names: Vec<String> = relative.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "mod");
    names.join("::")
}

/// Returns the paths that a file uses, `crate`, `self` and `super` resolved, `std` and crates as they are.
fn uses_of(path: &Path, module: &str) -> BTreeSet<String> {
    let file = syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap();
    let mut uses = Uses { paths: BTreeSet::new(), in_tests: 0 };
    uses.visit_file(&file);
    let is_mod = path.file_name().is_some_and(|name| name == "mod.rs");
    let resolve = |used: String| {
        let mut here: Vec<&str> = module.split("::").collect();
        if !is_mod && used.starts_with("super") {
            here.pop();
        }
        let mut rest = used.as_str();
        if let Some(path) = rest.strip_prefix("crate::") {
            return path.to_owned();
        }
        if !rest.starts_with("super") && !rest.starts_with("self") {
            return used;
        }
        let mut first = true;
        while let Some(path) = rest.strip_prefix("super::") {
            if !first || is_mod {
                here.pop();
            }
            first = false;
            rest = path;
        }
        let rest = rest.strip_prefix("self::").unwrap_or(rest);
        here.push(rest);
        here.join("::")
    };
    uses.paths.into_iter().map(resolve).collect()
}

/// Returns the longest entry of the table that a path lies under, and its layer.
fn layer_of(path: &str) -> Option<(&'static str, usize)> {
    let under = |entry: &str| path == entry || path.starts_with(&format!("{entry}::"));
    let entries =
        LAYERS.iter().enumerate().flat_map(|(layer, entries)| entries.iter().map(move |entry| (*entry, layer)));
    entries.filter(|(entry, _)| under(entry)).max_by_key(|(entry, _)| entry.len())
}

fn library_files() -> (PathBuf, Vec<PathBuf>) {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = files(&src);
    files.retain(|path| {
        !path.starts_with(src.join("cli")) && !path.ends_with("main.rs") && !path.ends_with("src/lib.rs")
    });
    (src, files)
}

#[test]
fn no_module_knows_what_stands_above_it() {
    let (src, files) = library_files();
    let mut faults = Vec::new();
    for path in files {
        let module = module_of(&path, &src);
        let (own, layer) = layer_of(&module).unwrap_or_else(|| panic!("{module} is in no layer: add it to the table"));
        for used in uses_of(&path, &module) {
            let Some((other, below)) = layer_of(&used) else { continue };
            let engine_and_backend = ENGINE.contains(&own) && BACKENDS.contains(&other);
            let climbs = below > layer || engine_and_backend;
            let sideways = below == layer && other != own && layer > 1 && !ENGINE.contains(&own);
            let declared = own == "store" && module == "store"; // `store` declares its backends, and uses none
            if (climbs || sideways) && !declared && !ALLOWED.contains(&(own, other)) {
                faults.push(format!("{module} uses {used}"));
            }
        }
    }
    assert!(faults.is_empty(), "these climb:\n{}", faults.join("\n"));
}

#[test]
fn only_the_terminal_knows_the_terminal() {
    let (src, files) = library_files();
    let mut faults = Vec::new();
    for path in files {
        let module = module_of(&path, &src);
        for used in uses_of(&path, &module) {
            let own = layer_of(&module).map_or("", |(own, _)| own);
            let allowed = ALLOWED.iter().any(|(who, what)| *who == own && used.starts_with(what));
            let forbidden = TERMINAL_ONLY.iter().any(|path| used == *path || used.starts_with(&format!("{path}::")));
            // a process id in the name of a temporary file is no business with processes
            if forbidden && !allowed && used != "std::process::id" {
                faults.push(format!("{module} uses {used}"));
            }
        }
    }
    assert!(faults.is_empty(), "only src/cli may:\n{}", faults.join("\n"));
}

#[test]
fn only_registries_open_a_socket() {
    const NETWORK: [&str; 9] = [
        "std::net",
        "std::os::unix::net",
        "ureq",
        "rustls",
        "tokio",
        "tokio_rustls",
        "hyper",
        "hyper_util",
        "http_body",
    ];
    // the one asks, the other answers
    const REGISTRIES: [&str; 2] = ["store::registry", "ops::serve"];
    let (src, files) = library_files();
    let mut used_there = [false; REGISTRIES.len()];
    for path in files {
        let module = module_of(&path, &src);
        let under = |name: &str| module == name || module.starts_with(&format!("{name}::"));
        let registry = REGISTRIES.iter().position(|name| under(name));
        for used in uses_of(&path, &module) {
            let network = NETWORK.iter().any(|name| used == *name || used.starts_with(&format!("{name}::")));
            assert!(!network || registry.is_some(), "{module} uses {used}");
            if let Some(registry) = registry {
                used_there[registry] |= network;
            }
        }
    }
    assert_eq!(used_there, [true; REGISTRIES.len()], "the rule looks for nothing that is there");
}

#[test]
fn a_file_has_one_idea() {
    const MOST: usize = 600;
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in files(&src) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= MOST, "{} has {lines} lines, and {MOST} is the limit", path.display());
    }
}

#[test]
fn the_table_is_not_empty_talk() {
    // the resolver finds what it should: a file known to use the layer below
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let uses = uses_of(&src.join("graph/mod.rs"), "graph");
    assert!(uses.contains("store::Source"), "{uses:?}");
    assert_eq!(layer_of("store::archive::read").unwrap().0, "store::archive");
    assert_eq!(layer_of("store::Source").unwrap().0, "store");
}
