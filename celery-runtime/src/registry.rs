//! The tasks that a worker knows: Celery's `app.tasks`.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::task::{Exception, Outcome, Request, TaskResult};

/// The tasks of a worker by name.
#[derive(Default, Clone)]
pub struct Registry {
    tasks: BTreeMap<String, Arc<RegisteredTask>>,
}

/// A task that can be run.
pub struct RegisteredTask {
    name: String,
    acks_late: Option<bool>,
    handler: Box<dyn Fn(Request) -> BoxFuture<'static, TaskResult> + Send + Sync>,
}

/// A task's name and settings, named as Celery names them.
#[derive(Debug, Clone)]
pub struct TaskOptions {
    /// The name that messages carry, `package.module.function`.
    pub name: String,
    /// Whether the message is acked after the run (`true`), before it (`false`), or as the worker is set (`None`).
    pub acks_late: Option<bool>,
}

impl TaskOptions {
    /// A task of this name with default settings.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            acks_late: None,
        }
    }
}

impl Registry {
    /// A registry without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers an async handler. A task of the same name is replaced, as in Celery.
    pub fn register<F, R>(&mut self, options: TaskOptions, handler: F)
    where
        F: Fn(Request) -> R + Send + Sync + 'static,
        R: Future<Output = TaskResult> + Send + 'static,
    {
        let task = RegisteredTask {
            name: options.name.clone(),
            acks_late: options.acks_late,
            handler: Box::new(move |request| handler(request).boxed()),
        };
        self.tasks.insert(options.name, Arc::new(task));
    }

    /// The task of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<RegisteredTask>> {
        self.tasks.get(name)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tasks.keys().map(String::as_str)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl fmt::Debug for RegisteredTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisteredTask")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl RegisteredTask {
    /// Runs the task to its end. A panic is a failure of the task, never of the worker.
    pub async fn run(&self, request: Request) -> Outcome {
        let handled = AssertUnwindSafe(async { (self.handler)(request).await })
            .catch_unwind()
            .await;
        match handled {
            Ok(result) => result.into(),
            Err(panic) => Outcome::Failed(Exception {
                kind: "Panic".to_owned(),
                message: panic_text(&*panic),
            }),
        }
    }

    /// Whether its message is acked after the run, given the worker's setting.
    pub(crate) fn acks_late(&self, worker_default: bool) -> bool {
        self.acks_late.unwrap_or(worker_default)
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the task panicked without a text".to_owned())
}
