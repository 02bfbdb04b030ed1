//! The service, running inside the test, with a queue that records messages.

use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use celery_protocol::{Message, TaskCall};
use harness::recorded::Answer;
use public_api::{Authorize, TaskQueue, Unavailable, router};
use service_kit::http::{self, Limits};
use service_kit::shutdown::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The time limit for the verdict of a request.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// A queue that keeps every message as it would be sent, unless it is unavailable.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    messages: Arc<Mutex<Vec<Message>>>,
    away: Arc<AtomicBool>,
}

impl Recorder {
    /// Returns the messages since the last call.
    pub(crate) fn take(&self) -> Vec<Message> {
        mem::take(&mut self.messages.lock().unwrap())
    }

    pub(crate) fn go_away(&self) {
        self.away.store(true, Ordering::Relaxed);
    }
}

impl TaskQueue for Recorder {
    async fn put(&self, call: TaskCall) -> Result<(), Unavailable> {
        if !self.is_ready() {
            return Err(Unavailable("the recorder is unavailable".into()));
        }
        self.messages.lock().unwrap().push(call.encode());
        Ok(())
    }

    fn is_ready(&self) -> bool {
        !self.away.load(Ordering::Relaxed)
    }
}

/// The running service; it ends with its test.
pub(crate) struct Running {
    pub(crate) queue: Recorder,
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        let queue = Recorder::default();
        let authorize = Authorize {
            queue: queue.clone(),
            sender: celery_runtime::sender().clone(),
            timeout: TIMEOUT,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        // One recorded request is an empty line, and the test waits for its timeout. No other request takes this long
        // to arrive, even on a busy machine.
        let limits = Limits {
            header_read: Duration::from_secs(4),
            ..Limits::default()
        };
        tasks.spawn(http::serve(
            listener,
            router(authorize),
            limits,
            GracefulShutdown::manual(),
        ));
        Self {
            queue,
            address,
            _tasks: tasks,
        }
    }

    /// Sends bytes and reads everything to the end of the connection.
    pub(crate) async fn exchange(&self, request: &[u8]) -> Vec<u8> {
        harness::http::raw(&self.address.to_string(), request)
            .await
            .unwrap()
    }

    /// Sends bytes and reads the answer.
    pub(crate) async fn send(&self, request: &[u8]) -> Answer {
        Answer::received(&self.exchange(request).await)
    }
}
