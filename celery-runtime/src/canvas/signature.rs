//! Signatures that are about to be sent: Celery's `Signature`, `group`, `chain` and `chord`.

use celery_protocol::{Dict, Value};

use super::error::CanvasError;

/// Options that a signature keeps whatever options it is sent with: to change them would stall whatever waits for
/// it.
const KEPT: [&str; 2] = ["group_id", "stamped_headers"];

/// A task, or tasks in one of Celery's shapes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sig {
    pub(super) task: String,
    pub(super) args: Args,
    /// The arguments of a plain task; the other shapes keep theirs separately.
    pub(super) kwargs: Dict,
    pub(super) options: Dict,
    pub(super) immutable: bool,
    pub(super) shape: Shape,
}

/// Positional arguments. Received arguments are a list until others are put before them; the difference is visible
/// in `argsrepr`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Args {
    pub(super) items: Vec<Value>,
    pub(super) is_tuple: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Task,
    Group(Vec<Sig>),
    Chain(Vec<Sig>),
    Chord(Box<Chord>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chord {
    pub(super) header: Vec<Sig>,
    /// The options of the header as a group; there are none before it is frozen.
    pub(super) header_options: Dict,
    pub(super) body: Sig,
    /// The keyword arguments for every task of the header.
    pub(super) kwargs: Dict,
}

impl Sig {
    fn read_value(value: &Value) -> Result<Self, CanvasError> {
        let dict = value.as_dict();
        Self::read_dict(dict.ok_or_else(|| CanvasError::malformed("a signature is not an object"))?)
    }

    pub(super) fn read_dict(dict: &Dict) -> Result<Self, CanvasError> {
        let Some(task) = dict.get("task").and_then(Value::as_str) else {
            return Err(CanvasError::malformed("a signature names no task"));
        };
        let kwargs = match dict.get("kwargs") {
            Some(Value::Dict(kwargs)) => kwargs.clone(),
            None | Some(Value::None) => Dict::new(),
            Some(_) => {
                return Err(CanvasError::malformed(format!(
                    "the kwargs of {task} are not an object"
                )));
            }
        };
        let args = match dict.get("args") {
            Some(Value::List(items) | Value::Tuple(items)) => items.clone(),
            None | Some(Value::None) => Vec::new(),
            Some(_) => {
                return Err(CanvasError::malformed(format!(
                    "the args of {task} are not a list"
                )));
            }
        };
        let shape = match dict.get("subtask_type").and_then(Value::as_str) {
            Some("group") => Shape::Group(read_tasks(kwargs.get("tasks"))?),
            Some("chain") => Shape::Chain(read_tasks(kwargs.get("tasks"))?),
            Some("chord") => Shape::Chord(Box::new(Chord::read(&kwargs)?)),
            _ => Shape::Task,
        };
        Ok(Self {
            task: task.to_owned(),
            args: Args {
                items: args,
                is_tuple: false,
            },
            kwargs: if shape == Shape::Task { kwargs } else { Dict::new() },
            options: match dict.get("options") {
                Some(Value::Dict(options)) => options.clone(),
                _ => Dict::new(),
            },
            immutable: dict.get("immutable").is_some_and(Value::is_truthy),
            shape,
        })
    }

    pub(super) fn group(tasks: Vec<Sig>, options: Dict) -> Self {
        Self::shaped("celery.group", Shape::Group(tasks), options)
    }

    pub(super) fn chord(header: Sig, body: Sig, options: Dict) -> Self {
        let header_options = header.options.clone();
        let chord = Chord {
            header: match header.shape {
                Shape::Group(tasks) | Shape::Chain(tasks) => tasks,
                _ => vec![header],
            },
            header_options,
            body,
            kwargs: Dict::new(),
        };
        Self::shaped("celery.chord", Shape::Chord(Box::new(chord)), options)
    }

    fn shaped(task: &str, shape: Shape, options: Dict) -> Self {
        Self {
            task: task.to_owned(),
            args: Args {
                items: Vec::new(),
                is_tuple: false,
            },
            kwargs: Dict::new(),
            options,
            immutable: false,
            shape,
        }
    }

    /// Returns the signature in its form in a message.
    pub(super) fn to_value(&self) -> Value {
        let tasks = |tasks: &[Sig]| Value::List(tasks.iter().map(Sig::to_value).collect());
        let (subtask_type, kwargs) = match &self.shape {
            Shape::Task => (Value::None, self.kwargs.clone()),
            Shape::Group(members) => (Value::from("group"), Dict::from_iter([("tasks", tasks(members))])),
            Shape::Chain(steps) => (Value::from("chain"), Dict::from_iter([("tasks", tasks(steps))])),
            Shape::Chord(chord) => (Value::from("chord"), chord.to_kwargs()),
        };
        Value::Dict(Dict::from_iter([
            ("task", Value::from(self.task.as_str())),
            ("args", Value::List(self.args.items.clone())),
            ("kwargs", Value::Dict(kwargs)),
            ("options", Value::Dict(self.options.clone())),
            ("subtask_type", subtask_type),
            ("immutable", Value::Bool(self.immutable)),
        ]))
    }

    /// Implements Celery's `clone`: puts `args` before its own, as a tuple.
    pub(super) fn clone_with(&self, args: &[Value]) -> Self {
        let args = self.merged_args(args);
        Self {
            args: Args {
                is_tuple: true,
                ..args
            },
            ..self.clone()
        }
    }

    /// Returns `args` followed by its own, or only its own if it is immutable or `args` is empty.
    pub(super) fn merged_args(&self, args: &[Value]) -> Args {
        if self.immutable || args.is_empty() {
            return self.args.clone();
        }
        Args {
            items: [args, &self.args.items].concat(),
            is_tuple: true,
        }
    }

    /// Returns its options overridden by `options`, except for those that it keeps, its stamps among them.
    pub(super) fn merged_options(&self, options: &Dict) -> Dict {
        let stamps = match self.options.get("stamped_headers") {
            Some(Value::List(names)) => names.as_slice(),
            _ => &[],
        };
        let mut merged = self.options.clone();
        for (name, value) in options {
            let name = name.to_string_lossy();
            let kept =
                KEPT.contains(&name.as_ref()) || stamps.iter().any(|stamp| stamp.as_str() == Some(&name));
            if !kept || self.options.get(&name).is_none() {
                merged.insert(name.as_ref(), value.clone());
            }
        }
        merged
    }

    /// Returns how many of its tasks a chord waits for: `_chord._descend`.
    pub(super) fn size(&self) -> usize {
        match &self.shape {
            Shape::Task => 1,
            Shape::Group(tasks) => tasks.iter().map(Sig::size).sum(),
            Shape::Chain(steps) => steps
                .iter()
                .rev()
                .map(Sig::size)
                .find(|size| *size > 0)
                .unwrap_or(0),
            Shape::Chord(chord) => chord.body.size(),
        }
    }

    /// Returns whether it is a group without tasks.
    pub(super) fn is_empty_group(&self) -> bool {
        matches!(&self.shape, Shape::Group(tasks) if tasks.is_empty())
    }

    pub(super) fn is_empty_chain(&self) -> bool {
        matches!(&self.shape, Shape::Chain(steps) if steps.is_empty())
    }

    /// Replaces a group of one task with the task.
    pub(super) fn unrolled(self) -> Self {
        match self.shape {
            Shape::Group(mut tasks) if tasks.len() == 1 => tasks.remove(0),
            _ => self,
        }
    }
}

impl Chord {
    fn read(kwargs: &Dict) -> Result<Self, CanvasError> {
        let header = match kwargs.get("header") {
            Some(header @ Value::Dict(_)) => {
                let header = Sig::read_value(header)?;
                match header.shape {
                    Shape::Group(tasks) | Shape::Chain(tasks) => tasks,
                    _ => vec![header],
                }
            }
            tasks => read_tasks(tasks)?,
        };
        let body = kwargs.get("body").filter(|body| !body.is_none());
        Ok(Self {
            header,
            header_options: Dict::new(),
            body: Sig::read_value(body.ok_or_else(|| CanvasError::malformed("a chord has no body"))?)?,
            kwargs: match kwargs.get("kwargs") {
                Some(Value::Dict(kwargs)) => kwargs.clone(),
                _ => Dict::new(),
            },
        })
    }

    fn to_kwargs(&self) -> Dict {
        let header = Sig::group(self.header.clone(), self.header_options.clone());
        Dict::from_iter([
            ("kwargs", Value::Dict(self.kwargs.clone())),
            ("header", header.to_value()),
            ("body", self.body.to_value()),
        ])
    }
}

fn read_tasks(tasks: Option<&Value>) -> Result<Vec<Sig>, CanvasError> {
    match tasks {
        Some(Value::List(tasks) | Value::Tuple(tasks)) => tasks.iter().map(Sig::read_value).collect(),
        _ => Err(CanvasError::malformed(
            "a group, chain or chord has no list of tasks",
        )),
    }
}
