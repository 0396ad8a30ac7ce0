# The images of both tiers: `docker build --target proxy .` and `--target appserver`.
#
#   BUILDER_IMAGE  what compiles (a Rust toolchain, a C compiler and make)
#   RUNTIME_IMAGE  what the binaries run on (glibc, and bash for the health checks)
#   BINARIES       build: compile here; prebuilt: take dist/lintel-proxy and
#                  dist/lintel-appserver, which must suit the glibc of RUNTIME_IMAGE
#
# It keeps to what the classic builder knows as well as BuildKit. The classic one also runs
# the stages that the target does not use: with BINARIES=prebuilt it does nothing in the
# stage `build` but still wants its image; give it BUILDER_IMAGE=<the runtime image> then.
ARG BUILDER_IMAGE=rust:1-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim
ARG BINARIES=build

FROM ${BUILDER_IMAGE} AS build
ARG BINARIES
WORKDIR /src
COPY . .
RUN mkdir /out \
    && if [ "$BINARIES" = build ]; then \
        cargo build --release --locked -p lintel-proxy -p lintel-appserver \
        && cp target/release/lintel-proxy target/release/lintel-appserver /out/ \
        && rm -rf target; \
    fi

FROM ${RUNTIME_IMAGE} AS prebuilt
# The license stands in front so that the step also succeeds where there is no dist/.
COPY LICENSE-MIT dist/lintel-* /out/

FROM ${BINARIES} AS binaries

FROM ${RUNTIME_IMAGE} AS runtime
# Directories for volumes: a fresh named volume takes over their owner.
RUN install -d -o 10001 -g 10001 -m 0700 /certs /secrets /secrets/app /secrets/database
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/lintel/
USER 10001:10001
STOPSIGNAL SIGTERM

FROM runtime AS appserver
COPY --from=binaries /out/lintel-appserver /usr/local/bin/
EXPOSE 8000
ENTRYPOINT ["lintel-appserver"]
CMD ["run"]
# bash can open a connection itself: no HTTP client is installed just to ask for this.
HEALTHCHECK --interval=3s --timeout=3s --start-period=60s --retries=3 CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/8000 && printf 'GET /ready HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]

FROM runtime AS proxy
COPY --from=binaries /out/lintel-proxy /usr/local/bin/
EXPOSE 8080 8443
ENTRYPOINT ["lintel-proxy"]
CMD ["run", "--config", "/etc/lintel/lintel-proxy.toml"]
HEALTHCHECK --interval=3s --timeout=3s --start-period=60s --retries=3 CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/9900 && printf 'GET /ready HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
