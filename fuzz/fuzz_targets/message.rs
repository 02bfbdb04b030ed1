//! Every received message is handled without a panic, a decoded message that is sent again decodes to the same, and
//! every message that a producer sends can be received. The lowest bit of the first byte selects the check.

#![no_main]

use arbitrary::Unstructured;
use celery_protocol::{FieldTable, Incoming, TaskCall, TaskMessage, Text, Value};
use fuzz::{call, received};
use libfuzzer_sys::fuzz_target;
use worker::arguments::Arguments;

fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((kind, bytes)) if kind & 1 == 0 => receive(bytes),
        Some((_, bytes)) => {
            if let Ok(call) = call::call(&mut Unstructured::new(bytes)) {
                send(&call);
            }
        }
        None => {}
    }
});

fn receive(bytes: &[u8]) {
    let message = received::message(bytes);
    let decoded = Incoming::identify(message).and_then(|incoming| {
        let _ = (incoming.task().to_owned(), incoming.task_repr(), incoming.id());
        incoming.decode()
    });
    match decoded {
        Ok(task) => {
            let _ = (task.name(), task.stamp("x"));
            for time in [task.eta, task.expires].into_iter().flatten() {
                let _ = (time.timestamp(), time.or_utc().isoformat());
            }
            bind(&task.args, &task.kwargs);
            send_again(&task);
        }
        Err(error) => {
            let _ = (error.to_string(), error.settlement(), error.level());
        }
    }
}

/// Binds the arguments as the task `authorize` does.
fn bind(args: &Value, kwargs: &Value) {
    match Arguments::bind(args, kwargs) {
        Ok(arguments) => {
            let _ = (
                arguments.station_uuid(),
                arguments.token().is_ok(),
                arguments.url().is_ok(),
            );
            let _ = arguments.expiry().is_ok();
        }
        Err(error) => drop(error.to_string()),
    }
}

fn send_again(task: &TaskMessage) {
    let (Some(args), Some(kwargs)) = (task.positional(), task.keywords()) else {
        return;
    };
    let call = TaskCall {
        task: task.task.clone(),
        id: task.id.clone(),
        args: args.to_vec(),
        kwargs: kwargs.clone(),
        embed: task.embed.clone(),
        shadow: task.shadow.clone(),
        eta: task.eta.map(|eta| eta.isoformat()),
        expires: task.expires.map(|expires| expires.isoformat()),
        expiration: None,
        group: task.group.clone(),
        group_index: task.group_index,
        retries: task.retries,
        timelimit: task.timelimit,
        root_id: task.root_id.clone(),
        parent_id: task.parent_id.clone(),
        argsrepr: Some(Text::from(task.argsrepr.as_str())),
        kwargsrepr: Some(Text::from(task.kwargsrepr.as_str())),
        origin: task.origin.clone().unwrap_or_default(),
        ignore_result: task.ignore_result,
        replaced_task_nesting: task.replaced_task_nesting,
        stamped_headers: Some(task.stamped_headers.clone()),
        stamps: task.stamps.clone(),
        reply_to: task.reply_to.clone().unwrap_or_default(),
        priority: task.priority,
        delivery_mode: 2,
        headers: FieldTable::new(),
        compression: None,
    };
    let again = Incoming::identify(call.encode())
        .and_then(Incoming::decode)
        .expect("it was a task before");
    // NaN equals itself only as text, and formatting takes a long time.
    if what_is_sent(&again) != what_is_sent(task) {
        assert_eq!(
            format!("{:?}", what_is_sent(&again)),
            format!("{:?}", what_is_sent(task))
        );
    }
}

fn what_is_sent(task: &TaskMessage) -> impl PartialEq + std::fmt::Debug {
    (
        (
            &task.task,
            &task.id,
            task.positional(),
            &task.kwargs,
            &task.embed,
            &task.shadow,
        ),
        (
            &task.eta,
            &task.expires,
            &task.group,
            task.group_index,
            task.retries,
        ),
        (task.timelimit, &task.parent_id, &task.argsrepr, &task.kwargsrepr),
        (
            task.ignore_result,
            task.replaced_task_nesting,
            &task.stamped_headers,
            &task.stamps,
        ),
    )
}

fn send(call: &TaskCall) {
    let message = call.encode();
    let incoming = Incoming::identify(message.clone()).expect("a task");
    assert_eq!(incoming.task(), call.task);
    let task = incoming.decode().expect("a task");
    assert_eq!(task.id, call.id);
    assert_eq!(task.args, Value::List(call.args.clone()));
    assert_eq!(task.kwargs, Value::Dict(call.kwargs.clone()));
    assert_eq!(task.embed, call.embed);
    assert_eq!(task.shadow, call.shadow);
    assert_eq!(task.eta.map(|eta| eta.isoformat()), call.eta);
    assert_eq!(task.expires.map(|expires| expires.isoformat()), call.expires);
    assert_eq!(task.group, call.group);
    assert_eq!(task.group_index, call.group_index);
    assert_eq!(task.retries, call.retries);
    assert_eq!(task.timelimit, call.timelimit);
    assert_eq!(task.ignore_result, call.ignore_result);
    assert_eq!(task.replaced_task_nesting, call.replaced_task_nesting);
    assert_eq!(task.priority, call.priority);
    assert_eq!(
        task.stamped_headers,
        call.stamped_headers.clone().unwrap_or_default()
    );
    assert_eq!(task.headers, message.properties.headers);
    bind(&task.args, &task.kwargs);
}
