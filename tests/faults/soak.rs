//! Half an hour of load: after a while, memory and file descriptors stop growing. Run with `make soak`.

use std::time::{Duration, Instant};

use harness::{Process, Redis, eventually};
use tokio::time::sleep;

use crate::ledger::Answer;
use crate::rig::{AuditLog, Plan, Rig};

const RATE: u32 = 300;

/// How often the programs are sampled.
const LOOK: Duration = Duration::from_secs(5);

/// The maximum growth of memory between the first window and the last, in percent.
const GROWTH: f64 = 5.0;

/// Growth below this many MiB is ignored, because a few pages are a large percentage of a small program.
const NOTHING: f64 = 1.0;

/// A sample of a program's resources.
#[derive(Debug, Clone, Copy)]
struct Sample {
    kib: usize,
    descriptors: usize,
}

impl Sample {
    fn of(process: &Process) -> Self {
        Self {
            kib: process.anonymous_memory(),
            descriptors: process.open_files(),
        }
    }
}

/// The median anonymous memory in MiB, and the median and maximum number of descriptors.
fn summary(samples: &[Sample]) -> (f64, usize, usize) {
    let mut memory: Vec<usize> = samples.iter().map(|sample| sample.kib).collect();
    let mut descriptors: Vec<usize> = samples.iter().map(|sample| sample.descriptors).collect();
    memory.sort_unstable();
    descriptors.sort_unstable();
    let kib = u32::try_from(memory[memory.len() / 2]).unwrap();
    let median = descriptors[descriptors.len() / 2];
    (f64::from(kib) / 1024.0, median, *descriptors.last().unwrap())
}

fn minutes() -> u32 {
    let minutes = std::env::var_os("SOAK_MINUTES").and_then(|minutes| minutes.to_str()?.parse().ok());
    minutes.unwrap_or(30)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half an hour: `make soak`"]
async fn memory_and_descriptors_stay_flat() {
    let redis = Redis::start().await;
    let mut rig = Rig::unwatched(Plan {
        rate: RATE,
        log: AuditLog::RedisAt(redis.port(), redis),
        ..Plan::default()
    })
    .await;
    let length = Duration::from_secs(60) * minutes();
    // For half an hour, the windows are minutes 5 to 10 and the last five minutes.
    let window = usize::try_from((length / 6).as_secs() / LOOK.as_secs()).unwrap();
    let began = Instant::now();
    let names = ["public-api", "worker", "acl-service"];
    let mut samples = [const { Vec::new() }; 3];
    let (mut accepted, mut twice, mut statuses) = (0_usize, 0_usize, std::collections::BTreeMap::new());
    rig.load();
    // A process keeps memory for the largest number of simultaneous connections so far, so the peak comes
    // first.
    rig.burst().await;
    while began.elapsed() < length {
        sleep(LOOK).await;
        let programs = [&rig.api, &rig.worker, &rig.acl];
        for (samples, program) in samples.iter_mut().zip(programs) {
            samples.push(Sample::of(program.process()));
        }
        // Requests that completed some seconds ago are counted and forgotten. Their records are counted at
        // the end.
        rig.ledger.forget(|request| {
            let is_done = request.answer == Answer::Accepted
                && !request.called_back.is_empty()
                && request.asked.elapsed() > LOOK * 2;
            if is_done {
                accepted += 1;
                twice += request.called_back.len() - 1;
                *statuses.entry(request.status.clone()).or_insert(0_usize) += 1;
            }
            is_done
        });
        rig.callbacks.forget();
        if samples[0].len() % 12 == 0 {
            let now = samples.each_ref().map(|samples| *samples.last().unwrap());
            println!(
                "minute {}: {accepted} accepted and called back, {now:?}",
                samples[0].len() / 12
            );
        }
    }
    rig.end_load().await;
    eventually("every callback", Duration::from_mins(1), || async {
        let figures = rig.ledger.figures();
        if figures.called_back == figures.accepted {
            Ok(())
        } else {
            Err(format!("{figures:?}"))
        }
    })
    .await;
    let rest = rig.ledger.figures();
    let accepted = accepted + rest.accepted;
    let records = eventually("every record", Duration::from_mins(1), || async {
        let count = rig.record_count().await.ok_or("no answer")?;
        if count >= accepted {
            Ok(count)
        } else {
            Err(count.to_string())
        }
    })
    .await;
    let duplicates = twice + rest.duplicate_callbacks;
    println!(
        "{} minutes: {accepted} accepted and called back {statuses:?}, {records} records, {duplicates} called back twice",
        minutes()
    );
    let mut is_flat = true;
    for (name, samples) in names.iter().zip(&samples) {
        let (first, last) = (&samples[window..2 * window], &samples[samples.len() - window..]);
        let ((early, fds_early, most_early), (late, fds_late, most_late)) = (summary(first), summary(last));
        let growth = (late / early - 1.0) * 100.0;
        println!(
            "{name}: {early:.1} MiB → {late:.1} MiB ({growth:+.1} %), descriptors {fds_early} → {fds_late}, \
             most {most_early} → {most_late}"
        );
        is_flat &= (growth <= GROWTH || late - early < NOTHING) && fds_late <= fds_early + 10;
    }
    assert_eq!(
        (rest.refused, rest.unanswered, rest.others.len()),
        (0, 0, 0),
        "{rest:?}"
    );
    assert!(is_flat, "grows");
    assert_eq!((records, duplicates), (accepted, 0));
    let per_second = f64::from(u32::try_from(accepted).unwrap()) / length.as_secs_f64();
    assert!(per_second > f64::from(RATE) * 0.95, "{per_second} a second");
}
