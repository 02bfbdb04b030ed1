//! Steps of the wall clock that only one program sees. libfaketime (Debian package `faketime`) stands between
//! the program and the system clock. It leaves the monotonic clock unchanged, as a real step does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::Scratch;
use tokio::time::sleep;

use crate::rig::{Plan, Rig};

/// The path of the library, which depends on the architecture in Debian.
fn library() -> String {
    let found = std::fs::read_dir("/usr/lib")
        .unwrap()
        .map(|entry| entry.unwrap().path().join("faketime/libfaketime.so.1"))
        .find(|library| library.exists());
    let library = found.expect("libfaketime; `make test-faults`, or scripts/setup-faults, installs it");
    library.display().to_string()
}

/// A clock that can be set.
struct Clock {
    file: PathBuf,
    _directory: Scratch,
}

impl Clock {
    fn new() -> Self {
        let directory = Scratch::new();
        let clock = Self {
            file: directory.join("clock"),
            _directory: directory,
        };
        clock.set("+0");
        clock
    }

    /// Sets the clock atomically for readers, by replacing the file.
    fn set(&self, offset: &str) {
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{offset}\n")).unwrap();
        std::fs::rename(&new, Path::new(&self.file)).unwrap();
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", library()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    async fn step(&self, rig: &mut Rig) {
        rig.calm().await;
        self.set("+3600");
        sleep(Duration::from_secs(6)).await;
        self.set("-3600");
        sleep(Duration::from_secs(6)).await;
        self.set("+0");
        rig.over();
    }
}

/// While the worker's clock is ahead, every request has expired and gets `unknown`.
#[tokio::test(flavor = "multi_thread")]
async fn of_the_worker() {
    let clock = Clock::new();
    let plan = Plan {
        worker: clock.variables(),
        ..Plan::default()
    };
    let mut rig = Rig::shared(plan).await;
    clock.step(&mut rig).await;
    let figures = rig
        .settle("clock of the worker: an hour ahead, then an hour behind")
        .await;
    assert_eq!(figures.refused + figures.unanswered, 0, "{figures:?}");
    assert!(figures.statuses["unknown"] > 100, "{figures:?}");
}

/// While the API's clock is behind, every request has already expired when it is enqueued and gets `unknown`.
#[tokio::test(flavor = "multi_thread")]
async fn of_the_public_api() {
    let clock = Clock::new();
    let plan = Plan {
        api: clock.variables(),
        ..Plan::default()
    };
    let mut rig = Rig::shared(plan).await;
    clock.step(&mut rig).await;
    let figures = rig
        .settle("clock of the public API: an hour ahead, then an hour behind")
        .await;
    assert_eq!(figures.refused + figures.unanswered, 0, "{figures:?}");
    assert!(figures.statuses["unknown"] > 100, "{figures:?}");
}
