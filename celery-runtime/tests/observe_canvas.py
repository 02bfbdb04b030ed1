"""Observes what a Celery worker sends after a task: writes tests/golden/celery/worker-canvas.json.

    .venv/bin/python celery-runtime/tests/observe_canvas.py > tests/golden/celery/worker-canvas.json

Each case is a real message, run through the worker's own request and tracer for an app whose producer is replaced by a
list. New ids become `id-1`, `id-2` … in the order in which they appear, times become offsets from now.
"""
import json
import platform
import re
import uuid
from datetime import datetime, timedelta, timezone

import celery
import kombu
from celery import Celery, chain, chord, group, signature
from celery.app.trace import build_tracer, trace_task_ret
from celery.backends.base import BaseBackend
from celery.exceptions import Ignore, Reject
from celery.worker.request import Request
from celery.app import trace
from kombu.utils.json import dumps as kombu_dumps

sent = []
NOW = datetime.now(timezone.utc)


class Chords(BaseBackend):
    """A backend that allows chords and stores nothing."""

    def store_result(self, *args, **kwargs):
        pass

    def apply_chord(self, header_result_args, body, **kwargs):
        pass

    def set_chord_size(self, group_id, chord_size):
        sent.append({'chord': group_id, 'size': chord_size})

    def on_chord_part_return(self, *args, **kwargs):
        pass

    def mark_as_done(self, *args, **kwargs):
        children.append(self.current_task_children(args[2]))

    def get_state(self, *args):
        return 'PENDING'

    def add_pending_result(self, *args, **kwargs):
        pass

    def add_pending_results(self, *args, **kwargs):
        pass

    class _Consumer:
        on_message = None

        def consume_from(self, *args):
            pass

    result_consumer = _Consumer()


children = []
app = Celery('demo', broker='memory://')
app.conf.update(
    task_queues=[
        kombu.Queue('celery', kombu.Exchange('celery'), 'celery'),
        kombu.Queue('qt', kombu.Exchange('events', type='topic'), 'task.default'),
    ],
    task_create_missing_queues=True,
)


@app.task(name='demo.add')
def add(x, y, **kwargs):
    return x + y


@app.task(name='demo.value', typing=False)
def value(value, *args, **kwargs):
    return value


@app.task(name='demo.ignored', ignore_result=True, time_limit=30, soft_time_limit=20.5, typing=False)
def ignored(*args, **kwargs):
    return None


@app.task(name='demo.fail')
def fail(*args, **kwargs):
    raise ValueError('boom')


@app.task(name='demo.ignore')
def ignore():
    raise Ignore()


@app.task(name='demo.retry', bind=True, typing=False)
def retry(self, *args, **kwargs):
    raise self.retry(exc=KeyError('again'), **OPTIONS)


@app.task(name='demo.errback')
def errback(task_id):
    pass


OPTIONS = {'countdown': 1}
remote = lambda *args, **kwargs: signature('other.task', args=args, kwargs=kwargs, app=app)


def record(self, body, routing_key=None, delivery_mode=None, mandatory=False, immediate=False, priority=0,
           content_type=None, content_encoding=None, serializer=None, headers=None, compression=None, exchange=None,
           retry=False, retry_policy=None, declare=None, expiration=None, timeout=None, confirm_timeout=None,
           **properties):
    for leaked in 'origin', 'argsrepr', 'kwargsrepr', 'redelivered':  # AMQP has no such property
        properties.pop(leaked, None)
    if expiration is not None:
        properties['expiration'] = str(int(expiration * 1000))
    if priority is not None:
        properties['priority'] = priority
    name = getattr(exchange, 'name', exchange)
    sent.append({
        'exchange': name,
        'routing_key': routing_key,
        'declare': [queue.name for queue in declare or []],
        'properties': {'delivery_mode': delivery_mode, **properties},
        'headers': dict(headers),
        'serializer': serializer,
        'compression': compression,
        'body': json.loads(kombu_dumps(body)),
    })


kombu.Producer.publish = record


def mask(value, known, named):
    if isinstance(value, dict):
        return {key: mask(item, known, named) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask(item, known, named) for item in value]
    if isinstance(value, str):
        if re.fullmatch(r'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', value):
            if value == app.thread_oid:
                return 'reply-to'
            if value in known:
                return value
            return named.setdefault(value, f'id-{len(named) + 1}')
        if re.match(r'\d{4}-\d\d-\d\dT', value) and value not in known:
            try:
                seconds = (datetime.fromisoformat(value) - NOW).total_seconds()
            except TypeError:
                return value
            if abs(seconds) < 500:
                return f'now+{round(seconds)}'
        if re.fullmatch(r'gen\d+@.*', value) and value not in known:
            return 'origin'
    return value


def ids(value, found):
    if isinstance(value, dict):
        for item in value.values():
            ids(item, found)
    elif isinstance(value, (list, tuple)):
        for item in value:
            ids(item, found)
    elif isinstance(value, str):
        found.add(value)
    return found


class Message:
    def __init__(self, message, delivery_info):
        self.headers = message['headers']
        self.properties = message['properties']
        self.body = kombu_dumps(message['body'])
        self.content_type, self.content_encoding = 'application/json', 'utf-8'
        self.delivery_info = delivery_info
        self.payload = message['body']
        self.decode = lambda: self.payload


cases = []


def observe(name, call, backend=False, delivery_info=None, properties=None, headers=None):
    global NOW
    app.set_current()
    app._backend_cache = None
    app._local.backend = Chords(app) if backend else celery.backends.base.DisabledBackend(app)
    for task in app.tasks.values():
        task._backend = None
    sent.clear()
    children.clear()
    call()
    first = sent[0]
    first['properties'].update(properties or {})
    first['headers'].update(headers or {})
    first = re.sub(r'gen\d+@[^"]*', 'gen1@host', kombu_dumps(first))
    first = json.loads(first.replace(app.thread_oid, '00000000-0000-3000-8000-000000000001'))
    info = {'exchange': first['exchange'], 'routing_key': first['routing_key'], 'redelivered': False,
            **(delivery_info or {})}
    first['delivery_info'] = info
    sent.clear()
    children.clear()
    message = Message(first, dict(info, consumer_tag='None4', delivery_tag=1, priority=None))
    task = app.tasks[first['headers']['task']]
    task.__trace__ = build_tracer(task.name, task, app.loader, 'celery@host', app=app)
    request = Request(message, app=app, hostname='celery@host', task=task,
                      body=message.body, headers=message.headers, decoded=False, utc=True)
    NOW = datetime.now(timezone.utc)
    app.set_current()
    retval = trace_task_ret(task.name, request.id, request.request_dict, request.body, request.content_type,
                            request.content_encoding, app=app)
    known = ids(first, set())
    named = {}
    case = {'case': name, 'message': first, 'now': NOW.isoformat(), 'chords': backend}
    case['sends'] = mask(json.loads(kombu_dumps(sent)), known, named)
    if backend and children:
        case['children'] = mask(json.loads(kombu_dumps(children[0])), known, named)
    if task.name == 'demo.retry':
        case['retry'] = json.loads(kombu_dumps(OPTIONS))
    failed = retval[0]
    case['outcome'] = 'failed' if failed else 'ended'
    if failed:
        exception = getattr(retval[1], 'exception', retval[1])
        case['exception'] = repr(getattr(exception, 'exc', exception))[:100]
    else:
        case['result'] = json.loads(kombu_dumps(add_result(first)))
    cases.append(case)


def add_result(message):
    args, kwargs, _ = message['body']
    name = message['headers']['task']
    if name == 'demo.add':
        return args[0] + args[1]
    if name == 'demo.value':
        return args[0]
    return None


plain = lambda **options: add.apply_async((1, 2), **options)
s = add.s


# Callbacks.
observe('link-kwargs', lambda: plain(link=add.s(y=5, z=[1, {'a': None}])))
observe('link-immutable', lambda: plain(link=add.si(7, 8)))
observe('link-immutable-empty', lambda: plain(link=ignored.si()))
observe('link-unregistered', lambda: plain(link=remote(5)))
observe('link-ignored', lambda: plain(link=ignored.s(5)))
observe('link-none-result', lambda: value.apply_async((None,), link=s(5)))
observe('link-list-result', lambda: value.apply_async(([1, 'x' * 2000, [[[[5]]]]],), link=s(5)))
observe('link-typed-result', lambda: value.apply_async(({'id': uuid.UUID(int=5)},), link=s(5)))
for key, option in {
    'task_id': 'my-id', 'queue': 'hipri', 'routing_key': 'some.key', 'priority': 7, 'countdown': 10,
    'eta': datetime(2030, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc), 'expires': 60, 'time_limit': 30,
    'soft_time_limit': 2.5, 'shadow': 'other', 'headers': {'x': 'y', 'n': 5, 'deep': {'a': [1.5, None, True]}},
    'reply_to': 'my-queue', 'compression': 'gzip', 'serializer': 'json', 'delivery_mode': 1, 'ignore_result': True,
    'link': s(1), 'link_error': errback.s(), 'group_id': 'my-group', 'group_index': 5, 'argsrepr': '<args>',
    'kwargsrepr': '<kwargs>', 'retries': 2, 'root_id': 'my-root', 'parent_id': 'my-parent', 'origin': 'me',
    'replaced_task_nesting': 3, 'expiration': 9,
}.items():
    observe(f'link-option-{key}', lambda: plain(link=s(5).set(**{key: option})))
observe('link-option-countdown-zero', lambda: plain(link=s(5).set(countdown=0)))
observe('link-option-countdown-and-eta', lambda: plain(link=s(5).set(countdown=10, eta='2030-01-02T03:04:05+00:00')))
observe('link-option-expires-float', lambda: plain(link=s(5).set(expires=1.5)))
observe('link-option-expires-past', lambda: plain(link=s(5).set(expires=-5)))
observe('link-option-expires-datetime', lambda: plain(
    link=s(5).set(expires=datetime(2020, 1, 2, tzinfo=timezone.utc))))
observe('link-option-expires-text', lambda: plain(link=s(5).set(expires='2020-01-02T03:04:05+00:00')))
observe('link-option-exchange', lambda: plain(link=s(5).set(exchange='celery', routing_key='celery')))
observe('link-option-exchange-alone', lambda: plain(link=s(5).set(exchange='other')))
observe('link-option-topic-queue', lambda: plain(link=s(5).set(queue='qt')))
observe('link-option-topic-queue-and-key', lambda: plain(link=s(5).set(queue='qt', routing_key='task.a')))
observe('link-option-queue-and-priority', lambda: plain(link=s(5).set(queue='hipri', priority=3)))
observe('link-unregistered-queue', lambda: plain(link=remote(5).set(queue='hipri')))
observe('link-ignored-limits', lambda: plain(link=ignored.s(5).set(time_limit=5)))
observe('link-stamped', lambda: plain(link=s(5).set(stamped_headers=['a', 'b'], a='one', b=[1, 2])))
observe('link-of-a-child', lambda: plain(link=s(5), root_id='my-root', parent_id='my-parent', priority=5,
                                         headers={'x': 'y'}, group_id='my-group', group_index=3))
observe('link-of-a-stamped', lambda: plain(link=s(5), stamped_headers=['a'], a='one'))
observe('link-two-immutable', lambda: plain(link=[s(5), add.si(7, 8)]))
observe('link-two-options', lambda: plain(link=[s(5).set(queue='hipri'), s(6).set(task_id='my-id', priority=2)]))

# Groups.
observe('group-options', lambda: plain(link=group(s(5), s(6)).set(queue='hipri')))
observe('group-options-over-tasks', lambda: plain(link=group(s(5).set(queue='low', priority=1), s(6)).set(queue='hipri', priority=4)))
observe('group-task-id', lambda: plain(link=group(s(5), s(6)).set(task_id='my-group')))
observe('group-nested', lambda: plain(link=group(s(5), group(s(6), s(7)), s(8))))
observe('group-one', lambda: plain(link=group(s(5))))
observe('group-empty', lambda: plain(link=group([])))
observe('group-with-chain', lambda: plain(link=group(chain(s(5), s(6)), s(7))))
observe('group-with-long-chain', lambda: plain(link=group(chain(s(5), s(6), s(7)), s(8)).set(queue='hipri')))
observe('group-stamped', lambda: plain(link=group(s(5).set(stamped_headers=['a'], a='one'), s(6))))
observe('group-options-stamped', lambda: plain(link=group(s(5), s(6)).set(stamped_headers=['a'], a='one')))
observe('group-and-tasks', lambda: plain(link=[s(4), group(s(5), s(6)), s(7)]))
observe('group-unregistered', lambda: plain(link=group(remote(5), s(6))))
observe('group-member-links', lambda: plain(link=group(s(5).set(link=[s(1)], link_error=[errback.s()]), s(6))))

# Chains.
observe('chain-as-callback', lambda: plain(link=chain(s(5), s(6), s(7))))
observe('chain-as-callback-options', lambda: plain(link=chain(s(5), s(6)).set(queue='hipri', priority=3)))
observe('chain-as-callback-task-id', lambda: plain(link=chain(s(5), s(6)).set(task_id='my-id')))
observe('chain-as-callback-link', lambda: plain(link=chain(s(5), s(6)).set(link=[s(1)])))
observe('chain-as-callback-link-error', lambda: plain(link=chain(s(5), s(6)).set(link_error=[errback.s()])))
observe('chain-as-callback-immutable', lambda: plain(link=chain(add.si(5, 1), add.si(6, 1))))
observe('chain-as-callback-group-last', lambda: plain(link=chain(s(5), group(s(6), s(7)))))
observe('chain-as-callback-stamped', lambda: plain(
    link=chain(s(5).set(stamped_headers=['a'], a='one'), s(6).set(stamped_headers=['a'], a='one'))))
observe('chain-options', lambda: chain(s(1, 2), s(5).set(queue='hipri', countdown=5, priority=2), s(6))())
observe('chain-immutable-kwargs', lambda: chain(s(1, 2), add.si(3, y=4), s(6))())
observe('chain-group-last', lambda: chain(s(1, 2), group(s(5), s(6)))())
observe('chain-group-options', lambda: chain(s(1, 2), group(s(5), s(6)).set(queue='hipri'))())
observe('chain-and-link', lambda: chain(s(1, 2).set(link=[s(9)]), s(5))())
observe('chain-in-chain', lambda: chain(s(1, 2), chain(s(5), s(6)), s(7))())
observe('chain-member-links', lambda: chain(s(1, 2), s(5).set(link=[s(1)], link_error=[errback.s()]), s(6))())
observe('chain-link-error', lambda: chain(s(1, 2), s(5)).set(link_error=[errback.s()])())
observe('chain-unregistered', lambda: chain(s(1, 2), remote(5), s(6))())
observe('chain-replayed', lambda: chain(s(1, 2), s(5))(), headers={'root_id': None})

# Failures.
failing = lambda **options: fail.apply_async((), **options)
observe('errback-two', lambda: failing(link_error=[errback.s(), errback.s()]))
observe('errback-immutable', lambda: failing(link_error=errback.si('x')))
observe('errback-arguments', lambda: failing(link_error=remote('a', k=1)))
observe('errback-options', lambda: failing(link_error=errback.s().set(queue='hipri', task_id='my-id')))
observe('errback-of-a-child', lambda: failing(link_error=errback.s(), root_id='my-root', parent_id='my-parent'))
observe('errback-and-link', lambda: failing(link=s(5), link_error=errback.s()))
observe('errback-and-chain', lambda: chain(fail.s().set(link_error=[errback.s()]), s(5))())
observe('ignored', lambda: ignore.apply_async(link=s(5), link_error=errback.s()))

# Retries.
again = lambda **options: retry.apply_async((1, 'x'), {'k': 2}, **options)
for name, OPTIONS in {
    'countdown': {'countdown': 1}, 'countdown-float': {'countdown': 2.5}, 'countdown-zero': {'countdown': 0},
    'default': {}, 'eta': {'eta': datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)},
}.items():
    observe(f'retry-{name}', again)
OPTIONS = {'countdown': 1}
observe('retry-of-a-child', lambda: again(root_id='my-root', parent_id='my-parent', group_id='my-group', group_index=3))
observe('retry-embed', lambda: chain(retry.s(1).set(link=[s(1)], link_error=[errback.s()]), s(5))())
observe('retry-headers', lambda: again(headers={'x': 'y'}), headers={
    'x-death': [{'count': 1}], 'x-first-death-queue': 'q', 'x-first-death-exchange': 'q', 'x-first-death-reason': 'r',
    'x-last-death-queue': 'q', 'x-other': 5})
observe('retry-expires', lambda: again(expires=60))
observe('retry-expires-past', lambda: again(expires='2020-01-02T03:04:05+00:00'))
observe('retry-limits', lambda: again(time_limit=30, soft_time_limit=2.5))
observe('retry-shadow', lambda: again(shadow='other'))
observe('retry-stamped', lambda: again(stamped_headers=['a'], a='one'))
observe('retry-nesting', lambda: again(replaced_task_nesting=3))
observe('retry-reply-to', lambda: again(reply_to='my-queue'))
observe('retry-priority', lambda: again(priority=5), delivery_info={'priority': 5})
observe('retry-queue', lambda: again(queue='hipri'))
observe('retry-exchange', lambda: again(queue='qt'))
observe('retry-ignore-result', lambda: again(ignore_result=True))
observe('retry-retried', lambda: again(retries=2))
observe('retry-too-often', lambda: again(retries=3))
observe('retry-argsrepr', lambda: again(argsrepr='<args>'))
observe('retry-compression', lambda: again(compression='gzip'))

# Chords.
observe('chord-none', lambda: plain(link=chord([s(5), s(6)], value.s())))
observe('chord-callback', lambda: plain(link=chord([s(5), s(6)], value.s())), backend=True)
observe('chord-options', lambda: plain(link=chord([s(5), s(6)], value.s()).set(queue='hipri')), backend=True)
observe('chord-body-options', lambda: plain(link=chord([s(5), s(6)], value.s().set(queue='hipri', task_id='my-id'))), backend=True)
observe('chord-task-id', lambda: plain(link=chord([s(5), s(6)], value.s()).set(task_id='my-id')), backend=True)
observe('chord-countdown', lambda: plain(link=chord([s(5), s(6)], value.s()).set(countdown=5)), backend=True)
observe('chord-link', lambda: plain(link=chord([s(5), s(6)], value.s()).set(link=[s(1)], link_error=[errback.s()])), backend=True)
observe('chord-empty', lambda: plain(link=chord([], value.s())), backend=True)
observe('chord-body-chain', lambda: plain(link=chord([s(5), s(6)], chain(value.s(), value.s(2)))), backend=True)
observe('chord-body-group', lambda: plain(link=chord([s(5), s(6)], group(value.s(), value.s(2)))), backend=True)
observe('chord-header-chain', lambda: plain(link=chord([chain(s(5), s(6)), s(7)], value.s())), backend=True)
observe('chord-header-group', lambda: plain(link=chord([group(s(5), s(6)), s(7)], value.s())), backend=True)
observe('chord-header-chain-group', lambda: plain(link=chord([chain(s(5), group(s(6), s(8))), s(7)], value.s())), backend=True)
observe('chord-nested', lambda: plain(link=chord([chord([s(5), s(6)], value.s()), s(7)], value.s())), backend=True)
observe('chord-in-chain', lambda: chain(s(1, 2), group(s(5), s(6)), value.s(), s(7))(), backend=True)
observe('chord-last-in-chain', lambda: chain(s(1, 2), group(s(5), s(6)), value.s())(), backend=True)
observe('chord-chain-as-callback', lambda: plain(link=chain(s(4), group(s(5), s(6)), value.s(), s(7))), backend=True)
observe('chord-first-in-chain-as-callback', lambda: plain(link=chain(group(s(5), s(6)), value.s(), s(7))), backend=True)
observe('chord-group-in-chord', lambda: plain(link=chord([s(5), chain(s(6), group(s(7), s(8)), value.s())], value.s())), backend=True)
observe('chord-group-step', lambda: chord([chain(s(1, 2), group(s(5), s(6))), s(7, 8)], value.s())(), backend=True)
observe('chord-member', lambda: chord([s(1, 2).set(link=[s(9)]), s(3, 4)], value.s())(), backend=True)
observe('chord-member-chain', lambda: chord([chain(s(1, 2), s(5)), s(3, 4)], value.s())(), backend=True)
observe('children-link', lambda: plain(link=s(5)), backend=True)
observe('children-two', lambda: plain(link=[s(5), s(6)]), backend=True)
observe('children-group', lambda: plain(link=group(s(5), chain(s(6), s(7)))), backend=True)
observe('children-chain', lambda: plain(link=chain(s(5), s(6))), backend=True)
observe('children-chain-group', lambda: plain(link=chain(s(5), group(s(6), s(7)))), backend=True)
observe('children-step', lambda: chain(s(1, 2).set(link=[s(9)]), s(5), s(6))(), backend=True)

how = ('observe_canvas.py: what a worker sends after a task; ids that are new are numbered, times are seconds from now. '
       f'CPython {platform.python_version()}, celery {celery.__version__}, kombu {kombu.__version__}')
print('{\n "case": "worker-canvas",\n "how": ' + json.dumps(how) + ',\n "cases": [')
print(',\n'.join('  ' + json.dumps(case) for case in cases))
print(' ]\n}')
