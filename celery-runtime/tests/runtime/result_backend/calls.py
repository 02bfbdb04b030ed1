"""Calls the tasks and prints the results as JSON: `calls.py <what>`. Raw texts are the values in the backend."""

import json
import os
import sys
import time

import redis
from celery import chain, chord, group
from celery.exceptions import TimeoutError
from kombu import Exchange, Queue

from tasks import VALUES, add, app, echo, fail, hard, ignore, ignored, ignored_error, reject, retry, soft, started
from tasks import told, total, value

WORKERS = ("python", "rust")
WAIT = 120


def store():
    return redis.Redis.from_url(os.environ["RESULT_BACKEND"])


def key(task_id):
    return f"celery-task-meta-{task_id}"


def raw(task_id):
    text = store().get(key(task_id))
    return text and text.decode()


def settled(task_id, status=("SUCCESS", "FAILURE", "REVOKED")):
    """Returns the raw text once its state is one of these."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        text = raw(task_id)
        if text and json.loads(text)["status"] in status:
            return text
        time.sleep(0.01)
    raise TimeoutError(f"{task_id}: {text}")


def got(result):
    """Returns the result of `get()`, or its exception."""
    try:
        return repr(result.get(timeout=WAIT))
    except Exception as error:
        return f"{type(error).__module__}.{type(error).__qualname__}{error.args!r}"


def expired(worker, **options):
    """Calls a task that has already expired. The broker drops such a message unless a consumer receives it at once."""
    return add.apply_async((1, 2), expires=-1, queue=worker, **options)


def left(*endings):
    """Returns the keys that chords have left. A worker deletes them after it has sent the body, so this waits for that."""
    until = time.monotonic() + WAIT
    while True:
        keys = [found.decode() for found in store().keys("celery-taskset-meta-*")]
        names = [name for name in keys if name.endswith(endings)]
        if not names or time.monotonic() > until:
            return names
        time.sleep(0.01)


SIGNATURES = {
    **{f"value {kind}": value.s(kind) for kind in VALUES},
    **{f"fail {kind}": fail.s(kind) for kind in ("value", "two", "none", "custom", "runtime")},
    "not ignored": ignored.s().set(ignore_result=False),
    "by name": app.signature("tasks.add", args=(1, 2), ignore_result=None),
    "ignored error": ignored_error.s(),
    "reject": reject.s(),
    "soft": soft.s(),
    "hard": hard.s(),
    "member": add.s(1, 2).set(group_id="a-group"),
    "wrong arguments": app.signature("tasks.add", args=("a", 1)),
}


def pairs():
    """Calls every task on both workers: the raw texts, the lifetimes, the results of `get()`."""
    calls = {"expired": {worker: expired(worker) for worker in WORKERS}}
    for result in calls["expired"].values():
        settled(result.id)
    for name, signature in SIGNATURES.items():
        calls[name] = {worker: signature.clone().apply_async(queue=worker) for worker in WORKERS}
    return {
        name: {
            worker: {
                "id": result.id,
                "raw": settled(result.id),
                "ttl": store().ttl(key(result.id)),
                "got": got(result),
            }
            for worker, result in results.items()
        }
        for name, results in calls.items()
    }


def followers():
    """Returns the stored values of tasks that are followed by others."""
    found = {}
    for worker in WORKERS:

        def on(signature):
            return signature.set(queue=worker)

        link = on(add.s(1, 2)).apply_async(link=on(add.s(3)))
        links = on(add.s(1, 2)).apply_async(link=[on(add.s(3)), on(add.s(4))])
        steps = chain(on(add.s(1, 2)), on(add.s(3)), on(add.s(4))).apply_async()
        broken = chain(on(fail.s("value")), on(add.s(3)), on(add.s(4))).apply_async()
        again = {because: on(retry.s(because)).apply_async() for because in (True, False)}
        retried = {because: settled(result.id, ("RETRY",)) for because, result in again.items()}
        found[worker] = {
            "link": settled(link.id),
            "links": settled(links.id),
            "linked": [
                result.get(timeout=WAIT) and [child.get(timeout=WAIT) for child in result.children]
                for result in (link, links)
            ],
            "chain": [settled(step.id) for step in (steps.parent.parent, steps.parent, steps)],
            "chain result": got(steps),
            "broken": [settled(step.id) for step in (broken.parent.parent, broken.parent, broken)],
            "broken result": got(broken),
            "retry because": retried[True],
            "retry": retried[False],
            "retried because": settled(again[True].id),
            "retried": settled(again[False].id),
        }
    return found


def silent():
    """Calls tasks that leave nothing in the backend, and one whose result shows that they have run."""
    results = [
        ignored.apply_async(queue="rust"),
        value.apply_async(("int",), queue="rust", ignore_result=True),
        fail.apply_async(("value",), queue="rust", ignore_result=True),
        ignore.apply_async(queue="rust"),
    ]
    last = add.apply_async((1, 2), queue="rust").get(timeout=WAIT)
    return {"last": last, "keys": [found.decode() for found in store().keys("*")], "ids": [r.id for r in results]}


def tracked():
    """Returns the messages published while a task runs, on both workers, and the value stored afterwards."""
    found = {}
    for worker in WORKERS:
        task_id = f"tracked-{worker}"
        with store().pubsub(ignore_subscribe_messages=True) as channel:
            channel.subscribe(key(task_id))
            while not store().pubsub_numsub(key(task_id))[0][1]:
                time.sleep(0.01)
            started.apply_async(queue=worker, task_id=task_id)
            texts = []
            until = time.monotonic() + WAIT
            while len(texts) < 2 and time.monotonic() < until:
                message = channel.get_message(timeout=1)
                if message:
                    texts.append(message["data"].decode())
        found[worker] = {"id": task_id, "published": texts, "stored": raw(task_id)}
    return found


def over_rpc():
    """`rpc://`: the results of `get()`, and the raw replies of both workers to a queue of this program."""
    found = {"got": {name: got(SIGNATURES[name].clone().apply_async(queue="rust")) for name in SIGNATURES}}
    found["got"]["expired"] = got(expired("rust"))
    replies = Queue("replies", Exchange(""), "replies")
    with app.connection() as connection:
        channel = connection.default_channel
        replies(channel).declare()
        for name in ("value uuid", "fail value", "reject", "expired", "member"):
            for worker in WORKERS:
                to = {"queue": worker, "reply_to": "replies"}
                sent = expired(worker, reply_to="replies") if name == "expired" else SIGNATURES[name].clone().apply_async(**to)
                until = time.monotonic() + WAIT
                message = None
                while message is None and time.monotonic() < until:
                    message = channel.basic_get("replies", no_ack=True)
                properties = dict(message.properties)
                info = {k: message.delivery_info[k] for k in ("exchange", "routing_key")}
                body = message.body if isinstance(message.body, str) else bytes(message.body).decode()
                found[f"{name} {worker}"] = {"id": sent.id, "properties": properties, "info": info, "raw": body}
        silent = [ignored.s(), value.s("int").set(ignore_result=True)]
        for signature in silent:
            signature.apply_async(queue="rust", reply_to="replies")
        add.apply_async((1, 2), queue="rust").get(timeout=WAIT)
        found["unasked"] = channel.basic_get("replies", no_ack=True) is not None
    return found


def chords():
    """Runs headers alternating between both workers, each of which returns last once, with bodies of every kind."""

    def on(worker, signature):
        return signature.set(queue=worker)

    def mixed(count, late=None):
        """Returns tasks i + i, alternating between both workers; those of `late` take a second."""
        return [
            on(worker, add.s(i, i, delay=1 if worker == late else 0))
            for i, worker in zip(range(count), WORKERS * count)
        ]

    done = {}
    for late in WORKERS:
        for body in WORKERS:
            done[f"{late} last, body on {body}"] = chord(mixed(6, late), on(body, echo.s()))
    done["many"] = chord(mixed(60), on("rust", total.s()))
    done["rust alone"] = chord([on("rust", add.s(i, i)) for i in range(60)], on("rust", echo.s()))
    done["one"] = chord([on("rust", add.s(1, 1))], on("rust", echo.s()))
    done["typed"] = chord([on("rust", value.s(kind)) for kind in ("uuid", "decimal", "none")], on("python", echo.s()))
    done["immutable body"] = chord(mixed(2, "rust"), on("rust", add.si(1, 2)))
    done["body with link"] = chord(mixed(2, "rust"), on("rust", total.s()).set(link=on("rust", echo.s())))
    done["nested group"] = chord([group(mixed(2)), on("rust", add.s(3, 3, delay=1))], on("rust", echo.s()))
    alone = chord([group(on("python", add.s(0, 0)), on("python", add.s(1, 1))), on("python", add.s(3, 3))], on("python", echo.s()))
    done["nested group, python alone"] = alone
    done["chain in header"] = chord(
        [chain(on("python", add.s(1, 1)), on("rust", add.s(5))), on("rust", add.s(2, 2))], on("rust", echo.s())
    )
    done["chain as body"] = chord(mixed(2, "rust"), chain(on("rust", total.s()), on("python", add.s(100))))
    done["chord in header"] = chord(
        [chord(mixed(2, "rust"), on("rust", total.s())), on("python", add.s(2, 2))], on("rust", echo.s())
    )
    done["chord after task"] = chain(on("rust", add.s(1, 1)), chord(
        [on("rust", add.s(1)), on("python", add.s(2))], on("rust", echo.s())
    ))
    found = {}
    results = {name: signature.apply_async() for name, signature in done.items()}
    for name, result in results.items():
        found[name] = got(result)
    found["counters left"] = left(".j", ".s", ".d", ".t")
    claims = [found.decode() for found in store().keys("celery-taskset-meta-*.c")]
    found["left"] = [(name, (store().get(name) or b"").decode()) for name in claims]
    return found


def broken_chords():
    """Runs headers with a failure: of a task of each worker, with each worker returning last."""

    def on(worker, signature):
        return signature.set(queue=worker)

    def of_body(result):
        """Returns the result of the body alone: `get()` of the whole raises the exception of a task of the header."""
        return got(app.AsyncResult(result.id))

    found = {}
    for failing in WORKERS:
        for last in WORKERS:
            body = on("python", total.s()).on_error(on("rust", told.s()))
            header = [on(failing, fail.s("value")), on(last, add.s(1, 1, delay=1))]
            result = chord(header, body).apply_async()
            failed_id = result.parent.results[0].id
            found[f"{failing} fails, {last} last"] = {
                "got": of_body(result).replace(failed_id, "<failed>"),
                "raw": settled(result.id).replace(result.id, "<body>").replace(failed_id, "<failed>"),
            }
    steps = chain(on("rust", fail.s("value")), on("rust", add.s(1)))
    result = chord([steps, on("python", add.s(1, 1))], on("python", total.s())).apply_async()
    found["chain fails"] = of_body(result)
    result = chord(
        [on("python", add.s(1, 1)), on("rust", add.s(1, 1)).set(expires=-1)], on("python", total.s())
    ).apply_async()
    found["expired"] = of_body(result)
    result = chord(
        [on("rust", fail.s("value")), on("rust", add.s(1, 1))],
        group(on("python", total.s()), on("python", echo.s())),
    ).apply_async()
    found["group as body"] = [of_body(member) for member in result.results]
    found["sizes left"] = left(".s")
    return found


def one():
    """Calls a task without waiting."""
    app.send_task("tasks.add", (1, 2), queue="rust", task_id="one")


def of_one():
    """Returns the result of that task and forgets it."""
    result = app.AsyncResult("one")
    return got(result), result.forget()


print(json.dumps(globals()[sys.argv[1]]()))
