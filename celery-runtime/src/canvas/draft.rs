//! A plan under construction: Celery's `apply_async` for each shape of a signature.

use celery_protocol::{Dict, Value};

use super::context::Canvas;
use super::error::CanvasError;
use super::options::merge;
use super::plan::{Plan, Step};
use super::signature::{Shape, Sig};
use crate::result_backend::Child;

/// A plan under construction.
pub(super) struct Draft<'a> {
    pub(super) canvas: Canvas<'a>,
    pub(super) plan: Plan,
    /// The weight of the plan's messages, in bytes of memory.
    pub(super) weight: usize,
}

impl<'a> Draft<'a> {
    pub(super) fn new(canvas: Canvas<'a>) -> Self {
        Self {
            canvas,
            plan: Plan::default(),
            weight: 0,
        }
    }

    pub(super) fn apply_to_trail(
        &mut self,
        sig: &Sig,
        args: &[Value],
        options: &Dict,
    ) -> Result<(), CanvasError> {
        let child = self.apply(sig, args, &Dict::new(), options)?;
        self.plan.children.extend(child);
        Ok(())
    }

    /// Implements Celery's `apply_async`: returns the new entry of the task's `AsyncResult.children`, if anything
    /// is sent.
    pub(super) fn apply(
        &mut self,
        sig: &Sig,
        args: &[Value],
        kwargs: &Dict,
        options: &Dict,
    ) -> Result<Option<Child>, CanvasError> {
        match &sig.shape {
            Shape::Task => self.apply_task(sig, args, kwargs, options).map(Some),
            Shape::Group(tasks) => self.apply_group(sig, tasks, args, kwargs, options).map(Some),
            Shape::Chain(steps) => self.apply_chain(sig, steps, args, options),
            Shape::Chord(chord) => self.apply_chord(sig, chord, args, options),
        }
    }

    fn apply_task(
        &mut self,
        sig: &Sig,
        args: &[Value],
        kwargs: &Dict,
        options: &Dict,
    ) -> Result<Child, CanvasError> {
        let given: Dict = options
            .iter()
            .filter(|(_, value)| !value.is_none())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut own = sig.kwargs.clone();
        if !sig.immutable {
            merge(&mut own, kwargs);
        }
        let publication =
            self.canvas
                .publication(&sig.task, sig.merged_args(args), own, &sig.merged_options(&given))?;
        self.add_weight(&publication.call)?;
        let child = Child::Task(publication.call.id.clone());
        self.plan.steps.push(Step::Publish(Box::new(publication)));
        Ok(child)
    }
}
