#!/bin/sh
# Builds the images of the given roles (all CPU roles without arguments) as localhost/plumbline/<role>:<version>.
#
# Taken from the environment:
#   BUILDER           docker, podman or buildah; the first one found otherwise
#   BASE_IMAGE        base image; the Dockerfile's default otherwise
#   TORCH_CPU_INDEX   index with PyTorch's CPU build (PyTorch's own by default); empty where wheels/ or the package
#                     index already has it
#   PIP_CONFIG_FILE   a pip.conf: an index of your own, with credentials; it stays out of the images
#   PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS, PIP_NO_INDEX, PIP_TRUSTED_HOST: pip's own settings
#   BUILD_ARGS        further options for the builder, such as --volume or --build-arg
set -eu
cd "$(dirname "$0")/../.."

VERSION=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
TORCH_CPU_INDEX=${TORCH_CPU_INDEX-https://download.pytorch.org/whl/cpu}
EPOCH=$(sed -n 's/^ARG SOURCE_DATE_EPOCH=//p' Dockerfile)
[ $# -gt 0 ] || set -- serving features pipelines monitoring controller tracking

if [ -z "${BUILDER:-}" ]; then
  if docker buildx version > /dev/null 2>&1 && docker info > /dev/null 2>&1; then BUILDER=docker
  elif command -v podman > /dev/null; then BUILDER=podman
  elif command -v buildah > /dev/null; then BUILDER=buildah
  else
    echo "Nothing here builds images: install Docker with its buildx plugin (and start it), Podman, or Buildah." >&2
    exit 4
  fi
fi
case $BUILDER in
  docker) build='docker buildx build --load --provenance=false' ;;
  podman) build="podman build --layers --timestamp $EPOCH" ;;
  buildah) build="buildah build --layers --timestamp $EPOCH" ;;
  *) echo "BUILDER=$BUILDER is not known: docker, podman or buildah." >&2; exit 2 ;;
esac

# A folder of this machine means nothing in the builder: only addresses are handed on.
case ${PIP_FIND_LINKS:-} in *://*) links=$PIP_FIND_LINKS ;; *) links= ;; esac

for role in "$@"; do
  extra=${PIP_EXTRA_INDEX_URL:-}
  [ "$role" = serving-cuda ] || extra="$extra${TORCH_CPU_INDEX:+ $TORCH_CPU_INDEX}"
  echo "Building localhost/plumbline/$role:$VERSION with $BUILDER ..."
  # shellcheck disable=SC2086 # both hold several words
  $build ${BUILD_ARGS:-} --target "$role" --tag "localhost/plumbline/$role:$VERSION" \
    ${BASE_IMAGE:+--build-arg "BASE_IMAGE=$BASE_IMAGE"} \
    ${PIP_CONFIG_FILE:+--secret "id=pip,src=$PIP_CONFIG_FILE"} \
    ${PIP_INDEX_URL:+--build-arg "PIP_INDEX_URL=$PIP_INDEX_URL"} \
    ${links:+--build-arg "PIP_FIND_LINKS=/wheels $links"} \
    ${PIP_NO_INDEX:+--build-arg "PIP_NO_INDEX=$PIP_NO_INDEX"} \
    ${PIP_TRUSTED_HOST:+--build-arg "PIP_TRUSTED_HOST=$PIP_TRUSTED_HOST"} \
    --build-arg "PIP_EXTRA_INDEX_URL=$extra" .
done
