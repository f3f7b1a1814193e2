package inspect

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/configpin/configpin/internal/retention"
)

// User is an object that names snapshots.
type User struct {
	Resource string `json:"resource"` // as in "deployments.apps"
	Name     string `json:"name"`

	// Owner is its controller, as in "Deployment/web", or empty.
	Owner string `json:"owner,omitempty"`

	// Phase of a Pod.
	Phase string `json:"phase,omitempty"`

	uid, ownerUID string
}

// String is the user as kubectl spells it: "deployment.apps/web".
func (u User) String() string {
	resource, group, _ := strings.Cut(u.Resource, ".")
	kind := strings.TrimSuffix(resource, "s")
	if group != "" {
		kind += "." + group
	}
	return kind + "/" + u.Name
}

// Short is the user without the group of its kind: "deployment/web".
func (u User) Short() string {
	kind, _, _ := strings.Cut(u.Resource, ".")
	return strings.TrimSuffix(kind, "s") + "/" + u.Name
}

// Role is what it means that something names a snapshot.
type Role int

// The roles, the most telling first.
const (
	Workload Role = iota // its next Pods will read it
	Pod                  // a Pod reads it
	Past                 // an undo would bring it back
)

// Role is what it means that the user names a snapshot.
func (u User) Role() Role {
	switch kind, _, _ := strings.Cut(u.Resource, "."); {
	case kind == "pods":
		return Pod
	case kind == "controllerrevisions", kind == "replicasets" && u.Owner != "":
		return Past
	default:
		return Workload
	}
}

// Users are what names snapshots, by the names of those.
type Users struct {
	names retention.Names
	users map[string][]User
}

// NewUsers returns the Users of snapshots, none yet.
func NewUsers(snapshots []string) *Users {
	u := &Users{retention.Names{}, map[string][]User{}}
	for _, name := range snapshots {
		u.names.Add(name)
	}
	return u
}

// Add adds an object, in JSON, of a resource. It counts as a user of whatever it
// mentions, as for the garbage collector.
func (u *Users) Add(resource string, element []byte) {
	named := map[string]bool{}
	for _, mention := range retention.Mentions(element) {
		u.names.In(mention, func(name string) { named[name] = true })
	}
	if len(named) == 0 {
		return
	}
	field := func(path string) string { return gjson.GetBytes(element, path).String() } // copies
	user := User{Resource: resource, Name: field("metadata.name"), uid: field("metadata.uid")}
	const controller = "metadata.ownerReferences.#(controller==true)"
	if user.ownerUID = field(controller + ".uid"); user.ownerUID != "" {
		user.Owner = field(controller+".kind") + "/" + field(controller+".name")
	}
	if resource == "pods" {
		user.Phase = field("status.phase")
	}
	for name := range named {
		u.users[name] = append(u.users[name], user)
	}
}

// Of are the users of a snapshot, workloads first.
func (u *Users) Of(snapshot string) []User {
	users := slices.Clone(u.users[snapshot])
	slices.SortFunc(users, func(a, b User) int {
		return cmp.Or(cmp.Compare(a.Role(), b.Role()), cmp.Compare(a.String(), b.String()))
	})
	return users
}

// Branch is a user, and those of the same snapshot that it controls.
type Branch struct {
	User
	Branches []Branch `json:"branches,omitempty"`
}

// Tree are the users of a snapshot, each below its controller where that uses it too.
func (u *Users) Tree(snapshot string) []Branch {
	users := u.Of(snapshot)
	below := map[string][]User{}
	there := map[string]bool{}
	for _, user := range users {
		there[user.uid] = true
	}
	for _, user := range users {
		owner := user.ownerUID
		if !there[owner] || owner == user.uid {
			owner = ""
		}
		below[owner] = append(below[owner], user)
	}
	return branches("", below)
}

// branches take from below what they hold, so that users that say to control each other
// have an end.
func branches(owner string, below map[string][]User) []Branch {
	users := below[owner]
	delete(below, owner)
	all := make([]Branch, 0, len(users))
	for _, user := range users {
		branch := Branch{User: user}
		if user.uid != "" {
			branch.Branches = branches(user.uid, below)
		}
		all = append(all, branch)
	}
	return all
}
