"""Shows that the services in this folder are true twins of the recorded ones.

    check.py FOLDER

replays the rows of FOLDER/acl-http.jsonl, public-api-http.jsonl and authorize-semantics.jsonl. It needs a RabbitMQ
(BROKER_URL; the queue celery is emptied) and a Redis (REDIS_HOST, REDIS_PORT; its keys are deleted). The two HTTP
services run as their own processes, the task is called in this one with the arguments as Celery would decode them.
"""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import kombu
import redis
from kombu.utils.json import loads

FOLDER = Path(sys.argv[1])
SERVER_HEADERS = ("Date:", "Server:")


class Report:
    """Counts the replayed rows, and fails at the end if anything differed."""

    def __init__(self):
        self.differences = 0

    def differs(self, file, case, what, expected, seen):
        self.differences += 1
        print(f"{file} {case}: {what}\n  expected {expected!r}\n  seen     {seen!r}")

    def replayed(self, file, total, count, left_out):
        print(f"{file}: {count} of {total} rows replayed")
        for reason, cases in left_out.items():
            print(f"  left out, {reason}: {len(cases)} ({', '.join(cases)})")
        assert total == count + sum(len(cases) for cases in left_out.values())

    def compare(self, file, case, **pairs):
        for what, (expected, seen) in pairs.items():
            if expected != seen:
                self.differs(file, case, what, expected, seen)


def rows(file):
    with open(FOLDER / file, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def flask_service(name):
    """Runs the service as described in its README, and yields its port."""
    port = free_port()
    command = [sys.executable, "-m", "flask", "--app", name, "run", "--port", str(port)]
    here = str(Path(__file__).parent)
    process = subprocess.Popen(command, cwd=here, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, f"{name} does not serve"
                time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


# HTTP


def recorded_bytes(text):
    """Restores the original bytes: the recorder wrote them as UTF-8 text, and those that are not valid as \\xNN."""
    raw = re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(0xDC00 + int(match[1], 16)), text)
    return raw.encode("utf-8", "surrogateescape")


def exchange(port, request):
    """Returns everything that the server sends until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except (TimeoutError, ConnectionResetError):
            pass
    return answer


def parsed(answer):
    """Status, header lines without the server's own, and body; without a status line, everything is body."""
    if not answer.startswith(b"HTTP/"):
        return None, None, answer.decode()
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *headers = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), comparable(headers), body.decode()


def without_date(text):
    return re.sub(r"Date: [^\r]*", "Date:", text)


def comparable(headers):
    """The headers without the server's own, and with the methods in Allow sorted, because their order varies with the
    hash seed."""
    if headers is None:
        return None
    kept = [header for header in headers if not header.startswith(SERVER_HEADERS)]
    return [", ".join(sorted(h[7:].split(", "))) if h.startswith("Allow: ") else h for h in kept]


def replay_request(report, file, row, port):
    answer = exchange(port, recorded_bytes(row["request"]))
    status, headers, body = parsed(answer)
    expected_body = row["body"]
    if expected_body is not None and len(expected_body) >= 300:
        body = body[: len(expected_body)]
    report.compare(
        file,
        row["case"],
        status=(row["status"], status),
        headers=(comparable(row["headers"]), headers),
        body=(without_date(expected_body or ""), without_date(body)),
    )


def shortened(row):
    return re.search(r"\.\.\.\(\d+ bytes\)$", row["request"]) is not None


def check_acl_service(report):
    file = "acl-http.jsonl"
    store = redis.Redis(os.environ.get("REDIS_HOST", "localhost"), int(os.environ.get("REDIS_PORT", 6379)))
    store.flushall()
    all_rows, count = rows(file), 0
    left_out = {"needs a Redis in trouble": [], "request shortened in the record": [], "hash seeds": []}
    allow_list = "station:a0b1c2d3-e4f5-4678-9abc-def012345678:allowlist"
    with flask_service("authorization_service") as port:
        for row in all_rows:
            case = row["case"]
            if case.startswith("backend-"):
                left_out["needs a Redis in trouble"].append(case)
            elif "values" in row:
                left_out["hash seeds"].append(case)
            elif shortened(row):
                left_out["request shortened in the record"].append(case)
            else:
                if case == "wrongtype-get":
                    store.set(allow_list, "a string")
                if case == "after-repair":
                    store.delete(allow_list)
                if case == "delete-last-member":
                    store.sadd(allow_list, "validDriverToken-0001")
                replay_request(report, file, row, port)
                count += 1
    report.replayed(file, len(all_rows), count, left_out)


# Public API


def enqueued(channel, expected):
    """Takes the messages that the API has published; waits for `expected` of them, since the API publishes without
    confirms."""
    deadline = time.monotonic() + 30
    messages = []
    while True:
        message = channel.basic_get("celery", no_ack=True)
        if message is not None:
            messages.append(message)
        elif len(messages) >= expected or time.monotonic() > deadline:
            return messages
        else:
            time.sleep(0.005)


def comparable_args(args, between=None):
    """Replaces the expiry with whether it is five seconds after a moment during the request."""
    *others, expiry = args
    return [*others, between is None or between[0] <= expiry - 5 * 10**9 <= between[1]]


def comparable_message(properties, body, between=None):
    """An AMQP message in which everything that differs between runs is replaced."""
    headers = dict(properties["headers"])
    ids = {headers.pop("id"), headers.pop("root_id"), properties["correlation_id"]}
    [args, kwargs, embed] = json.loads(body)
    return {
        "one id": len(ids) == 1,
        "origin": re.sub(r"^gen\d+@.*", "gen@", headers.pop("origin")),
        "argsrepr": re.sub(r"\d{19}", "<expiry>", headers.pop("argsrepr")),
        "headers": headers,
        "body": [comparable_args(args, between), kwargs, embed],
        "body text": re.sub(r"\d{19}", "<expiry>", body),
        "content": [properties["content_type"], properties["content_encoding"]],
        "delivery": [properties["delivery_mode"], properties["priority"], properties["reply_to"] is not None],
    }


def check_public_api(report):
    file = "public-api-http.jsonl"
    all_rows, count = rows(file), 0
    recorded_messages = {
        row["case"].removeprefix("enqueued-message:"): row
        for row in all_rows
        if row["case"].startswith("enqueued-message:")
    }
    left_out = {"needs a broker in trouble": [], "request shortened in the record": [], "megabytes": []}
    with kombu.Connection(os.environ["BROKER_URL"]) as connection, flask_service("public_api") as port:
        channel = connection.default_channel
        kombu.Queue("celery")(channel).declare()
        channel.queue_purge("celery")
        for row in all_rows:
            case = row["case"]
            if case.startswith("enqueued-message:"):
                count += 1
            elif case.startswith("broker-"):
                left_out["needs a broker in trouble"].append(case)
            elif "request" not in row:
                left_out["megabytes"].append(case)
            elif shortened(row):
                left_out["request shortened in the record"].append(case)
            else:
                before = time.time_ns()
                replay_request(report, file, row, port)
                between = before, time.time_ns()
                expected = row["enqueued"] or []
                messages = enqueued(channel, len(expected))
                seen = [json.loads(message.body) for message in messages]
                seen = [{"args": comparable_args(args, between), "kwargs": kwargs} for args, kwargs, _ in seen]
                if row.get("lone_surrogate_shown_as_backslash_u"):
                    seen = json.loads(json.dumps(seen).replace(r"\ud800", r"\\ud800"))
                expected = [dict(call, args=comparable_args(call["args"])) for call in expected]
                report.compare(file, case, enqueued=(json_text(expected), json.dumps(seen)))
                if case in recorded_messages:
                    recorded, message = recorded_messages.pop(case), messages[0]
                    properties = message.properties | {"headers": message.headers}
                    report.compare(
                        file,
                        recorded["case"],
                        message=(
                            comparable_message(recorded, recorded["body"]),
                            comparable_message(properties, message.body, between),
                        ),
                    )
                count += 1
    assert not recorded_messages, f"no request for {list(recorded_messages)}"
    report.replayed(file, len(all_rows), count, left_out)


# The task


class Recorder(ThreadingHTTPServer):
    """Records requests and answers all of them in the same way."""

    def __init__(self, answer):
        self.requests = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                recorder.requests.append((self.requestline, body.decode()))
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = handle_one

            def log_message(self, *args):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def take(self):
        requests, self.requests = self.requests, []
        return requests


def json_text(value):
    """A recorded value as JSON text; the recorder shows anything that is not standard JSON as
    {"json_text": "..."}."""
    if isinstance(value, dict) and value.keys() == {"json_text"}:
        shortened = re.fullmatch(r"(10*)\.\.\.\((\d+) digits\)", value["json_text"])
        return shortened[1].ljust(int(shortened[2]), "0") if shortened else value["json_text"]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {json_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(json_text, value)) + "]"
    return json.dumps(value)


class Call:
    """A recorded call with its ports and times adjusted to this run."""

    def __init__(self, row, recorded_at, ports):
        self.ports = ports
        self.shift = time.time_ns() - recorded_at
        self.args = loads(self.moved(json_text(row["args"])))
        self.kwargs = loads(self.moved(json_text(row["kwargs"] or {})))

    def moved(self, text):
        if text is None:
            return None
        for recorded, port in self.ports.items():
            text = re.sub(rf"(127\.0\.0\.1|localhost):{recorded}\b", rf"\1:{port}", text)
        text = re.sub(r"\b1[78]\d{17}\b", lambda match: str(int(match[0]) + self.shift), text)
        return re.sub(r"\b1\.[78]\d*e\+18\b", lambda match: str(float(match[0]) + self.shift), text)


def outcome(call):
    """The outcome of a call: None, or the exception as Celery would write it."""
    try:
        call()
    except Exception as error:
        return error
    return None


def exception_matches(recorded, error):
    if recorded is None or error is None:
        return recorded is error is None
    # Celery could not always send the exception unchanged; in that case only its name was recorded.
    if "(" not in recorded:
        return recorded.rpartition(":")[2] == type(error).__name__
    return recorded == repr(error)


def check_task(report):
    file = "authorize-semantics.jsonl"
    acl, callbacks = Recorder(b'{"authorized": true}'), Recorder(b"")
    os.environ["AUTHORIZATION_SERVICE_URL"] = f"http://127.0.0.1:{acl.server_port}"
    from authorization_worker import tasks
    from authorization_worker.redis_log import RedisLog

    os.environ.setdefault("REDIS_HOST", "localhost")
    store = redis.Redis(os.environ["REDIS_HOST"], int(os.environ.get("REDIS_PORT", 6379)), decode_responses=True)
    store.flushall()
    tasks.audit_log = RedisLog()
    ports = {21001: callbacks.server_port, 21002: acl.server_port}
    all_rows, count, recorded_at = rows(file), 0, 0
    left_out = {"a property of Celery's worker": [], "a race or a duration": []}
    for row in all_rows:
        case = row.get("case", row.get("sweep"))
        if "clock_minus_base_ns" in row:
            check_clock(report, file, row, tasks, callbacks, acl)
        elif "args" not in row:
            left_out["a race or a duration"].append(case)
            continue
        else:
            if row["redis_key"]:
                recorded_at = int(row["redis_key"].split(":")[2])
            if row["args"] is None or row["task"] not in ("succeeded", "failed"):
                left_out["a property of Celery's worker"].append(case)
                continue
            call = Call(row, recorded_at, ports)
            error = outcome(lambda: tasks.authorize(*call.args, **call.kwargs))
            if not exception_matches(row["exception"], error):
                report.differs(file, case, "exception", row["exception"], repr(error))
            check_traces(report, file, row, call, store, callbacks, acl)
        count += 1
    report.replayed(file, len(all_rows), count, left_out)


def check_traces(report, file, row, call, store, callbacks, acl):
    """The callback, the request to the ACL service and the audit record of one call."""
    keys = store.keys("log:*")
    records = [store.hgetall(key) for key in keys]
    store.flushall()
    asked, called_back = [line for line, _ in acl.take()], [body for _, body in callbacks.take()]
    expected_hash = row["redis_hash"] and json.loads(call.moved(json.dumps(row["redis_hash"])))
    report.compare(
        file,
        row["case"],
        callback=(call.moved(row["callback"]), called_back[0] if called_back else None),
        callbacks=(row["callbacks"], len(called_back)),
        acl_request=(row["acl_request"], asked[0] if asked else None),
        records=(row["redis_records"], len(records)),
        record=(expected_hash, records[0] if records else None),
    )
    if row["redis_key"]:
        recorded, seen = row["redis_key"].split(":", 3), keys[0].split(":", 3)
        report.compare(file, row["case"], key=([recorded[:2], recorded[3]], [seen[:2], seen[3]]))


def check_clock(report, file, row, tasks, callbacks, acl):
    """Runs a call with a clock that returns the recorded times, and then keeps returning the last one."""
    base = 1_800_000_000_000_000_000
    readings = [base + offset for offset in row["clock_minus_base_ns"]]

    def clock():
        return readings.pop(0) if len(readings) > 1 else readings[0]

    records, timeouts, get = [], [], tasks.requests.get

    def recording_get(url, timeout):
        timeouts.append(timeout)
        # In the recorded runs, the ACL service answered within any timeout.
        return get(url, timeout=timeout if timeout <= 0 else 60)

    class Log:
        def write(self, start_time_ns, **record):
            records.append((start_time_ns - base, record))

    token = "short" if "bad token" in row["case"] else "validDriverToken-0001"
    url = f"http://127.0.0.1:{callbacks.server_port}/cb"
    with (
        mock.patch.object(tasks.time, "time_ns", clock),
        mock.patch.object(tasks.requests, "get", recording_get),
        mock.patch.object(tasks, "audit_log", Log()),
    ):
        error = outcome(lambda: tasks.authorize("station", token, url, base + row["expiry_minus_base_ns"]))
    called_back = [json.loads(body)["status"] for _, body in callbacks.take()]
    report.compare(
        file,
        row["case"],
        timeout=(row["acl_timeout_s"], timeouts[0] if timeouts else None),
        acl_requests=(row["acl_requests"], len(acl.take())),
        status=(row["callback_status_field"], called_back[0] if called_back else None),
        logged=(row["logged"], bool(records)),
        start=(row["log_start_time_minus_base_ns"], records[0][0] if records else None),
        exception=(row["exception"], error and f"builtins.{type(error).__name__}: {error}"),
    )


def main():
    report = Report()
    check_acl_service(report)
    check_public_api(report)
    check_task(report)
    if report.differences:
        sys.exit(f"{report.differences} differences")


if __name__ == "__main__":
    main()
