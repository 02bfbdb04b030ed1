//! Callers notice nothing of an outage of the audit log. Run with `make bench-outage`.

use std::time::{Duration, Instant};

use harness::{Elasticsearch, eventually};
use tokio::time::sleep;

use crate::ledger::Ledger;
use crate::rig::{AuditLog, Plan, Rig};

const RATE: u32 = 500;
const WARM_UP: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_mins(1);

/// The p50, p99 and maximum time from request to callback, and the number of requests.
fn times(ledger: &Ledger, from: Instant, to: Instant) -> (Duration, Duration, Duration, usize) {
    let mut times = Vec::new();
    ledger.each(|request| {
        if (from..to).contains(&request.asked) {
            let called_back = request.called_back.first().copied();
            times.push(called_back.map_or(Duration::MAX, |at| at - request.asked));
        }
    });
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    (at(50), at(99), at(100), times.len())
}

/// The server of the audit log.
enum Server {
    Redis,
    Elasticsearch(Box<Elasticsearch>),
}

impl Server {
    fn kill(&mut self, rig: &mut Rig) {
        match self {
            Self::Redis => rig.log_server().kill(),
            Self::Elasticsearch(node) => {
                node.stop_proxy();
                node.kill();
            }
        }
    }

    async fn start_again(&mut self, rig: &mut Rig) {
        match self {
            Self::Redis => rig.log_server().start_again().await,
            Self::Elasticsearch(node) => node.start_again().await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes and a quiet machine: `make bench-outage`"]
async fn of_redis() {
    callers_do_not_notice(Server::Redis, AuditLog::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes and a quiet machine: `make bench-outage`"]
async fn of_elasticsearch() {
    let node = Elasticsearch::start().await;
    let log = AuditLog::elasticsearch(&node);
    callers_do_not_notice(Server::Elasticsearch(Box::new(node)), log).await;
}

/// Runs a stack for a minute undisturbed, a minute with the audit log killed, and through the recovery.
async fn callers_do_not_notice(mut server: Server, log: AuditLog) {
    let mut rig = Rig::unwatched(Plan {
        rate: RATE,
        log,
        ..Plan::default()
    })
    .await;
    rig.load();
    sleep(WARM_UP).await;
    let undisturbed = Instant::now();
    sleep(WINDOW).await;
    let outage = Instant::now();
    server.kill(&mut rig);
    sleep(WINDOW).await;
    let end = Instant::now();
    server.start_again(&mut rig).await;
    let back = Instant::now();
    rig.worker
        .process()
        .wait_for_line("the audit log accepts records again", Duration::from_mins(2))
        .await;
    let replayed = back.elapsed();
    sleep(WARM_UP).await;
    rig.end_load().await;

    let figures = eventually("every callback and record", Duration::from_mins(2), || async {
        rig.look().await;
        let figures = rig.ledger.figures();
        if figures.lost == 0 {
            Ok(figures)
        } else {
            Err(format!("{figures:?}"))
        }
    })
    .await;
    let before = times(&rig.ledger, undisturbed, outage);
    let during = times(&rig.ledger, outage, end);
    let ratio = during.1.as_secs_f64() / before.1.as_secs_f64();
    println!(
        "undisturbed: p50 {:?}, p99 {:?}, longest {:?} of {}\nlog down:    p50 {:?}, p99 {:?}, longest {:?} of {}\n\
         p99 ratio {ratio:.2}; replayed {replayed:.1?} after the log's return\n{figures:?}",
        before.0, before.1, before.2, before.3, during.0, during.1, during.2, during.3
    );
    assert_eq!(
        (
            figures.refused,
            figures.unanswered,
            figures.duplicate_callbacks,
            figures.duplicate_records
        ),
        (0, 0, 0, 0)
    );
    let rate = f64::from(u32::try_from(during.3).unwrap()) / WINDOW.as_secs_f64();
    assert!(rate > f64::from(RATE) * 0.95, "{rate} requests a second");
    assert!(
        ratio <= 1.5,
        "p99 {:?} with the log down, {:?} undisturbed",
        during.1,
        before.1
    );
}
