//! A log that cannot be written costs lines, but never a request and never the program. Each program does its
//! whole job and stops on request, even if standard error is gone, full, or read by a process that hangs.

use std::path::Path;
use std::time::Duration;

use harness::{Broker, LogPlace, Process, Receiver, Redis, Service, Signal, eventually, free_port, http};
use uuid::Uuid;

use crate::load::TOKEN;

const WAIT: Duration = Duration::from_mins(1);

/// How long a program may take to stop: its own limits are 10 s and 30 s.
const STOP: Duration = Duration::from_secs(50);

/// A destination of the log, and what happens to it once the program has started.
struct Fate {
    name: &'static str,
    place: fn() -> LogPlace,
    then: fn(&LogPlace),
}

const FATES: [Fate; 6] = [
    Fate {
        name: "reader gone",
        place: LogPlace::pipe,
        then: LogPlace::lose,
    },
    Fate {
        name: "reader standing still",
        place: LogPlace::pipe,
        then: LogPlace::stand_still,
    },
    Fate {
        name: "terminal gone",
        place: LogPlace::terminal,
        then: LogPlace::lose,
    },
    Fate {
        name: "terminal standing still",
        place: LogPlace::terminal,
        then: LogPlace::stand_still,
    },
    Fate {
        name: "/dev/full",
        place: || LogPlace::file("/dev/full"),
        then: |_| {},
    },
    Fate {
        name: "closed",
        place: LogPlace::closed,
        then: |_| {},
    },
];

fn start(place: &LogPlace, program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Process {
    let (shell, words) = place.command(Path::new(program), arguments);
    Process::spawn(shell, words, variables.iter().copied())
}

async fn stops(program: &Process, what: &str) {
    program.signal(Signal::TERM);
    let status = program.wait_exit(STOP).await;
    assert!(status.success(), "{what}: {status}\n{}", program.tail());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_three_services_work_without_their_log() {
    for Fate { name, place, then } in FATES {
        let vhost = Broker::shared().await.vhost("log").await;
        let (broker, redis, receiver) = (vhost.amqp_url(), Redis::start().await, Receiver::start().await);
        let (redis_port, acl_port, api_port) = (redis.port().to_string(), free_port(), free_port());
        let places = [place(), place(), place()];

        let (port, stores) = (
            acl_port.to_string(),
            [("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", &redis_port)],
        );
        let variables = [&stores[..], &[("FLASK_RUN_PORT", &port), ("RUST_LOG", "debug")]].concat();
        let acl = start(
            &places[0],
            env!("CARGO_BIN_EXE_test-acl-service"),
            &[],
            &variables,
        );
        let acl = Service::start(acl, acl_port).await;

        let port = api_port.to_string();
        let variables = [
            ("BROKER_URL", broker.as_str()),
            ("FLASK_RUN_PORT", &port),
            ("RUST_LOG", "debug"),
        ];
        let api = start(&places[1], env!("CARGO_BIN_EXE_test-public-api"), &[], &variables);
        let api = Service::start(api, api_port).await;

        let acl_url = acl.url();
        let variables = [
            &stores[..],
            &[("BROKER_URL", &broker), ("AUTHORIZATION_SERVICE_URL", &acl_url)],
        ]
        .concat();
        let arguments = ["-A", "authorization_worker.tasks", "worker", "-l", "debug"];
        let worker = start(
            &places[2],
            env!("CARGO_BIN_EXE_test-worker"),
            &arguments,
            &variables,
        );
        eventually(format!("{name}: a consumer"), WAIT, || async {
            assert_eq!(worker.try_exit(), None, "{name}: {}", worker.tail());
            match vhost.consumers("celery").await.len() {
                1 => Ok(()),
                consumers => Err(format!("{consumers} consumers")),
            }
        })
        .await;

        places.iter().for_each(then);
        // Lost connections cause the most log lines in each program.
        vhost.close_all_connections().await;
        for request in 1..=20 {
            let station = Uuid::new_v4();
            let driver = format!("station/{station}/driver/{TOKEN}");
            let added = http::put(&format!("{}/{driver}/acl", acl.url())).await;
            assert_eq!(added.status, 200, "{name}: {added:?}");
            let url = format!(
                "{}/{driver}/authorize?callback_url={}",
                api.url(),
                receiver.url("/")
            );
            eventually(format!("{name}: request {request} accepted"), WAIT, || async {
                match http::get(&url).await.status {
                    200 => Ok(()),
                    status => Err(status.to_string()),
                }
            })
            .await;
            receiver.wait_for(request, WAIT).await;
        }
        eventually(format!("{name}: all records"), WAIT, || async {
            match redis.audit_records().await.len() {
                20 => Ok(()),
                records => Err(format!("{records} records")),
            }
        })
        .await;
        stops(&api.process, name).await;
        stops(&worker, name).await;
        stops(&acl.process, name).await;
        let depth = vhost.queue("celery").await;
        assert_eq!(depth.ready + depth.unacked, 0, "{name}: {depth:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn standalone_works_without_its_log() {
    for Fate { name, place, then } in FATES {
        let receiver = Receiver::start().await;
        let place = place();
        let program = env!("CARGO_BIN_EXE_test-standalone");
        let arguments = ["--api-port", "0", "--acl-port", "0"];
        let process = start(&place, program, &arguments, &[("RUST_LOG", "debug")]);
        let line = process.wait_for_line("public API", WAIT).await;
        let api = line.split_whitespace().last().unwrap_or_default().to_owned();
        process.wait_for_line("Press Ctrl-C to stop", WAIT).await;
        then(&place);
        for request in 1..=20 {
            let station = Uuid::new_v4();
            let callback = receiver.url("/");
            let url = format!("{api}/station/{station}/driver/{TOKEN}/authorize?callback_url={callback}");
            assert_eq!(http::get(&url).await.status, 200, "{name}");
            receiver.wait_for(request, WAIT).await;
        }
        stops(&process, name).await;
        let database = process.directory().join("cp-auth.db");
        let arguments = ["queue".as_ref(), "--database".as_ref(), database.as_os_str()];
        let queue = Process::spawn(program, arguments, [("", ""); 0]);
        assert!(queue.wait_exit(WAIT).await.success());
        assert!(queue.stdout()[0].starts_with("0 "), "{name}: {}", queue.tail());
    }
}

/// A second signal ends a program at once, whatever it is waiting for.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_program_without_its_log() {
    for Fate { name, place, then } in FATES {
        let place = place();
        let arguments = ["--api-port", "0", "--acl-port", "0"];
        let program = env!("CARGO_BIN_EXE_test-standalone");
        let process = start(&place, program, &arguments, &[("CALLBACK_TIMEOUT_SEC", "60")]);
        let line = process.wait_for_line("public API", WAIT).await;
        let api = line.split_whitespace().last().unwrap_or_default().to_owned();
        process.wait_for_line("Press Ctrl-C to stop", WAIT).await;
        then(&place);
        let receiver = Receiver::start().await;
        let callback = receiver.url("/slow/60000");
        let station = Uuid::new_v4();
        let url = format!("{api}/station/{station}/driver/{TOKEN}/authorize?callback_url={callback}");
        assert_eq!(http::get(&url).await.status, 200, "{name}");
        receiver.wait_for(1, WAIT).await;
        process.signal(Signal::TERM);
        process.signal(Signal::INT);
        let status = process.wait_exit(STOP).await;
        assert!(status.success(), "{name}: {status}");
    }
}

/// Lost lines are counted, and the number is logged once when someone reads again.
#[tokio::test(flavor = "multi_thread")]
async fn lost_lines_are_counted() {
    let place = LogPlace::pipe();
    let port = free_port();
    let port_text = port.to_string();
    let variables = [
        ("FLASK_RUN_PORT", port_text.as_str()),
        ("REDIS_PORT", "1"),
        ("ACCESS_LOG", "on"),
    ];
    let process = start(&place, env!("CARGO_BIN_EXE_test-acl-service"), &[], &variables);
    let service = Service::start(process, port).await;
    let url = format!("{}/station/{}/driver/{TOKEN}/acl", service.url(), Uuid::new_v4());
    place.lose();
    for _ in 0..3 {
        assert_eq!(http::get(&url).await.status, 503);
    }
    place.come_back();
    eventually("a line about the lost ones", WAIT, || async {
        assert_eq!(http::get(&url).await.status, 503);
        let text = place.text();
        if text.contains("could not be written and are lost: Broken pipe") {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await;
    let lines = place.text().lines().count();
    eventually("further lines", WAIT, || async {
        assert_eq!(http::get(&url).await.status, 503);
        let text = place.text();
        if text.lines().count() > lines + 2 {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await;
    let text = place.text();
    assert_eq!(text.matches("are lost").count(), 1, "{text}");
}

/// Nobody reads standard output, right from the start. Programs do not wait for its reader either.
#[tokio::test(flavor = "multi_thread")]
async fn programs_work_without_their_standard_output() {
    let vhost = Broker::shared().await.vhost("stdout").await;
    let (broker, admin) = (vhost.amqp_url(), [free_port(), free_port()]);
    let programs = [
        (
            env!("CARGO_BIN_EXE_test-worker"),
            &["worker", "-l", "info", "--purge"][..],
        ),
        (
            env!("CARGO_BIN_EXE_test-standalone"),
            &["--api-port", "0", "--acl-port", "0"],
        ),
    ];
    for ((program, arguments), admin) in programs.into_iter().zip(admin) {
        let place = LogPlace::pipe();
        place.stand_still();
        let (shell, mut words) = place.command(Path::new(program), arguments);
        words[1] = words[1].replace("2>", ">");
        let address = format!("127.0.0.1:{admin}");
        let variables = [("BROKER_URL", broker.as_str()), ("ADMIN_ADDRESS", &address)];
        let process = Process::spawn(shell, words, variables);
        let url = format!("http://{address}/readyz");
        eventually(format!("{program} is ready"), WAIT, || async {
            let answer = http::try_send("GET", &url, &[], "").await;
            match answer.map_err(|error| format!("{error:#}"))?.status {
                200 => Ok(()),
                status => Err(status.to_string()),
            }
        })
        .await;
        stops(&process, program).await;
    }
}

/// A log file at its size limit takes no more lines, and this has no other effect.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_file_at_its_size_limit_ends_nothing() {
    let port = free_port();
    let port_text = port.to_string();
    let script = "ulimit -f 8; exec \"$0\" 2>log";
    let variables = [
        ("FLASK_RUN_PORT", port_text.as_str()),
        ("REDIS_PORT", "1"),
        ("ACCESS_LOG", "on"),
    ];
    let program = env!("CARGO_BIN_EXE_test-acl-service");
    let process = Process::spawn("/bin/sh", ["-c", script, program], variables);
    let service = Service::start(process, port).await;
    for _ in 0..200 {
        assert_eq!(http::get(&format!("{}/", service.url())).await.status, 404);
    }
    let written = std::fs::metadata(service.process.directory().join("log")).expect("the log");
    assert_eq!(written.len(), 8 * 512);
    stops(&service.process, "acl-service").await;
}
