"""The Celery application and its task.

Start: celery -A authorization_worker.tasks worker
"""

import os
import re
import sys
import time
from datetime import timedelta

import requests
import validators
from celery import Celery

BROKER_URL = os.environ.get("BROKER_URL", "amqp://guest:guest@localhost:5672//")
AUTHORIZATION_SERVICE_URL = os.environ.get("AUTHORIZATION_SERVICE_URL", "http://localhost:5000")
CALLBACK_TIMEOUT_SEC = int(os.environ.get("CALLBACK_TIMEOUT_SEC", 5))

# Only the beginning is checked: anything may follow 20 valid characters.
VALID_TOKEN = re.compile(r"[A-Za-z0-9\-._~]{20}")

app = Celery(__name__, broker=BROKER_URL)


def choose_audit_log():
    """Sets up the log in the worker only, because the public API imports this module, too."""
    if not (sys.argv[0].endswith("celery") and "worker" in sys.argv):
        return None
    if os.environ.get("ELASTICSEARCH_URL"):
        from authorization_worker.elasticsearch_log import ElasticsearchLog

        return ElasticsearchLog()
    if os.environ.get("REDIS_HOST"):
        from authorization_worker.redis_log import RedisLog

        return RedisLog()
    return None


audit_log = choose_audit_log()


@app.task(ignore_result=True)
def authorize(station_id, driver_token, callback_url, expiry_time_ns):
    start_time_ns = time.time_ns()
    status = decide(station_id, driver_token, callback_url, expiry_time_ns)
    callback_status = call_back(station_id, driver_token, callback_url, status)
    if audit_log is not None:
        audit_log.write(
            start_time_ns,
            station_id=str(station_id),
            driver_token=driver_token,
            status=status,
            callback_status=callback_status,
            callback_url=callback_url,
        )


def decide(station_id, driver_token, callback_url, expiry_time_ns):
    if time.time_ns() >= expiry_time_ns:
        return "unknown"
    if not VALID_TOKEN.match(driver_token) or not is_valid_url(callback_url):
        return "invalid"
    try:
        return "allowed" if is_allowed(station_id, driver_token, expiry_time_ns) else "not_allowed"
    except (requests.Timeout, RecursionError):
        return "unknown"


def is_allowed(station_id, driver_token, expiry_time_ns):
    """Asks the ACL service. Only the key counts, not the status code; any other failure loses the request,
    including a deadline that passes before this line (ValueError)."""
    remaining = timedelta(microseconds=(expiry_time_ns - time.time_ns()) // 1000)
    response = requests.get(
        f"{AUTHORIZATION_SERVICE_URL}/station/{station_id}/driver/{driver_token}/acl",
        timeout=remaining.total_seconds(),
    )
    return response.json()["authorized"]


def call_back(station_id, driver_token, callback_url, status):
    """Posts the verdict and returns what the audit log records about it."""
    if not is_valid_url(callback_url):
        return "Invalid callback URL"
    verdict = {"station_id": str(station_id), "driver_token": driver_token, "status": status}
    try:
        return str(requests.post(callback_url, json=verdict, timeout=CALLBACK_TIMEOUT_SEC))
    except requests.RequestException as error:
        return str(error)


def is_valid_url(url):
    return url.lower().startswith("http") and validators.url(url)
