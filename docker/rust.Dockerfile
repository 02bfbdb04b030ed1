# The three services in Rust, one target each: public_api, authorization_service, authorization_worker.
#   docker build -f docker/rust.Dockerfile --target public_api -t cp-auth/public_api:rust .

# What the programs need around them: the C library, OpenSSL for the worker, CA certificates.
FROM debian:bookworm-slim AS libraries
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libssl3 \
 && rm -rf /var/lib/apt/lists/*
RUN mkdir -p /image/etc/ssl/certs /image/tmp /spool \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && echo 'hosts: files dns' >/image/etc/nsswitch.conf \
 && for name in libc libm libgcc_s libresolv libssl libcrypto; do \
        cp -L --parents $(ldconfig -p | sed -n "s|^\s*$name\.so\.[0-9]* (.* => ||p" | head -n 1) /image || exit 1; \
    done \
 && cp -L --parents $(ls /lib64/ld-linux-*.so.? /lib/ld-linux-*.so.? 2>/dev/null) /image

FROM rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends libssl-dev pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# The dependencies are a layer of their own: built with empty sources, so they are rebuilt only when a manifest changes.
COPY Cargo.toml Cargo.lock ./
COPY acl-service/Cargo.toml acl-service/
COPY callback-client/Cargo.toml callback-client/
COPY celery-protocol/Cargo.toml celery-protocol/
COPY celery-runtime/Cargo.toml celery-runtime/
COPY explain/Cargo.toml explain/
COPY public-api/Cargo.toml public-api/
COPY service-kit/Cargo.toml service-kit/
COPY standalone/Cargo.toml standalone/
COPY tests/Cargo.toml tests/
COPY tests/compat/Cargo.toml tests/compat/
COPY tests/harness/Cargo.toml tests/harness/
COPY worker/Cargo.toml worker/
RUN for manifest in $(find . -mindepth 2 -name Cargo.toml); do \
        crate=$(dirname $manifest) && mkdir -p $crate/src && touch $crate/src/lib.rs \
        && for source in src/main.rs $(sed -n 's|^path = "\(.*\)"$|\1|p' $manifest); do \
            mkdir -p $(dirname $crate/$source) && echo 'fn main() {}' >$crate/$source || exit 1; \
        done || exit 1; \
    done \
 && cargo build --release --locked -p acl-service -p public-api -p worker
COPY callback-client callback-client
COPY celery-protocol celery-protocol
COPY celery-runtime celery-runtime
COPY explain explain
COPY service-kit service-kit
COPY acl-service acl-service
COPY public-api public-api
COPY worker worker
RUN find . -name '*.rs' -not -path './target/*' -exec touch {} + \
 && cargo build --release --locked -p acl-service -p public-api -p worker \
 && mkdir /programs \
 && for program in acl-service public-api worker; do \
        objcopy --strip-debug target/release/$program /programs/$program || exit 1; \
    done

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
