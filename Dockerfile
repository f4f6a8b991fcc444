# Two stages: the first compiles, the second holds the binary and what it must trust.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The commit that `simdeck --version` names; the build context has no .git to ask.
ARG SIMDECK_COMMIT=""
ENV SIMDECK_COMMIT=${SIMDECK_COMMIT}
# The caches outlive this step but not the image; the binary must therefore be copied out here.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin simdeck \
    && install -D -m 0755 target/release/simdeck /out/simdeck

FROM debian:bookworm-slim
# Certificates for the calls that simdeck itself makes over HTTPS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/simdeck /usr/local/bin/simdeck
# A fixed number, so that a host folder can be given to it; new named volumes take over these folders' owner.
RUN groupadd --system --gid 10001 simdeck \
    && useradd --system --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin simdeck \
    && install -d -o 10001 -g 10001 -m 0700 /data /backups
USER 10001:10001
WORKDIR /data
ENV SIMDECK_DATA_DIR=/data
VOLUME ["/data"]
# 8080: pushes, for a TLS proxy in front. 8081: the query API, never for the outside.
EXPOSE 8080 8081
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["simdeck", "healthcheck"]
ENTRYPOINT ["simdeck"]
CMD ["serve"]
