"""The ACL service: stores in Redis, as one set per station, which drivers may charge there."""

import os

import redis
from flask import Flask, jsonify, request

app = Flask(__name__)

allow_lists = redis.Redis(
    host=os.environ.get("REDIS_HOST", "localhost"),
    port=int(os.environ.get("REDIS_PORT", 6379)),
)


# HEAD, which Flask adds to GET, falls through to a 500, as it does in the reference.
@app.route("/station/<uuid:station_id>/driver/<driver_token>/acl", methods=["GET", "PUT", "DELETE"])
def acl(station_id, driver_token):
    allow_list = f"station:{station_id}:allowlist"
    if request.method == "GET":
        return jsonify(authorized=allow_lists.sismember(allow_list, driver_token))
    if request.method == "PUT":
        return jsonify(num_added=allow_lists.sadd(allow_list, driver_token))
    if request.method == "DELETE":
        return jsonify(num_removed=allow_lists.srem(allow_list, driver_token))
