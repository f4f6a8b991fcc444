# Two stages: the first compiles, the second holds the binary and what it must trust.
#
# A tag may be moved to another image, a digest cannot. Which digests are right only the registry
# knows, on the day of the build; whoever releases an image names them:
#   docker build --build-arg BUILD_IMAGE=rust:1.95-bookworm@sha256:… \
#       --build-arg RUN_IMAGE=debian:bookworm-slim@sha256:… .
# `docker buildx imagetools inspect rust:1.95-bookworm` tells them.
ARG BUILD_IMAGE=rust:1.95-bookworm
ARG RUN_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
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

FROM ${RUN_IMAGE}
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
# For as long as it is starting it may be bringing a large store to a new version.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30m --retries=3 CMD ["simdeck", "healthcheck"]
ENTRYPOINT ["simdeck"]
CMD ["serve"]
