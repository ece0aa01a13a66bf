mod evaluated;

use super::*;
use crate::error::Class;

fn parsed(text: &str) -> Recipe {
    Recipe::parse("Containerfile", text.as_bytes(), Dialect::Containerfile).unwrap()
}

/// The action of the only instruction after `FROM scratch`.
fn action(text: &str) -> Action {
    parsed(&format!("FROM scratch\n{text}\n")).stages[0].instructions[0].action.clone()
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_file_is_stages_of_instructions_with_their_lines() {
    let text = "# syntax=docker/dockerfile:1\nARG V=1\n\nFROM --platform=$BUILDPLATFORM app:$V AS Build\n\
                ENV a=b \\\n    c=d\n\nfrom scratch\ncopy --from=build /a \\\n  # note\n  /b\n";
    let recipe = parsed(text);
    assert_eq!(recipe.global[0].line, 2);
    assert_eq!(recipe.stages.len(), 2);
    let from = &recipe.stages[0].from;
    assert_eq!((from.line, from.image.as_str(), from.name.as_deref()), (4, "app:$V", Some("build")));
    assert_eq!(from.platform.as_deref(), Some("$BUILDPLATFORM"));
    assert_eq!(recipe.stages[0].instructions[0].source, "ENV a=b \\\n    c=d");
    let copy = &recipe.stages[1].instructions[0];
    assert_eq!((copy.line, copy.name.as_str()), (9, "COPY"));
    assert_eq!(copy.source, "copy --from=build /a \\\n  # note\n  /b");
    assert_eq!((recipe.stage(None), recipe.stage(Some("BUILD")), recipe.stage(Some("1"))), (Ok(1), Ok(0), Ok(1)));
    let error = recipe.stage(Some("biuld")).unwrap_err();
    assert_eq!((error.class, error.hint.as_deref()), (Class::Absent, Some("did you mean build?")));
}

#[test]
fn instructions_are_understood() {
    let exec = |words: &[&str]| Command::Exec(texts(words));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for (text, expected) in [
        (r#"CMD ["a", "b c"]"#, Action::Cmd(exec(&["a", "b c"]))),
        ("CMD []", Action::Cmd(exec(&[]))),
        ("CMD a \\\n  b", Action::Cmd(Command::Shell("a   b".to_owned()))),
        ("CMD [ -e x ] && y", Action::Cmd(Command::Shell("[ -e x ] && y".to_owned()))),
        ("entrypoint exec top -b", Action::Entrypoint(Command::Shell("exec top -b".to_owned()))),
        ("ENV a b c", Action::Env(vec![pair("a", "b c")])),
        ("LABEL a=b \"c d\"=e", Action::Label(vec![pair("a", "b"), pair("\"c d\"", "e")])),
        ("ARG a b=1", Action::Arg(vec![("a".to_owned(), None), ("b".to_owned(), Some("1".to_owned()))])),
        ("EXPOSE 80 53/udp", Action::Expose(texts(&["80", "53/udp"]))),
        ("VOLUME /a /b", Action::Volume(texts(&["/a", "/b"]))),
        (r#"VOLUME ["/a b"]"#, Action::Volume(texts(&["/a b"]))),
        (r#"SHELL ["/bin/bash", "-c"]"#, Action::Shell(texts(&["/bin/bash", "-c"]))),
        ("STOPSIGNAL SIGTERM", Action::StopSignal("SIGTERM".to_owned())),
        ("USER 1:2", Action::User("1:2".to_owned())),
        ("WORKDIR a b", Action::Workdir("a b".to_owned())),
        ("ONBUILD copy . /", Action::OnBuild("copy . /".to_owned())),
        ("ONBUILD COPY <<a /b\n1\na", Action::OnBuild("COPY <<a /b\n1\na".to_owned())),
        ("ONBUILD RUN x", Action::OnBuild("RUN x".to_owned())),
        ("MAINTAINER x <y@z>", Action::Maintainer("x <y@z>".to_owned())),
        ("RUN --mount=type=cache,target=/x cmd", Action::Run),
        ("RUN [\"a\"]", Action::Run),
    ] {
        assert_eq!(action(text), expected, "{text}");
    }
}

#[test]
fn copy_and_add_have_flags_sources_and_a_destination() {
    let text = "COPY --from=0 --chown=a:b --chmod=755 --parents --link --exclude=*.o --exclude=b a b /c/";
    let Action::Copy(copy) = action(text) else { panic!() };
    assert_eq!(
        (copy.from.as_deref(), copy.chown.as_deref(), copy.chmod.as_deref()),
        (Some("0"), Some("a:b"), Some("755"))
    );
    assert!(copy.parents && !copy.unpack);
    assert_eq!(
        (copy.excludes, copy.paths, copy.destination),
        (texts(&["*.o", "b"]), texts(&["a", "b"]), "/c/".to_owned())
    );
    let Action::Add(add) = action(r#"ADD --unpack=false ["a b", "/c"]"#) else { panic!() };
    assert!(!add.unpack);
    assert_eq!((add.paths, add.destination), (texts(&["a b"]), "/c".to_owned()));
    let Action::Copy(copy) = action("COPY x <<a <<'b' /d/\n1\na\n2\nb") else { panic!() };
    let inline: Vec<_> = copy.inline.iter().map(|it| (it.name.as_str(), it.content.as_str(), it.expands)).collect();
    assert_eq!((copy.paths, inline), (texts(&["x"]), vec![("a", "1\n", true), ("b", "2\n", false)]));
}

#[test]
fn mistakes_are_named_with_line_and_what_was_expected() {
    for (text, line, complaint, hint) in [
        ("COPPY a b", 2, "\"COPPY\" is no instruction", Some("did you mean COPY?")),
        ("\n\nXYZZY", 4, "\"XYZZY\" is no instruction, expected one such as FROM", None),
        (
            "COPY --chwon=1 a b",
            2,
            "COPY has no flag \"--chwon\", expected --from --chown",
            Some("did you mean --chown?"),
        ),
        ("ENV --x=1 a=b", 2, "ENV has no flag \"--x\", expected none", None),
        ("COPY --from a b", 2, "--from has no value", None),
        ("COPY --from=a --from=b c d", 2, "given twice", None),
        ("COPY --link=maybe a b", 2, "expected true or false", None),
        ("COPY a", 2, "fewer than two paths, expected COPY SOURCE... DESTINATION", None),
        ("COPY", 2, "fewer than two paths", None),
        ("COPY a <<x\nx", 2, "here-document is the destination", None),
        ("ADD --checksum=sha256:0 a b", 2, "nothing is downloaded", None),
        ("ENV", 2, "nothing follows ENV, expected NAME=VALUE", None),
        ("ENV a=b c", 2, "\"c\" has no =", Some("put a value with spaces in quotation marks")),
        ("ARG =x", 2, "has no name", None),
        ("CMD", 2, "expected a command", None),
        ("CMD [1]", 2, "expected texts alone", None),
        ("SHELL /bin/sh", 2, "expected a JSON list", Some("write SHELL [\"/bin/bash\", \"-c\"]")),
        ("SHELL []", 2, "expected a JSON list", None),
        ("VOLUME [\"\"]", 2, "has no name", None),
        ("ONBUILD ONBUILD COPY a b", 2, "ONBUILD cannot follow ONBUILD", None),
        ("ONBUILD FROM x", 2, "FROM cannot follow ONBUILD", None),
        ("ONBUILD COPPY a b", 2, "no instruction", Some("did you mean COPY?")),
        ("HEALTHCHECK CDM x", 2, "expected CMD COMMAND or NONE", Some("did you mean CMD?")),
        ("HEALTHCHECK --interval=x CMD y", 2, "--interval is \"x\", expected a time such as 30s", None),
        ("FROM", 2, "no image is named", None),
        ("FROM a # note", 2, "follows the image", Some("a comment is a line of its own")),
        ("FROM a AZ b", 2, "\"AZ\" follows the image", None),
        ("FROM a AS 1b", 2, "\"1b\" is no name of a stage", None),
        ("FROM --platfrom=x a", 2, "FROM has no flag", Some("did you mean --platform?")),
        ("FROM a AS b\nFROM c AS B", 3, "the stage of line 2 has the name \"b\" too", None),
        ("LAUNCH [\"a\"]", 2, "LAUNCH is an instruction of Kubefiles", None),
    ] {
        let text = format!("FROM scratch\n{text}\n");
        let error = Recipe::parse("C\u{1b}", text.as_bytes(), Dialect::Containerfile).unwrap_err();
        assert_eq!(error.line, Some(line), "{text}: {error}");
        assert!(error.to_string().starts_with(&format!("cannot use line {line} of C\\u{{1b}}: ")), "{error}");
        assert!(error.message.contains(complaint), "{text}: {error}");
        assert!(hint.is_none() || error.hint.as_deref() == hint, "{text}: {:?}", error.hint);
    }
    for (text, complaint) in [("", "no FROM"), ("ENV a=b\nFROM x", "ENV comes before FROM"), ("ARG a", "no FROM")] {
        let error = Recipe::parse("F", text.as_bytes(), Dialect::Containerfile).unwrap_err();
        assert!(error.message.contains(complaint), "{error}");
    }
    let many = "FROM a\n".repeat(MOST_STAGES + 1);
    assert_eq!(Recipe::parse("F", many.as_bytes(), Dialect::Containerfile).unwrap_err().line, Some(MOST_STAGES + 1));
}

#[test]
fn sealers_words_are_carried_out_or_refused() {
    let kubefile = |text: &str| Recipe::parse("Kubefile", format!("FROM x\n{text}\n").as_bytes(), Dialect::Kubefile);
    let recipe = kubefile("KUBEVERSION 1.19,1.20\nCMDS [\"kubectl apply -f a\"]").unwrap();
    let actions: Vec<&Action> = recipe.stages[0].instructions.iter().map(|it| &it.action).collect();
    let label = ("app.alpha.sealer.io/supported-kube-version".to_owned(), "\"1.19,1.20\"".to_owned());
    assert_eq!(*actions[0], Action::Label(vec![label]));
    assert_eq!(*actions[1], Action::Cmd(Command::Exec(texts(&["kubectl apply -f a"]))));
    for word in ["APP a local://a", "APPCMDS a [\"b\"]", "APPENV a b=c", "CNI a b", "CSI a b", "LAUNCH [\"a\"]"] {
        let error = kubefile(word).unwrap_err();
        assert_eq!((error.class, error.line), (Class::Unsupported, Some(2)), "{word}");
        assert!(error.hint.is_some());
    }
    assert_eq!(kubefile("LUANCH x").unwrap_err().class, Class::Usage);
    assert!(kubefile("CMDS kubectl").unwrap_err().message.contains("JSON list"));
}

#[test]
fn what_may_be_meant_otherwise_is_said() {
    let recipe = parsed("FROM scratch\nENV a=b \\\n\n c=d\nCMD ['a']\n");
    let said: Vec<_> = recipe.warnings.iter().map(|warning| (warning.line, warning.message.as_str())).collect();
    assert!(
        matches!(said[..], [(Some(2), gap), (Some(5), list)] if gap.contains("empty line") && list.contains("JSON"))
    );
}

mod hostile {
    use super::*;
    use proptest::prelude::*;

    /// Pieces that mean something to the reader, in any order.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "FROM a",
            "COPY ",
            "ADD ",
            "ENV ",
            "ONBUILD ",
            "HEALTHCHECK ",
            "CMD ",
            "<<a",
            "<<-'a'",
            "a\n",
            "\n",
            "\\\n",
            " ",
            "\"",
            "'",
            "[",
            "]",
            "\"a\"",
            ",",
            "--from=",
            "--",
            "=",
            "$x",
            "${x:-",
            "}",
            "#",
            "\r\n",
            "`",
            "\\",
            "é",
            "1m",
            "CMD",
            "# escape=`\n",
        ]);
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in prop_oneof![pieces(), any::<String>(), pieces().prop_map(|it| format!("FROM x\n{it}"))]) {
            for dialect in [Dialect::Containerfile, Dialect::Kubefile] {
                if let Ok(recipe) = Recipe::parse("F", text.as_bytes(), dialect) {
                    for instruction in recipe.stages.iter().flat_map(|stage| &stage.instructions) {
                        prop_assert!(text.contains(&instruction.source));
                    }
                }
            }
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Recipe::parse("F", &bytes, Dialect::Containerfile);
        }
    }
}
