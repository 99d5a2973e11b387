#!/bin/sh
set -eu
PASSWORD="$(pass show lab)"
TOKEN=${1:?token}
kubectl create secret generic db --from-literal=password="$PASSWORD"
