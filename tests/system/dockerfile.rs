//! The dependency layer of docker/rust.Dockerfile, tested without a container engine.

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::Scratch;

/// The images are first built from manifests and empty sources. Cargo must accept the source that the
/// Dockerfile creates for each target named in a manifest.
#[test]
fn cargo_accepts_the_manifests_with_the_empty_sources_of_the_first_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let dockerfile = fs::read_to_string(root.join("docker/rust.Dockerfile")).expect("the Dockerfile");
    let dockerfile = dockerfile.replace("\\\n", " ");
    let layer = Scratch::new();
    let mut copied = 0;
    for line in dockerfile.lines().filter(|line| line.contains("Cargo.")) {
        let Some((files, to)) = line
            .strip_prefix("COPY ")
            .and_then(|files| files.rsplit_once(' '))
        else {
            continue;
        };
        for file in files.split(' ') {
            let name = Path::new(file).file_name().expect("a file");
            let place = layer.join(to).join(name);
            fs::create_dir_all(place.parent().expect("a folder")).expect("the folder");
            fs::copy(root.join(file), place).expect(file);
            copied += 1;
        }
    }
    assert!(copied > 10, "{copied} manifests in the first layer");
    let run = dockerfile
        .lines()
        .find_map(|line| line.strip_prefix("RUN for manifest"));
    let (empty_sources, _) = run
        .expect("the loop")
        .split_once("&& cargo build")
        .expect("a build");
    let made = Command::new("sh")
        .args(["-ec", &format!("for manifest{empty_sources}")])
        .current_dir(layer.path())
        .status();
    assert!(made.expect("sh").success());
    let read = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version=1"])
        .current_dir(layer.path())
        .output()
        .expect("cargo");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}
