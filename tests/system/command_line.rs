//! Help, version and shell completions of the four programs.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use harness::{Process, Scratch};
use service_kit::env::Variable;

use crate::services::rust;

const WAIT: Duration = Duration::from_secs(20);

/// Each program with its name and the variables that it reads.
fn programs() -> [(&'static str, &'static str, Vec<Variable>); 4] {
    [
        (
            env!("CARGO_BIN_EXE_test-public-api"),
            "public-api",
            public_api::VARIABLES.to_vec(),
        ),
        (
            env!("CARGO_BIN_EXE_test-acl-service"),
            "acl-service",
            acl_service::VARIABLES.to_vec(),
        ),
        (env!("CARGO_BIN_EXE_test-worker"), "worker", worker::variables()),
        (
            env!("CARGO_BIN_EXE_test-standalone"),
            "standalone",
            standalone::variables(),
        ),
    ]
}

/// Runs a program to its end and returns its exit code and standard output.
async fn said(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let process = rust(program, arguments, variables);
    let code = process.wait_exit(WAIT).await.code();
    (code, process.stdout().join("\n"))
}

#[tokio::test]
async fn both_flags_print_the_version() {
    for (program, name, _) in programs() {
        for flag in ["-V", "--version"] {
            let (code, output) = said(program, &[flag], &[]).await;
            assert_eq!(
                (code, output),
                (Some(0), format!("{name} {}", env!("CARGO_PKG_VERSION"))),
                "{flag}"
            );
        }
    }
}

#[tokio::test]
async fn help_names_variables_and_shows_no_value_and_no_part_that_is_not_there() {
    let values = [
        ("CELERY_WORKER_HOSTNAME", "shown@me"),
        ("CELERY_WORKER_QUEUES", "shown-queue"),
        ("BROKER_URL", "shown"),
    ];
    for (program, name, variables) in programs() {
        let (code, help) = said(program, &["--help"], &values).await;
        assert_eq!(code, Some(0), "{name}");
        assert!(!help.contains("shown") && !help.contains("=]"), "{name}: {help}");
        for Variable {
            name: variable,
            default,
            meaning,
        } in variables
        {
            let default = default
                .map(|default| format!(" [default: {default}]"))
                .unwrap_or_default();
            let text = format!("{meaning}{default}");
            assert!(
                help.contains(variable) && help.contains(&text),
                "{name}: {variable}: {help}"
            );
        }
        for foreign in foreign(name) {
            let words = help.to_lowercase();
            assert!(!words.contains(foreign), "{name} mentions {foreign}: {help}");
        }
        assert!(
            help.contains("--check") && help.contains("completions") && help.contains("-V, --version"),
            "{help}"
        );
    }
    let (_, help) = said(env!("CARGO_BIN_EXE_test-worker"), &["--help"], &[]).await;
    for text in [
        "[env: CELERY_WORKER_HOSTNAME]",
        "[env: CELERY_WORKER_CONCURRENCY]",
        "the default is celery@%h",
        "means 100",
        "the default is 4",
        "the default is celery ",
        "[default: 30]",
        "[default: WARNING]",
    ] {
        assert!(help.contains(text), "{text}: {help}");
    }
}

/// Libraries and components that a program does not contain.
fn foreign(program: &str) -> &'static [&'static str] {
    match program {
        "acl-service" => &["lapin", "rabbitmq", "celery", "elastic", "sqlite"],
        "public-api" => &["redis", "elastic", "sqlite"],
        "standalone" => &["lapin", "rabbitmq", "redis", "elastic"],
        _ => &[],
    }
}

/// The long options of a program's help.
fn options(help: &str) -> BTreeSet<String> {
    help.lines()
        .filter(|line| line.trim_start().starts_with('-'))
        .flat_map(|line| line.split([' ', ',']))
        .filter_map(|word| word.strip_prefix("--"))
        .map(|option| option.trim_end_matches(['.', ']']).to_owned())
        .collect()
}

#[tokio::test]
async fn completions_name_every_option_and_are_accepted_by_their_shell() {
    let directory = Scratch::new();
    for (program, name, _) in programs() {
        let (_, help) = said(program, &["--help"], &[]).await;
        let options = options(&help);
        assert!(options.len() >= 3, "{options:?}");
        for shell in ["bash", "zsh", "fish"] {
            let (code, script) = said(program, &["completions", shell], &[]).await;
            assert_eq!(code, Some(0), "{name} {shell}");
            for option in &options {
                assert!(script.contains(option), "{name} {shell}: {option}");
            }
            assert!(script.contains(name));
            let file = directory.join(&format!("{name}.{shell}"));
            std::fs::write(&file, script).expect("it can be written");
            accepted(shell, &file).await;
        }
        for wrong in [
            &["completions"][..],
            &["completions", "powershell"],
            &["completions", "bash", "zsh"],
        ] {
            assert_eq!(
                said(program, wrong, &[]).await,
                (Some(2), String::new()),
                "{name} {wrong:?}"
            );
        }
    }
}

/// Asserts that the shell parses its script, without running it.
async fn accepted(shell: &str, script: &Path) {
    let there = ["/bin", "/usr/bin", "/usr/local/bin"].map(|folder| Path::new(folder).join(shell));
    let path = there.iter().find(|path| path.exists());
    let path = path
        .unwrap_or_else(|| panic!("{shell} is not installed; scripts/setup installs what the tests need"));
    let process = Process::spawn(path, [Path::new("-n"), script], [("", ""); 0]);
    assert_eq!(
        process.wait_exit(WAIT).await.code(),
        Some(0),
        "{}",
        process.tail()
    );
}
