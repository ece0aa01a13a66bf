//! The pages that show a terminal: what is there before their first command. [`super::console`] runs them.

use super::console;
use super::setting::Setting;

/// Prepares a place, and runs a page in it that shows a terminal.
fn shows(name: &str, least: usize, setting: &Setting, prepared: &str) {
    let (code, said) = setting.run(&format!(":\n{prepared}"));
    assert_eq!(code, Some(0), "{said}");
    console::runs(name, least, setting);
}

#[test]
fn the_tutorial_prints_what_it_says() {
    let Some(setting) = Setting::fresh(&["curl"]) else { return };
    shows("docs/tutorial.md", 18, &setting, "");
}

#[test]
fn the_way_across_an_air_gap_runs() {
    let Some(setting) = Setting::fresh(&[]) else { return };
    let prepared = "seq 450000 >data && \
                    barge build -q -o app -t quay.io/org/app:v1 --platform linux/amd64,linux/arm64 --compression none \
                        --from scratch --add data:/srv && \
                    barge push -q app && rm -r app data && \
                    barge save -q -o amd64.tar fixtures/umoci-amd64 && cp fixtures/skopeo-arm64.tar arm64.tar";
    shows("docs/air-gap.md", 35, &setting, prepared);
}

#[test]
fn who_follows_only_the_readme_has_a_served_image() {
    let Some(setting) = Setting::fresh(&[]) else { return };
    shows("README.md", 5, &setting, "");
}

#[test]
fn what_the_front_page_of_the_book_says_runs() {
    let Some(setting) = Setting::fresh(&[]) else { return };
    shows("docs/README.md", 2, &setting, "");
}

#[test]
fn what_is_said_of_ci_runs() {
    let Some(setting) = Setting::fresh(&[]) else { return };
    shows("docs/ci.md", 12, &setting, "");
}

#[test]
fn what_the_concepts_show_runs() {
    let Some(setting) = Setting::fresh(&[]) else { return };
    shows("docs/concepts.md", 4, &setting, "");
}

#[test]
fn exit_codes_are_those_of_their_page() {
    let Some(setting) = Setting::fresh(&[]) else { return };
    shows("docs/exit-codes.md", 8, &setting, "");
}

#[test]
fn what_the_answers_show_runs() {
    let Some(setting) = Setting::fresh(&[]) else { return };
    shows("docs/faq.md", 30, &setting, "");
}

#[test]
fn what_the_page_on_builds_shows_runs() {
    let Some(setting) = Setting::fresh(&[]) else { return };
    let prepared = "mkdir -p files/amd64 files/arm64 files/manifests rootfs-amd64/bin rootfs-arm64/bin && \
                    for arch in amd64 arm64; do \
                        echo helm for $arch >files/$arch/helm; echo bash for $arch >rootfs-$arch/bin/bash; \
                    done && \
                    echo 'kind: List' >files/manifests/all.yaml && chmod -R go=u-w files rootfs-*";
    shows("docs/build.md", 2, &setting, prepared);
}

#[test]
fn what_the_page_on_registries_shows_runs() {
    let Some(setting) = Setting::fresh(&[]) else { return };
    let prepared = "barge merge -q -o old -t org/app:v1 fixtures/umoci-amd64 && barge push -q old quay.io && \
                    barge merge -q -o dist -t org/app:v1 fixtures/umoci-amd64 fixtures/skopeo-arm64.tar";
    shows("docs/registry.md", 3, &setting, prepared);
}
