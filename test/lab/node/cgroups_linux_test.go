package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func write(t *testing.T, content string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

func TestParentsOfVersion1(t *testing.T) {
	const mounts = `30 23 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/systemd rw shared:11 - cgroup cgroup rw,name=systemd
33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:12 - cgroup cgroup rw,cpu,cpuacct
34 30 0:30 /docker/f00 /sys/fs/cgroup/memory rw shared:13 - cgroup cgroup rw,memory
35 30 0:31 /docker /sys/fs/cgroup/cpuset rw shared:14 - cgroup cgroup rw,cpuset
36 30 0:32 / /sys/fs/cgroup/pids rw shared:15 - cgroup cgroup rw,pids
`
	const own = `12:cpu,cpuacct:/user.slice
11:memory:/docker/f00
10:cpuset:/docker/f00
9:pids:/
3:net_cls:/
1:name=systemd:/user.slice
0::/user.slice
`
	hierarchies, err := readMounts(write(t, mounts))
	require.NoError(t, err)
	groups, err := readOwn(write(t, own))
	require.NoError(t, err)
	parents, err := splitParents(hierarchies, groups)
	require.NoError(t, err)
	assert.ElementsMatch(t, []cgroup{
		{Controllers: "cpu,cpuacct", Dir: "/sys/fs/cgroup/cpu,cpuacct/user.slice"},
		{Controllers: "memory", Dir: "/sys/fs/cgroup/memory"},
		{Controllers: "cpuset", Dir: "/sys/fs/cgroup/cpuset/f00"},
		{Controllers: "pids", Dir: "/sys/fs/cgroup/pids"},
		{Controllers: "name=systemd", Dir: "/sys/fs/cgroup/systemd/user.slice"},
	}, parents)

	delete(groups, "pids")
	_, err = splitParents(hierarchies, groups)
	assert.EqualError(t, err, "the controller pids can't be used here")
}

func TestTheParentOfVersion2HandsControllersDown(t *testing.T) {
	root := t.TempDir()
	session := filepath.Join(root, "user.slice", "session.scope")
	require.NoError(t, os.MkdirAll(session, 0o700))
	for folder, handed := range map[string]string{
		root:                  "cpuset cpu io memory pids\n",
		filepath.Dir(session): "memory pids\n",
		session:               "",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, "cgroup.subtree_control"), []byte(handed), 0o600))
	}
	parent, err := nearestHandingDown(root, session)
	require.NoError(t, err)
	assert.Equal(t, root, parent)

	require.NoError(t, os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), nil, 0o600))
	_, err = nearestHandingDown(root, session)
	assert.EqualError(t, err, "the controller cpu can't be used here")
}

func TestACgroupIsRemovedWithThoseBelow(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "configpin-node-1")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "kubepods", "burstable"), 0o700))
	require.NoError(t, removeTree(dir))
	assert.NoDirExists(t, dir)
	require.NoError(t, removeTree(dir), "it's gone already")
}
