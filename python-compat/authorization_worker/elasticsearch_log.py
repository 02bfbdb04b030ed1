"""The audit log in Elasticsearch: one document per authorization in the index log.authorize."""

import os

from elasticsearch_dsl import Document, Long, Text, connections


class AuthorizeRecord(Document):
    start_time_ms = Long(required=True)
    station_id = Text(required=True)
    driver_token = Text(required=True)
    status = Text(required=True)
    callback_status = Text()
    callback_url = Text()

    class Index:
        name = "log.authorize"


class ElasticsearchLog:
    def __init__(self):
        elasticsearch = connections.create_connection(
            hosts=os.environ["ELASTICSEARCH_URL"],
            basic_auth=("elastic", os.environ.get("ELASTIC_PASSWORD")),
            ca_certs=os.environ.get("ELASTICSEARCH_CERTS_PATH"),
            ssl_assert_hostname=False,
        )
        print(f"connected to Elasticsearch: {elasticsearch.info()}")
        AuthorizeRecord.init()

    def write(self, start_time_ns, **record):
        AuthorizeRecord(**record, start_time_ms=start_time_ns // 1_000_000).save()
