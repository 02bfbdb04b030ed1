//! Tables of the return values of Python's own functions.

use celery_protocol::{Text, Value, float, iso8601, json, saferepr};

use crate::capture::cases;

fn list(case: &Value) -> &[Value] {
    case.as_list().expect("a list")
}

fn str(value: &Value) -> &str {
    value.as_str().expect("text")
}

#[test]
fn float_text() {
    let cases = cases("reference-float-repr");
    for case in &cases {
        let [bits, text] = list(case) else {
            panic!("{case:?}")
        };
        let number = f64::from_bits(u64::from_str_radix(str(bits), 16).expect("hex"));
        assert_eq!(float::repr(number), str(text), "{}", str(bits));
        let Value::Float(read) = json::parse(float::json(number).as_bytes()).expect("a number") else {
            panic!("{number}")
        };
        assert!(read.to_bits() == number.to_bits() || number.is_nan(), "{number}");
    }
    println!("{} floats", cases.len());
    assert_eq!(cases.len(), 156);
}

#[test]
fn iso_8601() {
    let cases = cases("reference-iso8601");
    for case in &cases {
        match list(case) {
            [text, Value::Dict(refusal)] => {
                let error = iso8601::parse(str(text)).expect_err(str(text));
                let python = refusal.get("error").and_then(Value::as_str).expect("an error");
                assert_eq!(format!("ValueError: {error}"), python, "{}", str(text));
            }
            // Python treats the empty text as no time, before the parser sees it.
            [text, Value::None, Value::None] => assert_eq!(str(text), ""),
            [text, parsed, aware] => {
                let time = iso8601::parse(str(text)).unwrap_or_else(|error| panic!("{}: {error}", str(text)));
                assert_eq!(time.isoformat(), str(parsed), "{}", str(text));
                assert_eq!(time.or_utc().isoformat(), str(aware), "{}", str(text));
                assert_eq!(
                    time.timestamp(),
                    str(aware).parse::<jiff::Timestamp>().expect("a time"),
                    "{}",
                    str(text)
                );
            }
            other => panic!("{other:?}"),
        }
    }
    println!("{} times", cases.len());
    assert_eq!(cases.len(), 28);
}

#[test]
fn saferepr_and_repr() {
    let cases = cases("reference-saferepr");
    for case in &cases {
        let case = case.as_dict().expect("an object");
        let field = |name: &str| {
            case.get(name)
                .and_then(Value::as_text)
                .unwrap_or_else(|| panic!("{name}"))
        };
        let source = field("json").as_str().expect("JSON text");
        let value = match (json::parse(source.as_bytes()), case.get("was_tuple")) {
            (Ok(Value::List(items)), Some(Value::Bool(true))) => Value::Tuple(items),
            (Ok(value), _) => value,
            (Err(error), _) => panic!("{source}: {error}"),
        };
        assert_eq!(
            saferepr::saferepr(&value, Some(1024), 3),
            *field("saferepr_1024"),
            "{source}"
        );
        assert_eq!(
            saferepr::saferepr(&value, None, 3),
            *field("saferepr_unlimited"),
            "{source}"
        );
        assert_eq!(value.py_repr(), field("py_repr").to_string(), "{source}");
        assert_eq!(json::to_json(&value), source);
    }
    println!("{} values", cases.len());
    assert_eq!(cases.len(), 55);
}

#[test]
fn truncation() {
    let cases = cases("reference-truncate");
    for case in &cases {
        let [text, Value::Int(length), expected] = list(case) else {
            panic!("{case:?}")
        };
        let length = usize::try_from(*length).expect("a length");
        match expected {
            Value::Int(expected) => {
                let (letter, count) = str(text).split_once('*').expect("letter*count");
                let text = letter.repeat(count.parse().expect("a count"));
                let cut = saferepr::truncate(&Text::from(text), length);
                assert_eq!(
                    cut.char_count(),
                    usize::try_from(*expected).expect("a length"),
                    "{cut}"
                );
            }
            expected => assert_eq!(saferepr::truncate(&Text::from(str(text)), length), str(expected)),
        }
    }
    println!("{} texts", cases.len());
    assert_eq!(cases.len(), 7);
}
