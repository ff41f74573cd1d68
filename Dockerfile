# syntax=docker/dockerfile:1
# The sidecar on a base without a shell. Both images are arguments, for those who build from a mirror or on another base;
# the base needs glibc 2.36 or later, libgcc and the public authorities' certificates.
ARG BUILD_IMAGE=rust:1.95-bookworm
ARG BASE_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
# Dependencies first: they change seldom and take longest. Of the other packages only what the lock file knows them by.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY examples/nexus/Cargo.toml examples/nexus/
COPY tests/Cargo.toml tests/
COPY xtask/Cargo.toml xtask/
RUN mkdir src && touch src/lib.rs && echo 'fn main() {}' >src/main.rs && \
    cargo build --locked --release --bin streamwarden
COPY src src
COPY web web
ARG REVISION=unknown
# Their times may be older than what was just built.
RUN touch src/lib.rs src/main.rs && STREAMWARDEN_REVISION="${REVISION}" cargo build --locked --release --bin streamwarden

FROM ${BASE_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Streamwarden" \
      org.opencontainers.image.description="Watches Redis Streams, keeps them within their retention and tells people when something is wrong" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build --chmod=0555 /src/target/release/streamwarden /usr/local/bin/streamwarden
# A number, so that Kubernetes can prove that it is not root.
USER 65532:65532
EXPOSE 19121
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/streamwarden", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/streamwarden"]
