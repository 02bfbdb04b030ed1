//! Messages that would make a worker overflow its stack or fill its memory.

use super::*;
use crate::canvas::bounds::{MAX_DEPTH, MAX_NESTING, MAX_WEIGHT};

/// Plans a callback on a stack as large as that of a tokio thread, and returns the number of messages.
fn planned(callback: Json) -> Result<usize, CanvasError> {
    let plan = move || {
        let callback = Signature::from_value(read(&callback)).expect("a signature");
        let mut parent = task_message(&golden("canvas-chain.json")["messages"][0]);
        parent.embed.chain = None;
        parent.embed.callbacks = Some(vec![callback]);
        let (sender, tasks, routes) = (sender(), tasks(), routes());
        let canvas = Canvas {
            parent: &parent,
            sender: &sender,
            tasks: &tasks,
            routes: &routes,
            now: compare::now(),
        };
        let plan = canvas.after_success(&Value::from(3))?;
        let messages = plan.steps.iter().filter_map(|step| match step {
            Step::Publish(publication) => Some(publication.call.encode().body.len()),
            Step::ChordSize { .. } => None,
        });
        Ok(messages.count())
    };
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    let thread = thread.spawn(plan).expect("a thread");
    thread.join().expect("neither an overflow nor a panic")
}

fn task() -> Json {
    json!({"task": "demo.echo", "args": [], "kwargs": {}, "options": {}})
}

fn group(tasks: impl IntoIterator<Item = Json>) -> Json {
    let tasks: Vec<Json> = tasks.into_iter().collect();
    json!({"task": "celery.group", "subtask_type": "group", "kwargs": {"tasks": tasks}})
}

fn chain(steps: impl IntoIterator<Item = Json>) -> Json {
    let tasks: Vec<Json> = steps.into_iter().collect();
    json!({"task": "celery.chain", "subtask_type": "chain", "kwargs": {"tasks": tasks}})
}

fn chord(header: impl IntoIterator<Item = Json>, body: &Json) -> Json {
    let header: Vec<Json> = header.into_iter().collect();
    json!({"task": "celery.chord", "subtask_type": "chord", "kwargs": {"header": header, "body": body}})
}

/// Returns a shape nested `levels` times, with a task inside.
fn nested(levels: usize, shape: Wrap) -> Json {
    (0..levels).fold(task(), |inner, _| shape(inner))
}

/// Puts a signature into a shape.
type Wrap = fn(Json) -> Json;

const SHAPES: [(&str, Wrap); 4] = [
    ("group", |inner| group([inner, task()])),
    ("chain", |inner| chain([inner, task()])),
    ("header", |inner| chord([inner, task()], &task())),
    ("body", |inner| chord([task(), task()], &inner)),
];

#[test]
fn shapes_are_nested_up_to_the_limit_and_no_further() {
    for (name, shape) in SHAPES {
        let sent = planned(nested(MAX_NESTING, shape));
        assert!(sent.as_ref().is_ok_and(|sent| *sent > 0), "{name}: {sent:?}");
        let levels = MAX_NESTING + 1;
        assert_eq!(
            planned(nested(levels, shape)),
            Err(CanvasError::TooNested {
                levels,
                most: MAX_NESTING
            }),
            "{name}"
        );
        let levels = MAX_DEPTH;
        assert_eq!(
            planned(nested(300, shape)),
            Err(CanvasError::TooDeep { levels }),
            "{name}"
        );
    }
}

/// The groups are not nested in the message, but each becomes a chord around the rest.
#[test]
fn a_chain_of_groups_is_as_deep_as_it_is_long() {
    let groups = |count| chain((0..count).map(|_| group([task(), task()])));
    let sent = planned(groups(MAX_NESTING - 1));
    assert!(sent.is_ok_and(|sent| sent > 0));
    assert_eq!(
        planned(groups(10_000)),
        Err(CanvasError::TooNested {
            levels: 10_001,
            most: MAX_NESTING
        })
    );
}

#[test]
fn wide_shapes_are_sent_unless_they_multiply() {
    assert_eq!(planned(group((0..5_000).map(|_| task()))), Ok(5_000));
    assert_eq!(planned(chain((0..5_000).map(|_| task()))), Ok(1));
    assert_eq!(planned(chord((0..5_000).map(|_| task()), &task())), Ok(5_000));

    let large = "x".repeat(100_000);
    let heavy = || json!({"task": "demo.echo", "args": [large], "kwargs": {}, "options": {}});
    assert_eq!(
        planned(chord((0..1_000).map(|_| task()), &heavy())),
        Err(CanvasError::TooLarge { most: MAX_WEIGHT }),
        "a body"
    );
    let mut linked = chain((0..1_000).map(|_| task()));
    linked["options"] = json!({ "link_error": [heavy()] });
    assert_eq!(
        planned(linked.clone()),
        Err(CanvasError::TooLarge { most: MAX_WEIGHT }),
        "errbacks"
    );
    assert_eq!(
        planned(chord([task()], &linked)),
        Err(CanvasError::TooLarge { most: MAX_WEIGHT }),
        "errbacks of a body"
    );
    let mut called = group((0..1_000).map(|_| task()));
    called["options"] = json!({ "chain": [heavy()] });
    assert_eq!(
        planned(called),
        Err(CanvasError::TooLarge { most: MAX_WEIGHT }),
        "options of a group"
    );
}
