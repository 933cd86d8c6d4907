#!/bin/bash
# Runs a command and shows for how long it has run and what it has said last; all that it has said only if it fails.
#
#   progress.sh TEXT COMMAND [ARGUMENT...]
set -u
text=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
start=$SECONDS shown=0
"$@" > "$log" 2>&1 &
pid=$!
trap 'kill "$pid" 2> /dev/null; wait "$pid"; exit 130' INT TERM
while kill -0 "$pid" 2> /dev/null; do
  sleep 0.5
  seconds=$((SECONDS - start))
  last=$(tail -n 1 "$log" | tr -d '\r' | cut -c -60)
  if [ -t 2 ]; then
    printf '\r\033[K  %s ... %d s  %s' "$text" "$seconds" "$last" >&2
  elif [ "$seconds" -ge $((shown + 15)) ]; then
    echo "  $text ... $seconds s  $last" >&2
    shown=$seconds
  fi
done
if [ -t 2 ]; then printf '\r\033[K' >&2; fi
wait "$pid"
code=$?
if [ "$code" -ne 0 ]; then
  cat "$log" >&2
  exit "$code"
fi
echo "  $text: $((SECONDS - start)) s" >&2
