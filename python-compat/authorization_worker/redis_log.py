"""The audit log in Redis: one hash per authorization."""

import os

import redis


class RedisLog:
    def __init__(self):
        self.redis = redis.Redis(
            host=os.environ["REDIS_HOST"],
            port=int(os.environ.get("REDIS_PORT", 6379)),
        )
        print(f"{str(self.redis.info('server'))[:60]}...")

    def write(self, start_time_ns, **record):
        key = f"log:authorize:{start_time_ns}:{record['station_id']}:{record['driver_token']}"
        self.redis.hset(key, mapping=record)
