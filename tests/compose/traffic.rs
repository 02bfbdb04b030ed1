//! Requests that are sent continuously while the stack changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::requests::{Batch, Fate, TOKEN, authorize, settled};
use crate::stack::Stack;

const CLIENTS: usize = 4;
/// The pause of each client between two requests.
const PAUSE: Duration = Duration::from_millis(40);
/// The number of stations that are allowed beforehand, more than are used.
const STATIONS: u32 = 8_000;

/// Clients that send requests until they are stopped, each for one station after another. A request counts as accepted
/// when it is answered with 200; if it is refused or not answered, it is not counted, and the client moves on to the
/// next station.
pub(crate) struct Traffic {
    batch: Arc<Batch>,
    clients: JoinSet<(Vec<String>, usize)>,
    stop: CancellationToken,
}

impl Traffic {
    pub(crate) fn start(stack: &Stack) -> Self {
        let batch = Arc::new(Batch::new());
        stack.allow_in_redis(&batch.stations(STATIONS), TOKEN);
        let stop = CancellationToken::new();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (batch, stop) = (Arc::clone(&batch), stop.clone());
            let url = stack.authorize_url("STATION", TOKEN);
            let callback_url = stack.callback_url("/");
            clients.spawn(async move {
                let (mut accepted, mut refused) = (Vec::new(), 0);
                while !stop.is_cancelled() {
                    let station = batch.next_station();
                    if authorize(&url.replace("STATION", &station), &callback_url).await {
                        accepted.push(station);
                    } else {
                        refused += 1;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                (accepted, refused)
            });
        }
        Self { batch, clients, stop }
    }

    /// Stops the clients and tracks every accepted request. Prints and returns the outcomes.
    pub(crate) async fn end(mut self, stack: &Stack, what: &str) -> Fate {
        self.stop.cancel();
        let (mut accepted, mut refused) = (Vec::new(), 0);
        while let Some(client) = self.clients.join_next().await {
            let (stations, times) = client.unwrap();
            accepted.extend(stations);
            refused += times;
        }
        let fate = settled(stack, &self.batch, &accepted, what).await;
        println!(
            "{what}: {} accepted, {refused} refused meanwhile, 0 lost, {} called back twice, {} recorded twice, verdicts {:?}",
            fate.accepted, fate.called_twice, fate.recorded_twice, fate.verdicts
        );
        fate
    }
}
