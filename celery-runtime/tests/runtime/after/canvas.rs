//! Callbacks, errbacks and chains across Python and Rust.

use celery_protocol::{Embed, Signature, Value};

use super::rig::{Rig, vhost};

/// Runs a chain Python → Rust → Python → Rust: the worker of each step sends the next one.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_goes_through_both_workers() {
    let mut rig = Rig::start(vhost("chain").await, |_| {}).await;
    let _python = rig.python_worker("py").await;
    let printed = rig
        .python("print(chain(add(1, 2), py_add.s(3).set(queue='py'), add(4), echo('end'))().id)".trim())
        .await;
    let first = rig.run_of("demo.add").await;
    let third = rig.run_of("demo.add").await;
    let last = rig.run_of("demo.echo").await;
    assert_eq!(first.args(), [Value::from(1), Value::from(2)]);
    assert_eq!(third.args(), [Value::from(6), Value::from(4)]);
    assert_eq!(last.args(), [Value::from(10), Value::from("end")]);
    assert_eq!(last.message.id, printed.trim(), "the id that the client awaits");
    for step in [&third, &last] {
        assert_eq!(step.message.root_id.as_deref(), Some(first.message.id.as_str()));
    }
    assert_eq!(last.message.parent_id.as_deref(), Some(third.message.id.as_str()));
    rig.queue_is("celery", 0, 0).await;
    rig.queue_is("py", 0, 0).await;
    rig.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_get_the_result_alone_and_as_a_group() {
    let mut rig = Rig::start(vhost("link").await, |_| {}).await;
    rig.python("add(1, 2).apply_async(link=echo('one'))").await;
    let one = rig.run_of("demo.echo").await;
    assert_eq!(one.args(), [Value::from(3), Value::from("one")]);
    assert_eq!(one.message.group, None);

    rig.python("add(1, 2).apply_async(link=[echo('a'), add(5).set(link=[echo('deep')]), group(echo('b'), echo('c'))])")
        .await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let echo = rig.run_of("demo.echo").await;
        seen.push((
            echo.args().to_vec(),
            echo.message.group.clone(),
            echo.message.group_index,
        ));
    }
    seen.sort_by_key(|(args, ..)| args[1].py_str());
    let [
        (a, in_first, first),
        (b, in_second, second),
        (c, also_second, third),
        (deep, alone, _),
    ] = seen.as_slice()
    else {
        panic!("{seen:?}")
    };
    let result = |value: i64, name: &str| vec![Value::from(value), Value::from(name)];
    assert_eq!((a, b, c), (&result(3, "a"), &result(3, "b"), &result(3, "c")));
    assert_eq!((deep, alone), (&result(8, "deep"), &None));
    assert_eq!((*first, *second, *third), (Some(0), Some(0), Some(1)));
    assert!(in_first.is_some() && in_second.is_some() && in_first != in_second);
    assert_eq!(in_second, also_second);
    rig.queue_is("celery", 0, 0).await;
    rig.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errbacks_are_called_by_the_python_worker_that_registers_them() {
    let mut rig = Rig::start(vhost("errback").await, |_| {}).await;
    let _python = rig.python_worker("py").await;
    for task in ["fail()", "app.signature('demo.reject')"] {
        let id = rig
            .python(&format!(
                "print({task}.apply_async(link=echo('never'), link_error=py_failed.s().set(queue='py')).id)"
            ))
            .await;
        let received = rig.run_of("demo.echo").await;
        assert_eq!(
            received.args(),
            [Value::from("errback"), Value::from(id.trim())],
            "{task}"
        );
    }
    rig.queue_is("celery", 0, 0).await;
    rig.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_failed_chain_is_not_sent() {
    let mut rig = Rig::start(vhost("tail").await, |_| {}).await;
    rig.python("chain(fail(), echo('never'))()").await;
    let failed = rig.run().await;
    rig.logged("raised unexpected: ValueError('boom')", &failed.message.id)
        .await;
    rig.queue_is("celery", 0, 0).await;
    rig.python("echo('last').delay()").await;
    assert_eq!(rig.run().await.args(), [Value::from("last")]);
    rig.stopped().await;
}

/// A chord needs a result backend; without one, Celery hangs silently, or fails the task that starts the chord.
#[tokio::test(flavor = "multi_thread")]
async fn chords_without_a_result_backend_are_an_error() {
    let mut rig = Rig::start(vhost("chord").await, |_| {}).await;
    let mut member = Rig::call("demo.echo", Vec::new());
    member.embed = Embed {
        chord: Some(Signature::new(
            "demo.body",
            Vec::new(),
            celery_protocol::Dict::new(),
        )),
        ..Embed::default()
    };
    let id = rig.send(&member).await;
    let line = rig.logged("belongs to a chord", &id).await;
    assert!(
        line.ends_with("its body demo.body will not be called: Starting chords requires a result backend to be configured."),
        "{line}"
    );
    rig.run().await;

    let id = rig
        .python(
            "app.conf.update(result_backend='cache+memory://')\n\
             print(add(1, 2).apply_async(link=chord([echo('header')], echo('body'))).id)",
        )
        .await;
    rig.run_of("demo.add").await;
    rig.logged(
        "raised unexpected: NotImplementedError('Starting chords requires",
        id.trim(),
    )
    .await;
    rig.queue_is("celery", 0, 0).await;
    rig.stopped().await;
}

/// A message that can never be sent fails the task, which is logged; the worker continues.
#[tokio::test(flavor = "multi_thread")]
async fn an_unsendable_message_fails_the_task() {
    let mut rig = Rig::start(vhost("unsendable").await, |_| {}).await;
    let to_nowhere = "echo('x').set(exchange='no-such-exchange', routing_key='k')";
    let id = rig
        .python(&format!(
            "print(add(1, 2).apply_async(link={to_nowhere}, link_error=echo('failed')).id)"
        ))
        .await;
    let received = rig.run_of("demo.echo").await;
    assert_eq!(received.args(), [Value::from(id.trim()), Value::from("failed")]);
    rig.logged(
        "raised unexpected: OperationalError('there is no exchange no-such-exchange')",
        id.trim(),
    )
    .await;
    rig.queue_is("celery", 0, 0).await;
    rig.stopped().await;
}

/// Options of signatures send messages to other queues, which are declared first.
#[tokio::test(flavor = "multi_thread")]
async fn a_callback_goes_to_the_queue_that_it_names() {
    let mut rig = Rig::start(vhost("elsewhere").await, |_| {}).await;
    rig.python("add(1, 2).apply_async(link=echo('x').set(queue='hipri', priority=7))")
        .await;
    rig.run_of("demo.add").await;
    rig.queue_is("hipri", 1, 0).await;
    rig.queue_is("celery", 0, 0).await;
    let messages = rig.vhost.get("hipri", 1).await;
    assert_eq!(messages[0].properties["priority"], 7);
    assert_eq!(
        (messages[0].exchange.as_str(), messages[0].routing_key.as_str()),
        ("", "hipri")
    );
    rig.stopped().await;
}
