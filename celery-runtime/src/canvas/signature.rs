//! A signature on its way to being sent: Celery's `Signature`, `group`, `chain` and `chord`.

use celery_protocol::{Dict, Signature, Value};

use super::{CanvasError, bounds};

/// Options that a signature keeps whatever it is sent with: to change them would stall what waits for it.
const KEPT: [&str; 2] = ["group_id", "stamped_headers"];

/// Options of a chain that its run takes for itself; the others go to its first task.
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

/// A task, or tasks in one of Celery's shapes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sig {
    pub(super) task: String,
    pub(super) args: Args,
    /// Of a plain task; the shapes keep theirs apart.
    pub(super) kwargs: Dict,
    pub(super) options: Dict,
    pub(super) immutable: bool,
    pub(super) shape: Shape,
}

/// Positional arguments. Received ones are a list until something is put before them; the difference shows in
/// `argsrepr`.
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
    /// Of the header as a group; there are none before it is frozen.
    pub(super) header_options: Dict,
    pub(super) body: Sig,
    /// Given to every task of the header.
    pub(super) kwargs: Dict,
}

impl Sig {
    /// Reads a received signature with all that is in it, within its bounds.
    pub(super) fn read(signature: &Signature) -> Result<Self, CanvasError> {
        bounds::check_depth(signature.as_dict())?;
        let sig = Self::read_dict(signature.as_dict())?;
        bounds::check(&sig)?;
        Ok(sig)
    }

    fn read_value(value: &Value) -> Result<Self, CanvasError> {
        let dict = value.as_dict();
        Self::read_dict(dict.ok_or_else(|| CanvasError::malformed("a signature is no object"))?)
    }

    fn read_dict(dict: &Dict) -> Result<Self, CanvasError> {
        let Some(task) = dict.get("task").and_then(Value::as_str) else {
            return Err(CanvasError::malformed("a signature names no task"));
        };
        let kwargs = match dict.get("kwargs") {
            Some(Value::Dict(kwargs)) => kwargs.clone(),
            None | Some(Value::None) => Dict::new(),
            Some(_) => {
                return Err(CanvasError::malformed(format!(
                    "the kwargs of {task} are no object"
                )));
            }
        };
        let args = match dict.get("args") {
            Some(Value::List(items) | Value::Tuple(items)) => items.clone(),
            None | Some(Value::None) => Vec::new(),
            Some(_) => return Err(CanvasError::malformed(format!("the args of {task} are no list"))),
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

    /// As it stands in a message.
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

    /// Celery's `clone`: the same with `args` before its own, as a tuple.
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

    /// `args` and its own; its own alone when immutable or there are no others.
    pub(super) fn merged_args(&self, args: &[Value]) -> Args {
        if self.immutable || args.is_empty() {
            return self.args.clone();
        }
        Args {
            items: [args, &self.args.items].concat(),
            is_tuple: true,
        }
    }

    /// Its options with `options` over them, but for those that it keeps, its stamps among them.
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

    /// How many ends it has that a chord waits for: `_chord._descend`.
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

    /// Whether it is a group or chain of nothing.
    pub(super) fn is_empty_group(&self) -> bool {
        matches!(&self.shape, Shape::Group(tasks) if tasks.is_empty())
    }

    pub(super) fn is_empty_chain(&self) -> bool {
        matches!(&self.shape, Shape::Chain(steps) if steps.is_empty())
    }

    /// A group of one is that one.
    pub(super) fn unrolled(self) -> Self {
        match self.shape {
            Shape::Group(mut tasks) if tasks.len() == 1 => tasks.remove(0),
            _ => self,
        }
    }

    /// A chord whose body is a chain that begins with a task is that chord with the task alone as its body, and the
    /// rest of the chain after it; otherwise every task of the header would carry the rest.
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

    /// Adds to an option that is a list, unless it is there.
    pub(super) fn append_option(&mut self, name: &str, value: Value) {
        let mut items = list(self.options.get(name));
        if !items.contains(&value) {
            items.push(value);
        }
        self.options.insert(name, Value::List(items));
    }

    /// `link`: where a result goes to. In a group to its first task, without the result; in a chord to its body.
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

    /// `_link_error_to_body_tasks`: where a failure goes to, in the body of a chord.
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

/// Celery's `maybe_list`: one thing is a list of it.
pub(super) fn list(value: Option<&Value>) -> Vec<Value> {
    match value {
        None | Some(Value::None) => Vec::new(),
        Some(Value::List(items) | Value::Tuple(items)) => items.clone(),
        Some(one) => vec![one.clone()],
    }
}
