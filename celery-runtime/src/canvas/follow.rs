//! The messages that follow a task: its callbacks and chain, its errbacks, its retry.

use celery_protocol::{Dict, Signature, Value};

use super::bounds;
use super::context::Canvas;
use super::draft::Draft;
use super::error::CanvasError;
use super::plan::{Plan, Publication};
use super::retry;
use super::signature::{Shape, Sig};
use crate::task::outcome::When;
use crate::task::request::DeliveryInfo;

impl Canvas<'_> {
    /// Plans the messages after a success: the callbacks, then the next step of the chain.
    ///
    /// # Errors
    /// If one of them is not a valid signature. Nothing may be sent then.
    pub(crate) fn after_success(&self, result: &Value) -> Result<Plan, CanvasError> {
        let embed = &self.parent.embed;
        let callbacks = embed.callbacks.as_deref().unwrap_or_default();
        let chain = embed.chain.as_deref().unwrap_or_default();
        if callbacks.is_empty() && chain.is_empty() {
            return Ok(Plan::default());
        }
        let mut draft = Draft::new(*self);
        let args = std::slice::from_ref(result);
        let mut options = self.lineage();
        options.insert("priority", Value::None);
        match callbacks {
            [] => {}
            [callback] => draft.apply_to_trail(&bounds::read(callback)?, args, &options)?,
            callbacks => {
                let callbacks = callbacks
                    .iter()
                    .map(bounds::read)
                    .collect::<Result<Vec<_>, _>>()?;
                let (groups, tasks): (Vec<_>, Vec<_>) = callbacks
                    .into_iter()
                    .partition(|sig| matches!(sig.shape, Shape::Group(_)));
                for group in &groups {
                    draft.apply_to_trail(group, args, &options)?;
                }
                if !tasks.is_empty() {
                    draft.apply_to_trail(&Sig::group(tasks, Dict::new()), args, &options)?;
                }
            }
        }
        if let [rest @ .., next] = chain {
            let rest = rest.iter().cloned().map(Value::from).collect();
            options.insert("chain", Value::List(rest));
            draft.apply_to_trail(&bounds::read(next)?, args, &options)?;
        }
        Ok(draft.plan)
    }

    /// Plans the messages after a failure: the errbacks.
    ///
    /// # Errors
    /// If one of them is not a valid signature. Nothing may be sent then.
    pub(crate) fn after_failure(&self) -> Result<Plan, CanvasError> {
        let errbacks = self.parent.embed.errbacks.as_deref().unwrap_or_default();
        self.errbacks_of(&self.parent.id, self.root_id(), errbacks)
    }

    /// Plans the errbacks of a task that fails without having run, such as the body of a chord.
    ///
    /// # Errors
    /// If one of them is not a valid signature. Nothing may be sent then.
    pub(crate) fn errbacks(&self, id: &str, errbacks: &[Signature]) -> Result<Plan, CanvasError> {
        self.errbacks_of(id, id, errbacks)
    }

    /// Plans errbacks as a group, called with the id of the failed task.
    fn errbacks_of(&self, id: &str, root_id: &str, errbacks: &[Signature]) -> Result<Plan, CanvasError> {
        let mut draft = Draft::new(*self);
        if !errbacks.is_empty() {
            let errbacks = errbacks.iter().map(bounds::read).collect::<Result<_, _>>()?;
            let lineage = Dict::from_iter([("parent_id", id), ("root_id", root_id)]);
            draft.apply_to_trail(&Sig::group(errbacks, Dict::new()), &[Value::from(id)], &lineage)?;
        }
        Ok(draft.plan)
    }

    /// Builds the message of another run of the same task.
    pub(crate) fn retry(&self, delivery: &DeliveryInfo, when: When) -> Publication {
        retry::publication(self, delivery, when)
    }

    /// Plans a call of `signature` with `args`, such as the body of a chord with the results of its header.
    ///
    /// # Errors
    /// If it is not a signature that can be sent.
    pub(crate) fn call(&self, signature: &Signature, args: &[Value]) -> Result<Plan, CanvasError> {
        let mut draft = Draft::new(*self);
        draft.apply_to_trail(&bounds::read(signature)?, args, &Dict::new())?;
        Ok(draft.plan)
    }
}
