package lifecycle

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// beforeReleases is what is upgraded from until there is a release: what somebody who
// tries configpin may have installed.
const beforeReleases = "8d7c1b98e0e0622d794d279416deb8e87fb50936"

// upgradedFrom is what CONFIGPIN_UPGRADE_FROM names, or what previous does.
func upgradedFrom(t *testing.T, checkout string) string {
	t.Helper()
	from := os.Getenv("CONFIGPIN_UPGRADE_FROM")
	if from == "" {
		var err error
		from, err = previous(t.Context(), checkout)
		require.NoError(t, err)
	}
	return from
}

// previous is the newest release before what is in a clone, or the commit from before
// releases. The commit before the last one would hide whatever came in two.
func previous(ctx context.Context, clone string) (string, error) {
	tags, err := gitOutput(ctx, clone, "tag", "--list", "v[0-9]*", "--merged", "HEAD", "--no-contains", "HEAD", "--sort=-version:refname")
	if err != nil {
		return "", err
	}
	if tags := strings.Fields(tags); len(tags) > 0 {
		return tags[0], nil
	}
	return beforeReleases, nil
}

// checkedOut is a folder with the files of a commit.
func checkedOut(t *testing.T, clone, commit string) string {
	t.Helper()
	require.NoError(t, isThere(t.Context(), clone, commit))
	archive, folder := filepath.Join(t.TempDir(), "archive.tar"), t.TempDir()
	_, err := gitOutput(t.Context(), clone, "archive", "--output="+archive, commit)
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), "tar", "-x", "-f", archive, "-C", folder).CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("what is upgraded from is %s", commit)
	return folder
}

// isThere says what to do about a clone without a commit. Upgrading from another one
// instead, or from none, would be another test of the same name.
func isThere(ctx context.Context, clone, commit string) error {
	if _, err := gitOutput(ctx, clone, "cat-file", "-e", commit+"^{commit}"); err != nil {
		return fmt.Errorf("this clone has no commit %s, from which to upgrade: if it is shallow, run git fetch --unshallow --tags; "+
			"or set CONFIGPIN_UPGRADE_FROM to a commit that it has: %w", commit, err)
	}
	return nil
}

func gitOutput(ctx context.Context, clone string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", append([]string{"-C", clone, "-c", "user.name=test", "-c", "user.email=test@example.com"}, args...)...)
	var complaint strings.Builder
	command.Stderr = &complaint
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("running git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return string(out), nil
}

func TestTheNewestReleaseIsUpgradedFrom(t *testing.T) {
	t.Parallel()
	clone := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		_, err := gitOutput(t.Context(), clone, args...)
		require.NoError(t, err)
	}
	from := func() string {
		t.Helper()
		commit, err := previous(t.Context(), clone)
		require.NoError(t, err)
		return commit
	}
	commit := func() { t.Helper(); git("commit", "--quiet", "--allow-empty", "--message=more") }
	git("init", "--quiet")
	commit()
	assert.Equal(t, beforeReleases, from(), "there is no release")
	require.ErrorContains(t, isThere(t.Context(), clone, beforeReleases), "this clone has no commit "+beforeReleases+
		", from which to upgrade: if it is shallow, run git fetch --unshallow --tags; or set CONFIGPIN_UPGRADE_FROM to a commit that it has: ")
	git("tag", "v0.9.0")
	git("tag", "elsewhere")
	assert.Equal(t, beforeReleases, from(), "the release is what is upgraded to")
	commit()
	assert.Equal(t, "v0.9.0", from())
	git("tag", "v0.10.0")
	commit()
	assert.Equal(t, "v0.10.0", from(), "the newest, not the last by its letters")
	require.NoError(t, isThere(t.Context(), clone, "v0.10.0"))
}
