# The program in a container: `docker compose --profile demo up --build`.
#
# Both bases are arguments, so that it also builds where only local images are to be had. What the build base must
# have: cargo, rustc and a C linker; the run base: the C library that the build base links against.
ARG BUILD_IMAGE=rust:1.89.0-bookworm
ARG RUN_IMAGE=debian:12.12-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
# Everything that .dockerignore lets through: cargo refuses a manifest whose benches and examples are not there.
COPY . .
RUN cargo build --release --locked --bin report && cp target/release/report /report

FROM ${RUN_IMAGE}
COPY --from=build /report /usr/local/bin/report
# Nobody: it listens on nothing and writes nothing unless told to.
USER 65534:65534
WORKDIR /tmp
ENTRYPOINT ["report"]
CMD ["demo", "--redis-url", "redis://redis:6379"]
