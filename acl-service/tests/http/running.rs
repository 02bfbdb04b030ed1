//! The service, running inside the test on its own port.

use std::net::SocketAddr;
use std::sync::Arc;

use acl_service::{RedisAllowList, router};
use harness::recorded::Answer;
use service_kit::http::{self, Limits};
use service_kit::shutdown::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The running service; it ends with its test.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Running {
    pub(crate) async fn start(redis_host: &str, redis_port: u16) -> Self {
        let allow_list = RedisAllowList::new(redis_host, redis_port).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        let router = router(Arc::new(allow_list));
        tasks.spawn(http::serve(
            listener,
            router,
            Limits::default(),
            GracefulShutdown::manual(),
        ));
        Self {
            address,
            _tasks: tasks,
        }
    }

    /// Sends bytes and reads the answer to the end of the connection.
    pub(crate) async fn send(&self, request: &[u8]) -> Answer {
        Answer::received(
            &harness::http::raw(&self.address.to_string(), request)
                .await
                .unwrap(),
        )
    }

    /// Sends a request without a body.
    pub(crate) async fn ask(&self, method: &str, target: &str) -> Answer {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        self.send(request.as_bytes()).await
    }
}
