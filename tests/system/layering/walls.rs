//! The boundaries between the crates (docs/adr/0034-walls-and-ports.md, 0037-redis-result-backend.md): which
//! crate may use which, and where lapin and redis may be used.

use std::collections::{BTreeMap, BTreeSet};

use super::workspace::{Dependency, cargo, dependencies, lines_of};

/// The crates of the workspace that each crate may depend on. Services never name one another.
const MAY_USE: &[(&str, &[&str])] = &[
    ("explain", &[]),
    ("callback-client", &["explain"]),
    ("celery-protocol", &[]),
    ("celery-runtime", &["celery-protocol", "explain"]),
    ("service-kit", &["explain"]),
    ("acl-service", &["explain", "service-kit"]),
    (
        "public-api",
        &["celery-protocol", "celery-runtime", "explain", "service-kit"],
    ),
    (
        "worker",
        &[
            "callback-client",
            "celery-protocol",
            "celery-runtime",
            "explain",
            "service-kit",
        ],
    ),
    (
        "standalone",
        &[
            "acl-service",
            "callback-client",
            "celery-protocol",
            "celery-runtime",
            "explain",
            "public-api",
            "service-kit",
            "worker",
        ],
    ),
    ("harness", &[]),
    (
        "system-tests",
        &[
            "acl-service",
            "callback-client",
            "celery-protocol",
            "celery-runtime",
            "harness",
            "public-api",
            "service-kit",
            "standalone",
            "worker",
        ],
    ),
    (
        "compat-tests",
        &["celery-protocol", "celery-runtime", "public-api", "worker"],
    ),
];

/// Crates that need OpenSSL's headers to build. `make run` must not need them.
const OPENSSL: &[&str] = &["elasticsearch", "native-tls", "openssl", "openssl-sys"];

/// Crates that a program with servers needs and standalone does not. They would add minutes to the build of
/// `make run`.
const SERVERS: &[&str] = &[
    "brotli",
    "bzip2",
    "lapin",
    "liblzma",
    "redis",
    "tikv-jemallocator",
    "zstd",
];

/// Additional crates that every crate may use in its tests.
const MAY_USE_IN_TESTS: &[&str] = &["harness"];

/// Libraries that only these crates may depend on.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("elasticsearch", &["worker"]),
    ("lapin", &["celery-runtime"]),
    ("redis", &["acl-service", "celery-runtime", "harness", "worker"]),
    ("rusqlite", &["standalone", "worker"]),
];

/// The only sources that may name redis: files, or prefixes of their paths.
const REDIS_SOURCES: &[&str] = &[
    "acl-service/src/redis_allow_list.rs",
    "celery-runtime/src/result_backend/redis_",
    "worker/src/audit_log/redis.rs",
];

/// The sources of the shared crates.
const SHARED: &[&str] = &[
    "callback-client/src",
    "celery-protocol/src",
    "celery-runtime/src",
    "explain/src",
    "service-kit/src",
];

/// Words that must not occur in any shared crate.
const DOMAIN_WORDS: &[&str] = &["station", "driver", "charging", "allowlist", "allow_list"];

#[test]
fn dependencies_run_one_way() {
    let dependencies = dependencies();
    assert_eq!(against_the_order(&dependencies), BTreeSet::new());
    let members: BTreeSet<&str> = dependencies
        .iter()
        .map(|dependency| dependency.of.as_str())
        .collect();
    assert_eq!(
        members,
        MAY_USE.iter().map(|(name, _)| *name).collect(),
        "the members of the workspace"
    );
}

#[test]
fn lapin_and_the_stores_are_where_they_belong() {
    assert_eq!(out_of_place(&dependencies()), BTreeSet::new());
    let reexported = "pub use lapin";
    for (path, line) in lines_of("celery-runtime/src") {
        assert!(
            !line.trim_start().starts_with(reexported),
            "{path} hands lapin on"
        );
    }
}

#[test]
fn redis_is_in_the_named_files_only() {
    let mut seen = BTreeSet::new();
    for sources in [
        "acl-service/src",
        "celery-runtime/src",
        "public-api/src",
        "service-kit/src",
        "worker/src",
    ] {
        for (path, line) in lines_of(sources)
            .iter()
            .filter(|(_, line)| names_crate(line, "redis"))
        {
            let place = REDIS_SOURCES.iter().find(|place| path.starts_with(**place));
            assert!(place.is_some(), "{path}: {line}");
            seen.extend(place);
        }
    }
    assert_eq!(seen, REDIS_SOURCES.iter().collect(), "the places where redis is");
    for Dependency {
        of, on, is_optional, ..
    } in dependencies()
    {
        assert!(
            of != "celery-runtime" || on != "redis" || is_optional,
            "celery-runtime must do without redis"
        );
    }
}

#[test]
fn celery_protocol_does_no_io() {
    let tree = cargo(&[
        "tree",
        "--package",
        "celery-protocol",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    let packages: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(
        packages.contains("celery-protocol") && packages.contains("serde"),
        "{tree}"
    );
    for forbidden in ["tokio", "lapin", "mio", "hyper", "socket2", "async-io"] {
        assert!(
            !packages.contains(forbidden),
            "celery-protocol depends on {forbidden}"
        );
    }
    for (path, line) in lines_of("celery-protocol/src") {
        for forbidden in ["std::net", "std::fs", "std::process", "std::thread"] {
            assert!(!line.contains(forbidden), "{path}: {line}");
        }
    }
}

#[test]
fn a_first_try_builds_only_what_it_needs() {
    let tree = |arguments: &[&str], wanted: &[&str]| {
        let form = ["--edges", "normal,build", "--prefix", "none", "--format", "{p}"];
        let tree = cargo(&[&["tree", "--package"], arguments, &form].concat());
        let found = tree.lines().filter_map(|line| line.split(' ').next());
        found
            .filter(|found| wanted.contains(found))
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    let unwanted = [OPENSSL, SERVERS].concat();
    let first_try = ["standalone", "--no-default-features"];
    assert_eq!(tree(&first_try, &unwanted), BTreeSet::new());
    assert_eq!(tree(&["standalone"], OPENSSL), BTreeSet::new());
    assert_eq!(
        tree(&["worker"], &unwanted).len(),
        unwanted.len(),
        "the worker has them all"
    );
}

#[test]
fn shared_crates_know_nothing_of_the_services() {
    for shared in SHARED {
        for (path, line) in lines_of(shared) {
            let line = line.to_lowercase();
            let word = DOMAIN_WORDS.iter().find(|word| line.contains(**word));
            assert_eq!(word, None, "{path}: {line}");
        }
    }
}

#[test]
fn a_broken_wall_is_seen() {
    let dependency = |of: &str, on: &str, is_for_tests| Dependency {
        of: of.into(),
        on: on.into(),
        is_for_tests,
        is_optional: false,
    };
    let broken = [
        dependency("public-api", "worker", false),
        dependency("worker", "acl-service", true),
        dependency("celery-protocol", "celery-runtime", false),
        dependency("service-kit", "harness", true),
        dependency("new-crate", "serde", false),
        dependency("public-api", "lapin", false),
        dependency("worker", "lapin", true),
        dependency("celery-runtime", "lapin", false),
    ];
    let expected = [
        "celery-protocol → celery-runtime",
        "new-crate is not in MAY_USE",
        "public-api → worker",
        "worker → acl-service",
    ];
    assert_eq!(against_the_order(&broken), expected.map(str::to_owned).into());
    assert_eq!(
        out_of_place(&broken),
        ["public-api → lapin", "worker → lapin"].map(str::to_owned).into()
    );
    assert!(
        names_crate("use redis::Client;", "redis") && names_crate("    Ok(redis::cmd(\"PING\"))", "redis")
    );
    assert!(!names_crate(
        "use crate::audit_log::redis::RedisAuditLog;",
        "redis"
    ));
    assert!(!names_crate("/// See redis::Client.", "redis"));
}

fn against_the_order(dependencies: &[Dependency]) -> BTreeSet<String> {
    let members: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut broken = BTreeSet::new();
    for Dependency {
        of, on, is_for_tests, ..
    } in dependencies
    {
        let Some(allowed) = members.get(of.as_str()) else {
            broken.insert(format!("{of} is not in MAY_USE"));
            continue;
        };
        let on_member = members.contains_key(on.as_str());
        let in_tests = *is_for_tests && MAY_USE_IN_TESTS.contains(&on.as_str());
        if on_member && !in_tests && !allowed.contains(&on.as_str()) {
            broken.insert(format!("{of} → {on}"));
        }
    }
    broken
}

fn out_of_place(dependencies: &[Dependency]) -> BTreeSet<String> {
    let wrong = dependencies.iter().filter(|Dependency { of, on, .. }| {
        ONLY_IN
            .iter()
            .any(|(library, crates)| on == library && !crates.contains(&of.as_str()))
    });
    wrong
        .map(|Dependency { of, on, .. }| format!("{of} → {on}"))
        .collect()
}

/// Whether a line of code contains a path that starts at this crate, rather than at a module of the same
/// name.
fn names_crate(line: &str, name: &str) -> bool {
    let code = line.trim_start();
    !code.starts_with("//")
        && code.match_indices(&format!("{name}::")).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            !before.is_some_and(|before| before == ':' || before == '_' || before.is_alphanumeric())
        })
}
