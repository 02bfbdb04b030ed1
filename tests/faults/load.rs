//! Requests at a steady rate. Each has its own station and its own connection.

use std::sync::Arc;
use std::time::Duration;

use harness::http;
use tokio::task::JoinSet;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::ledger::Ledger;

const TOKEN: &str = "validDriverToken-0001";

/// Requests that are sent until [`Load::end`], without waiting for one another's answers.
pub(crate) struct Load {
    ended: CancellationToken,
    sender: JoinSet<()>,
}

impl Load {
    /// Starts sending `rate` requests a second to the API at this base URL.
    pub(crate) fn start(ledger: &Arc<Ledger>, api: String, callback: String, rate: u32) -> Self {
        let ended = CancellationToken::new();
        let (told, ledger) = (ended.clone(), Arc::clone(ledger));
        let mut sender = JoinSet::new();
        sender.spawn(async move {
            let mut open = JoinSet::new();
            let mut tick = interval(Duration::from_secs(1) / rate);
            loop {
                tokio::select! {
                    () = told.cancelled() => break,
                    Some(_) = open.join_next() => {}
                    _ = tick.tick() => {
                        let station = Uuid::new_v4();
                        let url = format!("{api}/station/{station}/driver/{TOKEN}/authorize?callback_url={callback}");
                        let ledger = Arc::clone(&ledger);
                        open.spawn(async move {
                            ledger.asked(station);
                            let answer = http::try_send("GET", &url, &[], Vec::new()).await;
                            ledger.answered(station, answer.ok().map(|answer| answer.status));
                        });
                    }
                }
            }
            while open.join_next().await.is_some() {}
        });
        Self { ended, sender }
    }

    /// Stops sending and waits for the last answer.
    pub(crate) async fn end(mut self) {
        self.ended.cancel();
        while let Some(ended) = self.sender.join_next().await {
            ended.unwrap();
        }
    }
}
