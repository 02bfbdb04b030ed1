//! The tasks and groups that a task has sent, as in `AsyncResult.children`.

use celery_protocol::Value;

/// A task or a group that a task has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Child {
    /// A task with its id.
    Task(String),
    /// A group with its id and members.
    Group(String, Vec<Child>),
}

impl Child {
    /// Returns `AsyncResult.as_tuple()`: id and parent, then the members of a group. Tasks that a worker sends have
    /// no parent here.
    pub(crate) fn as_tuple(&self) -> Value {
        let (id, members) = match self {
            Self::Task(id) => (id, Value::None),
            Self::Group(id, members) => {
                let members = members.iter().map(Self::as_tuple).collect();
                (id, Value::List(members))
            }
        };
        Value::List(vec![
            Value::List(vec![Value::from(id.as_str()), Value::None]),
            members,
        ])
    }
}

#[cfg(test)]
mod tests {
    use celery_protocol::json::to_json;

    use super::*;

    #[test]
    fn children_have_celerys_stored_form() {
        assert_eq!(
            to_json(&Child::Task("a".to_owned()).as_tuple()),
            r#"[["a", null], null]"#
        );
        let members = vec![Child::Task("a".to_owned()), Child::Task("b".to_owned())];
        assert_eq!(
            to_json(&Child::Group("g".to_owned(), members).as_tuple()),
            r#"[["g", null], [[["a", null], null], [["b", null], null]]]"#
        );
    }
}
