#!/bin/sh
# Makes a virtual environment with uv in it, on a Python that fits: one of this machine, else one that uv brings.
#
#   venv.sh FOLDER UV_VERSION [PYTHON]
set -eu
folder=$1 uv_version=$2 asked=${3:-}
range='>=3.11,<3.14'

fits() { # 3.11 to 3.13, with the module venv, which Debian keeps in a package of its own
  command -v "$1" > /dev/null &&
    "$1" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2> /dev/null
}

if [ -n "$asked" ] && ! fits "$asked"; then
  echo "$asked is not a Python 3.11, 3.12 or 3.13 with its module venv. Run: make PYTHON=/path/to/python3.11 ..." >&2
  exit 2
fi
for python in ${asked:-python3.11 python3.12 python3.13 python3}; do
  if fits "$python"; then
    "$python" -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
    exit
  fi
done

echo "There is no Python 3.11 to 3.13 here (with its module venv): asking uv to bring one ..." >&2
aside=
uv=$(command -v uv) || {
  aside=$(mktemp -d)
  trap 'rm -rf "$aside"' EXIT
  # Any Python will do to run uv.
  python3 -m venv "$aside" && "$aside/bin/python" -m pip install --quiet "uv==$uv_version" && uv=$aside/bin/uv
} || uv=
if [ -z "$uv" ] || ! "$uv" venv --quiet --seed --python "$range" "$folder"; then
  rm -rf "$folder"
  echo "uv could not bring one. Install Python 3.11, 3.12 or 3.13 (Debian: python3 and python3-venv; macOS: brew" \
    "install python@3.13), then run this again; make PYTHON=/path/to/python names one that is not found." >&2
  exit 2
fi
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
