//! What is to be sent after a task (contract A.9): from a message and its outcome to messages, without any I/O.
//!
//! The rules are Celery's own, `celery/canvas.py` and `celery/app/trace.py` of 5.7, and are held against what its
//! worker sends. One thing is different: an errback is always a message. Celery calls errbacks that take more than
//! one argument in its own process; a task in Rust has no such second form.

mod bounds;
mod call;
mod chain;
mod chord;
mod field;
mod freeze;
mod group;
mod retry;
mod signature;

use celery_protocol::{Dict, Sender, Signature, TaskCall, TaskMessage, Value};
use jiff::Timestamp;
use uuid::Uuid;

use self::signature::Sig;
use crate::destination::{Destination, Routes};
use crate::exception::Exception;
use crate::registry::Registry;
pub(crate) use crate::result_backend::Child;
use crate::task::{DeliveryInfo, When};

/// What the messages depend on besides the one that they follow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Canvas<'a> {
    /// The task that they follow.
    pub(crate) parent: &'a TaskMessage,
    pub(crate) sender: &'a Sender,
    /// The tasks that are known here; their options go into the messages.
    pub(crate) tasks: &'a Registry,
    pub(crate) routes: &'a Routes,
    pub(crate) now: Timestamp,
}

/// What is to be done, in order.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// What `AsyncResult.children` of the task will show.
    pub(crate) children: Vec<Child>,
}

/// One thing to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// Send a message.
    Publish(Box<Publication>),
    /// Tell the result backend of how many ends the group of a chord consists.
    ChordSize { group: String, size: usize },
}

/// A message and where it goes.
#[derive(Debug, PartialEq)]
pub(crate) struct Publication {
    pub(crate) destination: Destination,
    pub(crate) call: TaskCall,
}

/// Why a signature cannot be sent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum CanvasError {
    /// It is not what Celery calls a signature.
    #[error("{0}")]
    Malformed(String),
    /// Its objects and arrays are nested too deep.
    #[error("a signature is nested deeper than {levels} levels")]
    TooDeep { levels: usize },
    /// Too many groups, chains and chords within each other.
    #[error(
        "a signature has {levels} groups, chains and chords within each other, more than {}",
        bounds::MAX_NESTING
    )]
    TooNested { levels: usize },
    /// Together the messages would take too much memory.
    #[error("the messages would take more than {} MiB together", bounds::MAX_WEIGHT / (1024 * 1024))]
    TooLarge,
}

impl CanvasError {
    fn malformed(why: impl Into<String>) -> Self {
        Self::Malformed(why.into())
    }

    /// What the task fails with.
    pub(crate) fn exception(&self) -> Exception {
        Exception::new("ValueError", format!("cannot send what follows the task: {self}"))
    }
}

impl Canvas<'_> {
    /// What follows a result: the callbacks, then the next step of the chain.
    ///
    /// # Errors
    /// When one of them is no signature. Nothing shall be sent then.
    pub(crate) fn after_success(&self, result: &Value) -> Result<Plan, CanvasError> {
        let embed = &self.parent.embed;
        let callbacks = embed.callbacks.as_deref().unwrap_or_default();
        let chain = embed.chain.as_deref().unwrap_or_default();
        if callbacks.is_empty() && chain.is_empty() {
            return Ok(Plan::default());
        }
        let mut run = Run::new(*self);
        let args = std::slice::from_ref(result);
        let mut options = self.lineage();
        options.insert("priority", Value::None);
        match callbacks {
            [] => {}
            [callback] => run.apply_to_trail(&Sig::read(callback)?, args, &options)?,
            callbacks => {
                let callbacks = callbacks.iter().map(Sig::read).collect::<Result<Vec<_>, _>>()?;
                let (groups, tasks): (Vec<_>, Vec<_>) = callbacks
                    .into_iter()
                    .partition(|sig| matches!(sig.shape, signature::Shape::Group(_)));
                for group in &groups {
                    run.apply_to_trail(group, args, &options)?;
                }
                if !tasks.is_empty() {
                    run.apply_to_trail(&Sig::group(tasks, Dict::new()), args, &options)?;
                }
            }
        }
        if let [rest @ .., next] = chain {
            let rest = rest.iter().cloned().map(Value::from).collect();
            options.insert("chain", Value::List(rest));
            run.apply_to_trail(&Sig::read(next)?, args, &options)?;
        }
        Ok(run.plan)
    }

    /// What follows a failure: the errbacks.
    ///
    /// # Errors
    /// When one of them is no signature. Nothing shall be sent then.
    pub(crate) fn after_failure(&self) -> Result<Plan, CanvasError> {
        let errbacks = self.parent.embed.errbacks.as_deref().unwrap_or_default();
        self.errbacks_of(&self.parent.id, self.root_id(), errbacks)
    }

    /// The errbacks of a task that fails without having run, such as the body of a chord.
    ///
    /// # Errors
    /// When one of them is no signature. Nothing shall be sent then.
    pub(crate) fn errbacks(&self, id: &str, errbacks: &[Signature]) -> Result<Plan, CanvasError> {
        self.errbacks_of(id, id, errbacks)
    }

    /// As a group, with the id of the task that failed.
    fn errbacks_of(&self, id: &str, root_id: &str, errbacks: &[Signature]) -> Result<Plan, CanvasError> {
        let mut run = Run::new(*self);
        if !errbacks.is_empty() {
            let errbacks = errbacks.iter().map(Sig::read).collect::<Result<_, _>>()?;
            let lineage = Dict::from_iter([("parent_id", id), ("root_id", root_id)]);
            run.apply_to_trail(&Sig::group(errbacks, Dict::new()), &[Value::from(id)], &lineage)?;
        }
        Ok(run.plan)
    }

    /// The message of another run of the same task.
    pub(crate) fn retry(&self, delivery: &DeliveryInfo, when: When) -> Publication {
        retry::publication(self, delivery, when)
    }

    /// `signature` called with `args`, such as the body of a chord with the results of its header.
    ///
    /// # Errors
    /// When it is no signature that can be sent.
    pub(crate) fn call(&self, signature: &Signature, args: &[Value]) -> Result<Plan, CanvasError> {
        let mut run = Run::new(*self);
        run.apply_to_trail(&Sig::read(signature)?, args, &Dict::new())?;
        Ok(run.plan)
    }

    /// Where the messages come from.
    fn lineage(&self) -> Dict {
        Dict::from_iter([
            ("parent_id", self.parent.id.as_str()),
            ("root_id", self.root_id()),
        ])
    }

    fn root_id(&self) -> &str {
        let root = self.parent.root_id.as_deref().filter(|root| !root.is_empty());
        root.unwrap_or(&self.parent.id)
    }
}

/// A plan in the making.
struct Run<'a> {
    canvas: Canvas<'a>,
    plan: Plan,
    /// Of its messages, in bytes of memory.
    weight: usize,
}

impl<'a> Run<'a> {
    fn new(canvas: Canvas<'a>) -> Self {
        Self {
            canvas,
            plan: Plan::default(),
            weight: 0,
        }
    }

    fn apply_to_trail(&mut self, sig: &Sig, args: &[Value], options: &Dict) -> Result<(), CanvasError> {
        let child = self.apply(sig, args, &Dict::new(), options)?;
        self.plan.children.extend(child);
        Ok(())
    }

    /// Celery's `apply_async`: what the task's `AsyncResult.children` gets, if anything is sent.
    fn apply(
        &mut self,
        sig: &Sig,
        args: &[Value],
        kwargs: &Dict,
        options: &Dict,
    ) -> Result<Option<Child>, CanvasError> {
        match &sig.shape {
            signature::Shape::Task => self.apply_task(sig, args, kwargs, options).map(Some),
            signature::Shape::Group(tasks) => self.apply_group(sig, tasks, args, kwargs, options).map(Some),
            signature::Shape::Chain(steps) => self.apply_chain(sig, steps, args, options),
            signature::Shape::Chord(chord) => self.apply_chord(sig, chord, args, options),
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

/// What Python writes as `{**into, **from}`.
fn merge(into: &mut Dict, from: &Dict) {
    for (name, value) in from {
        into.insert(name.clone(), value.clone());
    }
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// The text of an option that is there and not empty.
fn text(options: &Dict, name: &str) -> Option<String> {
    options
        .get(name)
        .filter(|value| value.is_truthy())
        .map(Value::py_str)
}

#[cfg(test)]
mod tests;
