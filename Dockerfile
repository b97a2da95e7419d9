# Two images of one project: `api` serves HTTP and migrates the database, without torch; `worker` trains.
#
#   docker build --target api -t thermowell-api .
#   docker build --target worker -t thermowell-worker .                                             # for processors
#   docker build --target worker -t thermowell-worker-cuda --build-arg TORCH_INDEX_URL= .           # for CUDA
#
# BASE needs python3 (3.11 or newer) with venv. PIP_INDEX_URL and PIP_EXTRA_INDEX_URL are pip's own. TORCH_INDEX_URL is
# an index that carries the torch build wanted: PyTorch's own for processors unless given; empty for the build that
# pip's index offers, which brings CUDA and is 5 GB larger; or PyTorch's index of one version of CUDA.
# Nothing here needs BuildKit: docker-compose 1.29 builds it with either builder.
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

# What pyproject.toml asks for, as lists: copied from here, a layer of dependencies is made anew when those change, and
# not with every change of a source, a version or the README.
FROM base AS lists
COPY pyproject.toml /src/
RUN python3 -c "import pathlib, tomllib; \
project = tomllib.load(open('/src/pyproject.toml', 'rb'))['project']; \
extras = project['optional-dependencies']; \
shared = extras['s3'] + extras['tracing']; \
lists = {'analysis': extras['analysis'] + shared, 'worker': extras['worker'] + extras['proxy'] + shared}; \
[pathlib.Path('/' + name + '.txt').write_text('\n'.join(project['dependencies'] + more)) for name, more in lists.items()]"

FROM base AS wheel
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY trainers trainers
COPY search search
COPY service service
COPY thermowell thermowell
RUN python3 -m venv /build && /build/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM base AS worker
# A bank is compiled where it runs: that takes a C++ compiler, Python's headers (which Debian's own python3 comes
# without), and a folder that keeps what was compiled. A volume mounted there must not be `noexec`.
ENV TORCHINDUCTOR_CACHE_DIR=/var/lib/thermowell/compiled
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && { python3 -c 'import sys, sysconfig, pathlib; sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())' \
         || apt-get install -y --no-install-recommends python3-dev; } \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o thermowell -g thermowell /var/lib/thermowell/compiled /var/lib/thermowell/trials
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
COPY --from=lists /worker.txt /opt/
RUN python3 -m venv /opt/thermowell \
    && pip install --no-cache-dir ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} -r /opt/worker.txt
COPY --from=wheel /wheel /opt/wheel
RUN pip install --no-cache-dir --no-deps --no-index /opt/wheel/*.whl
USER 10001:10001
WORKDIR /var/lib/thermowell
ENTRYPOINT ["thermowell"]
CMD ["worker"]

# The last target is what a plain `docker build` gives.
FROM base AS api
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
COPY --from=lists /analysis.txt /opt/
RUN python3 -m venv /opt/thermowell && pip install --no-cache-dir -r /opt/analysis.txt
COPY --from=wheel /wheel /opt/wheel
RUN pip install --no-cache-dir --no-deps --no-index /opt/wheel/*.whl
USER 10001:10001
WORKDIR /var/lib/thermowell
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('THERMOWELL_PORT', '8000') + '/readyz', timeout=4)"]
ENTRYPOINT ["thermowell"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
