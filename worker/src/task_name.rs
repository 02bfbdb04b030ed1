//! The names of the task in messages and in the banner.

/// The Celery application that the task belongs to.
#[cfg(feature = "servers")]
pub(crate) const APP: &str = "authorization_worker.tasks";

/// The name of the task in messages.
pub(crate) const NAME: &str = "authorization_worker.tasks.authorize";
