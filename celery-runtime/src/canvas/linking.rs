//! Linking signatures: callbacks and errbacks of the shapes, and chords whose body is a chain.

use celery_protocol::{Dict, Value};

use super::options::list;
use super::signature::{Shape, Sig};

/// Options of a chain that apply to the chain itself; the others go to its first task.
const RUN_OPTIONS: [&str; 8] = [
    "chord",
    "group_id",
    "group_index",
    "link",
    "link_error",
    "parent_id",
    "root_id",
    "task_id",
];

impl Sig {
    /// Rewrites a chord whose body is a chain that begins with a task: that task alone becomes the body, and the
    /// rest of the chain follows the chord. Otherwise every task of the header would carry the rest.
    pub(super) fn unrolled_body(&self) -> Option<Vec<Sig>> {
        let Shape::Chord(chord) = &self.shape else {
            return None;
        };
        let Shape::Chain(steps) = &chord.body.shape else {
            return None;
        };
        let first = steps.first()?;
        if matches!(first.shape, Shape::Group(_)) {
            return None;
        }
        let options: Dict = chord
            .body
            .options
            .iter()
            .filter(|(name, _)| !RUN_OPTIONS.contains(&name.to_string_lossy().as_ref()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut steps: Vec<Sig> = steps.iter().map(|step| step.clone_with(&[])).collect();
        if let Some(last) = steps.last_mut() {
            for link in list(chord.body.options.get("link")) {
                last.append_option("link", link);
            }
        }
        for errback in list(chord.body.options.get("link_error")) {
            for step in &mut steps {
                step.append_option("link_error", errback.clone());
            }
        }
        let mut body = steps.remove(0);
        body.options = body.merged_options(&options);
        let mut head = self.clone();
        if let Shape::Chord(chord) = &mut head.shape {
            chord.body = body;
        }
        steps.insert(0, head);
        Some(steps)
    }

    /// Adds a value to an option that is a list, unless the list contains it.
    pub(super) fn append_option(&mut self, name: &str, value: Value) {
        let mut items = list(self.options.get(name));
        if !items.contains(&value) {
            items.push(value);
        }
        self.options.insert(name, Value::List(items));
    }

    /// Implements `link`: adds a callback for the result. A group passes it to its first task, without the result;
    /// a chord to its body.
    pub(super) fn link(&mut self, callback: Value) {
        match &mut self.shape {
            Shape::Group(tasks) => {
                if let Some(first) = tasks.first_mut() {
                    let mut callback = callback;
                    if let Value::Dict(dict) = &mut callback {
                        dict.insert("immutable", Value::Bool(true));
                    }
                    first.link(callback);
                } else {
                    self.append_option("link", callback);
                }
            }
            Shape::Chord(chord) => chord.body.link(callback),
            Shape::Task | Shape::Chain(_) => self.append_option("link", callback),
        }
    }

    /// Implements `_link_error_to_body_tasks`: adds an errback in the body of a chord.
    pub(super) fn link_error(&mut self, errback: &Value, runs_as_group: bool) {
        let own = runs_as_group && self.options.get("link_error").is_some_and(|own| !own.is_none());
        match &mut self.shape {
            Shape::Group(tasks) if !own => {
                for task in tasks {
                    task.link_error(errback, false);
                }
            }
            Shape::Chord(chord) => chord.body.link_error(errback, true),
            Shape::Group(_) | Shape::Task | Shape::Chain(_) => {
                self.append_option("link_error", errback.clone());
            }
        }
    }
}
