//! The names by which messages and the banner know the task.

/// The Celery application that the task belongs to.
pub(crate) const APP: &str = "authorization_worker.tasks";

/// The name that messages carry.
pub(crate) const NAME: &str = "authorization_worker.tasks.authorize";
