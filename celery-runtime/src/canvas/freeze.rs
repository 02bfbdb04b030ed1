//! Freezing: ids are assigned before anything is sent, so that results can be awaited by id.

use celery_protocol::{Dict, Value};

use super::draft::Draft;
use super::options::text;
use super::plan::new_id;
use super::signature::{Shape, Sig};
use crate::result_backend::Child;

/// The values that a signature is frozen with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frozen<'f> {
    pub(super) id: Option<&'f str>,
    pub(super) group_id: Option<&'f str>,
    pub(super) chord: Option<&'f Value>,
    pub(super) root_id: Option<&'f str>,
    pub(super) group_index: Option<usize>,
}

impl Draft<'_> {
    /// Implements `freeze`: returns the result that the signature will have.
    pub(super) fn freeze(&self, sig: &mut Sig, frozen: Frozen<'_>) -> Child {
        match &sig.shape {
            Shape::Task => self.freeze_task(&mut sig.options, frozen),
            Shape::Group(tasks) => {
                let tasks = tasks.clone();
                let (tasks, child) = self.freeze_group(&mut sig.options, tasks, frozen);
                sig.shape = Shape::Group(tasks);
                child
            }
            Shape::Chain(steps) => {
                let (mut steps, results) = self.prepare_steps(&[], steps, None, frozen, false);
                steps.reverse();
                sig.shape = Shape::Chain(steps);
                let Some(last) = results.into_iter().next() else {
                    return Child::Task(new_id());
                };
                let (Child::Task(id) | Child::Group(id, _)) = &last;
                sig.options.insert("task_id", id.as_str());
                last
            }
            Shape::Chord(chord) => {
                let mut chord = chord.clone();
                let header = Frozen {
                    root_id: frozen.root_id,
                    ..Frozen::default()
                };
                let (tasks, group) = self.freeze_group(&mut chord.header_options, chord.header, header);
                chord.header = tasks;
                let result = self.freeze(&mut chord.body, frozen);
                sig.shape = Shape::Chord(chord);
                let (Child::Task(id) | Child::Group(id, _)) = group;
                sig.options.insert("task_id", id);
                result
            }
        }
    }

    fn freeze_task(&self, options: &mut Dict, frozen: Frozen<'_>) -> Child {
        let id = options.get("task_id").map(Value::py_str);
        let id = id.unwrap_or_else(|| frozen.id.map_or_else(new_id, str::to_owned));
        options.insert("task_id", id.as_str());
        if let Some(root_id) = frozen.root_id {
            options.insert("root_id", root_id);
        }
        if options.get("reply_to").is_none() {
            options.insert("reply_to", self.canvas.sender.reply_to.as_str());
        }
        if let Some(group_id) = frozen.group_id
            && options.get("group_id").is_none()
        {
            options.insert("group_id", group_id);
        }
        frozen.mark(options);
        Child::Task(id)
    }

    /// Implements `group._freeze_group_tasks`. Nested groups are flattened, each of them in reverse, as in Celery.
    pub(super) fn freeze_group(
        &self,
        options: &mut Dict,
        tasks: Vec<Sig>,
        frozen: Frozen<'_>,
    ) -> (Vec<Sig>, Child) {
        let id = text(options, "task_id").unwrap_or_else(new_id);
        options.insert("task_id", id.as_str());
        if let Some(group_id) = frozen.group_id {
            options.insert("group_id", group_id);
        }
        frozen.mark(options);
        for (name, value) in [("root_id", frozen.root_id), ("parent_id", None)] {
            if options.get(name).is_none() {
                options.insert(name, value.map_or(Value::None, Value::from));
            }
        }
        let root_id = text(options, "root_id");

        let mut waiting = tasks;
        waiting.reverse();
        let (mut flat, mut members) = (Vec::new(), Vec::new());
        while let Some(task) = waiting.pop() {
            let mut task = task.clone_with(&[]);
            match task.shape {
                Shape::Group(tasks) => waiting.extend(tasks),
                _ if task.is_empty_chain() => {}
                _ => {
                    let frozen = Frozen {
                        id: None,
                        root_id: root_id.as_deref(),
                        group_index: Some(flat.len()),
                        ..frozen
                    };
                    members.push(self.freeze(&mut task, frozen));
                    flat.push(task);
                }
            }
        }
        (flat, Child::Group(id, members))
    }
}

impl Frozen<'_> {
    fn mark(self, options: &mut Dict) {
        if let Some(chord) = self.chord {
            options.insert("chord", chord.clone());
        }
        if let Some(index) = self.group_index.and_then(|index| i64::try_from(index).ok()) {
            options.insert("group_index", index);
        }
    }
}
