//! The sender's identity: the `origin` header and the `reply_to` property of this process (contract A.2, A.3).

use std::sync::LazyLock;

use celery_protocol::Sender;
use uuid::Uuid;

static SENDER: LazyLock<Sender> = LazyLock::new(|| {
    let origin = format!("gen{}@{}", std::process::id(), hostname());
    let reply_to = Uuid::new_v3(&Uuid::NAMESPACE_OID, origin.as_bytes());
    Sender {
        origin,
        reply_to: reply_to.to_string(),
    }
});

/// Returns this process as a sender of messages: constant for its lifetime, as Celery's is per thread.
pub fn sender() -> &'static Sender {
    &SENDER
}

/// Returns the host's name as `socket.gethostname()` returns it to Celery, or `localhost` if it cannot be read.
pub fn hostname() -> String {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .map(|name| name.trim().to_owned())
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_one_sender() {
        let sender = sender();
        assert_eq!(sender.origin, format!("gen{}@{}", std::process::id(), hostname()));
        assert_eq!(sender.reply_to.parse::<Uuid>().unwrap().get_version_num(), 3);
        assert_eq!(sender.reply_to, super::sender().reply_to);
    }
}
