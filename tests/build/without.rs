//! Images without a recipe.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::*;

#[test]
fn a_directory_for_each_platform_becomes_an_image_in_one_line() {
    let barge = Barge::new();
    for (path, content) in [("r/amd64/bin/app", "amd"), ("r/armv7/bin/app", "arm"), ("r/notes", "notes")] {
        barge.write(path, content);
        fs::set_permissions(barge.path(path), fs::Permissions::from_mode(0o4750)).unwrap();
    }
    let mut command = barge.command();
    command.args("build -o out -t a --platform linux/amd64,linux/arm/v7 --from scratch".split(' '));
    command.args(["--add", "r/{arch}{variant}/:/", "--add", "r/notes:/usr/share/", "--entrypoint", "/bin/app"]);
    command.args(["--workdir", "/data", "--user", "1:2", "--expose", "80", "--volume", "/data", "--annotation", "a=b"]);
    barge.finish(&mut command).exits(0);
    barge.line("verify --deep out").exits(0);
    for (platform, content) in [("linux/amd64", "amd"), ("linux/arm/v7", "arm")] {
        let image = Image::of(&barge.path("out"), Some(platform));
        assert_eq!(image.layer(0), ["0755 0:0 bin/".to_owned(), format!("4750 0:0 bin/app {content:?}")]);
        assert_eq!(image.layer(1), ["0755 0:0 usr/", "0755 0:0 usr/share/", "4750 0:0 usr/share/notes \"notes\""]);
        assert_eq!(image.layer(2), ["0755 0:0 data/"]);
        let config = &image.config["config"];
        assert_eq!(config["Entrypoint"], json!(["/bin/app"]));
        assert_eq!((&config["WorkingDir"], &config["User"]), (&json!("/data"), &json!("1:2")));
        assert_eq!((&config["ExposedPorts"], &config["Volumes"]), (&json!({"80/tcp": {}}), &json!({"/data": {}})));
        assert_eq!(image.manifest["annotations"]["a"], "b");
        assert_eq!(image.history()[0], ("ADD /", true));
    }
}

#[test]
fn a_tar_is_unpacked_with_its_owners() {
    let barge = Barge::new();
    let mut tar = tar::Builder::new(Vec::new());
    for (name, mode, uid) in [("etc/shadow", 0o640, 0), ("home/me/note", 0o600, 1000)] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_uid(uid);
        header.set_gid(42);
        header.set_size(1);
        tar.append_data(&mut header, name, &b"x"[..]).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    barge.write("root.tar", &tar);
    barge.write("root.tar.zst", zstd::encode_all(tar.as_slice(), 1).unwrap());
    let mut digests = Vec::new();
    for name in ["root.tar", "root.tar.zst"] {
        barge.line(&format!("build -o {name}.d -t a --platform linux/amd64 --from scratch --add {name}:/")).exits(0);
        let image = Image::of(&barge.path(format!("{name}.d")), None);
        assert_eq!(
            image.layer(0),
            [
                "0755 0:0 etc/",
                "0640 0:42 etc/shadow \"x\"",
                "0755 0:0 home/",
                "0755 0:0 home/me/",
                "0600 1000:42 home/me/note \"x\""
            ]
        );
        digests.push(image.config["rootfs"]["diff_ids"].clone());
    }
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn an_image_gets_another_layer() {
    let barge = Barge::new();
    barge.fixtures(&["skopeo-arm64.tar"]);
    barge.write("a b[*]", "x");
    let mut command = barge.command();
    command.args("build -o out -t a --platform linux/arm64 --from skopeo-arm64.tar --add".split(' '));
    command.args(["a b[*]:/opt/"]);
    barge.finish(&mut command).exits(0);
    let image = Image::of(&barge.path("out"), None);
    assert_eq!(image.layers().last().unwrap(), &["0755 0:0 opt/", "0644 0:0 opt/a b[*] \"x\""]);
    barge.line("verify --deep out").exits(0);
}

#[test]
fn what_cannot_be_added_is_refused() {
    let barge = Barge::new();
    barge.write("f", "f");
    barge.write("d/f", "f");
    for (add, code, said) in [
        ("f", 2, "it is not SRC:DST"),
        (":/x", 2, "it is not SRC:DST"),
        ("f:x", 2, "DST is no absolute path"),
        ("{arhc}:/x", 2, "did you mean {arch}?"),
        ("none:/x", 3, "cannot read none"),
        ("d/{arch}:/x", 3, "cannot read d/amd64"),
    ] {
        let mut command = barge.command();
        command.args("build -o out -t a --platform linux/amd64 --from scratch --add".split(' ')).arg(add);
        let output = barge.finish(&mut command);
        output.exits(code).says(&[said]);
        assert!(!barge.path("out").exists(), "{add}");
    }
    barge.line("build -o out -t a --from scratch -f x").exits(2);
    barge.line("build -o out -t a --from nothing --add f:/f").exits(3).says(&["--online", "-L"]);
    barge
        .line("build -o out -t a")
        .exits(3)
        .says(&["Containerfile, Dockerfile or Kubefile", "--from IMAGE --add SRC:DST"]);
    barge.line("build -o out -t a --platform all --from scratch --add f:/f").exits(2).says(&["name them"]);
}
