# Stands in for rabbitmq:<version> if no registry is reachable: Debian's package, with the same port, volume and
# user.
ARG SUITE
FROM debian:${SUITE}-slim
RUN apt-get -o Acquire::Check-Valid-Until=false update \
 && printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends rabbitmq-server \
 && rm -rf /var/lib/apt/lists/* /var/lib/rabbitmq/mnesia /var/lib/rabbitmq/.erlang.cookie \
 && mkdir -p /etc/rabbitmq/conf.d \
 && printf '%s\n' 'loopback_users.guest = false' 'log.console = true' >/etc/rabbitmq/conf.d/10-defaults.conf \
 && chown -R rabbitmq:rabbitmq /var/lib/rabbitmq /var/log/rabbitmq
USER rabbitmq
ENV HOME=/var/lib/rabbitmq RABBITMQ_LOGS=-
VOLUME /var/lib/rabbitmq
EXPOSE 5672
CMD ["rabbitmq-server"]
