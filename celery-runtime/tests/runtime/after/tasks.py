"""The Python side of these tests: its tasks, and the names of the Rust worker's tasks."""
import os

from celery import Celery, chain, chord, group  # noqa: F401, imported by the tests' programs
from kombu import Exchange, Queue

app = Celery('demo', broker=os.environ['BROKER'])
app.conf.task_default_queue = 'celery'
if os.environ.get('QUORUM'):
    kind = os.environ['QUORUM']
    app.conf.task_queues = [
        Queue('celery', Exchange('celery', type=kind), 'celery', queue_arguments={'x-queue-type': 'quorum'}),
    ]


@app.task(name='py.add')
def py_add(x, y):
    return x + y


@app.task(name='py.failed')
def py_failed(task_id):
    """An errback; it reports to the Rust worker the task that it was called for."""
    app.send_task('demo.echo', ('errback', task_id), queue='celery')


@app.task(name='shared.flaky', bind=True)
def flaky(self):
    app.send_task('demo.echo', ('flaky', self.request.id, self.request.retries), queue='other')


def remote(name):
    """A task of the Rust worker; Python has only its name."""
    return lambda *args, **kwargs: app.signature(name, args=args, kwargs=kwargs)


add, echo, fail, retry, hourly, sleep, known, gate = map(
    remote,
    ['demo.add', 'demo.echo', 'demo.fail', 'demo.retry', 'demo.hourly', 'demo.sleep', 'demo.known', 'demo.gate'],
)
