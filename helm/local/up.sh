#!/bin/sh
# Creates a local cluster, builds and loads the images, installs the chart, waits, and runs its test. May be run
# again: what is there is kept, and only what has changed is built, loaded and rolled out.
#
#   up.sh kind|minikube
#
# Taken from the environment: CLUSTER, NAMESPACE and RELEASE (all `plumbline`), VALUES (a values file; the lite profile
# otherwise), TIMEOUT (of the installation, 20m), KFP (`as-in-values`: see below), and what images.sh takes.
set -eu
cd "$(dirname "$0")/../.."

KIND=${1:-}
CLUSTER=${CLUSTER:-plumbline}
NAMESPACE=${NAMESPACE:-plumbline}
RELEASE=${RELEASE:-plumbline}
VALUES=${VALUES:-helm/plumbline/values-lite.yaml}
TIMEOUT=${TIMEOUT:-20m}
KFP=${KFP:-}
ROLES='serving features pipelines monitoring controller tracking'

case $KIND in
  kind) context=kind-$CLUSTER ;;
  minikube) context=$CLUSTER ;;
  *) echo "Usage: $0 kind|minikube" >&2; exit 2 ;;
esac

missing=0
for tool in docker "$KIND" kubectl helm; do
  command -v "$tool" > /dev/null || { echo "$tool is not installed: install it and run this again." >&2; missing=1; }
done
[ $missing -eq 0 ] || exit 4
docker info > /dev/null 2>&1 || { echo "Docker does not answer: start it, or join its group." >&2; exit 4; }
docker buildx version > /dev/null 2>&1 || { echo "Docker lacks its buildx plugin: install it." >&2; exit 4; }
memory=$(docker info --format '{{.MemTotal}}')
[ "$memory" -ge 8000000000 ] ||
  echo "Docker has $((memory / 1000000)) MB of memory; the lite profile wants 8 GB. Going on." >&2

echo "1/5 Cluster $CLUSTER ($KIND)"
case $KIND in
  kind)
    kind get clusters 2> /dev/null | grep -qx "$CLUSTER" ||
      kind create cluster --name "$CLUSTER" --config helm/local/kind.yaml --wait 5m
    ;;
  minikube)
    # Calico, because the default network plugin does not enforce network policies.
    minikube status --profile "$CLUSTER" > /dev/null 2>&1 ||
      minikube start --profile "$CLUSTER" --driver docker --cpus 4 --memory 8g --cni calico
    ;;
esac
kubectl --context "$context" wait --for condition=Ready nodes --all --timeout 5m > /dev/null

# Kubeflow publishes its images for amd64 alone: elsewhere (Apple silicon) their pods would never start, and the
# installation would wait for them to the end of its time.
kfp=
architectures=$(kubectl --context "$context" get nodes -o 'jsonpath={.items[*].status.nodeInfo.architecture}')
case " $architectures " in
  *' amd64 '*) ;;
  *)
    if [ "$KFP" != as-in-values ]; then
      kfp='--set kfp.enabled=false'
      echo "The nodes are $architectures, and Kubeflow Pipelines has images for amd64 only: it is left out, trainings" \
        "run as Kubernetes Jobs. With images of your own for it in VALUES: KFP=as-in-values." >&2
    fi
    ;;
esac

echo "2/5 Images"
# shellcheck disable=SC2086 # one word per role
BUILDER=docker helm/local/images.sh $ROLES

echo "3/5 Load them into the cluster"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
tags=
for role in $ROLES; do
  image=localhost/plumbline/$role
  # The tag names the content: a pod is replaced when its image has changed, and only then.
  tag=$version-$(docker image inspect --format '{{.Id}}' "$image:$version" | sed 's/^sha256://' | cut -c 1-12)
  docker tag "$image:$version" "$image:$tag"
  case $KIND in
    kind) kind load docker-image --name "$CLUSTER" "$image:$tag" ;;
    minikube)
      minikube image ls --profile "$CLUSTER" | grep -qxF "$image:$tag" ||
        minikube image load --profile "$CLUSTER" "$image:$tag"
      ;;
  esac
  tags="$tags --set-string images.roles.$role.tag=$tag"
done

echo "4/5 Install (up to $TIMEOUT)"
# shellcheck disable=SC2086 # one word per option
helm upgrade "$RELEASE" helm/plumbline --install --kube-context "$context" --namespace "$NAMESPACE" \
  --create-namespace --values "$VALUES" $kfp $tags --wait --timeout "$TIMEOUT" || {
  echo "The installation did not become ready. What is not:" >&2
  kubectl --context "$context" --namespace "$NAMESPACE" get pods >&2
  kubectl --context "$context" --namespace "$NAMESPACE" get events --field-selector type=Warning |
    tail -n 15 >&2
  exit 4
}

echo "5/5 Test"
helm test "$RELEASE" --kube-context "$context" --namespace "$NAMESPACE" --logs
echo "Done. Use it with: kubectl --context $context --namespace $NAMESPACE get pods"
echo "Delete the cluster with: make $KIND-down"
