//! Configs: the JSON of an image's config, made or changed as a plan says.
//!
//! image-spec v1.1.1, config.md, with the fields that docker adds to it (`Healthcheck`, `OnBuild`, `Shell`; moby,
//! image-spec v1.2). Fields that nothing here knows stay as they are. The value is written by [`encode`](crate::json::encode).
//!
//! A history entry says in `created_by` what docker's BuildKit says there: the instruction, filled in (`COPY a /b`,
//! `ENV a=b`), without its `# buildkit`; lists are JSON.

use serde_json::{Map, Value, json};

use super::plan::Change;
use crate::digest::Digest;
use crate::json::{self, JsonError, View};
use crate::platform::Platform;

/// A line of the history (image-spec v1.1.1, config.md, "history").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When, in RFC 3339.
    pub created: Option<String>,
    /// What was done.
    pub created_by: String,
    /// A remark.
    pub comment: Option<String>,
    /// Whether no layer belongs to it.
    pub empty_layer: bool,
}

/// Where programs are looked for in an image that says nothing else: docker and buildah write it into every image that
/// they make from nothing, so that `ENV PATH=/opt/bin:$PATH` means what it says.
const USUAL_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Returns the config of an image without any files, as docker starts FROM scratch: a platform, and the usual `PATH`
/// unless that is Windows.
#[must_use]
pub fn scratch(platform: &Platform) -> Value {
    let mut config = json!({ "rootfs": { "type": "layers", "diff_ids": [] }, "config": {} });
    set_platform(&mut config, platform);
    if config["os"] != "windows" {
        config["config"] = json!({ "Env": [USUAL_PATH] });
    }
    config
}

/// Returns the config that a stage starts with, from that of its base: all of it but what has its effect now, `OnBuild`.
///
/// # Errors
/// When it is no config: no strict JSON, or a field that a plan changes has another form.
pub fn based_on(raw: &[u8]) -> Result<Value, JsonError> {
    let mut value = of_image(raw)?;
    remove(&mut value, "OnBuild");
    Ok(value)
}

/// Returns the config of an image that is to be changed.
///
/// # Errors
/// As [`based_on`].
pub fn of_image(raw: &[u8]) -> Result<Value, JsonError> {
    let value = json::parse(raw)?;
    check(&value)?;
    Ok(value)
}

/// Drops what has its effect when something is based on an image: `OnBuild`.
pub fn drop_on_build(config: &mut Value) {
    remove(config, "OnBuild");
}

/// Sees that every field that is changed here has the form it must have: nothing is overwritten that is not understood.
fn check(value: &Value) -> Result<(), JsonError> {
    let top = View::top(value, "config");
    top.list_at("history")?;
    if let Some(rootfs) = top.get("rootfs")? {
        rootfs.list_at("diff_ids")?;
    }
    let Some(config) = top.get("config")? else { return Ok(()) };
    for name in ["Env", "Cmd", "Entrypoint", "Shell", "OnBuild"] {
        config.list_at(name)?.iter().try_for_each(|item| item.text().map(drop))?;
    }
    for name in ["Labels", "ExposedPorts", "Volumes", "Healthcheck"] {
        if let Some(field) = config.get(name)? {
            field.object()?;
        }
    }
    ["WorkingDir", "User", "StopSignal"].iter().try_for_each(|name| config.text_at(name).map(drop))
}

/// Sets the platform that a config says.
pub fn set_platform(config: &mut Value, platform: &Platform) {
    let Platform { os, architecture, variant, os_version, os_features } = platform.normalized();
    let features = (!os_features.is_empty()).then(|| Value::from(os_features));
    edit(config, |top| {
        for (name, value) in [
            ("architecture", Some(architecture.into())),
            ("os", Some(os.into())),
            ("variant", variant.map(Value::from)),
            ("os.version", os_version.map(Value::from)),
            ("os.features", features),
        ] {
            match value {
                Some(value) => drop(top.insert(name.to_owned(), value)),
                None => drop(top.shift_remove(name)),
            }
        }
    });
}

/// Sets when the image was made, in RFC 3339.
pub fn set_created(config: &mut Value, created: &str) {
    edit_field(config, "created", |field| *field = created.into());
}

/// Sets the layers, given by the digests of their tars; each has to have a history entry too, if there is any history.
pub fn set_layers(config: &mut Value, diff_ids: &[Digest]) {
    edit_field(config, "rootfs", |rootfs| {
        edit(rootfs, |fields| {
            fields.entry("type").or_insert_with(|| "layers".into());
        });
        let ids: Vec<Value> = diff_ids.iter().map(|id| id.to_string().into()).collect();
        edit_field(rootfs, "diff_ids", |field| *field = ids.into());
    });
}

/// Returns whether a line of the history has a layer.
fn has_layer(line: &Value) -> bool {
    line.get("empty_layer").and_then(Value::as_bool) != Some(true)
}

/// Makes the history have one line for each layer, beside those of empty layers: readers count its lines off against the
/// layers. Images without any history are common; of one with too many, the last change nothing, and what is no line goes.
pub fn align_history(config: &mut Value, layers: usize) {
    edit_field(config, "history", |history| {
        edit_list(history, |lines| {
            lines.retain(Value::is_object);
            let surplus = lines.iter_mut().filter(|line| has_layer(line)).skip(layers);
            for line in surplus.filter_map(Value::as_object_mut) {
                line.insert("empty_layer".to_owned(), true.into());
            }
            for _ in lines.iter().filter(|line| has_layer(line)).count()..layers {
                lines.push(json!({ "comment": "a layer whose history is not known" }));
            }
        });
    });
}

/// Adds a line to the history.
pub fn add_history(config: &mut Value, line: &HistoryEntry) {
    let line = made_line(line);
    edit_field(config, "history", |history| edit_list(history, |lines| lines.push(line)));
}

/// Puts one line in the place of all that have a layer, where the first of them stands.
pub fn squash_history(config: &mut Value, line: &HistoryEntry) {
    let line = made_line(line);
    edit_field(config, "history", |history| {
        edit_list(history, |lines| {
            let at = lines.iter().position(has_layer).unwrap_or(0);
            lines.retain(|line| !has_layer(line));
            lines.insert(at, line);
        });
    });
}

fn made_line(line: &HistoryEntry) -> Value {
    let mut made = Map::new();
    for (name, value) in
        [("created", line.created.as_ref()), ("created_by", Some(&line.created_by)), ("comment", line.comment.as_ref())]
    {
        if let Some(value) = value {
            made.insert(name.to_owned(), value.as_str().into());
        }
    }
    if line.empty_layer {
        made.insert("empty_layer".to_owned(), true.into());
    }
    Value::Object(made)
}

/// Carries out a change.
pub fn apply(config: &mut Value, change: &Change) {
    let text = |text: &String| Value::from(text.as_str());
    match change {
        Change::Env { name, value } => inner(config, "Env", |pairs| set_variable(pairs, name, value)),
        Change::Label { name, value } => insert(config, "Labels", name, text(value)),
        Change::Cmd(words) => set_words(config, "Cmd", words),
        Change::MoreCmd(words) => {
            inner(config, "Cmd", |cmd| edit_list(cmd, |all| all.extend(words.iter().map(text))));
        }
        Change::Entrypoint { words, clears_cmd } => {
            set_words(config, "Entrypoint", words);
            if *clears_cmd {
                remove(config, "Cmd");
            }
        }
        Change::WorkingDir(path) => set(config, "WorkingDir", text(path)),
        Change::User(user) => set(config, "User", text(user)),
        Change::Expose(port) => insert(config, "ExposedPorts", port, json!({})),
        Change::Volume(path) => insert(config, "Volumes", path, json!({})),
        Change::StopSignal(signal) => set(config, "StopSignal", text(signal)),
        Change::Shell(words) => set_words(config, "Shell", words),
        Change::Healthcheck(check) => set(config, "Healthcheck", check.clone()),
        Change::OnBuild(line) => inner(config, "OnBuild", |all| edit_list(all, |lines| lines.push(text(line)))),
        Change::Author(author) => edit_field(config, "author", |field| *field = text(author)),
    }
}

/// Removes a variable, and returns whether it was there.
pub fn unset_variable(config: &mut Value, name: &str) -> bool {
    let Some(Value::Array(pairs)) = config.pointer_mut("/config/Env") else { return false };
    let before = pairs.len();
    pairs.retain(|pair| pair.as_str().is_none_or(|pair| pair.split('=').next() != Some(name)));
    let (left, was_there) = (pairs.len(), pairs.len() < before);
    if was_there && left == 0 {
        remove(config, "Env");
    }
    was_there
}

/// Removes a label, and returns whether it was there.
pub fn unset_label(config: &mut Value, name: &str) -> bool {
    let Some(Value::Object(labels)) = config.pointer_mut("/config/Labels") else { return false };
    let was_there = labels.shift_remove(name).is_some();
    if was_there && labels.is_empty() {
        remove(config, "Labels");
    }
    was_there
}

/// Returns the lines of the history.
#[must_use]
pub fn history(config: &Value) -> &[Value] {
    config.get("history").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Puts other lines into the place of the lowest layers' lines, or before all lines: `had` are the lines that the image of
/// these layers has itself, and `layers` is how many there are. An image without any history stays without.
pub fn swap_history(config: &mut Value, had: &[Value], layers: usize, new: &[Value]) {
    edit_field(config, "history", |history| {
        edit_list(history, |lines| {
            let is_whole = had.iter().filter(|line| has_layer(line)).count() == layers && lines.starts_with(had);
            let length = if is_whole { had.len() } else { first_lines(lines, layers) };
            lines.splice(..length, new.iter().cloned());
        });
    });
}

/// Returns how many lines the lowest layers have.
fn first_lines(lines: &[Value], layers: usize) -> usize {
    let with_layer = lines.iter().enumerate().filter(|(_, line)| has_layer(line));
    layers.checked_sub(1).and_then(|last| with_layer.map(|(at, _)| at).nth(last)).map_or(0, |at| at + 1)
}

/// Sets a variable where it stands, or adds it at the end.
fn set_variable(pairs: &mut Value, name: &str, value: &str) {
    let pair = Value::from(format!("{name}={value}"));
    let is_it = |old: &&mut Value| old.as_str().is_some_and(|old| old.split('=').next() == Some(name));
    edit_list(pairs, |pairs| match pairs.iter_mut().find(is_it) {
        Some(old) => *old = pair,
        None => pairs.push(pair),
    });
}

/// An empty list is the same as none, and docker writes none.
fn set_words(config: &mut Value, name: &str, words: &[String]) {
    if words.is_empty() {
        remove(config, name);
    } else {
        set(config, name, Value::from(words.to_vec()));
    }
}

fn set(config: &mut Value, name: &str, value: Value) {
    inner(config, name, |field| *field = value);
}

fn insert(config: &mut Value, name: &str, key: &str, value: Value) {
    inner(config, name, |field| edit_field(field, key, |field| *field = value));
}

fn remove(config: &mut Value, name: &str) {
    if let Some(inner) = config.get_mut("config").and_then(Value::as_object_mut) {
        inner.shift_remove(name);
    }
}

/// Changes a field of the inner `config`.
fn inner(config: &mut Value, name: &str, change: impl FnOnce(&mut Value)) {
    edit_field(config, "config", |inner| edit_field(inner, name, change));
}

/// Changes a field of an object; one that is absent is null.
fn edit_field(object: &mut Value, name: &str, change: impl FnOnce(&mut Value)) {
    edit(object, |fields| change(fields.entry(name).or_insert(Value::Null)));
}

/// Changes an object. What is none becomes one: null and absent are, and [`check`] has ruled out all else.
fn edit(value: &mut Value, change: impl FnOnce(&mut Map<String, Value>)) {
    let mut fields = match value.take() {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    change(&mut fields);
    *value = Value::Object(fields);
}

/// As [`edit`], for lists.
fn edit_list(value: &mut Value, change: impl FnOnce(&mut Vec<Value>)) {
    let mut items = match value.take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    change(&mut items);
    *value = Value::Array(items);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(mut config: Value, changes: &[Change]) -> Value {
        changes.iter().for_each(|change| apply(&mut config, change));
        config["config"].clone()
    }

    fn env(name: &str, value: &str) -> Change {
        Change::Env { name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_history_has_one_line_for_each_layer() {
        let full = |text: &str| json!({ "created_by": text });
        for (before, layers) in [
            (json!(null), 2),
            (json!([full("a")]), 2),
            (json!([full("a"), full("b"), full("c")]), 2),
            (json!([full("a"), { "empty_layer": true }, full("b"), full("c")]), 1),
            (json!(["text", 5, null, full("a")]), 1),
            (json!([full("a")]), 0),
        ] {
            let mut config = json!({ "history": before });
            align_history(&mut config, layers);
            let lines = config["history"].as_array().map(Vec::as_slice).unwrap_or_default();
            assert_eq!(lines.iter().filter(|line| has_layer(line)).count(), layers, "{before}");
            assert!(lines.iter().all(Value::is_object), "{before}");
        }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn nothing_but_the_field_that_is_meant_changes() {
        let raw = br#"{"architecture":"amd64","os":"linux","moby.buildkit.x":1,"config":{"Env":["PATH=/bin","A=1"],
            "Cmd":["sh"],"Labels":{"Z":"1","a":"2"},"ArgsEscaped":true,"OnBuild":["RUN x"]},
            "rootfs":{"type":"layers","diff_ids":[]},"history":[{"created_by":"x"}]}"#;
        let base = based_on(raw).unwrap();
        assert_eq!(base["config"].get("OnBuild"), None);
        assert_eq!(base["moby.buildkit.x"], 1);
        for (changes, expected) in [
            (vec![env("PATH", "/x"), env("B", "")], json!({"Env": ["PATH=/x", "A=1", "B="]})),
            (
                vec![Change::Label { name: "Z".to_owned(), value: "3".to_owned() }],
                json!({"Labels": {"Z": "3", "a": "2"}}),
            ),
            (vec![Change::Cmd(words(&["a"])), Change::MoreCmd(words(&["b"]))], json!({"Cmd": ["a", "b"]})),
            (vec![Change::Cmd(words(&[]))], json!({"Cmd": null})),
            (
                vec![Change::Entrypoint { words: words(&["e"]), clears_cmd: true }],
                json!({"Entrypoint": ["e"], "Cmd": null}),
            ),
            (vec![Change::Expose("80/tcp".to_owned())], json!({"ExposedPorts": {"80/tcp": {}}})),
            (vec![Change::Volume("/v".to_owned())], json!({"Volumes": {"/v": {}}})),
            (vec![Change::OnBuild("COPY . /".to_owned())], json!({"OnBuild": ["COPY . /"]})),
            (
                vec![Change::User("1".to_owned()), Change::StopSignal("9".to_owned())],
                json!({"User": "1", "StopSignal": "9"}),
            ),
        ] {
            let mut expected_config = base["config"].clone();
            for (name, value) in expected.as_object().unwrap() {
                expected_config[name] = value.clone();
            }
            expected_config.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            assert_eq!(changed(base.clone(), &changes), expected_config, "{changes:?}");
        }
    }

    #[test]
    fn an_image_from_nothing_has_a_platform_and_no_layer() {
        let mut config = scratch(&"linux/armhf".parse().unwrap());
        let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        set_layers(&mut config, &[digest]);
        let line = |created_by: &str, empty_layer| HistoryEntry {
            created: Some("2020-01-01T00:00:00Z".to_owned()),
            created_by: created_by.to_owned(),
            comment: None,
            empty_layer,
        };
        add_history(&mut config, &line("COPY a /", false));
        add_history(&mut config, &line("ENV a=b", true));
        set_created(&mut config, "2020-01-01T00:00:00Z");
        assert_eq!(
            config,
            json!({"architecture": "arm", "os": "linux", "variant": "v7", "created": "2020-01-01T00:00:00Z", "config": {"Env": [USUAL_PATH]},
                "rootfs": {"type": "layers", "diff_ids": [digest.to_string()]}, "history": [
                    {"created": "2020-01-01T00:00:00Z", "created_by": "COPY a /"},
                    {"created": "2020-01-01T00:00:00Z", "created_by": "ENV a=b", "empty_layer": true}]})
        );
    }

    #[test]
    fn lines_of_layers_are_swapped_and_squashed() {
        let line = |name: &str| json!({"created_by": name});
        let empty = |name: &str| json!({"created_by": name, "empty_layer": true});
        let with = |lines: &[Value]| json!({ "history": lines });
        let base = [line("a"), empty("b"), line("c"), empty("d")];
        let own = [empty("e"), line("f")];
        let image = with(&[&base[..], &own].concat());
        let new = [line("n")];
        for (case, had, layers, expected) in [
            ("the lines of the base", &base[..], 2, [&new[..], &own].concat()),
            ("lines of another spelling", &[line("x"), line("y")], 2, [&new[..], &[empty("d")], &own].concat()),
            ("no history of the base", &[], 1, [&new[..], &base[1..], &own].concat()),
            ("no layers", &[], 0, [&new[..], &base, &own].concat()),
            ("more than there are", &[], 9, [&new[..], &base, &own].concat()),
        ] {
            let mut config = image.clone();
            swap_history(&mut config, had, layers, &new);
            assert_eq!(history(&config), expected, "{case}");
        }
        let mut config = with(&[&[empty("0")], &base[..]].concat());
        let one = HistoryEntry { created_by: "one".to_owned(), ..HistoryEntry::default() };
        squash_history(&mut config, &one);
        assert_eq!(history(&config), [empty("0"), line("one"), empty("b"), empty("d")]);
    }

    #[test]
    fn a_config_of_another_form_is_refused() {
        for text in [
            "[]",
            r#"{"config":[]}"#,
            r#"{"config":{"Env":{}}}"#,
            r#"{"config":{"Env":[1]}}"#,
            r#"{"config":{"Labels":[]}}"#,
            r#"{"config":{"User":1}}"#,
            r#"{"history":{}}"#,
            r#"{"rootfs":{"diff_ids":1}}"#,
        ] {
            assert!(based_on(text.as_bytes()).is_err(), "{text}");
        }
        let nulls = based_on(br#"{"config":{"Env":null,"Labels":null},"history":null,"rootfs":null}"#).unwrap();
        assert_eq!(changed(nulls, &[env("a", "b")])["Env"], json!(["a=b"]));
        let bare = based_on(b"{}").unwrap();
        assert_eq!(changed(bare, &[env("a", "b")]), json!({"Env": ["a=b"]}));
    }
}
