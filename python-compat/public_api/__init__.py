"""The public API: acknowledges a request for authorization and hands it to the worker."""

import os
import time

from flask import Flask, jsonify, request

from authorization_worker.tasks import authorize

AUTHORIZATION_TIMEOUT_SEC = int(os.environ.get("AUTHORIZATION_TIMEOUT_SEC", 5))

app = Flask(__name__)


@app.route("/station/<uuid:station_id>/driver/<driver_token>/authorize", methods=["GET", "POST"])
def request_authorization(station_id, driver_token):
    if request.is_json:
        callback_url = request.json.get("callback_url")
    else:
        callback_url = request.args.get("callback_url")
    if not callback_url:
        return jsonify(error="Missing required parameter: callback_url"), 400

    expiry_time_ns = time.time_ns() + AUTHORIZATION_TIMEOUT_SEC * 1_000_000_000
    authorize.delay(station_id, driver_token, callback_url, expiry_time_ns)
    return jsonify(
        status="accepted",
        message="Request is being processed asynchronously. "
        "The result will be sent to the provided callback URL.",
    )
