#!/bin/sh
# Prints the options with which uv installs the build of PyTorch that is wanted: without any it takes, on Linux, the one
# for CUDA, half a gigabyte with two more of NVIDIA's libraries below it (it does not start without them).
#
#   torch.sh UV PYTHON
#
# Taken from the environment:
#   TORCH            cpu (the default), or another of uv's --torch-backend: auto (what the driver here runs), cu130, ...
#   PIP_FIND_LINKS   folders or pages with wheels, as pip takes them; PyTorch's CPU build may lie there
set -eu
uv=$1 python=$2
wanted=${TORCH:-cpu}
version=$(sed -n 's/^torch==\([^ ;]*\).*/\1/p' "$(dirname "$0")/dev.lock")

options=
for place in ${PIP_FIND_LINKS:-}; do options="$options --find-links $place"; done

found() { # whether uv finds torch with these options
  UV_HTTP_RETRIES=${UV_HTTP_RETRIES:-1} "$uv" pip install --quiet --dry-run --no-deps --python "$python" "$@" \
    > /dev/null 2>&1
}

# shellcheck disable=SC2086 # options are words
if [ "$(uname -s)" != Linux ]; then :
elif [ "$wanted" = cpu ] && [ -n "$options" ] && found --no-index $options "torch==$version+cpu"; then :
elif found $options --torch-backend "$wanted" "torch==$version"; then
  options="$options --torch-backend $wanted"
else
  echo "PyTorch's own index (uv's --torch-backend $wanted) has no torch $version for this Python, or cannot be" \
    "reached. Taking the package index's build: on Linux that is the one for CUDA, gigabytes with what it needs." \
    "To avoid that, put the wheel of the CPU build into a folder and set PIP_FIND_LINKS to it." >&2
fi
echo "$options"
