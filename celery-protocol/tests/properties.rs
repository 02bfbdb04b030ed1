//! Every sent message decodes to itself, and every received message is handled without a panic.

use celery_protocol::{
    BigInt, Compression, Dict, Embed, FieldTable, FieldValue, Incoming, IsoTime, Message, Properties, Sender,
    Signature, TaskCall, Text, Value, float, iso8601, json, saferepr,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

/// Text with surrogates, but without a high one in front of a low one, because JSON joins those.
fn text() -> impl Strategy<Value = Text> {
    let code_point =
        prop_oneof![4 => any::<char>().prop_map(u32::from), 1 => 0xD800..0xDC00_u32, 1 => 0xDC00..0xE000_u32];
    vec(code_point, 0..12).prop_map(|code_points| {
        let mut text = Text::new();
        let mut previous = 0;
        for code_point in code_points {
            if !((0xD800..0xDC00).contains(&previous) && (0xDC00..0xE000).contains(&code_point)) {
                text.push_code_point(code_point);
                previous = code_point;
            }
        }
        text
    })
}

/// Values that JSON returns unchanged: lists instead of tuples, and only numbers that equal themselves.
fn value() -> impl Strategy<Value = Value> {
    let finite = any::<f64>().prop_filter("a number", |number| !number.is_nan());
    let time =
        (-62_135_596_800_i64..253_402_207_200, 0..1_000_000_000_i32).prop_map(|(second, nanosecond)| {
            IsoTime::from(jiff::Timestamp::new(second, nanosecond).expect("in range")).isoformat()
        });
    let leaf = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<i128>().prop_map(Value::from),
        "-?[0-9]{1,60}".prop_map(|digits| BigInt::parse(&digits).expect("digits")),
        finite.prop_map(Value::Float),
        text().prop_map(Value::Text),
        vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
        any::<u128>().prop_map(|bits| Value::Uuid(Uuid::from_u128(bits))),
        time.clone().prop_map(Value::DateTime),
        time.clone().prop_map(|time| Value::Date(time[..10].to_owned())),
        time.prop_map(|time| Value::Time(time[11..].to_owned())),
        "-?[1-9][0-9]{0,5}\\.[0-9]{1,5}".prop_map(Value::Decimal),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let dict = vec((text(), inner.clone()), 0..6).prop_map(|pairs| pairs.into_iter().collect::<Dict>());
        // A dict of that shape would be read as a typed value.
        let plain = dict.prop_filter("not typed", |dict| dict.get("__type__").is_none());
        prop_oneof![
            vec(inner, 0..6).prop_map(Value::List),
            plain.prop_map(Value::Dict)
        ]
    })
}

fn dict() -> impl Strategy<Value = Dict> {
    vec((text(), value()), 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

fn field() -> impl Strategy<Value = FieldValue> {
    let leaf = prop_oneof![
        Just(FieldValue::Void),
        any::<bool>().prop_map(FieldValue::Bool),
        any::<i8>().prop_map(FieldValue::I8),
        any::<u8>().prop_map(FieldValue::U8),
        any::<i16>().prop_map(FieldValue::I16),
        any::<u16>().prop_map(FieldValue::U16),
        any::<i32>().prop_map(FieldValue::I32),
        any::<u32>().prop_map(FieldValue::U32),
        any::<i64>().prop_map(FieldValue::I64),
        any::<f32>().prop_map(FieldValue::F32),
        any::<f64>().prop_map(FieldValue::F64),
        (any::<u8>(), any::<u32>()).prop_map(|(scale, value)| FieldValue::Decimal { scale, value }),
        vec(any::<u8>(), 0..20).prop_map(FieldValue::LongString),
        ".{0,10}".prop_map(FieldValue::ShortString),
        vec(any::<u8>(), 0..20).prop_map(FieldValue::Bytes),
        any::<u64>().prop_map(FieldValue::Timestamp),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        let table =
            vec((".{0,8}", inner.clone()), 0..5).prop_map(|pairs| pairs.into_iter().collect::<FieldTable>());
        prop_oneof![
            vec(inner, 0..5).prop_map(FieldValue::Array),
            table.prop_map(FieldValue::Table)
        ]
    })
}

fn signature() -> impl Strategy<Value = Signature> {
    ("[a-z.]{1,10}", vec(value(), 0..3), dict())
        .prop_map(|(task, args, kwargs)| Signature::new(&task, args, kwargs))
}

fn embed() -> impl Strategy<Value = Embed> {
    let list = || option::of(vec(signature(), 0..3));
    (list(), list(), list(), option::of(signature())).prop_map(|(callbacks, errbacks, chain, chord)| Embed {
        callbacks,
        errbacks,
        chain,
        chord,
    })
}

fn compression() -> impl Strategy<Value = Option<Compression>> {
    use Compression::{Brotli, Bzip2, Lzma, Zlib, Zstd};
    prop_oneof![20 => Just(None), 1 => proptest::sample::select(vec![Zlib, Bzip2, Lzma, Brotli, Zstd]).prop_map(Some)]
}

fn call() -> impl Strategy<Value = TaskCall> {
    let what = ("[a-z_.]{1,20}", ".{0,20}", vec(value(), 0..4), dict(), embed());
    let options = (
        option::of("[a-z]{1,9}"),
        option::of(any::<i64>()),
        any::<i64>(),
        (option::of(1.0..1e6_f64), option::of(1..1_000_000_u32)),
        option::of(any::<bool>()),
        option::of(any::<u8>()),
        option::of(vec("[a-z]{1,6}", 0..3)),
        compression(),
    );
    (what, options).prop_map(|((task, id, args, kwargs, embed), options)| {
        let sender = Sender {
            origin: "gen1@host".to_owned(),
            reply_to: Uuid::nil().to_string(),
        };
        let (
            shadow,
            group_index,
            retries,
            (hard, soft),
            ignore_result,
            priority,
            stamped_headers,
            compression,
        ) = options;
        TaskCall {
            args,
            kwargs,
            embed,
            group: shadow.clone(),
            shadow,
            group_index,
            retries,
            timelimit: (hard, soft.map(f64::from)),
            ignore_result,
            priority,
            stamped_headers,
            compression,
            ..TaskCall::new(&task, id, &sender)
        }
    })
}

proptest! {
    #[test]
    fn json_comes_back(value in value()) {
        let text = json::to_json(&value);
        prop_assert!(text.is_ascii());
        let read = json::parse(text.as_bytes());
        prop_assert_eq!(read.as_ref(), Ok(&value), "{}", text);
let strict = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        prop_assert!(strict || text.contains("Infinity") || text.contains("\\ud"), "{}", text);
    }

    #[test]
    fn what_is_sent_is_received(call in call()) {
        let message = call.encode();
        let incoming = Incoming::identify(message.clone()).expect("a task");
        prop_assert_eq!(incoming.task(), &call.task);
        let task = incoming.decode().expect("a task");
        prop_assert_eq!(&task.id, &call.id);
        prop_assert_eq!(&task.args, &Value::List(call.args.clone()));
        prop_assert_eq!(&task.kwargs, &Value::Dict(call.kwargs.clone()));
        prop_assert_eq!(&task.embed, &call.embed);
        prop_assert_eq!(&task.shadow, &call.shadow);
        prop_assert_eq!(&task.group, &call.group);
        prop_assert_eq!(task.group_index, call.group_index);
        prop_assert_eq!(task.retries, call.retries);
        prop_assert_eq!(task.timelimit, call.timelimit);
        prop_assert_eq!(task.ignore_result, call.ignore_result);
        prop_assert_eq!(task.priority, call.priority);
        prop_assert_eq!(&task.stamped_headers, &call.stamped_headers.clone().unwrap_or_default());
        prop_assert_eq!(task.root_id.as_ref(), Some(&call.id));
        let shown = saferepr::saferepr(&Value::Tuple(call.args.clone()), Some(1024), 3);
        prop_assert_eq!(&task.argsrepr, &shown.to_string());
        prop_assert_eq!(&task.headers, &message.properties.headers);
    }

    #[test]
    fn a_stored_message_is_the_same_to_the_byte(
        headers in vec((".{0,8}", field()), 0..6),
        body in vec(any::<u8>(), 0..100),
        content_type in option::of(".{0,10}"),
        numbers in (option::of(any::<u8>()), option::of(any::<u64>())),
    ) {
        let headers: FieldTable = headers.into_iter().collect();
        let (priority, timestamp) = numbers;
        let message = Message { properties: Properties { content_type, headers, priority, timestamp, ..Properties::default() }, body };
        let stored = serde_json::to_string(&message).expect("storable");
        let read: Message = serde_json::from_str(&stored).expect("readable");
        // Floats are compared by their bits: NaN does not equal itself.
        prop_assert_eq!(serde_json::to_string(&read).expect("storable"), stored);
        prop_assert_eq!(read.body, message.body);
        prop_assert_eq!(read.properties.headers.len(), message.properties.headers.len());
    }

    #[test]
    fn floats_read_back(bits in any::<u64>()) {
        let number = f64::from_bits(bits);
        let read: f64 = float::repr(number).parse().expect("a number");
        prop_assert!(read.to_bits() == bits || number.is_nan());
    }

    #[test]
    fn any_bytes_as_json(bytes in vec(any::<u8>(), 0..200)) {
        let _ = json::parse(&bytes).map_err(|error| error.py_repr());
    }

    #[test]
    fn nearly_json(text in "[\\[\\]{}:,\"\\\\ua-f0-9eE.+\\-tnN \n_]{0,60}") {
        let _ = json::parse(text.as_bytes()).map_err(|error| error.py_repr());
    }

    #[test]
    fn any_text_as_typed_value(kind in "uuid|datetime|date|time|decimal|bytes|base64", text in "[0-9TWZ:.,+\\-eE_ anif=/é]{0,40}") {
        let body = json::to_json(&Value::Dict(Dict::from_iter([("__type__", kind), ("__value__", text)])));
        if let Ok(value) = json::parse(body.as_bytes()) {
            // Once read, the value is in its canonical form.
            let _ = (value.py_repr(), value.py_str());
            let again = json::parse(json::to_json(&value).as_bytes());
            prop_assert_eq!(again, Ok(value));
        }
    }

    #[test]
    fn any_text_as_time(text in "\\PC{0,40}", likely in "[0-9TWZ:.,+\\- ]{0,40}") {
        for text in [text, likely] {
            if let Ok(time) = iso8601::parse(&text) {
                prop_assert_eq!(iso8601::parse(&time.isoformat()).map(|time| time.isoformat()), Ok(time.isoformat()));
                let _ = time.timestamp();
            }
        }
    }

    #[test]
    fn any_bytes_as_message(
        body in vec(any::<u8>(), 0..200),
        headers in vec((proptest::sample::select(&HEADERS[..]), field()), 0..8),
        content_type in proptest::sample::select(vec!["application/json", "application/data", "x"]),
        encoding in option::of(proptest::sample::select(vec!["utf-8", "latin-1", "binary", "ascii", "x"])),
    ) {
        receive(headers.into_iter().collect(), body, content_type, encoding);
    }

    #[test]
    fn any_value_as_body(
        body in value(),
        args in option::of(value()),
        headers in vec((proptest::sample::select(&HEADERS[..]), field()), 0..8),
    ) {
        let mut dict = Dict::from_iter([("task", Value::from("t")), ("body", body.clone())]);
        if let Some(args) = args {
            dict.insert("args", args);
        }
        for body in [body, Value::Dict(dict)] {
            receive(headers.iter().cloned().collect(), json::to_json(&body).into_bytes(), "application/json", None);
        }
    }

    #[test]
    fn any_value_can_be_shown(value in value(), max_len in option::of(0..100_usize), levels in 0..5_usize) {
        let _ = (value.py_str(), value.py_repr(), saferepr::saferepr(&value, max_len, levels), value.is_truthy());
    }
}

proptest! {
    // Each case packs five times, which takes a long time in a debug build.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_as_compressed(body in vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>(), flip in any::<u8>()) {
        for compression in [Compression::Zlib, Compression::Bzip2, Compression::Lzma, Compression::Brotli, Compression::Zstd] {
            let _ = compression.decompress(&body);
            let mut packed = compression.compress(&body).expect("packed");
            prop_assert_eq!(compression.decompress(&packed).expect("unpacked"), body.clone());
            let at = cut.index(packed.len());
            packed[at] ^= flip;
            let _ = compression.decompress(&packed);
            let _ = compression.decompress(&packed[..at]);
        }
    }
}

const HEADERS: [&str; 14] = [
    "task",
    "id",
    "eta",
    "expires",
    "timelimit",
    "retries",
    "compression",
    "stamps",
    "stamped_headers",
    "shadow",
    "group",
    "group_index",
    "argsrepr",
    "x",
];

fn receive(headers: FieldTable, body: Vec<u8>, content_type: &str, encoding: Option<&str>) {
    let properties = Properties {
        content_type: Some(content_type.to_owned()),
        content_encoding: encoding.map(str::to_owned),
        headers,
        ..Properties::default()
    };
    match Incoming::identify(Message { properties, body }).and_then(Incoming::decode) {
        Ok(task) => drop((task.name().to_owned(), task.eta.map(|eta| eta.isoformat()))),
        Err(error) => drop((error.to_string(), error.settlement(), error.level())),
    }
}
