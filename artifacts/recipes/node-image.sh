# shellcheck shell=bash
# Assemble the image of a kind node from the store, with the images that its cluster runs.
# PLAN: image, labels, base, kubernetes, kind (the folder with kind's own files, or null when the
# base is kind's image), programs {path: path in the store}, links {path: target}, network (a CNI configuration or null),
# preload [{image, program, path, user, rootfs, links, entrypoint}] or [{image, archive}].
main() {
	local base
	begin_image
	base=$(base_image "$(get .base)")
	if get .kind >/dev/null; then
		# Unpacking mounts, and overlay file systems do not lie on one another: hence a volume.
		start "$base" --stop-signal SIGRTMIN+3 --env container=docker --privileged --volume /preload
		add_files
		settle
	else
		start "$base"
	fi
	preload
	commit 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]'
	if ! get .kind >/dev/null; then
		docker rmi --no-prune "$base" >/dev/null
	fi
}

# add_files: kind's own files and the node's programs.
add_files() {
	local stage=$WORK/stage path target
	mkdir -p "$stage/kind" "$stage/etc/cni/net.d" "$stage/etc/kubernetes/manifests"
	cp -r "$STORE/$(get .kind)/files/." "$stage/"
	chmod 755 "$stage"/usr/local/bin/* "$stage"/kind/bin/*
	while read -r path; do
		mkdir -p "$stage/$(dirname "$path")"
		cp "$STORE/$(get ".programs[\"$path\"]")" "$stage/$path"
	done < <(get '.programs | keys[]')
	while IFS=$'\t' read -r path target; do
		ln -sfn "$target" "$stage/$path"
	done < <(get '.links | to_entries[] | [.key, .value] | @tsv')
	get .kubernetes >"$stage/kind/version"
	get .network >"$stage/etc/cni/net.d/10-sops-lab.conflist"
	into_container "$stage"
}

# settle: what kind's images/base/Dockerfile does once the packages are there.
settle() {
	docker exec "$CONTAINER" sh -euc '
		find /lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
		rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
			/lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev* \
			/lib/systemd/system/sockets.target.wants/*initctl* /lib/systemd/system/basic.target.wants/*
		echo "ReadKMsg=no" >>/etc/systemd/journald.conf
		ln -sf /usr/lib/systemd/systemd /sbin/init
		systemctl --quiet enable kubelet.service containerd.service undo-mount-hacks.service
		systemctl --quiet mask systemd-binfmt.service
		ctr oci spec | jq "del(.process.rlimits) | .hooks.createContainer +=
			[{path: \"/kind/bin/mount-product-files.sh\"}]" >/etc/containerd/cri-base.json
		: >/etc/machine-id
	' || die "the node's root file system could not be set up: see above"
}

# preload: give the node's containerd the images of its cluster, so that nothing is pulled or loaded
# later. They are pinned: the kubelet never removes them.
preload() {
	local image archive name root=/var/lib/containerd
	if get .kind >/dev/null; then
		root=/preload
	fi
	docker exec --detach "$CONTAINER" containerd --root "$root"
	docker exec "$CONTAINER" sh -euc 'tries=0
		until ctr version >/dev/null 2>&1; do
			tries=$((tries + 1)) && [ "$tries" -lt 300 ] && sleep 0.1
		done' || die "containerd did not start in the node image that is being made"
	if get '.preload | all(has("archive"))' >/dev/null; then
		while IFS=$'\t' read -r image archive; do
			import --no-unpack <"$STORE/$archive/image.tar"
			name=docker.io/sops-lab/preload/${image##*/}
			in_containerd tag --force "$name" "$image"
			in_containerd rm "$name"
			in_containerd label "$image" io.cri-containerd.pinned=pinned
		done < <(get '.preload[] | [.image, .archive] | @tsv')
	else
		static_images
		# Unpacked here, not at the start of every node; and as with kind's own setting
		# `discard_unpacked_layers`, what has been unpacked is not kept twice.
		import <"$WORK/images.tar"
		docker exec "$CONTAINER" ctr --namespace k8s.io content prune references >/dev/null
	fi
	docker exec "$CONTAINER" sh -euc 'pkill -x containerd
		while pgrep -x containerd >/dev/null; do sleep 0.1; done
		[ "$1" = /var/lib/containerd ] || cp -a "$1" /var/lib/containerd
		rm -rf /run/containerd /tmp/*' sh "$root"
}

in_containerd() {
	docker exec "$CONTAINER" ctr --namespace k8s.io images "$@" >/dev/null
}

import() {
	docker exec --interactive "$CONTAINER" ctr --namespace k8s.io images import \
		--label=io.cri-containerd.pinned=pinned "$@" - >/dev/null
}

# static_images: one archive, as `docker save` writes it. An image is two layers: its program, below
# what lies around it, so that images of one program share it on the node, too. Docker itself does
# not see them: it may have images of these names that are somebody's.
static_images() {
	local image sum
	local base=$WORK/base dir=$WORK/images
	mkdir -p "$dir" "$base/tmp" "$base/etc/ssl/certs" "$base/usr/local/bin"
	chmod 1777 "$base/tmp"
	tar --extract --to-stdout --file "$STORE/$(get .base)/rootfs.tar" ./etc/ssl/certs/ca-certificates.crt \
		>"$base/etc/ssl/certs/ca-certificates.crt"
	printf '%s:x:%s:%s::/:/sbin/nologin\n' root 0 0 nobody 65534 65534 nonroot 65532 65532 >"$base/etc/passwd"
	while read -r image; do
		program "$image" "$WORK/layer.tar"
		add_layer program
		around "$image" "$WORK/layer.tar"
		add_layer around
		jq --null-input --compact-output --argjson image "$image" --arg arch "$(get .arch)" \
			--args '{architecture: $arch, os: "linux",
				config: {User: $image.user, Entrypoint: ["/\($image.entrypoint)"], WorkingDir: "/",
					Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
				rootfs: {type: "layers", diff_ids: $ARGS.positional | map("sha256:" + .)}}' \
			"$program" "$around" >"$dir/config"
		sum=$(sha256sum <"$dir/config")
		mv "$dir/config" "$dir/${sum%% *}.json"
		jq --null-input --argjson image "$image" --arg config "${sum%% *}.json" \
			--args '{Config: $config, RepoTags: [$image.image],
				Layers: $ARGS.positional | map(. + "/layer.tar")}' \
			"$program" "$around" >>"$WORK/manifests"
	done < <(get '.preload[] | tojson')
	jq --slurp --compact-output . "$WORK/manifests" >"$dir/manifest.json"
	tar --directory "$dir" --create --file "$WORK/images.tar" .
	rm -rf "$dir" "$base"
}

# add_layer VARIABLE: take the layer that was made, and say which it is.
add_layer() {
	local sum
	sum=$(sha256sum <"$WORK/layer.tar")
	sum=${sum%% *}
	mkdir -p "$dir/$sum"
	mv "$WORK/layer.tar" "$dir/$sum/layer.tar"
	printf -v "$1" %s "$sum"
}

# program IMAGE FILE: what is alike in all images of a program.
program() {
	local program path
	program=$(jq --raw-output .program <<<"$1")
	path=$(jq --raw-output .path <<<"$1")
	tar --directory "$STORE/${program%/*}" --transform "s,^${program##*/}\$,$path," --mtime=@0 \
		--owner=0 --group=0 --numeric-owner --create --file "$2" "${program##*/}"
}

# around IMAGE FILE: the few files that a static program needs, or a root file system; and links.
around() {
	local rootfs link target
	rootfs=$(jq --raw-output '.rootfs // ""' <<<"$1")
	if [ -z "$rootfs" ]; then
		tar --directory "$base" --owner=0 --group=0 --numeric-owner --create --file "$2" .
	else
		cp "$STORE/$rootfs/rootfs.tar" "$2"
	fi
	rm -rf "$WORK/links"
	mkdir "$WORK/links"
	while IFS=$'\t' read -r link target; do
		mkdir -p "$WORK/links/$(dirname "$link")"
		ln -sfn "$target" "$WORK/links/$link"
	done < <(jq --raw-output '.links | to_entries[] | [.key, .value] | @tsv' <<<"$1")
	tar --directory "$WORK/links" --owner=0 --group=0 --numeric-owner --append --file "$2" .
}

main </dev/null
