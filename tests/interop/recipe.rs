//! What a recipe means for the config of an image: the same as for buildah.

use barge::platform::Platform;
use barge::recipe::ignore::Ignore;
use barge::recipe::plan::{Bases, Request, Work as Step};
use barge::recipe::{Dialect, Recipe, config, evaluate};
use serde_json::{Map, Value};

use crate::work::{Work, work};

/// What is compared: all that an instruction can change.
const FIELDS: [&str; 12] = [
    "Env",
    "Cmd",
    "Entrypoint",
    "WorkingDir",
    "User",
    "ExposedPorts",
    "Volumes",
    "StopSignal",
    "Labels",
    "Healthcheck",
    "OnBuild",
    "Shell",
];

/// Recipes without their FROM, which is scratch. Two things that docker's reference says are not here, because buildah 1.28
/// does not do them: CMD and ENTRYPOINT use the SHELL above them, and the escape character of a directive counts inside
/// words too.
const RECIPES: [(&str, &str); 25] = [
    ("variables", "ENV a=1 b=\"x y\" c='$a' d=\\$a\nENV a=2 e=$a f=${a}3 g=${none} PATH=/opt:$PATH"),
    ("alternatives", "ENV a=1 z=\nENV b=${a:-n} c=${u:-n} d=${z:-n} e=${a:+y} f=${u:+y} g=${u:-${a}} h=\"${u:-i j}\""),
    ("old pairs", "ENV a b  c\nLABEL d e f"),
    ("quotes", "ENV a=\"$PATH\" b='\"' c=\"'\" d=x\\ y e=\"\\\"q\\\"\" f=a\"b\"'c'\nLABEL \"k k\"=\"v v\" k2='v\"2'"),
    ("continued", "ENV a=1 \\\n  b=2 \\\n# in between\n  c=3\nLABEL x=1 \\\n\ty=2"),
    ("arguments", "ARG a=1\nARG b=$a\nARG GIVEN=no\nLABEL x=$a$b y=$GIVEN\nENV a=env\nLABEL z=$a"),
    ("platform", "ARG TARGETARCH\nARG TARGETOS\nARG TARGETPLATFORM\nLABEL x=$TARGETARCH y=$TARGETOS z=$TARGETPLATFORM"),
    ("exec", "ENTRYPOINT [\"/e\", \"$HOME\", \"a b\"]\nCMD [\"x\", \"\\u0041\\n\\\"\"]"),
    ("shell", "ENTRYPOINT exec top -b\nCMD echo $HOME \"a  b\" && x"),
    ("command before entry point", "CMD [\"x\"]\nENTRYPOINT [\"y\"]"),
    ("last command", "CMD [\"x\"]\nCMD y"),
    ("own shell", "SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]"),
    ("half a list", "CMD [ -e x ] && y"),
    ("directories", "WORKDIR /a\nWORKDIR b\nENV c=d\nWORKDIR ../$c/./e"),
    ("user", "ENV u=7\nUSER ${u}:8"),
    ("ports", "ENV p=8080\nEXPOSE 80 53/udp $p/tcp"),
    ("volumes", "ENV v=/data\nVOLUME $v /b\nVOLUME [\"/c d\", \"/e\"]"),
    ("signal", "STOPSIGNAL SIGHUP"),
    ("labels", "ENV a=1\nLABEL a=$a\nLABEL a=2$a b.c/d=\"\""),
    ("check", "HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=2h --retries=3 CMD curl -f x || exit 1"),
    ("check in words", "HEALTHCHECK CMD [\"/check\", \"$x\"]"),
    ("no check", "HEALTHCHECK CMD x\nHEALTHCHECK NONE"),
    ("triggers", "ONBUILD COPY . /app\nONBUILD ENV a=$b"),
    ("small letters", "env a=1\nlabel b=2\nuser c\nworkdir /d"),
    ("stages", "ENV a=1\nWORKDIR /w\nCMD [\"c\"]\nUSER u\nFROM first\nENV b=$a\nENTRYPOINT [\"e\"]\nWORKDIR x"),
];

pub(crate) fn picked(config: &Value) -> Map<String, Value> {
    let kept = |name: &str| {
        let mut value = config.get(name)?.clone();
        if let Some(labels) = value.as_object_mut() {
            labels.shift_remove("io.buildah.version");
        }
        let is_empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        };
        (!is_empty).then(|| (name.to_owned(), value))
    };
    FIELDS.iter().filter_map(|name| kept(name)).collect()
}

fn ours(text: &str) -> Map<String, Value> {
    let platform: Platform = "linux/arm64".parse().unwrap();
    let recipe = Recipe::parse("Containerfile", text.as_bytes(), Dialect::Containerfile).unwrap();
    let build_args = [("GIVEN".to_owned(), "yes".to_owned())];
    let request = Request { target: None, platform: &platform, build_platform: &platform, build_args: &build_args };
    let plan = evaluate(&recipe, &request, &Bases::new()).unwrap();
    let mut made = config::scratch(&platform);
    for step in plan.stages.iter().flat_map(|stage| &stage.steps) {
        if let Step::Config(changes) = &step.work {
            changes.iter().for_each(|change| config::apply(&mut made, change));
        }
    }
    picked(&made["config"])
}

fn buildahs(work: &Work, name: &str, text: &str) -> Map<String, Value> {
    work.write("context/Containerfile", text);
    let id = work.run(
        "buildah bud --isolation chroot --layers=false --format docker --platform linux/arm64 -q --build-arg GIVEN=yes \
         -f context/Containerfile context",
    );
    let image = work.json(&format!("buildah inspect --type image {id}"));
    assert!(image["Docker"]["config"].is_object(), "{name}");
    picked(&image["Docker"]["config"])
}

#[test]
fn a_recipe_means_the_same_to_buildah() {
    let Some(work) = work(&["buildah", "root"]) else { return };
    std::fs::create_dir(work.path("context")).unwrap();
    work.write("context/file", "x");
    let mut different = Vec::new();
    for (name, body) in RECIPES {
        let text = format!("FROM scratch AS first\n{body}\nCOPY file /file\n");
        let (got, expected) = (Value::from(ours(&text)), Value::from(buildahs(&work, name, &text)));
        if got != expected {
            different.push(format!("{name}:\n  got      {got}\n  expected {expected}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Files of a context, and what stands in ignore files for it.
const FILES: [&str; 12] = [
    "a.go",
    "b.md",
    "README.md",
    "temp",
    "tempa",
    "x/a.go",
    "x/temp/deep",
    "x/y/a.o",
    "x/y/b.md",
    "docs/a",
    "docs/keep/b",
    "é",
];
const IGNORES: [&str; 16] = [
    "*.md\n!README.md",
    "**/*.md\n!README.md\n!x/y",
    "*/temp*",
    "temp?",
    "docs\n!docs/keep",
    "docs/*\n!docs/keep",
    "*\n!x/y/*.o",
    "**/a*",
    "x/**",
    "x/**/a.*",
    "**\n!docs",
    "/x/y/\n# a.go\n ./b.md ",
    "[a-b].*\n!b*",
    "[^a-z]*",
    "?",
    "x/y/../temp\n!x/temp/deep\nx/t*",
];

#[test]
fn an_ignore_file_leaves_out_what_buildah_leaves_out() {
    let Some(work) = work(&["buildah", "root"]) else { return };
    for file in FILES {
        std::fs::create_dir_all(work.path(&format!("context/{file}")).parent().unwrap()).unwrap();
        work.write(&format!("context/{file}"), file);
    }
    work.write("Containerfile", "FROM scratch\nCOPY . /\n");
    for patterns in IGNORES {
        work.write("context/.containerignore", patterns);
        let id = work.run(
            "buildah bud --isolation chroot --layers=false -q -f Containerfile --ignorefile context/.containerignore context",
        );
        let container = work.run(&format!("buildah from {id}"));
        let root = std::path::PathBuf::from(work.run(&format!("buildah mount {container}")));
        let ignore = Ignore::parse(".containerignore", patterns.as_bytes()).unwrap();
        for file in FILES {
            assert_eq!(!ignore.excludes(file), root.join(file).is_file(), "{patterns:?} {file}");
        }
        work.run(&format!("buildah rm {container}"));
    }
}
