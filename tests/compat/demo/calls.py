"""Calls the demo's tasks in every way that this Celery version supports, and prints each outcome as JSON.

`calls.py <queue>` looks for the results in RESULT_BACKEND. The outcome of a case is "yes" if Celery keeps its
promise.
"""

import json
import os
import sys
import time
import uuid
from datetime import datetime, timedelta, timezone

import celery
import kombu
from celery import chain, chord, group, states
from celery.exceptions import NotRegistered, TaskRevokedError

from opsapp import add, again, app, due, echo, fail, retries, stamps, told

WAIT = 120
QUEUE = sys.argv[1]
STATION = uuid.UUID("123e4567-e89b-12d3-a456-426614174000")


def on(signature):
    return signature.set(queue=QUEUE)


def call(task, *args, **options):
    return task.apply_async(args, queue=QUEUE, **options)


def same(found, expected):
    return "yes" if found == expected else f"no: {found!r} instead of {expected!r}"


def value(result, expected):
    return same(result.get(timeout=WAIT), expected)


def raises(result, error, text):
    try:
        return f"no: {result.get(timeout=WAIT)!r}"
    except error as raised:
        return same(str(raised), text)


def later(seconds):
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)


def newer(module, *version):
    return tuple(int(part) for part in module.__version__.split(".")[:2]) >= version


def uuid_argument():
    """Before kombu 5.3, a UUID is sent as plain text."""
    return value(call(echo, STATION), [[STATION if newer(kombu, 5, 3) else str(STATION)], {}])


def error_callback():
    task_id = str(uuid.uuid4())
    failed = call(fail, link_error=on(told.s()).set(task_id=task_id))
    return value(app.AsyncResult(task_id), failed.id)


def callback():
    result = call(add, 1, 2, link=on(add.s(3)))
    result.get(timeout=WAIT)
    return same([child.get(timeout=WAIT) for child in result.children], [6])


def protocol_1():
    app.conf.task_protocol = 1
    app.amqp.__dict__.pop("create_task_message", None)
    try:
        return value(call(add, 1, 2), 3)
    finally:
        app.conf.task_protocol = 2
        app.amqp.__dict__.pop("create_task_message", None)


def stamped():
    if not newer(celery, 5, 3):
        return "not in this Celery"
    return value(call(stamps, stamped_headers=["tenant"], tenant="acme"), ["tenant"])


def ignored():
    """Runs another task on the same worker, then checks that the first one has no stored result."""
    silent = call(add, 1, 2, ignore_result=True)
    call(add, 1, 2).get(timeout=WAIT)
    return same(app.backend.get(app.backend.get_key_for_task(silent.id)), None)


def revoked(result):
    try:
        return f"no: {result.get(timeout=WAIT)!r}"
    except TaskRevokedError:
        return same(result.state, states.REVOKED)


CASES = {
    "UUID argument": uuid_argument,
    "text, big integer, float, null, nesting": lambda: value(
        call(echo, "é\u2028😀", 2**70, 1.5, None, [[{"a": True}]]), [["é\u2028😀", 2**70, 1.5, None, [[{"a": True}]]], {}]
    ),
    "keyword arguments": lambda: value(add.apply_async(kwargs={"x": 1, "y": 2}, queue=QUEUE), 3),
    "mixed arguments": lambda: value(add.apply_async((1,), {"y": 2}, queue=QUEUE), 3),
    "by name (`send_task`)": lambda: value(app.send_task("demo.add", (1, 2), queue=QUEUE), 3),
    "countdown": lambda: value(call(due, countdown=1), True),
    "ETA": lambda: value(call(due, eta=later(1)), True),
    "expired": lambda: revoked(call(add, 1, 2, expires=later(-60))),
    "not yet expired": lambda: value(call(add, 1, 2, expires=60), 3),
    "callback (`link`)": callback,
    "error callback (`link_error`)": error_callback,
    "chain": lambda: value(chain(on(add.s(1, 2)), on(add.s(3)), on(add.s(4)))(), 10),
    "group": lambda: value(group(on(add.s(i, i)) for i in range(3))(), [0, 2, 4]),
    "chord": lambda: value(chord([on(add.s(i, i)) for i in range(3)])(on(echo.s())), [[[0, 2, 4]], {}]),
    "retry": lambda: value(call(again, "word"), ["word", 1]),
    "retries given": lambda: value(call(retries, retries=2), 2),
    "failure": lambda: raises(call(fail), ValueError, "no"),
    "wrong arguments": lambda: raises(app.send_task("demo.add", (1, 2, 3), queue=QUEUE), TypeError, "add() takes 2 positional arguments but 3 were given"),
    "unknown task": lambda: raises(app.send_task("no.such", queue=QUEUE), NotRegistered, "'no.such'"),
    "zlib": lambda: value(call(add, 1, 2, compression="zlib"), 3),
    "bzip2": lambda: value(call(add, 1, 2, compression="bzip2"), 3),
    "protocol 1": protocol_1,
    "priority": lambda: value(call(add, 1, 2, priority=5), 3),
    "stamps": stamped,
    "ignored result": ignored,
}

if os.environ["RESULT_BACKEND"].startswith("rpc"):
    CASES = {name: CASES[name] for name in ("UUID argument", "failure", "retry")}

found = {}
for name, case in CASES.items():
    try:
        found[name] = case()
    except Exception as error:
        found[name] = f"no: {type(error).__name__}: {error}"
print(json.dumps(found))
