#!/usr/bin/env bash
# Makes everything that a release has, in a folder, from the commit of its tag.
set -euo pipefail

usage() {
	cat <<'END'
Makes everything that a release of configpin has, from the commit of its tag.

Usage:
  release/release.sh VERSION [FOLDER]      as in 0.1.0; the folder is dist by default

Examples:
  git tag v0.1.0 && release/release.sh 0.1.0
  SIGNING_KEY=~/.ssh/release release/release.sh 0.1.0       signed, as git signs with SSH keys
  REGISTRY=registry.example.com release/release.sh 0.1.0    images are pushed as well
  DOWNLOADS=https://example.com/0.1.0 release/release.sh 0.1.0
                                           with a manifest for krew: the files will be there

It needs git, go, and GNU's tar and gzip. The same commit makes the same bytes again.
END
}

fail() {
	printf 'release: %s\n' "$*" >&2
	exit 1
}

case "${1:-}" in
-h | --help | help)
	usage
	exit
	;;
"")
	usage >&2
	exit 2
	;;
esac

version="$1"
[[ "$version" =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || fail "$version is no version, as 0.1.0 is one"
folder="$(realpath -m -- "${2:-dist}")"
key="${SIGNING_KEY:+$(realpath -m -- "$SIGNING_KEY")}"
downloads="${DOWNLOADS:-}"
url='^https?://[^[:space:]"\]+$'
[[ -z "$downloads" || "$downloads" =~ $url ]] ||
	fail "DOWNLOADS is $downloads, which is no URL, as https://example.com/$version is one"
cd "$(git -C "$(dirname "${BASH_SOURCE[0]}")" rev-parse --show-toplevel)"

# What else would make other bytes.
export LC_ALL=C CGO_ENABLED=0 GOENV=off GOFLAGS='' GOWORK=off
unset GOAMD64 GOARM64 GOEXPERIMENT GOTOOLCHAIN GOFIPS140 GZIP TAR_OPTIONS
toolchain="$(sed -n 's/^toolchain //p' go.mod)"
[[ "$(go env GOVERSION)" == "$toolchain" || -n "${ANY_TOOLCHAIN:-}" ]] ||
	fail "$(go env GOVERSION) would make other bytes than $toolchain, which go.mod names: install that"

[[ -z "$(git status --porcelain)" ]] || fail "there are changes that aren't committed: commit them, or put them away"
git tag --points-at HEAD | grep -Fxq "v$version" || fail "this commit hasn't the tag v$version: git tag v$version"
for field in version appVersion; do
	grep -Fxq "$field: $version" manifests/charts/configpin/Chart.yaml ||
		fail "Chart.yaml hasn't $field: $version: change it, run make generate, commit, and tag that"
done
mkdir -p "$folder"
[[ -z "$(ls -A "$folder")" ]] || fail "the folder $folder isn't empty"
sign() { ssh-keygen -q -Y sign -f "$key" -n configpin-release "$1"; }
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
if [[ -n "$key" ]]; then
	echo tried >"$work/tried"
	sign "$work/tried" || fail "the key $SIGNING_KEY can't sign"
fi

SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)"
export SOURCE_DATE_EPOCH
flags=(-trimpath -buildvcs=false)
images() { go run -C release/images "${flags[@]}" . -checkout "$PWD" -version "$version" "$@"; }
images -into "$folder"

# The versions of helm and kustomize that tests use.
helm() { go run -C test/lab/clients/build/helm4 "${flags[@]}" helm.sh/helm/v4/cmd/helm "$@"; }
kustomize() { go run -C test/lab/clients/build/kustomize "${flags[@]}" sigs.k8s.io/kustomize/kustomize/v5 "$@"; }

# Of the commit, with its time: what is packed is what was tagged, and the same each time.
git archive HEAD manifests LICENSE | tar -x -C "$work"
helm package "$work/manifests/charts/configpin" --destination "$folder" >/dev/null
for kind in base strict secrets; do
	kustomize build "$work/manifests/$kind" >"$folder/configpin-$kind.yaml"
done

# The plugin, and what krew reads to install it.
cat >"$work/configpin.yaml" <<END
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: configpin
spec:
  version: v$version
  homepage: https://$(sed -n 's/^module //p' go.mod)
  shortDescription: See, explain and undo what configpin does
  description: |
    configpin keeps every content of a ConfigMap or Secret in a snapshot, and has the
    workloads that use it name the snapshot, so that a rollback brings back the config
    with the template. This plugin shows which contents there were and what reads them,
    says why, and takes back: the config of one workload, or of all that use it.
  caveats: |
    It shows what configpin did in a cluster, by your own rights there. To see whether
    configpin is there, and works: kubectl configpin check
    For completion in the shell, see docs/plugin.md of the homepage.
  platforms:
END
for platform in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64; do
	os="${platform%/*}" arch="${platform#*/}"
	program="kubectl-configpin$(GOOS="$os" go env GOEXE)"
	archive="kubectl-configpin_${version}_${os}_$arch.tar.gz"
	packed="$work/plugin/$platform"
	mkdir -p "$packed"
	cp "$work/LICENSE" "$packed"
	GOOS="$os" GOARCH="$arch" go build "${flags[@]}" -ldflags "-s -w -X main.version=$version" \
		-o "$packed/$program" ./cmd/kubectl-configpin
	# Neither who packs it nor the umask is seen.
	tar --create --file=- --format=ustar --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
		--mode=a=rX,u+w --directory="$packed" LICENSE "$program" | gzip --no-name --best >"$folder/$archive"
	sum="$(sha256sum <"$folder/$archive")"
	cat >>"$work/configpin.yaml" <<END
    - selector:
        matchLabels:
          os: $os
          arch: $arch
      uri: "${downloads%/}/$archive"
      sha256: "${sum%% *}"
      bin: $program
      files:
        - from: $program
          to: .
        - from: LICENSE
          to: .
END
done
if [[ -n "$downloads" ]]; then # or it would lead nowhere
	mv "$work/configpin.yaml" "$folder"
fi
(cd "$folder" && sha256sum -- * >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
if [[ -n "$key" ]]; then
	sign "$folder/SHA256SUMS"
fi

# Last, when nothing else can fail.
if [[ -n "${REGISTRY:-}" ]]; then
	images -into "$work/pushed" -push "$REGISTRY"
	cmp "$work/pushed/digests.txt" "$folder/digests.txt" || fail "other images were pushed than are in $folder"
fi
printf 'configpin %s is in %s:\n' "$version" "$folder"
ls "$folder"
