// Package release makes images and a release, as people do, and checks what comes of it.
package release

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/lab/clients"
	"github.com/configpin/configpin/test/lab/tools"
)

// TestImages has the tests of the module that builds images run.
func TestImages(t *testing.T) {
	if testing.Short() {
		t.Skip("builds both programs for two platforms")
	}
	out, err := command(t, root(t), "go", "test", "-C", "release/images", "-count=1", "-v", ".").CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
	assert.Contains(t, string(out), "--- PASS: TestImages")
}

// TestTheDockerfileBuilds runs its build on this machine.
func TestTheDockerfileBuilds(t *testing.T) {
	if testing.Short() {
		t.Skip("builds both programs")
	}
	text, err := os.ReadFile(filepath.Join(root(t), "Dockerfile"))
	require.NoError(t, err)
	build := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 .* go build .*)$`).FindSubmatch(text)
	require.NotNil(t, build)
	for _, program := range []string{"webhook", "versioner"} {
		built := filepath.Join(t.TempDir(), "program")
		run := command(t, root(t), "sh", "-c", strings.Replace(string(build[1]), "/program", built, 1))
		run.Env = append(run.Env, "TARGETOS=", "TARGETARCH=", "VERSION=9.8.7", "PROGRAM="+program)
		out, err := run.CombinedOutput()
		require.NoError(t, err, "%s", out)
		said, err := command(t, "", built, "--version").Output()
		require.NoError(t, err)
		assert.Contains(t, string(said), "configpin-"+program+" 9.8.7 ")
	}
}

// TestRelease makes a release in a clone, signed, checks it as docs/release.md says, and
// makes the same in another clone.
func TestRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("builds all programs, for each of their platforms")
	}
	clone, version := cloned(t), chartVersion(t)
	refused(t, clone, version, "this commit hasn't the tag v"+version)
	git(t, clone, "tag", "v"+version)
	git(t, clone, "tag", "v9.9.9")
	refused(t, clone, "9.9.9", "Chart.yaml hasn't version: 9.9.9")
	refused(t, clone, "latest", "latest is no version")
	require.NoError(t, os.WriteFile(filepath.Join(clone, "stray"), nil, 0o600))
	refused(t, clone, version, "there are changes that aren't committed")
	require.NoError(t, os.Remove(filepath.Join(clone, "stray")))
	refused(t, clone, version, "is no URL", "DOWNLOADS=example.com")

	key := filepath.Join(t.TempDir(), "key")
	out, err := command(t, "", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput()
	require.NoError(t, err, "%s", out)
	into := filepath.Join(t.TempDir(), "dist")
	run := command(t, clone, "release/release.sh", version, into)
	run.Env = append(run.Env, "SIGNING_KEY="+key, "DOWNLOADS=https://example.com/configpin/")
	out, err = run.CombinedOutput()
	require.NoError(t, err, "%s", out)

	public, err := os.ReadFile(key + ".pub")
	require.NoError(t, err)
	releasers := filepath.Join(t.TempDir(), "releasers")
	require.NoError(t, os.WriteFile(releasers, append([]byte("configpin "), public...), 0o600))
	check := fmt.Sprintf("ssh-keygen -Y verify -f %s -I configpin -n configpin-release -s SHA256SUMS.sig < SHA256SUMS && sha256sum --check SHA256SUMS", releasers)
	out, err = command(t, into, "sh", "-c", check).CombinedOutput()
	require.NoError(t, err, "%s", out)

	programs, err := clients.Build(t.Context(), t.Output())
	require.NoError(t, err)
	rendered, err := command(t, into, programs.Path(clients.Helm3), "template", "configpin", "configpin-"+version+".tgz", "--kube-version=1.30.0").CombinedOutput()
	require.NoError(t, err, "%s", rendered)
	assert.Contains(t, string(rendered), "image: \"configpin/webhook:"+version+"\"")
	built, err := os.ReadFile(filepath.Join(into, "configpin-base.yaml"))
	require.NoError(t, err)
	want, err := manifests.Objects()
	require.NoError(t, err)
	got, err := manifests.Parse(built)
	require.NoError(t, err)
	assert.Len(t, got, len(want))
	for _, name := range []string{"webhook.tar", "versioner.tar", "digests.txt", "webhook-linux-arm64.spdx.json", "configpin-strict.yaml", "configpin-secrets.yaml"} {
		assert.FileExists(t, filepath.Join(into, name))
	}
	checkPlugin(t, into, version, "https://example.com/configpin")
	refused(t, clone, version+" "+into, "isn't empty")
	refused(t, clone, version+" "+filepath.Join(t.TempDir(), "unsigned"), "can't sign", "SIGNING_KEY="+releasers)

	again, another := filepath.Join(t.TempDir(), "again"), filepath.Join(t.TempDir(), "another")
	git(t, "", "clone", "-q", clone, another)
	run = command(t, another, "sh", "-c", `umask 077 && release/release.sh "$0" "$1"`, version, again)
	run.Env = append(run.Env, "DOWNLOADS=https://example.com/configpin", "LC_ALL=C.UTF-8", "GOAMD64=v3", "GOFLAGS=-ldflags=-s", "GZIP=-1", "TAR_OPTIONS=--format=gnu")
	out, err = run.CombinedOutput()
	require.NoError(t, err, "%s", out)
	first, err := os.ReadFile(filepath.Join(into, "SHA256SUMS"))
	require.NoError(t, err)
	second, err := os.ReadFile(filepath.Join(again, "SHA256SUMS"))
	require.NoError(t, err)
	assert.Equal(t, string(first), string(second), "the same commit, and other bytes")
}

// refused checks what the script says of wrong input.
func refused(t *testing.T, clone, args, want string, env ...string) {
	t.Helper()
	run := command(t, clone, "release/release.sh", strings.Fields(args)...)
	run.Env = append(run.Env, env...)
	out, err := run.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), want)
}

// cloned is a clone with what is in this checkout, committed.
func cloned(t *testing.T) string {
	t.Helper()
	clone := filepath.Join(t.TempDir(), "configpin")
	git(t, "", "clone", "-q", "--depth=1", "file://"+root(t), clone)
	list, err := command(t, root(t), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	require.NoError(t, err)
	git(t, clone, "rm", "-rq", ".")
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		from := filepath.Join(root(t), name)
		info, err := os.Stat(from)
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		require.NoError(t, err)
		content, err := os.ReadFile(from)
		require.NoError(t, err)
		to := filepath.Join(clone, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o700))
		require.NoError(t, os.WriteFile(to, content, info.Mode()))
	}
	git(t, clone, "add", "--all")
	git(t, clone, "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "-q", "--allow-empty", "-m", "what is released")
	return clone
}

func chartVersion(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "manifests", "charts", "configpin", "Chart.yaml"))
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^version: (.*)$`).FindSubmatch(text)
	require.NotNil(t, version)
	return string(version[1])
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := tools.Checkout()
	require.NoError(t, err)
	return dir
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	out, err := command(t, dir, "git", args...).CombinedOutput()
	require.NoError(t, err, "git %v: %s", args, out)
}

func command(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "REGISTRY=", "SIGNING_KEY=", "DOWNLOADS=", "ANY_TOOLCHAIN=yes") // nobody's release is to be pushed or signed by a test
	return c
}
