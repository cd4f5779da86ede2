# The service, and (target `laptop`) what stands in for AWS DMS and for a shop's traffic when everything runs on one machine.
#
# A release pins the base by digest, so that the same commit gives the same image:
#   docker buildx imagetools inspect node:24-bookworm-slim --format '{{.Manifest.Digest}}'
#   docker build --build-arg NODE_IMAGE=node:24-bookworm-slim@sha256:<that digest> .
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Nothing the service needs has an install script, so none may run.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && npm cache clean --force

FROM ${NODE_IMAGE} AS laptop
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund && npm cache clean --force
COPY docker/dms docker/dms
COPY docker/demo docker/demo
COPY docker/load docker/load
USER 1000:1000
CMD ["node", "docker/dms/main.ts"]

# The last stage is what `docker build .` makes.
FROM ${NODE_IMAGE} AS service
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="aurora-opensearch-cdc" \
      org.opencontainers.image.description="Keeps Amazon OpenSearch indices equal to the tables of an Aurora PostgreSQL database" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json ./
COPY src src
RUN mkdir .compile-cache && chown 1000:1000 .compile-cache
# It writes no file, so it runs with a read-only root file system and no capability. `node`, by number: an orchestrator that
# insists on a user other than root cannot judge a name.
USER 1000:1000
# What Node makes of the sources at their first run is kept in the image: a third less time to the first answer.
ENV NODE_ENV=production HTTP_HOST=0.0.0.0 HTTP_PORT=8080 NODE_COMPILE_CACHE=/app/.compile-cache
RUN node src/main.ts --help > /dev/null
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["node", "src/http/probe.ts"]
# No npm and no shell in front: SIGTERM reaches the service itself.
STOPSIGNAL SIGTERM
CMD ["node", "src/main.ts"]
