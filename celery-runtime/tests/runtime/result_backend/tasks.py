"""The tasks of the result backend's tests, for the Python worker; the Rust worker has the same tasks."""

import datetime
import decimal
import os
import time
import uuid

from celery import Celery
from celery.exceptions import Ignore, Reject

app = Celery("tasks", broker=os.environ["BROKER_URL"], backend=os.environ["RESULT_BACKEND"])
app.conf.worker_hijack_root_logger = False


class Custom(Exception):
    pass


VALUES = {
    "none": None,
    "int": 3,
    "big": 10**30,
    "float": 0.1,
    "nan": float("nan"),
    "text": 'é"\ud800',
    "bytes": b"\x00\xffa",
    "list": [1, "a", [None]],
    "dict": {"b": 1, "a": {"c": True}},
    "uuid": uuid.UUID(int=5),
    "datetime": datetime.datetime(2020, 1, 2, 3, 4, 5, 6, datetime.timezone.utc),
    "naive": datetime.datetime(2020, 1, 2, 3, 4, 5),
    "date": datetime.date(2020, 1, 2),
    "time": datetime.time(3, 4, 5),
    "decimal": decimal.Decimal("1.10"),
}

FAILURES = {
    "value": ValueError("boom"),
    "two": ValueError("boom", 2),
    "none": ValueError(),
    "custom": Custom("boom"),
    "runtime": RuntimeError("é'"),
}


@app.task
def value(kind):
    return VALUES[kind]


@app.task
def add(x, y, delay=0):
    time.sleep(delay)
    return x + y


@app.task
def fail(kind):
    raise FAILURES[kind]


@app.task(ignore_result=True)
def ignored():
    return 1


@app.task(ignore_result=True, store_errors_even_if_ignored=True)
def ignored_error():
    raise ValueError("boom")


@app.task(track_started=True)
def started():
    return 1


@app.task(bind=True, max_retries=1)
def retry(self, because):
    raise self.retry(exc=ValueError("again") if because else None, countdown=8)


@app.task
def reject():
    raise Reject("why", requeue=False)


@app.task
def ignore():
    raise Ignore()


@app.task(soft_time_limit=1)
def soft():
    time.sleep(10)


@app.task(time_limit=1)
def hard():
    time.sleep(10)


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def echo(value):
    return value


@app.task
def told(failed_id):
    return failed_id
