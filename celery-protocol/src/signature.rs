//! Tasks that are to be sent after the task of a message (contract A.4).

use crate::dict::Dict;
use crate::json;
use crate::value::Value;

/// A task to be sent: Celery's `Signature`. All received members are kept, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature(Dict);

impl Signature {
    /// Creates a signature as `Task.s(*args, **kwargs)` does.
    pub fn new(task: &str, args: Vec<Value>, kwargs: Dict) -> Signature {
        Signature(Dict::from_iter([
            ("task", Value::from(task)),
            ("args", Value::List(args)),
            ("kwargs", Value::Dict(kwargs)),
            ("options", Value::Dict(Dict::new())),
            ("subtask_type", Value::None),
            ("immutable", Value::Bool(false)),
        ]))
    }

    /// Returns a received signature; `None` if the value is not an object that names a task.
    pub fn from_value(value: Value) -> Option<Signature> {
        match value {
            Value::Dict(dict) if dict.get("task").and_then(Value::as_str).is_some() => Some(Signature(dict)),
            _ => None,
        }
    }

    /// Returns the name of the task; `celery.group` and `celery.chord` for groups and chords.
    pub fn task(&self) -> &str {
        self.0.get("task").and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the positional arguments. The result of the previous task goes in front of them, unless
    /// [`Self::is_immutable`].
    pub fn args(&self) -> &[Value] {
        self.0.get("args").and_then(Value::as_list).unwrap_or_default()
    }

    /// Returns a keyword argument.
    pub fn kwarg(&self, name: &str) -> Option<&Value> {
        self.0.get("kwargs").and_then(Value::as_dict)?.get(name)
    }

    /// Returns the keyword arguments, if they are an object.
    pub fn kwargs(&self) -> Option<&Dict> {
        self.0.get("kwargs").and_then(Value::as_dict)
    }

    /// Returns an option: `task_id`, `reply_to`, `group_id`, `group_index`, `chord`, `link_error`, `queue`,
    /// `stamped_headers`, a stamp.
    pub fn option(&self, name: &str) -> Option<&Value> {
        self.0.get("options").and_then(Value::as_dict)?.get(name)
    }

    /// Returns the options, if they are an object.
    pub fn options(&self) -> Option<&Dict> {
        self.0.get("options").and_then(Value::as_dict)
    }

    /// Returns `group`, `chain` or `chord`, or `None`.
    pub fn subtask_type(&self) -> Option<&str> {
        self.0.get("subtask_type").and_then(Value::as_str)
    }

    /// Returns whether the result of the previous task is kept out of the arguments.
    pub fn is_immutable(&self) -> bool {
        self.0.get("immutable").is_some_and(Value::is_truthy)
    }

    /// Returns the object as received.
    pub fn as_dict(&self) -> &Dict {
        &self.0
    }

    /// Returns the object as received.
    pub fn into_dict(self) -> Dict {
        self.0
    }
}

/// The third item of a protocol 2 body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embed {
    /// Sent with the result when the task succeeds.
    pub callbacks: Option<Vec<Signature>>,
    /// Sent when the task fails.
    pub errbacks: Option<Vec<Signature>>,
    /// The tasks that follow, **reversed**: the next step is the last item.
    pub chain: Option<Vec<Signature>>,
    /// The body of the chord whose header the task belongs to.
    pub chord: Option<Signature>,
}

impl Embed {
    /// Reads the third item of a body; null and `{}` mean nothing. Returns `None` if a part is neither null nor a
    /// signature or a list of signatures.
    pub(crate) fn from_value(value: Value) -> Option<Embed> {
        let mut dict = match value {
            Value::Dict(dict) => dict,
            value if !value.is_truthy() => return Some(Embed::default()),
            _ => return None,
        };
        let mut list = |name| match dict.remove(name) {
            Some(Value::List(items)) => items
                .into_iter()
                .map(Signature::from_value)
                .collect::<Option<Vec<_>>>()
                .map(Some),
            Some(value) if value.is_truthy() => None,
            _ => Some(None),
        };
        let (callbacks, errbacks, chain) = (list("callbacks")?, list("errbacks")?, list("chain")?);
        let chord = match dict.remove("chord") {
            Some(value) if value.is_truthy() => Some(Signature::from_value(value)?),
            _ => None,
        };
        Some(Embed {
            callbacks,
            errbacks,
            chain,
            chord,
        })
    }

    pub(crate) fn write_json(&self, out: &mut String) {
        out.push_str("{\"callbacks\": ");
        write_list(self.callbacks.as_deref(), out);
        out.push_str(", \"errbacks\": ");
        write_list(self.errbacks.as_deref(), out);
        out.push_str(", \"chain\": ");
        write_list(self.chain.as_deref(), out);
        out.push_str(", \"chord\": ");
        match &self.chord {
            Some(chord) => write_signature(chord, out),
            None => out.push_str("null"),
        }
        out.push('}');
    }
}

fn write_list(signatures: Option<&[Signature]>, out: &mut String) {
    let Some(signatures) = signatures else {
        out.push_str("null");
        return;
    };
    out.push('[');
    for (i, signature) in signatures.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        write_signature(signature, out);
    }
    out.push(']');
}

fn write_signature(signature: &Signature, out: &mut String) {
    json::write_dict(&signature.0, out);
}

impl From<Signature> for Value {
    fn from(signature: Signature) -> Value {
        Value::Dict(signature.0)
    }
}
