# The images of rust.Dockerfile with programs from target/release that were built on Debian 12: for tests, in seconds
# instead of minutes. A separate file because the classic builder builds every stage that comes before the target.
#   cargo build --release -p acl-service -p public-api -p worker
#   docker build -f docker/prebuilt.Dockerfile --target public_api -t cp-auth/public_api:rust .

FROM debian:bookworm-slim AS libraries
RUN apt-get update \
 && apt-get install -y --no-install-recommends binutils ca-certificates libssl3 \
 && rm -rf /var/lib/apt/lists/*
RUN mkdir -p /image/etc/ssl/certs /image/tmp /spool \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && echo 'hosts: files dns' >/image/etc/nsswitch.conf \
 && for name in libc libm libgcc_s libresolv libssl libcrypto; do \
        cp -L --parents $(ldconfig -p | sed -n "s|^\s*$name\.so\.[0-9]* (.* => ||p" | head -n 1) /image || exit 1; \
    done \
 && cp -L --parents $(ls /lib64/ld-linux-*.so.? /lib/ld-linux-*.so.? 2>/dev/null) /image

FROM libraries AS build
# The folder of the programs.
ARG PROGRAMS=target/release
COPY $PROGRAMS/acl-service $PROGRAMS/public-api $PROGRAMS/worker /programs/
RUN strip --strip-debug /programs/*

FROM scratch AS runtime
COPY --from=libraries /image /
USER 10001:10001
ENV ADMIN_ADDRESS=127.0.0.1:9100

FROM runtime AS public_api
COPY --from=build /programs/public-api /
HEALTHCHECK --interval=5s --timeout=5s --start-period=5s CMD ["/public-api", "healthcheck"]
ENTRYPOINT ["/public-api"]

FROM runtime AS authorization_service
COPY --from=build /programs/acl-service /
HEALTHCHECK --interval=5s --timeout=5s --start-period=5s CMD ["/acl-service", "healthcheck"]
ENTRYPOINT ["/acl-service"]

FROM runtime AS authorization_worker
COPY --from=libraries --chown=10001:10001 /spool /spool
COPY --from=build /programs/worker /
ENV AUDIT_SPOOL=/spool/audit-spool.db
HEALTHCHECK --interval=5s --timeout=5s --start-period=5s CMD ["/worker", "healthcheck"]
ENTRYPOINT ["/worker"]
