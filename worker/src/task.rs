//! The `authorize` task under its Celery name.

use std::sync::Arc;

use celery_protocol::Value;
use celery_runtime::{Registry, Request, TaskError, TaskOptions, TaskResult};
use jiff::Timestamp;

use crate::authorize::Authorizer;
use crate::task_name::NAME;

/// Registers the task.
pub fn register(registry: &mut Registry, authorizer: Arc<Authorizer>) {
    registry.register(TaskOptions::named(NAME), move |request| {
        run(Arc::clone(&authorizer), request)
    });
}

async fn run(authorizer: Arc<Authorizer>, request: Request) -> TaskResult {
    let now = Timestamp::now().as_nanosecond();
    let message = request.message();
    let done = authorizer.authorize(request.id(), &message.args, &message.kwargs, now);
    match done.await {
        Ok(()) => Ok(Value::None),
        Err(error) => Err(TaskError::raised(error.class, error.message)),
    }
}
