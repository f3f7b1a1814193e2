// Package rights compares what configpin's service accounts may do with what they
// have done: by the bindings that are installed, and by the audit log of the API
// server. A right too many is one to be misused, and one that is missing is a request
// that was refused.
//
// It deliberately doesn't tell in which namespaces: what is bound by Roles and what by
// ClusterRoles is for the tests that install them to know.
package rights

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Namespace is where configpin's service accounts are.
const Namespace = "configpin-system"

// Right is something that a service account may do.
type Right struct {
	Account, Verb, Group, Resource string
}

// String is as in "configpin-versioner: list pods".
func (r Right) String() string {
	resource := r.Resource
	if r.Group != "" {
		resource += "." + r.Group
	}
	return fmt.Sprintf("%s: %s %s", r.Account, r.Verb, resource)
}

// Set is a set of rights.
type Set map[Right]bool

// Texts are the rights, sorted, each a line.
func (s Set) Texts() []string {
	var all []string
	for r := range maps.Keys(s) {
		all = append(all, r.String())
	}
	slices.Sort(all)
	return all
}

// Granted are the rights by the bindings that are installed.
func Granted(ctx context.Context, api kubernetes.Interface) (Set, error) {
	rules, err := rulesOf(ctx, api)
	if err != nil {
		return nil, err
	}
	granted := Set{}
	clusterBindings, err := api.RbacV1().ClusterRoleBindings().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, binding := range clusterBindings.Items {
		granted.add(binding.Subjects, rules[role{binding.RoleRef.Kind, "", binding.RoleRef.Name}])
	}
	bindings, err := api.RbacV1().RoleBindings("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, binding := range bindings.Items {
		of := role{binding.RoleRef.Kind, "", binding.RoleRef.Name}
		if of.kind == "Role" {
			of.namespace = binding.Namespace
		}
		granted.add(binding.Subjects, rules[of])
	}
	return granted, nil
}

type role struct{ kind, namespace, name string }

func rulesOf(ctx context.Context, api kubernetes.Interface) (map[role][]rbacv1.PolicyRule, error) {
	rules := map[role][]rbacv1.PolicyRule{}
	clusterRoles, err := api.RbacV1().ClusterRoles().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, r := range clusterRoles.Items {
		rules[role{"ClusterRole", "", r.Name}] = r.Rules
	}
	roles, err := api.RbacV1().Roles("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, r := range roles.Items {
		rules[role{"Role", r.Namespace, r.Name}] = r.Rules
	}
	return rules, nil
}

func (s Set) add(subjects []rbacv1.Subject, rules []rbacv1.PolicyRule) {
	for _, subject := range subjects {
		if subject.Kind != rbacv1.ServiceAccountKind || subject.Namespace != Namespace {
			continue
		}
		for _, rule := range rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						s[Right{subject.Name, verb, group, resource}] = true
					}
				}
			}
		}
	}
}

// Request is a request of one of our programs, as the audit log tells it.
type Request struct {
	Right
	Namespace, Name string
	Allowed         bool // by RBAC
}

// Requests are all that our programs made.
func Requests(auditLog string) ([]Request, error) {
	text, err := os.ReadFile(auditLog)
	if err != nil {
		return nil, err
	}
	var found []Request
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		if r, ours := requestOf(lines.Bytes()); ours {
			found = append(found, r)
		}
	}
	return found, nil
}

const ourUsers = "system:serviceaccount:" + Namespace + ":"

func requestOf(line []byte) (r Request, ours bool) {
	if !bytes.Contains(line, []byte(ourUsers)) {
		return Request{}, false
	}
	var event struct {
		Verb        string
		User        struct{ Username string }
		ObjectRef   struct{ Namespace, APIGroup, Resource, Subresource, Name string }
		Annotations map[string]string
	}
	if json.Unmarshal(line, &event) != nil {
		return Request{}, false // the API server is writing it
	}
	account, ours := strings.CutPrefix(event.User.Username, ourUsers)
	resource := event.ObjectRef.Resource
	if event.ObjectRef.Subresource != "" {
		resource += "/" + event.ObjectRef.Subresource
	}
	return Request{
		Right:     Right{account, event.Verb, event.ObjectRef.APIGroup, resource},
		Namespace: event.ObjectRef.Namespace,
		Name:      event.ObjectRef.Name,
		Allowed:   event.Annotations["authorization.k8s.io/decision"] == "allow",
	}, ours && resource != ""
}

// Used are the rights that requests made use of, and the requests that were refused.
func Used(requests []Request) (used Set, refused []Request) {
	used = Set{}
	for _, r := range requests {
		if r.Allowed {
			used[r.Right] = true
		} else {
			refused = append(refused, r)
		}
	}
	return used, refused
}
