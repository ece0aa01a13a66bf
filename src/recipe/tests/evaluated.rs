use serde_json::json;

use super::*;
use crate::platform::Platform;
use crate::recipe::plan::{Base, BaseImage, Bases, Change, Copy, From, Inherited, Plan, Request, Work};

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

struct Case {
    dialect: Dialect,
    platform: Platform,
    build_args: Vec<(String, String)>,
    target: Option<&'static str>,
    known: Bases,
}

impl Case {
    fn new() -> Self {
        Self {
            dialect: Dialect::Containerfile,
            platform: platform("linux/arm64"),
            build_args: Vec::new(),
            target: None,
            known: Bases::new(),
        }
    }

    fn args(pairs: &[(&str, &str)]) -> Self {
        let build_args = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { build_args, ..Self::new() }
    }

    fn base(mut self, word: &str, inherited: Inherited) -> Self {
        self.known.insert(BaseImage { word: word.to_owned(), platform: self.platform.clone() }, inherited);
        self
    }

    fn plan(&self, text: &str) -> Result<Plan, RecipeError> {
        let recipe = Recipe::parse("F", text.as_bytes(), self.dialect)?;
        let build_platform = platform("linux/amd64");
        let request = Request {
            target: self.target,
            platform: &self.platform,
            build_platform: &build_platform,
            build_args: &self.build_args,
        };
        evaluate(&recipe, &request, &self.known)
    }

    /// The steps of the last stage as the history tells them.
    fn history(&self, text: &str) -> Vec<String> {
        let plan = self.plan(text).unwrap();
        plan.stages.last().unwrap().steps.iter().map(|step| step.created_by.clone()).collect()
    }

    fn copies(&self, text: &str) -> Vec<Copy> {
        let steps = self.plan(text).unwrap().stages.pop().unwrap().steps;
        let copy = |work| match work {
            Work::Files(copy) => Some(copy),
            _ => None,
        };
        steps.into_iter().filter_map(|step| copy(step.work)).collect()
    }
}

#[test]
fn variables_are_those_of_docker() {
    let case = Case::args(&[("GIVEN", "g"), ("TOP", "over")]);
    for (text, last) in [
        ("ENV a=1\nENV a=2 b=$a\nLABEL x=$a$b", "LABEL x=21"),
        ("ENV a=1 b=${a:-none}", "ENV a=1 b=none"),
        ("ARG a=1\nENV a=2\nARG a=3\nUSER $a", "USER 2"),
        ("ARG a=1 b=$a\nUSER $b", "USER 1"),
        ("ARG GIVEN=default\nUSER $GIVEN", "USER g"),
        ("ARG GIVEN\nUSER $GIVEN", "USER g"),
        ("USER ${GIVEN:-unseen}", "USER unseen"),
        ("ARG TOP\nUSER $TOP", "USER over"),
        ("ARG SET\nUSER $SET", "USER topoverset"),
        ("USER ${SET:-unseen}", "USER unseen"),
        (
            "ARG TARGETPLATFORM TARGETARCH TARGETVARIANT BUILDARCH\nUSER $TARGETPLATFORM-$TARGETARCH-$TARGETVARIANT-$BUILDARCH",
            "USER linux/arm64-arm64--amd64",
        ),
        ("USER ${TARGETARCH:-unseen}", "USER unseen"),
        ("USER $ARCH", "USER arm64"),
        (
            "ARG ARCH=own
USER $ARCH",
            "USER own",
        ),
        ("CMD $HOME [ ${x} ]", r#"CMD ["/bin/sh","-c","$HOME [ ${x} ]"]"#),
        ("ENTRYPOINT [\"$HOME\"]", r#"ENTRYPOINT ["$HOME"]"#),
        ("ENV k=v\nLABEL \"$k x\"='$k' b=\"$k\" c=\\$k", "LABEL v x=$k b=v c=$k"),
        ("ENV p=\"8080 9090/udp\"\nEXPOSE $p 53", "EXPOSE 53/tcp 8080/tcp 9090/udp"),
        ("ENV s=HUP\nSTOPSIGNAL SIG$s", "STOPSIGNAL SIGHUP"),
        ("ENV v=/data\nVOLUME $v /x", "VOLUME /data /x"),
        ("ENV v=/data\nVOLUME [\"$v y\"]", "VOLUME /data y"),
        ("WORKDIR /a\nENV d=c\nWORKDIR b/../$d", "WORKDIR /a/c"),
        ("ENV PATH=/opt:$PATH", "ENV PATH=/opt:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("ENV d=c\nONBUILD ENV e=$d", "ONBUILD ENV e=$d"),
    ] {
        let file = format!("ARG TOP=top\nARG SET=top${{TOP}}set\nFROM scratch\n{text}\n");
        assert_eq!(case.history(&file).last().unwrap(), last, "{text}");
    }
}

#[test]
fn a_file_that_makes_its_own_arch_has_no_other() {
    let line = "USER ${ARCH:-unseen}";
    assert_eq!(Case::new().history(&format!("FROM scratch\n{line}")), ["USER arm64"]);
    for own in ["ARG ARCH", "ENV ARCH="] {
        assert_eq!(Case::new().history(&format!("FROM scratch\n{line}\n{own}"))[0], "USER unseen", "{own}");
    }
    let file = "ARG ARCH=top\nFROM scratch\nARG ARCH\nUSER $ARCH";
    assert_eq!(Case::new().history(file)[1], "USER top");
}

#[test]
fn what_stages_start_from_is_filled_in_and_only_what_is_needed_is_planned() {
    let text = "ARG V=1\nFROM --platform=$BUILDPLATFORM tool:$V AS tool\nFROM other AS unused\nRUN x\n\
                FROM tool AS next\nFROM scratch\nCOPY --from=NEXT /a /b\nCOPY --from=1.2.3.4/x:1 c d\n";
    let plan = Case::new().plan(text).unwrap();
    let stages: Vec<_> =
        plan.stages.iter().map(|stage| (stage.number, stage.base.clone(), stage.platform.to_string())).collect();
    let amd64 = "linux/amd64".to_owned();
    assert_eq!(
        stages,
        [
            (0, Base::Image("tool:1".to_owned()), amd64.clone()),
            (2, Base::Stage(0), amd64),
            (3, Base::Scratch, "linux/arm64".to_owned())
        ]
    );
    let copies = Case::new().copies(text);
    assert_eq!(copies[0].from, From::Stage(2));
    assert_eq!(copies[1].from, From::Reference("1.2.3.4/x:1".to_owned()));
    let error = Case { target: Some("unused"), ..Case::new() }.plan(text).unwrap_err();
    assert_eq!((error.line, error.class), (Some(4), Class::Unsupported));
    assert!(error.to_string().contains("RUN") && error.hint.unwrap().contains("COPY the result"));
    assert_eq!(Case { target: Some("gone"), ..Case::new() }.plan(text).unwrap_err().class, Class::Absent);
}

#[test]
fn the_images_that_have_to_be_known_are_asked_for_until_all_are() {
    let text = "FROM extra AS extra\nFROM far AS far\nFROM base\nWORKDIR app\nCOPY a b\nCMD x\n";
    let recipe = Recipe::parse("F", text.as_bytes(), Dialect::Containerfile).unwrap();
    let mut case = Case::new();
    let arm64 = platform("linux/arm64");
    let request = Request { target: None, platform: &arm64, build_platform: &arm64, build_args: &[] };
    let asked = |known: &Bases| {
        let asked = bases(&recipe, &request, known).unwrap();
        asked.into_iter().map(|(line, image)| (line, image.word)).collect::<Vec<_>>()
    };
    assert_eq!(asked(&case.known), [(3, "base".to_owned())]);
    let config = json!({"config": {"Env": ["D=/e"], "WorkingDir": "/srv", "Shell": ["/bin/bash", "-c"],
        "OnBuild": ["COPY --from=extra $D f", "USER 7"]}});
    case = case.base("base", Inherited::from_config(&config));
    assert_eq!(asked(&case.known), [(1, "extra".to_owned())]);
    case = case.base("extra", Inherited::default());
    assert!(asked(&case.known).is_empty());
    assert_eq!(
        case.history(text),
        [
            "COPY --from=extra /e /srv/f",
            "USER 7",
            "WORKDIR /srv/app",
            "COPY a /srv/app/b",
            r#"CMD ["/bin/bash","-c","x"]"#
        ]
    );
    let run = Inherited { on_build: vec!["RUN x".to_owned()], ..Inherited::default() };
    let error = Case::new().base("base", run).plan("FROM base").unwrap_err();
    assert_eq!((error.line, error.class), (Some(1), Class::Unsupported));
    for trigger in ["", "USER a\nUSER b", "FROM x", "COPPY a b"] {
        let odd = Inherited { on_build: vec![trigger.to_owned()], ..Inherited::default() };
        assert_eq!(Case::new().base("base", odd).plan("FROM base").unwrap_err().line, Some(1), "{trigger}");
    }
}

#[test]
fn a_stage_brings_its_variables_and_triggers_to_the_next() {
    let text = "FROM scratch AS a\nARG x=1\nENV y=2\nWORKDIR /w\nCMD c\nONBUILD ENV z=3\n\
                FROM a\nCOPY $x$y$z .\nENTRYPOINT [\"e\"]";
    assert_eq!(Case::new().history(text), ["ENV z=3", "COPY 123 /w/", r#"ENTRYPOINT ["e"]"#]);
    let plan = Case::new().plan(text).unwrap();
    let last = plan.stages[1].steps.last().unwrap().work.clone();
    assert_eq!(last, Work::Config(vec![Change::Entrypoint { words: vec!["e".to_owned()], clears_cmd: true }]));
    let own = Case::new().plan("FROM scratch\nCMD [\"c\"]\nENTRYPOINT [\"e\"]").unwrap();
    let kept = Change::Entrypoint { words: vec!["e".to_owned()], clears_cmd: false };
    assert_eq!(own.stages[0].steps[1].work, Work::Config(vec![kept]));
}

#[test]
fn copies_are_planned() {
    let text = "FROM scratch\nWORKDIR /w\nENV n=v f=x.tar\nCOPY --chown=$n:0 --chmod=4755 --exclude=*.o a* $n/ .\n\
                COPY ${ARCH}/helm bin\nADD $f /\nCOPY <<a <<'b' /d/\n$n \\$n \"q\"\na\n$n\nb\n";
    let copies = Case::new().copies(text);
    let first = &copies[0];
    assert_eq!((first.sources.join(" "), first.destination.as_str()), ("a* v/".to_owned(), "/w/"));
    assert_eq!((first.chown.as_deref(), first.chmod), (Some("v:0"), Some(0o4755)));
    assert!(first.excludes.excludes("x.o") && !first.unpack);
    assert_eq!((copies[1].sources.join(" "), copies[1].destination.as_str()), ("arm64/helm".to_owned(), "/w/bin"));
    assert!(copies[2].unpack);
    let pair = |name: &str, content: &str| (name.to_owned(), content.to_owned());
    assert_eq!(copies[3].inline, [pair("a", "v $n \"q\"\n"), pair("b", "$n\n")]);
}

#[test]
fn what_cannot_be_planned_is_refused_with_its_line() {
    for (text, class, complaint) in [
        ("ADD https://example.com/x /", Class::Unsupported, "opens no connection"),
        ("ADD git@example.com:x.git /", Class::Unsupported, "opens no connection"),
        ("COPY ../x /", Class::Usage, "leads out of the context"),
        ("COPY a b /c", Class::Usage, "\"/c\" is no directory"),
        ("COPY $none /c", Class::Usage, "\"$none\" is empty"),
        ("COPY \"a b\" /c", Class::Usage, "a \" has no end"),
        ("COPY --chmod=u+x a b", Class::Usage, "an octal mode such as 0755"),
        ("COPY --chmod=99999 a b", Class::Usage, "an octal mode"),
        ("COPY --exclude=[ a b", Class::Usage, "is no pattern"),
        ("COPY --from=$x a b", Class::Unsupported, "holds a variable"),
        ("COPY --from=me a b", Class::Usage, "this very stage"),
        ("COPY --from=0 a b", Class::Usage, "this very stage"),
        ("COPY --from=7 a b", Class::Usage, "is no stage"),
        ("COPY --from=late a b\nFROM scratch AS late", Class::Usage, "the stage of line 3"),
        ("COPY <<../x /\n../x", Class::Usage, "a plain name"),
        ("ENV ${x}=1", Class::Usage, "\"${x}\" is empty"),
        ("LABEL a=${x", Class::Usage, "no }"),
        ("EXPOSE 80:80", Class::Usage, "\"80:80\" is no port"),
        ("EXPOSE $x", Class::Usage, "no port is left"),
        ("STOPSIGNAL SIGTREM", Class::Usage, "\"SIGTREM\" is no signal"),
        ("USER $x", Class::Usage, "is empty"),
        ("WORKDIR ${x:?where}", Class::Usage, "\"where\""),
        ("RUN x <<E\ny\nE", Class::Unsupported, "nothing is ever run"),
    ] {
        let file = format!("FROM scratch AS me\n{text}\n");
        let case = Case { target: Some("me"), ..Case::new() };
        let error = case.plan(&file).unwrap_err();
        assert_eq!((error.line, error.class), (Some(2), class), "{text}: {error}");
        assert!(error.message.contains(complaint), "{text}: {error}");
    }
    for (text, complaint) in
        [("FROM $x", "names no image"), ("FROM --platform=linux/amd46 x", "--platform=linux/amd46")]
    {
        let error = Case::new().plan(text).unwrap_err();
        assert!(error.message.contains(complaint) && error.line == Some(1), "{error}");
    }
}

#[test]
fn several_cmd_of_a_kubefile_are_kept_in_order() {
    let kubefile = Case { dialect: Dialect::Kubefile, ..Case::new() };
    let text = "FROM scratch\nCOPY ${ARCH}/helm bin\nCOPY manifests manifests\nCMD kubectl apply -f manifests\n\
                CMD helm list\nCMDS [\"a b\", \"c\"]";
    let plan = kubefile.plan(text).unwrap();
    // where sealer puts a cluster together, these are directories
    let destination = |plan: &Plan| match &plan.stages[0].steps[0].work {
        Work::Files(copy) => copy.destination.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(destination(&plan), "/bin/");
    assert_eq!(destination(&Case::new().plan("FROM scratch\nCOPY a bin").unwrap()), "/bin");
    let mut config = config::scratch(&kubefile.platform);
    for step in &plan.stages[0].steps {
        if let Work::Config(changes) = &step.work {
            changes.iter().for_each(|change| config::apply(&mut config, change));
        }
    }
    assert_eq!(config["config"]["Cmd"], json!(["kubectl apply -f manifests", "helm list", "a b", "c"]));
    // elsewhere the last one counts
    let last = Case::new().plan("FROM scratch\nCMD [\"a\"]\nCMD [\"b\"]").unwrap().stages[0].steps[1].work.clone();
    assert_eq!(last, Work::Config(vec![Change::Cmd(vec!["b".to_owned()])]));
}

#[test]
fn what_has_no_effect_is_told() {
    let case = Case::args(&[("VERSOIN", "1"), ("http_proxy", "x"), ("TARGETARCH", "x"), ("USED", "1")]);
    let text = "ARG VERSION\nFROM scratch\nARG USED\nUSER a$TARGETOS\nLABEL x=$USDE y=$USED\nCMD $z";
    let said: Vec<_> = case.plan(text).unwrap().warnings.into_iter().map(|it| (it.line, it.message)).collect();
    assert_eq!(
        said,
        [
            (None, "no ARG takes the value of --build-arg VERSOIN; did you mean VERSION?".to_owned()),
            (
                Some(4),
                "$TARGETOS has no value here, and is left empty; ARG TARGETOS makes it known to this stage".to_owned()
            ),
            (Some(5), "$USDE has no value here, and is left empty; did you mean $USED?".to_owned()),
        ]
    );
}

#[test]
fn hostile_growth_ends() {
    let mut text = "FROM scratch\nENV a=xxxxxxxxxxxxxxxx\n".to_owned();
    for _ in 0..40 {
        text.push_str("ENV a=$a$a\n");
    }
    assert!(Case::new().plan(&text).unwrap_err().message.contains("1 MiB"));
    let mut text = "FROM scratch\nENV a=xxxxxxxxxxxxxxxx\n".to_owned() + &"ENV a=$a$a\n".repeat(15);
    for at in 0..5000 {
        text.push_str(&format!("ENV b{at}=$a\n"));
    }
    assert!(Case::new().plan(&text).unwrap_err().message.contains("32 MiB"));
}

mod hostile {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_recipe_breaks_evaluation(lines in prop::collection::vec((0_usize..18, "[a$\\{\\}:+*\"'/ .=0-9<\\[\\]-]{0,12}"), 0..12)) {
            const NAMES: [&str; 18] = ["ADD", "ARG", "CMD", "COPY", "COPY --from=0", "ENTRYPOINT", "ENV", "EXPOSE", "FROM a",
                "FROM scratch AS a\nENV", "HEALTHCHECK CMD", "LABEL", "ONBUILD COPY", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"];
            // a line that cannot be read alone would hide the others
            let mut text = "FROM a\n".to_owned();
            for (name, rest) in lines {
                let longer = format!("{text}{} {rest}\n", NAMES[name]);
                if Recipe::parse("F", longer.as_bytes(), Dialect::Kubefile).is_ok() {
                    text = longer;
                }
            }
            for dialect in [Dialect::Containerfile, Dialect::Kubefile] {
                let case = Case { dialect, ..Case::new() };
                if let Ok(plan) = case.plan(&text) {
                    for step in plan.stages.iter().flat_map(|stage| &stage.steps) {
                        if let Work::Files(copy) = &step.work {
                            prop_assert!(copy.destination.starts_with('/'));
                            prop_assert!(!copy.destination.split('/').any(|name| name == ".."));
                        }
                    }
                }
            }
        }
    }
}
