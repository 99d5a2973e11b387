#!/usr/bin/env bash
# The lab by hand: the stock commands, one after the other, each waiting for its own end. What
# `sopslab up` is measured against. From nothing to a secret that Flux decrypted.
#
#   by_hand.sh NAME FOLDER NODE_IMAGE GIT_IMAGE GIT_PORT KIND_CONFIG SERVER_CONFIG
set -euo pipefail
name=$1 folder=$2 node_image=$3 git_image=$4 port=$5 kind_config=$6 server_config=$7
export KUBECONFIG=$folder/kubeconfig KIND_EXPERIMENTAL_DOCKER_NETWORK=$name
export GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0
umask 077

docker network create --opt "com.docker.network.bridge.name=$name" "$name" >/dev/null
iptables -w 10 -I DOCKER-USER -i "$name" ! -o "$name" -j REJECT
iptables -w 10 -I DOCKER-USER -i "$name" -p tcp --dport 53 -j RETURN
iptables -w 10 -I DOCKER-USER -i "$name" -p udp --dport 53 -j RETURN
kind create cluster --quiet --name "$name" --image "$node_image" --config "$kind_config" --wait 120s

mkdir -p "$folder/git/repositories/learner"
cp "$server_config" "$folder/git/lighttpd.conf"
git -c init.defaultBranch=main init --quiet --bare "$folder/git/repositories/learner/lab.git"
password=$(head -c 24 /dev/urandom | base64 | tr -d '+/')
printf 'learner:%s\n' "$(openssl passwd -apr1 -stdin <<<"$password")" >"$folder/git/htpasswd"
docker run --detach --name "$name-git" --network "$name" --publish "127.0.0.1:$port:8080" \
	--user "$(id -u):$(id -g)" --volume "$folder/git:/srv/git" --entrypoint /usr/sbin/lighttpd \
	"$git_image" -D -f /srv/git/lighttpd.conf >/dev/null
until curl --silent --output /dev/null "http://127.0.0.1:$port/"; do sleep 0.1; done

age-keygen -o "$folder/age.agekey" 2>/dev/null
recipient=$(age-keygen -y "$folder/age.agekey")
git -c init.defaultBranch=main init --quiet "$folder/work"
cd "$folder/work"
mkdir -p flux/secrets/develop
printf 'resources: [lab-canary.yaml]\n' >flux/secrets/develop/kustomization.yaml
kubectl create secret generic lab-canary --namespace develop --from-literal=value=canary \
	--dry-run=client --output yaml |
	sops encrypt --age "$recipient" --encrypted-regex '^(data|stringData)$' \
		--input-type yaml --output-type yaml /dev/stdin >flux/secrets/develop/lab-canary.yaml
git add --all
git -c user.name=hand -c user.email=hand@localhost commit --quiet --message "Begin the lab"
git push --quiet "http://learner:$password@127.0.0.1:$port/learner/lab.git" HEAD:refs/heads/main

flux install --components=source-controller,kustomize-controller,notification-controller >/dev/null 2>&1
kubectl create namespace develop >/dev/null
kubectl create secret generic sops-age --namespace flux-system \
	--from-file=age.agekey="$folder/age.agekey" >/dev/null
flux create secret git learner --url="http://$name-git:8080/learner/lab.git" \
	--username=learner --password="$password" >/dev/null 2>&1
flux create source git learner --url="http://$name-git:8080/learner/lab.git" --branch=main \
	--secret-ref=learner --interval=1m >/dev/null 2>&1
flux create kustomization secrets-develop --source=GitRepository/learner \
	--path=./flux/secrets/develop --prune=true --wait=true --interval=1m \
	--decryption-provider=sops --decryption-secret=sops-age >/dev/null 2>&1
kubectl wait --namespace develop --for=create secret/lab-canary --timeout=120s >/dev/null
