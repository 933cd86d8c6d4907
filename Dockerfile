# Images of Plumbline: one target per role. docs/images.md says how to build, check and mirror them.
#
#   docker buildx build --target serving --tag plumbline/serving:0.1.0 .
#
# Works with Docker (BuildKit), Podman and Buildah. Layers that several roles have in common are shared between
# their images; helm/images/groups.py draws which.

# A Debian with Python 3.11 and its venv module; nothing else of it is used.
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm


# -- what every image starts from: the base, a user, an empty environment ------------------------------------------
FROM ${BASE_IMAGE} AS runtime
# Libraries ask for the user's name and home: an entry in /etc/passwd answers, whichever way the image is run.
RUN echo 'plumbline:x:10001:' >> /etc/group \
 && echo 'plumbline:x:10001:10001:Plumbline:/tmp:/bin/sh' >> /etc/passwd \
 && "$(command -v python3.11)" -m venv --without-pip /opt/plumbline \
 && install -d -o 10001 -g 10001 /var/lib/plumbline
COPY --chmod=0644 helm/images/plumbline.yaml /etc/plumbline/plumbline.yaml
# Only /tmp, /dev/shm and /var/lib/plumbline need to be writable.
ENV PATH=/opt/plumbline/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    PLUMBLINE_CONFIG=/etc/plumbline/plumbline.yaml \
    PLUMBLINE_HOME=/var/lib/plumbline \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    LANG=C.UTF-8 \
    XDG_CACHE_HOME=/tmp/.cache \
    MPLCONFIGDIR=/tmp/.cache/matplotlib \
    GIT_PYTHON_REFRESH=quiet \
    MLFLOW_DISABLE_TELEMETRY=true \
    RAY_USAGE_STATS_ENABLED=0 \
    DO_NOT_TRACK=1
WORKDIR /var/lib/plumbline
USER 10001:10001
ENTRYPOINT ["plumbline"]


# -- the builder: wheels of all roles, fetched once. Nothing of it, its arguments included, is in an image ---------
FROM runtime AS tools
USER 0:0
# Where packages come from: any of pip's own settings, or a whole pip.conf as a build secret with the id `pip`,
# or a folder `wheels/` beside this file (see docs/images.md).
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_NO_INDEX
ARG PIP_CERT
ARG PIP_TRUSTED_HOST
ARG PIP_FIND_LINKS=/wheels
ARG SOURCE_DATE_EPOCH=1767225600
# Stages that start from this one inherit variables, but not with every builder arguments. Pip ignores empty ones.
ENV PIP_INDEX_URL=${PIP_INDEX_URL} \
    PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL} \
    PIP_NO_INDEX=${PIP_NO_INDEX} \
    PIP_CERT=${PIP_CERT} \
    PIP_TRUSTED_HOST=${PIP_TRUSTED_HOST} \
    PIP_FIND_LINKS=${PIP_FIND_LINKS} \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}
COPY LICENSE wheel[s] /wheels/
COPY requirements/build.lock /build/requirements/
RUN --mount=type=cache,target=/tmp/.cache/pip --mount=type=secret,id=pip,target=/etc/pip.conf \
    "$(command -v python3.11)" -m venv /build/tools \
 && /build/tools/bin/pip install --quiet --no-deps -r /build/requirements/build.lock

# Which packages go into which layer.
FROM tools AS groups
COPY helm/images/groups.py /build/
COPY requirements/ /build/requirements/
RUN /build/tools/bin/python /build/groups.py /build/requirements /build/groups

FROM tools AS wheels-cpu
# The suffix names PyTorch's build without CUDA; empty where an index carries it under the plain version.
ARG TORCH_CPU_BUILD=+cpu
COPY --from=groups /build/groups/cpu /build/groups
RUN --mount=type=cache,target=/tmp/.cache/pip --mount=type=secret,id=pip,target=/etc/pip.conf \
    cd /build/groups && sed -i "s/^\(torch==.*\)$/\1${TORCH_CPU_BUILD}/" *.txt && for group in *.txt; do \
      /build/tools/bin/pip wheel --quiet --no-deps --no-build-isolation -r "$group" -w "/build/wheels/${group%.txt}" \
      || { echo "A package of the lock files was not found. PyTorch's CPU build (torch...${TORCH_CPU_BUILD}) comes" \
           "from an index or folder of its own: see docs/images.md." >&2; exit 1; }; \
    done && find /build/wheels -exec touch -d "@${SOURCE_DATE_EPOCH}" {} +

FROM tools AS wheels-cuda
# `===` takes the version as it is written: a CPU build beside it would otherwise count as newer.
ARG TORCH_CUDA_BUILD=
COPY --from=groups /build/groups/cuda /build/groups
RUN --mount=type=cache,target=/tmp/.cache/pip --mount=type=secret,id=pip,target=/etc/pip.conf \
    cd /build/groups && sed -i "s/^torch==\(.*\)$/torch===\1${TORCH_CUDA_BUILD}/" cuda.txt \
 && /build/tools/bin/pip wheel --quiet --no-deps --no-build-isolation -r cuda.txt -w /build/wheels/cuda \
 && find /build/wheels -exec touch -d "@${SOURCE_DATE_EPOCH}" {} +

FROM tools AS installer
COPY helm/images/install.py /build/

# Each stage takes its own wheels alone: a change of one package leaves the other layers as they are.
FROM installer AS layer-common
COPY --from=wheels-cpu /build/wheels/common /build/wheels
RUN /build/tools/bin/python /build/install.py /build/wheels /layer

FROM installer AS layer-mlflow
COPY --from=wheels-cpu /build/wheels/mlflow /build/wheels
RUN /build/tools/bin/python /build/install.py /build/wheels /layer

FROM installer AS layer-model
COPY --from=wheels-cpu /build/wheels/model /build/wheels
RUN /build/tools/bin/python /build/install.py /build/wheels /layer

FROM installer AS layer-line
COPY --from=wheels-cpu /build/wheels/line /build/wheels
RUN /build/tools/bin/python /build/install.py /build/wheels /layer

FROM installer AS layer-features
COPY --from=wheels-cpu /build/wheels/features /build/wheels
RUN /build/tools/bin/python /build/install.py /build/wheels /layer

FROM installer AS layer-tracking
COPY --from=wheels-cpu /build/wheels/tracking /build/wheels
RUN /build/tools/bin/python /build/install.py /build/wheels /layer

FROM installer AS layer-controller
COPY --from=wheels-cpu /build/wheels/controller /build/wheels
RUN /build/tools/bin/python /build/install.py /build/wheels /layer

FROM installer AS layer-pipelines
COPY --from=wheels-cpu /build/wheels/pipelines /build/wheels
RUN /build/tools/bin/python /build/install.py /build/wheels /layer

FROM installer AS layer-monitoring
COPY --from=wheels-cpu /build/wheels/monitoring /build/wheels
RUN /build/tools/bin/python /build/install.py /build/wheels /layer

FROM installer AS layer-serving
COPY --from=wheels-cpu /build/wheels/serving /build/wheels
RUN /build/tools/bin/python /build/install.py /build/wheels /layer

FROM installer AS layer-cuda
COPY --from=wheels-cuda /build/wheels/cuda /build/wheels
RUN /build/tools/bin/python /build/install.py /build/wheels /layer

# The project itself: a small layer on top, the only one that a change of code replaces.
FROM installer AS layer-project
COPY pyproject.toml README.md LICENSE /build/source/
COPY platform /build/source/platform
COPY feature_repo /build/source/feature_repo
COPY pipelines /build/source/pipelines
COPY serving /build/source/serving
COPY monitoring /build/source/monitoring
RUN /build/tools/bin/pip wheel --quiet --no-deps --no-index --no-build-isolation --wheel-dir /build/project \
      /build/source \
 && /build/tools/bin/python /build/install.py /build/project /layer


# -- the images --------------------------------------------------------------------------------------------------
FROM runtime AS with-common
COPY --from=layer-common /layer/ /opt/plumbline/

FROM with-common AS with-mlflow
COPY --from=layer-mlflow /layer/ /opt/plumbline/

FROM with-mlflow AS with-model
COPY --from=layer-model /layer/ /opt/plumbline/

FROM with-model AS with-line
COPY --from=layer-line /layer/ /opt/plumbline/

FROM with-common AS features
COPY --from=layer-features /layer/ /opt/plumbline/
COPY --from=layer-project /layer/ /opt/plumbline/
LABEL org.opencontainers.image.title="plumbline-features" \
      org.opencontainers.image.description="Plumbline: feature server and materialisation" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM with-mlflow AS tracking
COPY --from=layer-tracking /layer/ /opt/plumbline/
COPY --from=layer-project /layer/ /opt/plumbline/
LABEL org.opencontainers.image.title="plumbline-tracking" \
      org.opencontainers.image.description="Plumbline: MLflow server with its Postgres and S3 clients" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM with-model AS controller
COPY --from=layer-controller /layer/ /opt/plumbline/
COPY --from=layer-project /layer/ /opt/plumbline/
LABEL org.opencontainers.image.title="plumbline-controller" \
      org.opencontainers.image.description="Plumbline: the retraining controller" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM with-line AS pipelines
COPY --from=layer-pipelines /layer/ /opt/plumbline/
COPY --from=layer-project /layer/ /opt/plumbline/
LABEL org.opencontainers.image.title="plumbline-pipelines" \
      org.opencontainers.image.description="Plumbline: training pipelines, embedded or through Kubeflow Pipelines" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM with-line AS monitoring
COPY --from=layer-monitoring /layer/ /opt/plumbline/
COPY --from=layer-project /layer/ /opt/plumbline/
LABEL org.opencontainers.image.title="plumbline-monitoring" \
      org.opencontainers.image.description="Plumbline: drift monitors, exporter and Evidently UI" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM with-common AS serving-cuda
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=layer-cuda /layer/ /opt/plumbline/
COPY --from=layer-project /layer/ /opt/plumbline/
LABEL org.opencontainers.image.title="plumbline-serving-cuda" \
      org.opencontainers.image.description="Plumbline: Ray Serve application, with PyTorch's CUDA build" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM with-line AS serving
COPY --from=layer-serving /layer/ /opt/plumbline/
COPY --from=layer-project /layer/ /opt/plumbline/
LABEL org.opencontainers.image.title="plumbline-serving" \
      org.opencontainers.image.description="Plumbline: Ray Serve application on CPUs" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
