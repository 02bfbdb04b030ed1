# The three Python services, one target each: public_api, authorization_service, authorization_worker.
#   docker build -f docker/python.Dockerfile --target public_api -t cp-auth/public_api:python .

FROM python:3.11-slim-bookworm AS packages
# Wheels in python-compat/wheels take precedence over those of PyPI.
COPY python-compat/requirements.txt python-compat/wheels* /wheels/
RUN python3 -m venv /venv \
 && /venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --find-links=/wheels \
        $(ls /wheels/*.whl >/dev/null 2>&1 && echo --no-index) --requirement=/wheels/requirements.txt

FROM python:3.11-slim-bookworm AS twins
COPY --from=packages /venv /venv
COPY python-compat/authorization_service /twins/authorization_service
COPY python-compat/authorization_worker /twins/authorization_worker
COPY python-compat/public_api /twins/public_api
COPY docker/python-health.py /
# As in the Rust image, so that a new volume belongs to this user, whichever image creates it.
RUN mkdir /spool && chown 10001:10001 /spool
WORKDIR /twins
USER 10001:10001
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp

# As the first process of a container, Flask's server reacts to SIGINT but not to SIGTERM.
FROM twins AS public_api
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s --timeout=5s --start-period=10s CMD ["python3", "/python-health.py"]
ENTRYPOINT ["flask", "--app", "public_api", "run"]

FROM twins AS authorization_service
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s --timeout=5s --start-period=10s CMD ["python3", "/python-health.py"]
ENTRYPOINT ["flask", "--app", "authorization_service", "run"]

FROM twins AS authorization_worker
HEALTHCHECK --interval=5s --timeout=5s --start-period=10s CMD ["python3", "/python-health.py"]
ENTRYPOINT ["celery"]
