//! Chains: the next step travels in the message of the previous one.

use std::collections::VecDeque;

use celery_protocol::{Dict, Value};

use super::bounds;
use super::draft::Draft;
use super::error::CanvasError;
use super::freeze::Frozen;
use super::options::{list, merge};
use super::signature::{Shape, Sig};
use crate::result_backend::Child;

impl Draft<'_> {
    /// Implements `chain.apply_async`: the first step is sent and carries the others. Options apply to the first
    /// step only.
    pub(super) fn apply_chain(
        &mut self,
        sig: &Sig,
        steps: &[Sig],
        args: &[Value],
        options: &Dict,
    ) -> Result<Option<Child>, CanvasError> {
        let given = options;
        let mut options = sig.options.clone();
        merge(&mut options, given);
        let mut take = |name: &str| options.remove(name).filter(|value| !value.is_none());
        let (group_id, chord, task_id) = (take("group_id"), take("chord"), take("task_id"));
        let (root_id, group_index) = (take("root_id"), take("group_index"));
        let (link, link_error) = (take("link"), take("link_error"));
        take("parent_id");

        let texts = |value: Option<Value>| value.map(|value| value.py_str());
        let (group_id, task_id, root_id) = (texts(group_id), texts(task_id), texts(root_id));
        let frozen = Frozen {
            id: task_id.as_deref(),
            group_id: group_id.as_deref(),
            chord: chord.as_ref(),
            root_id: root_id.as_deref(),
            group_index: group_index
                .and_then(|index| index.as_i64())
                .and_then(|index| usize::try_from(index).ok()),
        };
        for carried in [&chord, &link_error].into_iter().flatten() {
            bounds::check_copies(carried, steps.iter().map(|step| step.size().max(1)).sum())?;
        }
        let own_args = sig.merged_args(args).items;
        let (mut steps, _) = self.prepare_steps(&own_args, steps, link_error.as_ref(), frozen, true);
        if let Some(last) = steps.first_mut() {
            for link in list(link.as_ref()) {
                last.append_option("link", link);
            }
        }
        let Some(first) = steps.pop() else {
            return Ok(None);
        };
        let rest = steps.iter().map(Sig::to_value);
        let chain = list(options.get("chain")).into_iter().chain(rest).collect();
        options.insert("chain", Value::List(chain));
        self.apply(&first, &[], &Dict::new(), &options)
    }

    /// Implements `chain.prepare_steps`: returns the frozen steps, **the last one first**, and their results in the
    /// same order. Nested chains are spliced in, and a group that is followed by a step becomes a chord.
    pub(super) fn prepare_steps(
        &self,
        args: &[Value],
        steps: &[Sig],
        link_error: Option<&Value>,
        frozen: Frozen<'_>,
        to_be_sent: bool,
    ) -> (Vec<Sig>, Vec<Child>) {
        let mut waiting = lead_by_a_task(steps.iter().cloned().collect());
        let (mut prepared, mut results): (Vec<Sig>, Vec<Child>) = (Vec::new(), Vec::new());
        let mut is_last = true;
        while let Some(step) = waiting.pop_back() {
            let step = step.unrolled();
            if step.is_empty_group() && !(waiting.is_empty() && prepared.is_empty()) {
                continue;
            }
            if to_be_sent && let Some(steps) = step.unrolled_body() {
                waiting.extend(steps);
                continue;
            }
            let is_first = waiting.is_empty();
            let mut step = step.clone_with(if is_first { args } else { &[] });
            if let Shape::Chain(steps) = step.shape {
                waiting.extend(steps);
                continue;
            }
            if matches!(step.shape, Shape::Group(_))
                && let Some(body) = prepared.pop()
            {
                let mut options = Dict::new();
                if let Some(Child::Task(id)) = results.pop() {
                    options.insert("task_id", id);
                }
                if let Some(root_id) = frozen.root_id {
                    options.insert("root_id", root_id);
                }
                step = Sig::chord(step, body, options);
            }
            let frozen = if is_last {
                frozen
            } else {
                Frozen {
                    root_id: frozen.root_id,
                    ..Frozen::default()
                }
            };
            is_last = false;
            let result = self.freeze(&mut step, frozen);
            for errback in list(link_error) {
                step.append_option("link_error", errback.clone());
                if let Shape::Chord(chord) = &mut step.shape {
                    chord.body.append_option("link_error", errback);
                }
            }
            prepared.push(step);
            results.push(result);
        }
        (prepared, results)
    }
}

/// Makes the first real step of the chain the head, because it gets the arguments that the chain is called with:
/// leading chains are spliced in, and empty groups are dropped.
fn lead_by_a_task(mut steps: VecDeque<Sig>) -> VecDeque<Sig> {
    let mut dropped = None;
    while let Some(head) = steps.pop_front() {
        if let Shape::Chain(inner) = head.shape {
            for step in inner.into_iter().rev() {
                steps.push_front(step);
            }
            continue;
        }
        let head = head.unrolled();
        if head.is_empty_group() && !steps.is_empty() {
            dropped = Some(head);
            continue;
        }
        steps.push_front(head);
        break;
    }
    if steps.is_empty() {
        steps.extend(dropped);
    }
    steps
}
