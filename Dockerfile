# Two images of one project: `api` serves HTTP and migrates the database, without torch; `worker` trains.
#
#   docker build --target api -t thermowell-api .
#   docker build --target worker -t thermowell-worker .
#
# BASE needs python3 (3.11 or newer) with venv. PIP_INDEX_URL and PIP_EXTRA_INDEX_URL are pip's own. TORCH_INDEX_URL is
# an index that carries the torch build wanted (for processors alone, or for one version of CUDA); without it the
# worker gets the one that pip's index offers.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    PATH=/opt/thermowell/bin:$PATH \
    THERMOWELL_DATA_ROOT=/var/lib/thermowell/data \
    THERMOWELL_ARTIFACT_ROOT=/var/lib/thermowell/artifacts
# A new named volume takes over the owner of the folder that it is mounted on.
RUN groupadd --gid 10001 thermowell \
    && useradd --uid 10001 --gid thermowell --no-create-home --home-dir /tmp --shell /usr/sbin/nologin thermowell \
    && install -d -o thermowell -g thermowell /var/lib/thermowell /var/lib/thermowell/data /var/lib/thermowell/artifacts

# The dependencies are a layer of their own, which a change of the sources leaves as it is.
FROM base AS api-build
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
RUN python3 -m venv /opt/thermowell && pip install --no-cache-dir .
COPY trainers trainers
COPY search search
COPY service service
RUN pip install --no-cache-dir --no-deps --force-reinstall .

FROM base AS worker-build
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG TORCH_INDEX_URL
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
RUN python3 -m venv /opt/thermowell \
    && pip install --no-cache-dir ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} '.[worker]'
COPY trainers trainers
COPY search search
COPY service service
RUN pip install --no-cache-dir --no-deps --force-reinstall .

FROM base AS worker
# torch.compile builds its kernels where they run.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
COPY --from=worker-build /opt/thermowell /opt/thermowell
USER 10001:10001
WORKDIR /var/lib/thermowell
ENTRYPOINT ["thermowell"]
CMD ["worker"]

# The last target is what a plain `docker build` gives.
FROM base AS api
COPY --from=api-build /opt/thermowell /opt/thermowell
USER 10001:10001
WORKDIR /var/lib/thermowell
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('THERMOWELL_PORT', '8000') + '/readyz', timeout=4)"]
ENTRYPOINT ["thermowell"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
