//! Groups: tasks that are sent at the same time.

use celery_protocol::{Dict, Value};

use super::draft::Draft;
use super::error::CanvasError;
use super::freeze::Frozen;
use super::options::text;
use super::plan::{Step, new_id};
use super::signature::{Shape, Sig};
use crate::result_backend::Child;

impl Draft<'_> {
    /// Implements `group.apply_async`. The group's options override those of its tasks.
    pub(super) fn apply_group(
        &mut self,
        sig: &Sig,
        tasks: &[Sig],
        args: &[Value],
        kwargs: &Dict,
        options: &Dict,
    ) -> Result<Child, CanvasError> {
        let mut options = over(&sig.options, options);
        let group_id = text(&options, "task_id").unwrap_or_else(new_id);
        options.remove("task_id");
        options.remove("group_index");
        options.insert("group_id", group_id.as_str());
        let root_id = text(&options, "root_id");
        let chord = options.get("chord").filter(|chord| !chord.is_none()).cloned();
        options.insert("add_to_parent", Value::Bool(false));

        let mut prepared = Vec::new();
        self.prepare(tasks, &group_id, root_id.as_deref(), &mut prepared);
        let (mut members, mut size) = (Vec::new(), 0);
        let count = prepared.len();
        for (number, (task, result)) in prepared.into_iter().enumerate() {
            let chord = chord.clone().or_else(|| {
                task.options
                    .get("chord")
                    .filter(|chord| !chord.is_none())
                    .cloned()
            });
            size += task.size();
            if chord.is_some() && number + 1 == count {
                self.plan.steps.push(Step::ChordSize {
                    group: group_id.clone(),
                    size,
                });
            }
            options.insert("chord", chord.unwrap_or(Value::None));
            self.apply(&task, args, kwargs, &options)?;
            members.push(result);
        }
        Ok(Child::Group(group_id, members))
    }

    /// Implements `group._prepared`: nested groups are flattened and their options dropped.
    fn prepare(
        &self,
        tasks: &[Sig],
        group_id: &str,
        root_id: Option<&str>,
        prepared: &mut Vec<(Sig, Child)>,
    ) {
        for (index, task) in tasks.iter().enumerate() {
            let mut task = task.clone_with(&[]);
            if let Shape::Group(tasks) = &task.shape {
                self.prepare(tasks, group_id, root_id, prepared);
            } else if !task.is_empty_chain() {
                let frozen = Frozen {
                    group_id: Some(group_id),
                    root_id,
                    group_index: Some(index),
                    ..Frozen::default()
                };
                let result = self.freeze(&mut task, frozen);
                prepared.push((task, result));
            }
        }
    }
}

/// Implements `group._freeze_gid`: merges options over `own`, except for those that a group keeps.
fn over(own: &Dict, options: &Dict) -> Dict {
    let mut merged = own.clone();
    for (name, value) in options {
        let name = name.to_string_lossy();
        let kept = matches!(name.as_ref(), "group_id" | "stamped_headers") && own.get(&name).is_some();
        if !kept {
            merged.insert(name.as_ref(), value.clone());
        }
    }
    merged
}
