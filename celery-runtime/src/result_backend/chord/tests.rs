use celery_protocol::json;

use super::*;

fn signature(text: &str) -> Signature {
    Signature::from_value(json::parse(text.as_bytes()).unwrap()).unwrap()
}

fn parts(text: &str) -> Vec<Value> {
    json::parse(text.as_bytes()).unwrap().as_list().unwrap().to_vec()
}

#[test]
fn parts_join_in_their_order_or_break_the_chord() {
    let results = Part::unpack(parts(r#"[[1, "a", "SUCCESS", 3], [1, "b", "SUCCESS", null]]"#));
    assert_eq!(results, Ok(Value::List(vec![Value::from(3), Value::None])));
    let failed = r#"{"exc_type": "ValueError", "exc_message": ["x"], "exc_module": "builtins"}"#;
    let (message, cause) = Part::unpack(parts(&format!(
        r#"[[1, "a", "SUCCESS", 3], [1, "b", "FAILURE", {failed}]]"#
    )))
    .unwrap_err();
    assert_eq!(message, "Dependency b raised ValueError('x')");
    assert_eq!(cause.map(|cause| json::to_json(&cause)).as_deref(), Some(failed));
    assert!(Part::unpack(parts(r#"[[1, "a"]]"#)).is_err());
    assert!(Part::unpack(parts("[7]")).is_err());
}

#[test]
fn a_body_fails_and_in_a_group_each_task() {
    let failed = |body: &str| {
        let broken = Broken::new(
            "g",
            &signature(body),
            "Dependency a raised E()".to_owned(),
            Some(Value::from(1)),
        );
        let failed = broken.failed();
        let shown: Vec<(String, usize)> = failed
            .into_iter()
            .map(|failed| (failed.id, failed.errbacks.len()))
            .collect();
        (shown, broken.result() == Value::from(1))
    };
    let one = r#"{"task": "demo.body", "options": {"task_id": "b", "link_error": [{"task": "demo.err"}]}}"#;
    assert_eq!(failed(one), (vec![("b".to_owned(), 1)], false));
    let without_id = failed(r#"{"task": "demo.body", "options": {}}"#).0;
    assert!(matches!(without_id.as_slice(), [(id, 0)] if id.parse::<Uuid>().is_ok()));
    let chain = r#"{"task": "celery.chain", "subtask_type": "chain", "options": {"task_id": "z"},
                    "kwargs": {"tasks": [{"task": "demo.a", "options": {"task_id": "x"}},
                                         {"task": "demo.b", "options": {"task_id": "y"}}]}}"#;
    let group = format!(
        r#"{{"task": "celery.group", "subtask_type": "group",
             "options": {{"task_id": "g", "link_error": [{{"task": "demo.err"}}]}},
             "kwargs": {{"tasks": [{one}, {chain}]}}}}"#
    );
    let expected = vec![("b".to_owned(), 1), ("y".to_owned(), 1), ("g".to_owned(), 0)];
    assert_eq!(failed(&group), (expected, true));
}
