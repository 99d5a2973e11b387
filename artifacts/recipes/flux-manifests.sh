# shellcheck shell=bash
# Make the manifests that the flux command embeds, as its release does with
# manifests/scripts/bundle.sh; where that fetches a controller's release files, the controller's
# own module has what they are made from.
# PLAN: module, package, controllers {name: {module, package}}, kubectl, arch, toolchain, one entry.
main() {
	local manifest flux name
	manifest=$(entries)
	mkdir -p "$WORK/bases" "$WORK/entry/manifests" "$WORK/entry/crds"
	go_module "$(get .module)"
	flux=$(module_dir "$(get .package)")
	while read -r name; do
		controller "$name"
	done < <(get '.controllers | keys[]')
	for name in rbac policies; do
		build "$flux/manifests/$name" >"$WORK/entry/manifests/$name.yaml"
	done
	publish "$WORK/entry" "$manifest"
}

# controller NAME: its CRDs, and its base with all that it points to.
controller() {
	local name=$1 dir base=$WORK/bases/$1
	go_module "$(get ".controllers[\"$name\"].module")"
	dir=$(module_dir "$(get ".controllers[\"$name\"].package")")
	cp -r --no-preserve=mode,ownership "$flux/manifests/bases/$name" "$base"
	build "$dir/config/crd" >"$base/crds.yaml"
	build "$dir/config/manager" >"$base/deployment.yaml"
	sed --in-place --regexp-extended 's#^- https://.*\.(crds|deployment)\.yaml$#- \1.yaml#' \
		"$base/kustomization.yaml"
	build "$base" >"$WORK/entry/manifests/$name.yaml"
	cp "$base/crds.yaml" "$WORK/entry/crds/$name.yaml"
}

build() {
	"$STORE/$(get .kubectl)" kustomize "$1"
}

main </dev/null
