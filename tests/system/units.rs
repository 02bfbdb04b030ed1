//! The unit files in systemd/ agree with the programs in variables, exit codes and stop times.

use std::time::Duration;

use celery_runtime::{BrokerUrl, WorkerConfig};
use service_kit::env::{BadEnvironment, Variable};
use service_kit::shutdown::DRAIN_LIMIT;

use crate::documents::read;

/// Each program with its variables, its maximum stop time, and the variable for the data that its unit keeps.
fn programs() -> [(&'static str, Vec<Variable>, Duration, Option<&'static str>); 4] {
    let drain = WorkerConfig::new(BrokerUrl::default(), "w@h").drain_timeout;
    [
        ("public-api", public_api::VARIABLES.to_vec(), DRAIN_LIMIT, None),
        ("acl-service", acl_service::VARIABLES.to_vec(), DRAIN_LIMIT, None),
        ("worker", worker::variables(), drain, Some("AUDIT_SPOOL")),
        (
            "standalone",
            standalone::variables(),
            DRAIN_LIMIT,
            Some("STANDALONE_DATABASE"),
        ),
    ]
}

fn unit(program: &str) -> String {
    read(&format!("systemd/cp-auth-{program}.service"))
}

/// The values of a setting, in order.
fn values<'u>(unit: &'u str, setting: &str) -> Vec<&'u str> {
    unit.lines()
        .filter_map(|line| line.strip_prefix(setting)?.strip_prefix('='))
        .collect()
}

#[test]
fn each_starts_its_program_with_its_environment() {
    for (program, variables, _, _) in programs() {
        let unit = unit(program);
        let [start] = values(&unit, "ExecStart")[..] else {
            panic!("{unit}")
        };
        let path = start.split(' ').next();
        assert_eq!(path, Some(format!("/opt/cp-auth/bin/{program}").as_str()));
        assert_eq!(
            values(&unit, "EnvironmentFile"),
            [format!("/etc/cp-auth/{program}.env")]
        );
        for assignment in values(&unit, "Environment") {
            let (name, _) = assignment.split_once('=').expect("NAME=value");
            let known = variables.iter().any(|variable| variable.name == name);
            assert!(known, "{program} does not read {name}");
        }
    }
}

#[test]
fn each_has_the_time_to_stop_by_itself() {
    for (program, _, drain, _) in programs() {
        let unit = unit(program);
        assert_eq!(values(&unit, "KillSignal"), ["SIGTERM"]);
        let [seconds] = values(&unit, "TimeoutStopSec")[..] else {
            panic!("{unit}")
        };
        let allowed = Duration::from_secs(seconds.parse().expect("seconds"));
        assert!(
            allowed >= drain + Duration::from_secs(5),
            "{program}: {allowed:?}, {drain:?}"
        );
    }
}

#[test]
fn mistakes_are_not_tried_again() {
    for (program, ..) in programs() {
        let unit = unit(program);
        assert_eq!(values(&unit, "Restart"), ["on-failure"]);
        assert_eq!(
            values(&unit, "RestartPreventExitStatus"),
            [format!("2 {}", BadEnvironment::EXIT_CODE)]
        );
    }
}

#[test]
fn what_is_kept_is_kept_in_the_state_directory() {
    for (program, _, _, file) in programs() {
        let unit = unit(program);
        let Some(variable) = file else {
            assert!(values(&unit, "StateDirectory").is_empty());
            continue;
        };
        let folder = format!("cp-auth-{program}");
        assert_eq!(values(&unit, "StateDirectory"), [folder.as_str()]);
        let [assignment] = values(&unit, "Environment")[..] else {
            panic!("{unit}")
        };
        assert!(
            assignment.starts_with(&format!("{variable}=%S/{folder}/")),
            "{assignment}"
        );
    }
}

#[test]
fn all_are_hardened_alike() {
    let hardening = |program| {
        let unit = unit(program);
        let (_, settings) = unit.split_once("\nDynamicUser=yes\n").expect("a user of its own");
        settings.to_owned()
    };
    let of_the_worker = hardening("worker");
    assert!(
        of_the_worker.contains("\nProtectSystem=strict\n"),
        "{of_the_worker}"
    );
    assert!(of_the_worker.contains("\nSystemCallFilter=@system-service\n"));
    for (program, ..) in programs() {
        assert_eq!(hardening(program), of_the_worker, "{program}");
    }
}

#[test]
fn migration_names_every_unit() {
    let migration = read("docs/MIGRATION.md");
    for (program, ..) in programs() {
        let unit = format!("`systemd/cp-auth-{program}.service`");
        assert!(migration.contains(&unit), "{unit}");
    }
}
