//! Settings of tasks that may change while the worker runs; initially, they are as registered.

use std::collections::HashMap;

use crate::task::rate_limit::RateLimit;
use crate::task::registry::Registry;
use crate::task::time_limits::TimeLimits;

/// The live settings of each task.
#[derive(Debug)]
pub(crate) struct TaskSettings {
    tasks: HashMap<String, Setting>,
}

/// The settings for the next runs of a task.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Setting {
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) time_limits: TimeLimits,
}

impl TaskSettings {
    pub(crate) fn new(registry: &Registry) -> Self {
        let setting = |name: &str| {
            let options = registry.get(name)?.options();
            let setting = Setting {
                rate_limit: options.rate_limit,
                time_limits: TimeLimits::registered(options),
            };
            Some((name.to_owned(), setting))
        };
        Self {
            tasks: registry.names().filter_map(setting).collect(),
        }
    }

    /// Returns the settings of the task with this name.
    pub(crate) fn of(&self, task: &str) -> Setting {
        self.tasks.get(task).copied().unwrap_or_default()
    }
}
