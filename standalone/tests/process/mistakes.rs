//! Every mistake of a user is answered with one sentence and an exit code.

use std::net::TcpListener;
use std::path::Path;

use harness::{Process, Scratch};

use crate::running::{PROGRAM, Running, WAIT};

/// Runs the program to its end. Returns exit code and standard error, and checks that standard output is empty.
async fn failed(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let process = Process::spawn(PROGRAM, arguments, environment.iter().copied());
    let code = process.wait_exit(WAIT).await.code();
    let said = process.stderr().join("\n");
    assert!(
        process.stdout().is_empty() && !said.contains("panicked"),
        "{}",
        process.tail()
    );
    (code, said)
}

fn at(database: &Path) -> [&str; 6] {
    [
        "--api-port",
        "0",
        "--acl-port",
        "0",
        "--database",
        database.to_str().unwrap(),
    ]
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (flag, other) in [("--api-port", "--acl-port"), ("--acl-port", "--api-port")] {
        let (code, said) = failed(&[flag, &port, other, "0"], &[]).await;
        assert_eq!(code, Some(1), "{said}");
        for part in [
            flag,
            &format!("127.0.0.1:{port}"),
            "another program uses this port",
        ] {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let next = taken.local_addr().unwrap().port() + 1;
    let (_, said) = failed(&["--acl-port", &port, "--api-port", "0"], &[]).await;
    let advice = format!("--acl-port {next}, or AUTHORIZATION_SERVICE_PORT={next} make run");
    assert!(said.ends_with(&advice), "{said}");
    let (code, said) = failed(&["receive", "--port", &port], &[]).await;
    assert!(
        code == Some(1) && said.contains("another program uses this port"),
        "{said}"
    );
}

#[tokio::test]
async fn two_taken_ports_are_named_at_once() {
    let [api, acl] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [api_port, acl_port] = [&api, &acl].map(|taken| taken.local_addr().unwrap().port());
    let variables = [
        ("STANDALONE_API_PORT", api_port.to_string()),
        ("AUTHORIZATION_SERVICE_PORT", acl_port.to_string()),
    ];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let (code, said) = failed(&[], &variables).await;
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    for part in [
        format!("127.0.0.1:{api_port} for the public API and 127.0.0.1:{acl_port} for the ACL service"),
        "other programs use these ports".to_owned(),
        format!("--api-port {} --acl-port {}", api_port + 1, acl_port + 1),
        format!(
            "STANDALONE_API_PORT={} AUTHORIZATION_SERVICE_PORT={} make run",
            api_port + 1,
            acl_port + 1
        ),
    ] {
        assert!(said.contains(&part), "{part} not in {said}");
    }
    let (code, said) = failed(&["--api-port", "1", "--acl-port", "1"], &[]).await;
    assert!(
        code == Some(1) && said.contains("cannot both listen on 127.0.0.1:1;"),
        "{said}"
    );
    let (code, said) = failed(&["--host", "192.0.2.1"], &[]).await;
    assert!(
        code == Some(1) && said.contains("STANDALONE_HOST and STANDALONE_API_PORT"),
        "{said}"
    );
}

#[tokio::test]
async fn standalone_on_its_own_ports_reports_that_it_is_already_running() {
    let directory = Scratch::new();
    let database = directory.join("a.db");
    let first = Running::start(&database, &[]).await;
    let port = |url: &str| url.rsplit(':').next().unwrap_or_default().to_owned();
    let (api, acl) = (port(&first.api), port(&first.acl));
    let arguments = [
        "--api-port",
        &api,
        "--acl-port",
        &acl,
        "--database",
        database.to_str().unwrap(),
    ];
    let (code, said) = failed(&arguments, &[]).await;
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    let sentence = format!(
        "127.0.0.1:{api} for the public API and 127.0.0.1:{acl} for the ACL service: standalone is already running \
         (process {}, with the database {})",
        first.process.pid(),
        database.display()
    );
    assert!(said.contains(&sentence), "{said}");
}

#[tokio::test]
async fn a_count_of_zero_is_refused() {
    for arguments in [["log", "--last", "0"], ["queue", "--first", "0"]] {
        let (code, said) = failed(&arguments, &[]).await;
        assert!(code == Some(2) && said.contains("'0'"), "{said}");
    }
}

#[tokio::test]
async fn an_unusable_database_is_named_with_the_reason() {
    let directory = Scratch::new();
    std::fs::write(directory.join("text"), "not a database".repeat(1000)).unwrap();
    std::fs::create_dir(directory.join("directory")).unwrap();
    for (name, reason) in [
        ("no/such/directory/a.db", "No such file or directory"),
        ("text", "it is not an SQLite database; move it away, or"),
        ("directory", "unable to open database file"),
    ] {
        let path = directory.join(name);
        let (code, said) = failed(&at(&path), &[]).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains(path.to_str().unwrap()) && said.contains(reason),
            "{said}"
        );
        assert!(said.contains("choose another file with --database"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let (code, said) = failed(&at(Path::new("/proc/a.db")), &[]).await;
    assert!(code == Some(1) && said.contains("is not writable"), "{said}");
}

#[tokio::test]
async fn a_second_process_on_the_same_file_names_the_first() {
    let directory = Scratch::new();
    let database = directory.join("a.db");
    let first = Running::start(&database, &[]).await;
    let (code, said) = failed(&at(&database), &[]).await;
    assert_eq!(code, Some(1), "{said}");
    let sentence = format!(
        "another standalone process ({}) has it open; stop that one",
        first.process.pid()
    );
    assert!(said.contains(&sentence), "{said}");
}

#[tokio::test]
async fn an_unknown_flag_is_refused() {
    for arguments in [
        &["--no-such-flag"][..],
        &["no-such-command"],
        &["--api-port", "http"],
        &["demo", "--fast"],
    ] {
        let (code, said) = failed(arguments, &[]).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(arguments.last().unwrap()), "{said}");
    }
}

#[tokio::test]
async fn every_bad_variable_is_named_at_once() {
    let environment = [
        ("STANDALONE_API_PORT", "http"),
        ("AUTHORIZATION_SERVICE_PORT", "-1"),
        ("CALLBACK_TIMEOUT_SEC", "soon"),
        ("AUTHORIZATION_TIMEOUT_SEC", "5.5"),
        ("CALLBACK_NETWORKS", "10.0.0.0/99"),
    ];
    let (code, said) = failed(&[], &environment).await;
    assert_eq!(code, Some(64), "{said}");
    for (name, _) in environment {
        assert!(said.contains(name), "{name}: {said}");
    }
    let (code, _) = failed(&[], &[("RUST_LOG", "=x=")]).await;
    assert_eq!(code, Some(64));
}

#[tokio::test]
async fn there_is_nothing_to_show_before_the_first_start() {
    let directory = Scratch::new();
    let path = directory.join("a.db");
    for command in ["log", "queue"] {
        let (code, said) = failed(&[command, "--database", path.to_str().unwrap()], &[]).await;
        assert!(
            code == Some(1) && said.contains("it does not exist; start the services first"),
            "{said}"
        );
        assert!(!path.exists());
    }
}
