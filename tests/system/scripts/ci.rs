//! .ci/run: a part that fails does not hide the later ones.

use super::Project;

#[test]
fn every_part_is_run_and_the_failed_ones_are_named() {
    let project = Project::new();
    project.script(
        "make",
        "echo \"part: $*\"; [ \"$1\" != test ] && [ \"$1\" != test-elastic ]",
    );
    let path = format!("{}:/usr/bin:/bin", project.root.display());
    let ended = project.run(".ci/run", &[], &[("PATH", &path)]);
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    let (_, parts) = ended.output.split_once("Parts of .ci/run\n").expect("a summary");
    for (part, outcome) in [
        ("make lint", "ok"),
        ("make test", "failed with exit code 1"),
        ("make test-versions", "ok"),
        ("make test-elastic", "failed with exit code 1"),
        ("make test-compose PROGRAMS=debug", "ok"),
    ] {
        assert!(
            ended.output.contains(&format!("part: {}\n", &part[5..])),
            "{}",
            ended.output
        );
        assert!(parts.contains(&format!(" s  {part}: {outcome}\n")), "{parts}");
    }
}

#[test]
fn it_passes_when_every_part_does() {
    let project = Project::new();
    project.script("make", "exit 0");
    let path = format!("{}:/usr/bin:/bin", project.root.display());
    let ended = project.run(".ci/run", &[], &[("PATH", &path)]);
    assert_eq!(ended.code, Some(0), "{}", ended.output);
}
