//! A delta pushed straight from the medium, to registries that have its base, or have not.

use crate::environment::Barge;
use crate::registry::FakeRegistry;
use crate::versions::layouts;

/// Every request that could have changed something.
fn writes(registry: &FakeRegistry) -> Vec<String> {
    // what it cannot read is a greeting over TLS: whether it speaks that is tried first
    let harmless = ["GET", "HEAD", "unreadable"];
    let log = registry.log().into_iter().filter(|exchange| !harmless.contains(&exchange.method.as_str()));
    log.map(|exchange| format!("{} {}", exchange.method, exchange.path)).collect()
}

#[test]
fn a_delta_goes_straight_to_a_registry_that_has_its_base() {
    let barge = Barge::new();
    let tops = layouts(&barge, &[1, 2]);
    let registry = FakeRegistry::start();
    barge.line(&format!("push v1 {}", registry.host())).exits(0);
    barge.line(&format!("receipt -o site.json docker://{}", registry.host())).exits(0);
    barge.line("save -o update.tar --base site.json v2").exits(0);
    for command in ["push", "copy"] {
        let destination = match command {
            "push" => registry.host().to_owned(),
            _ => format!("docker://{}/org/app:again", registry.host()),
        };
        barge.line(&format!("{command} update.tar {destination}")).exits(0);
    }
    for tag in ["v2", "again"] {
        assert_eq!(registry.resolve("org/app", tag).unwrap(), tops[1]);
    }
    barge.line(&format!("pull -o back docker://{}/org/app:v2", registry.host())).exits(0);
    barge.line("verify --deep back").exits(0);
}

#[test]
fn a_registry_without_the_base_gets_nothing() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    barge.line("save -o update.tar --base v1 v2").exits(0);
    let (has, has_not) = (FakeRegistry::start(), FakeRegistry::start());
    barge.line(&format!("push v1 {}", has.host())).exits(0);
    has.clear_log();
    let refused = barge.line(&format!("push update.tar {} {}", has.host(), has_not.host())).exits(4);
    refused.says(&["what it builds on is not there: 4 blobs", has_not.host(), "barge receipt docker://"]);
    assert_eq!([writes(&has), writes(&has_not)], [[""; 0]; 2]);
    barge.line(&format!("push --dry-run update.tar {}", has_not.host())).exits(4);
    barge.line(&format!("copy update.tar docker://{}/a/b:c", has_not.host())).exits(4);
    assert_eq!(writes(&has_not), [""; 0]);
    // one that is lacking alone is named alone
    let lost =
        has.blobs("org/app").into_iter().max_by_key(|digest| has.blob("org/app", digest).unwrap().len()).unwrap();
    has.remove_blob("org/app", &lost);
    has.clear_log();
    barge.line(&format!("push update.tar {}", has.host())).exits(4).says(&["1 blob", &lost]);
    assert_eq!(writes(&has), [""; 0]);
}

#[test]
fn a_base_in_another_repository_is_mounted_from_there() {
    let barge = Barge::new();
    let tops = layouts(&barge, &[1, 2]);
    let registry = FakeRegistry::start();
    barge.line(&format!("push v1:ghcr.io/org/app:v1 {}/elsewhere/base:v1", registry.host())).exits(0);
    barge.line(&format!("receipt -o site.json docker://{}", registry.host())).exits(0);
    barge.line("save -o update.tar --base site.json v2").exits(0);
    registry.clear_log();
    barge.line(&format!("push update.tar {}", registry.host())).exits(0).says(&["4 mounted"]);
    assert_eq!(registry.resolve("org/app", "v2").unwrap(), tops[1]);
    // without the receipt nobody knows where to look
    barge.line("save -o blind.tar --base v1 v2").exits(0);
    barge.line(&format!("push blind.tar {}/third", registry.host())).exits(4);
}
