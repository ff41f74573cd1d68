# syntax=docker/dockerfile:1
ARG BUILD_IMAGE=rust:1.95-bookworm
ARG BASE_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
# Dependencies first: they change seldom and take longest.
COPY Cargo.toml Cargo.lock rust-toolchain.toml ./
RUN mkdir -p src examples/nexus tests/it tests/peers && \
    echo 'fn main() {}' | tee src/main.rs examples/nexus/main.rs tests/it/main.rs tests/peers/main.rs >/dev/null && \
    touch src/lib.rs && \
    cargo build --locked --release --bin streamwarden
COPY src src
RUN touch src/lib.rs src/main.rs && cargo build --locked --release --bin streamwarden

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Streamwarden" \
      org.opencontainers.image.description="Watches Redis Streams and tells people when something is wrong" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /src/target/release/streamwarden /usr/local/bin/streamwarden
USER 65532:65532
EXPOSE 19121
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/streamwarden"]
