# Stands in for docker.elastic.co/elasticsearch/elasticsearch if no registry is reachable: the genuine server of
# tests/elasticsearch-node behind nginx with TLS and a password, with those paths, user and variables of the published
# image that docker-compose.yml uses. It does not include X-Pack.
FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends curl nginx-light openjdk-17-jre-headless openssl tini unzip zip \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --gid 0 --home-dir /usr/share/elasticsearch elasticsearch
WORKDIR /usr/share/elasticsearch
COPY lib lib
COPY classes classes
COPY modules modules
COPY log4j2.properties config/
COPY docker-entrypoint.sh /usr/local/bin/
COPY elasticsearch-certutil bin/
RUN mkdir -p data logs plugins config/certs && chown -R elasticsearch:root data logs plugins config
USER elasticsearch
EXPOSE 9200
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/docker-entrypoint.sh"]
CMD ["eswrapper"]
