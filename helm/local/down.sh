#!/bin/sh
# Deletes the cluster that up.sh made, with everything in it. CLUSTER names it, as there.
set -eu
CLUSTER=${CLUSTER:-plumbline}
case ${1:-} in
  kind) exec kind delete cluster --name "$CLUSTER" ;;
  minikube) exec minikube delete --profile "$CLUSTER" ;;
  *) echo "Usage: $0 kind|minikube" >&2; exit 2 ;;
esac
