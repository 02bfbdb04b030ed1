//! The behaviour of kombu and Celery for inputs beyond the captured ones, recorded by calling them.

use celery_protocol::saferepr::saferepr;
use celery_protocol::{
    DecodeError, FieldTable, FieldValue, Incoming, Message, Properties, TaskMessage, Value, iso8601, json,
};

use crate::capture::{cases, field, text};

fn list(case: &Value) -> &[Value] {
    case.as_list().expect("a list")
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16).expect("hex")).expect("a digit"))
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn kombu_json() {
    let cases = cases("observed-json");
    let (mut read, mut refused) = (0, 0);
    for case in &cases {
        let case = case.as_dict().expect("an object");
        let body = unhex(&text(case, "body").expect("a body"));
        let shown = String::from_utf8_lossy(&body);
        match (json::parse(&body), text(case, "error")) {
            (Ok(value), None) => {
                assert_eq!(Some(json::to_json(&value)), text(case, "json"), "{shown}");
                assert_eq!(Some(value.py_repr()), text(case, "repr"), "{shown}");
                assert_eq!(Some(value.py_str()), text(case, "str"), "{shown}");
                read += 1;
            }
            (Err(error), Some(python)) => {
                // If the text would contain parts of the body, only the class of the exception is recorded.
                let ours = error.py_repr();
                let class = ours.split('(').next().expect("a class");
                assert_eq!(
                    if python.contains('(') { &ours } else { class },
                    python,
                    "{shown}"
                );
                refused += 1;
            }
            (ours, python) => panic!("{shown}: {ours:?}, Python {python:?}"),
        }
    }
    println!("{read} read, {refused} refused");
    assert_eq!(read + refused, 420);
}

#[test]
fn iso_8601() {
    let cases = cases("observed-iso8601");
    for case in &cases {
        match list(case) {
            [Value::Text(source), Value::Text(python)] => {
                let time = iso8601::parse(&source.to_string_lossy())
                    .unwrap_or_else(|error| panic!("{source}: {error}"));
                assert_eq!(time.isoformat(), python.to_string(), "{source}");
            }
            [Value::Text(source), Value::Dict(refusal)] => {
                let error = iso8601::parse(&source.to_string_lossy()).expect_err(&source.to_string());
                assert_eq!(Some(error.to_string()), text(refusal, "error"), "{source}");
            }
            other => panic!("{other:?}"),
        }
    }
    println!("{} times", cases.len());
    assert_eq!(cases.len(), 400);
}

#[test]
fn short_representations() {
    let cases = cases("observed-saferepr");
    for case in &cases {
        let [
            Value::Text(source),
            Value::Bool(as_tuple),
            max_len,
            Value::Int(levels),
            Value::Text(python),
        ] = list(case)
        else {
            panic!("{case:?}")
        };
        let value = match json::parse(source.as_wtf8()) {
            Ok(Value::List(items)) if *as_tuple => Value::Tuple(items),
            other => other.expect("JSON"),
        };
        let max_len = max_len
            .as_i64()
            .map(|length| usize::try_from(length).expect("a length"));
        let ours = saferepr(&value, max_len, usize::try_from(*levels).expect("levels"));
        assert_eq!(ours, *python, "{source} {max_len:?} {levels}");
    }
    println!("{} values", cases.len());
    assert_eq!(cases.len(), 200);
}

#[test]
fn messages() {
    let cases = cases("observed-messages");
    let mut run = 0;
    for case in &cases {
        let case = case.as_dict().expect("an object");
        let shown = json::to_json(&Value::Dict(case.clone()));
        let headers = match case.get("headers").map(|headers| field(headers, None)) {
            Some(FieldValue::Table(headers)) => headers,
            _ => FieldTable::new(),
        };
        let properties = Properties {
            content_type: text(case, "content_type"),
            content_encoding: text(case, "content_encoding"),
            headers,
            ..Properties::default()
        };
        let body = unhex(&text(case, "body").expect("a body"));
        let (outcome, decoded) = receive(Message { properties, body });
        assert_eq!(
            Some(outcome),
            case.get("outcome").and_then(Value::as_str),
            "{decoded:?} {shown}"
        );
        match (
            decoded,
            case.get("log"),
            case.get("task").and_then(Value::as_dict),
        ) {
            (Some(Ok(task)), None, Some(python)) => {
                assert_eq!(Some(&task.id), text(python, "id").as_ref(), "{shown}");
                assert_eq!(Some(task.name()), text(python, "name").as_deref(), "{shown}");
                assert_eq!(Some(task.args.py_repr()), text(python, "args"), "{shown}");
                assert_eq!(Some(task.kwargs.py_repr()), text(python, "kwargs"), "{shown}");
                let eta = text(python, "eta").map(|eta| iso8601::parse(&eta).expect("a time").timestamp());
                assert_eq!(task.eta.map(|eta| eta.timestamp()), eta, "{shown}");
                run += 1;
            }
            (Some(Err(error)), Some(log), None) => {
                let log = log.as_str().expect("text");
                assert_eq!(
                    error.to_string(),
                    format!("Received invalid task message: {log}"),
                    "{shown}"
                );
            }
            (_, None, None) => {}
            other => panic!("{other:?} {shown}"),
        }
    }
    println!("{} messages, {run} of them run", cases.len());
    assert_eq!(cases.len(), 420);
}

fn receive(message: Message) -> (&'static str, Option<Result<TaskMessage, DecodeError>>) {
    let decoded = match Incoming::identify(message) {
        Ok(incoming) if incoming.task() != "demo.echo" => return ("unregistered", None),
        Ok(incoming) => incoming.decode(),
        Err(error) => Err(error),
    };
    let outcome = match &decoded {
        Ok(_) => "runs",
        Err(DecodeError::Undecodable { .. }) => "undecodable",
        Err(DecodeError::Disallowed { .. }) => "disallowed",
        Err(DecodeError::DisallowedUnidentified { .. }) => "disallowed without name",
        Err(DecodeError::NotATask) => "unknown message",
        Err(DecodeError::Invalid { .. }) => "invalid",
        Err(DecodeError::Poison { .. }) => "dies",
    };
    (outcome, Some(decoded))
}
