"""Exit code 0 if the service of this container works: one with FLASK_RUN_PORT must answer any HTTP at all, the worker must
have a connection to its broker. (`celery inspect ping` takes seconds of processor time.)"""

import os
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

ESTABLISHED = "01"


def answers(port):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=3)
    except urllib.error.HTTPError:
        pass
    except OSError:
        return False
    return True


def is_connected(port):
    for file in "/proc/net/tcp", "/proc/net/tcp6":
        with open(file) as lines:
            for line in list(lines)[1:]:
                _, _, remote, state, *_ = line.split()
                if state == ESTABLISHED and int(remote.rsplit(":", 1)[1], 16) == port:
                    return True
    return False


http_port = os.environ.get("FLASK_RUN_PORT")
if http_port:
    sys.exit(not answers(http_port))
sys.exit(not is_connected(urlsplit(os.environ["BROKER_URL"]).port or 5672))
