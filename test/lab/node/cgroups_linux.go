package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cgroupRoot is where cgroups are mounted, by everybody's agreement.
const cgroupRoot = "/sys/fs/cgroup"

// Controllers without which a kubelet doesn't start, by the version of cgroups.
var (
	neededOfVersion1 = []string{"cpu", "cpuacct", "cpuset", "memory", "pids"}
	neededOfVersion2 = []string{"cpu", "memory", "pids"}
)

// cgroupPrefix begins the names of all cgroups that we make; the PID of who made it follows.
const cgroupPrefix = "configpin-node-"

// removalLimit is how long the kernel may take to let go of processes that it has killed.
const removalLimit = 10 * time.Second

// cgroup is a group of processes in one hierarchy: that of some controllers (version 1), or the only one (version 2).
type cgroup struct {
	Controllers string // as in cpu,cpuacct, or name=systemd, which has none. Empty: version 2
	Dir         string
}

// mounted is a hierarchy, where it is mounted, and which part of it is.
type mounted struct{ kind, at, root, options string }

// makeCgroups makes a cgroup for the node in every hierarchy, below that of this process where that is possible.
func makeCgroups() ([]cgroup, error) {
	parents, err := parentCgroups()
	if err != nil {
		return nil, err
	}
	if err := removeLeftovers(parents); err != nil {
		return nil, err
	}
	var made []cgroup
	for _, parent := range parents {
		c := cgroup{Controllers: parent.Controllers, Dir: filepath.Join(parent.Dir, cgroupPrefix+strconv.Itoa(os.Getpid()))}
		if err := c.make(parent.Dir); err != nil {
			return nil, errors.Join(err, removeCgroups(made))
		}
		made = append(made, c)
	}
	return made, nil
}

// make makes a cgroup. Of version 1, cpuset begins with no processor and no memory, and takes no process then.
func (c cgroup) make(parent string) error {
	if err := os.Mkdir(c.Dir, 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	if c.Controllers != "cpuset" {
		return nil
	}
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(parent, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(c.Dir, name), value, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// join moves this process.
func (c cgroup) join() error {
	return os.WriteFile(filepath.Join(c.Dir, "cgroup.procs"), []byte("0"), 0o644)
}

// parentCgroups are the cgroups below which ours can be.
func parentCgroups() ([]cgroup, error) {
	hierarchies, err := readMounts("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	own, err := readOwn("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(hierarchies, func(m mounted) bool { return m.kind == "cgroup2" && m.at == cgroupRoot }) {
		return unifiedParent(hierarchies, own)
	}
	return splitParents(hierarchies, own)
}

// splitParents finds the parents of version 1, one for each hierarchy.
func splitParents(hierarchies []mounted, own map[string]string) ([]cgroup, error) {
	var parents []cgroup
	found := map[string]bool{}
	for controllers, path := range own {
		if controllers == "" {
			continue
		}
		i := slices.IndexFunc(hierarchies, func(m mounted) bool { return m.kind == "cgroup" && m.has(controllers) })
		if i < 0 {
			continue
		}
		parents = append(parents, cgroup{Controllers: controllers, Dir: hierarchies[i].dir(path)})
		for name := range strings.SplitSeq(controllers, ",") {
			found[name] = true
		}
	}
	return parents, lack(found, neededOfVersion1)
}

// unifiedParent finds the parent of version 2.
func unifiedParent(hierarchies []mounted, own map[string]string) ([]cgroup, error) {
	i := slices.IndexFunc(hierarchies, func(m mounted) bool { return m.kind == "cgroup2" && m.at == cgroupRoot })
	dir, err := nearestHandingDown(cgroupRoot, hierarchies[i].dir(own[""]))
	return []cgroup{{Dir: dir}}, err
}

// nearestHandingDown is the nearest cgroup, from one up to the root, that hands all needed controllers down. One with
// processes of its own can't.
func nearestHandingDown(root, dir string) (string, error) {
	for ; ; dir = filepath.Dir(dir) {
		handed, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
		if err != nil {
			return "", err
		}
		found := map[string]bool{}
		for name := range strings.FieldsSeq(string(handed)) {
			found[name] = true
		}
		err = lack(found, neededOfVersion2)
		if err == nil || dir == root {
			return dir, err
		}
	}
}

// lack fails if a controller isn't there.
func lack(found map[string]bool, needed []string) error {
	for _, name := range needed {
		if !found[name] {
			return fmt.Errorf("the controller %s can't be used here", name)
		}
	}
	return nil
}

// has says whether these are the controllers of the hierarchy.
func (m mounted) has(controllers string) bool {
	options := strings.Split(m.options, ",")
	for name := range strings.SplitSeq(controllers, ",") {
		if !slices.Contains(options, name) {
			return false
		}
	}
	return true
}

// dir is where a cgroup is that the kernel says this path of. In a container, only a part may be mounted.
func (m mounted) dir(path string) string {
	if m.root != "/" {
		inside, below := strings.CutPrefix(path, m.root)
		if !below {
			inside = "/"
		}
		path = inside
	}
	return filepath.Join(m.at, filepath.Clean("/"+path))
}

// readMounts returns the cgroup hierarchies in a mountinfo.
func readMounts(file string) ([]mounted, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var found []mounted
	for line := range strings.Lines(string(content)) {
		where, what, _ := strings.Cut(line, " - ")
		at, of := strings.Fields(where), strings.Fields(what)
		if len(at) >= 5 && len(of) >= 3 && (of[0] == "cgroup" || of[0] == "cgroup2") {
			found = append(found, mounted{kind: of[0], root: at[3], at: at[4], options: of[2]})
		}
	}
	return found, nil
}

// readOwn returns the cgroups of this process by their controllers, which are "" for version 2.
func readOwn(file string) (map[string]string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	own := map[string]string{}
	for line := range strings.Lines(string(content)) {
		if fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3); len(fields) == 3 {
			own[fields[1]] = fields[2]
		}
	}
	return own, nil
}

// mountCgroups shows this process and its descendants nothing but its own cgroups.
func mountCgroups(cgroups []cgroup) error {
	// A kubelet looks for each hierarchy that is mounted, hidden or not.
	if err := syscall.Unmount(cgroupRoot, syscall.MNT_DETACH); err != nil {
		return err
	}
	if len(cgroups) == 1 && cgroups[0].Controllers == "" {
		return mountUnified()
	}
	if err := syscall.Mount("tmpfs", cgroupRoot, "tmpfs", syscall.MS_NODEV, "mode=755"); err != nil {
		return err
	}
	for _, c := range cgroups {
		name, named := strings.CutPrefix(c.Controllers, "name=")
		options := c.Controllers
		if named {
			options = "none," + options
		}
		dir := filepath.Join(cgroupRoot, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount("cgroup", dir, "cgroup", 0, options); err != nil {
			return fmt.Errorf("%s: %w", c.Controllers, err)
		}
		if err := linkControllers(c.Controllers); err != nil {
			return err
		}
	}
	return nil
}

// linkControllers makes each of several controllers in a hierarchy found by its own name.
func linkControllers(controllers string) error {
	names := strings.Split(controllers, ",")
	if len(names) == 1 {
		return nil
	}
	for _, name := range names {
		if err := os.Symlink(controllers, filepath.Join(cgroupRoot, name)); err != nil {
			return err
		}
	}
	return nil
}

// mountUnified also moves this process to a cgroup below, since only one without processes hands controllers down.
func mountUnified() error {
	if err := syscall.Mount("cgroup2", cgroupRoot, "cgroup2", 0, ""); err != nil {
		return err
	}
	leaf := cgroup{Dir: filepath.Join(cgroupRoot, "init")}
	if err := os.Mkdir(leaf.Dir, 0o755); err != nil {
		return err
	}
	if err := leaf.join(); err != nil {
		return err
	}
	names, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(names)) {
		if err := os.WriteFile(filepath.Join(cgroupRoot, "cgroup.subtree_control"), []byte("+"+name), 0o644); err != nil {
			return fmt.Errorf("handing down %s: %w", name, err)
		}
	}
	return nil
}

// RemoveLeftovers removes cgroups whose node, and who made it, were killed.
func RemoveLeftovers() error {
	parents, err := parentCgroups()
	if err != nil {
		return err
	}
	return removeLeftovers(parents)
}

func removeLeftovers(parents []cgroup) error {
	for _, parent := range parents {
		left, err := filepath.Glob(filepath.Join(parent.Dir, cgroupPrefix+"*"))
		if err != nil {
			return err
		}
		for _, dir := range left {
			maker, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), cgroupPrefix))
			if err != nil || !errors.Is(syscall.Kill(maker, 0), syscall.ESRCH) {
				continue
			}
			if err := removeTree(dir); err != nil && !errors.Is(err, syscall.EBUSY) {
				return err
			}
		}
	}
	return nil
}

// removeCgroups waits until the processes in the cgroups are gone, and removes these with all below.
func removeCgroups(cgroups []cgroup) error {
	deadline := time.NewTimer(removalLimit)
	defer deadline.Stop()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for _, c := range cgroups {
		for err := removeTree(c.Dir); err != nil; err = removeTree(c.Dir) {
			select {
			case <-retry.C:
			case <-deadline.C:
				return fmt.Errorf("removing cgroups: %w", err)
			}
		}
	}
	return nil
}

// removeTree removes a cgroup and those below it. The files in it go with it, and can't be removed.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("removing %s: %w", dir, err)
	}
	return nil
}
