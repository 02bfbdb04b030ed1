"""The tasks that the other side calls, in Python. src/bin/demo-worker.rs has the same in Rust.

The module's name is that of the recording's application: CPython puts it into some error texts.
"""

import os
from datetime import datetime, timezone

from celery import Celery

app = Celery("opsapp", broker=os.environ["BROKER_URL"], backend=os.environ.get("RESULT_BACKEND"))


@app.task(name="demo.echo")
def echo(*args, **kwargs):
    return [args, kwargs]


@app.task(name="demo.add")
def add(x, y):
    return x + y


@app.task(name="demo.fail")
def fail():
    raise ValueError("no")


@app.task(name="demo.told")
def told(task_id):
    """For error callbacks: a task with one parameter receives the failed task's id, in a message."""
    return task_id


@app.task(name="demo.due", bind=True)
def due(self):
    """Whether the task has a time before which it must not run, and that time has passed."""
    eta = self.request.eta
    return bool(eta) and datetime.fromisoformat(eta) <= datetime.now(timezone.utc)


@app.task(name="demo.retries", bind=True)
def retries(self):
    return self.request.retries


@app.task(name="demo.stamps", bind=True)
def stamps(self):
    return list(self.request.stamped_headers or [])


@app.task(name="demo.again", bind=True)
def again(self, word):
    """Succeeds on its second run."""
    if self.request.retries == 0:
        raise self.retry(exc=KeyError(word), countdown=0.1)
    return [word, self.request.retries]
