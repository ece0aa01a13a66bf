//! The recipes for CI in `docs/ci/`: their shell steps are taken out and run, the build once for each platform, in directories of their
//! own, and the image that is in the registry then is looked at. What the systems do themselves is imitated: checking out, variables,
//! handing archives from job to job.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::setting::Setting;

/// What is built: a program for each platform, and how the image is made of it.
const SOURCE: &str = "
mkdir -p source publish login
barge save -q -o stale.tar fixtures/umoci-amd64 && cp stale.tar publish/app.tar
printf robot >login/username
printf secret >login/password
printf 'all:\\n\\tmkdir -p out/$(ARCH) && echo app for $(ARCH) >out/$(ARCH)/app\\n' >source/Makefile
printf 'FROM scratch\\nARG TARGETARCH\\nCOPY out/${TARGETARCH}/app /app\\nENTRYPOINT [\"/app\"]\\n' >source/Containerfile
";
const PLATFORMS: [&str; 2] = ["amd64", "arm64"];

/// The steps of a recipe: scripts of `sh`, and the variables that the system sets for them.
struct Recipe {
    build: Vec<String>,
    publish: Vec<String>,
    variables: Vec<(String, String)>,
}

fn read(name: &str) -> String {
    fs::read_to_string(super::docs().join("ci").join(name)).unwrap()
}

fn documents(text: &str) -> Vec<Value> {
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap_or_else(|| panic!("no list: {list}")).iter().map(text).collect()
}

/// Returns the variables of a mapping. What the system puts in (`${{ }}`) the test sets itself.
fn variables(map: &Value) -> Vec<(String, String)> {
    let all = map.as_object().into_iter().flatten();
    all.map(|(name, value)| (name.clone(), text(value))).filter(|(_, value)| !value.contains("${{")).collect()
}

/// Runs a recipe, and compares the image in the registry with what was built.
fn runs(recipe: &Recipe) {
    let Some(setting) = Setting::fresh(&["make"]) else { return };
    assert_eq!(setting.run(SOURCE).0, Some(0));
    let line = |script: &str, directory: &str, arch: &str| {
        let known = [("ARCH", arch), ("VERSION", "v1"), ("CI_COMMIT_TAG", "v1"), ("TAG_NAME", "v1")];
        let secret = [("REGISTRY_USER", "robot"), ("REGISTRY_PASSWORD", "secret")];
        let set =
            recipe.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(known).chain(secret);
        let exports: String = set.map(|(name, value)| format!("export {name}='{value}'\n")).collect();
        format!("set -e\ncd {directory}\n{exports}{script}")
    };
    let run = |script: &str, directory: &str, arch: &str| {
        let (code, said) = setting.run(&line(script, directory, arch));
        assert_eq!(code, Some(0), "{script}\n{said}");
    };
    for arch in PLATFORMS {
        let directory = format!("build-{arch}");
        // where the last run left something, it does not go along
        let stale = format!("cp -r source {directory} && cp stale.tar {directory}/app-{arch}.tar");
        assert_eq!(setting.run(&stale).0, Some(0));
        assert!(recipe.build.iter().any(|script| script.contains("barge build ")));
        recipe.build.iter().for_each(|script| run(script, &directory, arch));
        // what each job leaves for the next one, and nothing else
        assert_eq!(setting.run(&format!("cp {directory}/app-{arch}.tar publish")).0, Some(0));
    }
    assert!(recipe.publish.iter().any(|script| script.contains("barge push ")));
    recipe.publish.iter().for_each(|script| run(script, "publish", "amd64"));
    let (code, said) = setting.run(
        "set -e
        for arch in amd64 arm64; do
            barge unpack -q --platform linux/$arch docker://registry.example/org/app:v1 app-$arch --file /app >digest
            cat app-$arch
        done",
    );
    assert_eq!((code, said.as_str()), (Some(0), "app for amd64\napp for arm64\n"));
    let (_, listed) = setting.run("barge ls --json --all publish/app.tar");
    assert_eq!(listed.matches("\"names\"").count(), 1, "{listed}");
    for place in ["docker://registry.example/org/app:v1", "publish/app.tar"] {
        assert_eq!(setting.run(&format!("barge verify --deep {place}")).0, Some(0), "{place}");
    }
}

#[test]
fn what_github_runs() {
    let file = &documents(&read("github.yml"))[0];
    let steps = |job: &str| {
        let steps = file["jobs"][job]["steps"].as_array().unwrap().iter();
        steps.filter(|step| step.get("run").is_some()).map(|step| text(&step["run"])).collect::<Vec<_>>()
    };
    assert_eq!(texts(&file["jobs"]["build"]["strategy"]["matrix"]["arch"]), PLATFORMS);
    // what an action is has to be fixed
    for job in ["build", "publish"] {
        for step in file["jobs"][job]["steps"].as_array().unwrap().iter().filter(|step| step.get("uses").is_some()) {
            let (_, commit) = step["uses"].as_str().unwrap().split_once('@').unwrap();
            assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{step}");
        }
    }
    runs(&Recipe { build: steps("build"), publish: steps("publish"), variables: variables(&file["env"]) });
}

#[test]
fn what_gitlab_runs() {
    let file = &documents(&read("gitlab.yml"))[0];
    assert_eq!(texts(&file["build"]["parallel"]["matrix"][0]["ARCH"]), PLATFORMS);
    assert_eq!(texts(&file["build"]["artifacts"]["paths"]), ["app-$ARCH.tar"]);
    let script = |job: &str| texts(&file[job]["script"]);
    runs(&Recipe { build: script("build"), publish: script("publish"), variables: variables(&file["variables"]) });
}

#[test]
fn what_jenkins_runs() {
    let text = read("Jenkinsfile");
    let (build, publish) = text.split_once("stage('Publish')").unwrap();
    assert!(build.contains("values 'amd64', 'arm64'"));
    // `sh '...'`, on one line; no quote stands in these
    let scripts = |stage: &str| {
        let lines = stage.lines().filter_map(|line| line.trim().strip_prefix("sh '")?.strip_suffix('\''));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(text.lines().filter(|line| line.trim().starts_with("sh ")).count(), scripts(&text).len());
    let image = build.lines().find_map(|line| line.trim().strip_prefix("IMAGE = '")?.strip_suffix('\'')).unwrap();
    let variables = vec![("IMAGE".to_owned(), image.to_owned())];
    runs(&Recipe { build: scripts(build), publish: scripts(publish), variables });
}

#[test]
fn what_tekton_runs() {
    let documents = documents(&read("tekton.yaml"));
    let [build, publish, pipeline] = &documents[..] else { panic!("{} documents", documents.len()) };
    assert_eq!(texts(&pipeline["spec"]["tasks"][0]["matrix"]["params"][0]["value"]), PLATFORMS);
    let image = text(&pipeline["spec"]["params"][0]["default"]);
    let scripts = |task: &Value| {
        let steps = task["spec"]["steps"].as_array().unwrap().iter().map(|step| text(&step["script"]));
        let put = |script: String| {
            let script = script.replace("$(workspaces.login.path)", "../login");
            script.replace("$(results.digest.path)", "digest")
        };
        steps.map(put).collect::<Vec<_>>()
    };
    let publish = scripts(publish).into_iter().chain(["grep -Ec '^sha256:[0-9a-f]{64}$' digest".to_owned()]);
    runs(&Recipe { build: scripts(build), publish: publish.collect(), variables: vec![("IMAGE".to_owned(), image)] });
}

#[test]
fn the_page_names_every_recipe() {
    let page = fs::read_to_string(super::docs().join("ci.md")).unwrap();
    for entry in fs::read_dir(super::docs().join("ci")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(page.contains(&format!("(ci/{name})")), "docs/ci.md does not name {name}");
        assert!(Path::new(&name).extension().is_some() || name == "Jenkinsfile", "{name}");
    }
}
