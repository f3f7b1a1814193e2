package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// needed are rights without which a program doesn't do its work.
var needed = []struct {
	program, group, resource string
	verbs                    []string
}{
	{"webhook", "", "configmaps", []string{"get", "create", "patch"}},
	{"versioner", "", "configmaps", []string{"list", "watch", "get", "create", "patch", "delete"}},
	{"versioner", "apps", "deployments", []string{"list", "watch", "patch"}},
	{"versioner", "apps", "statefulsets", []string{"list", "watch", "patch"}},
	{"versioner", "apps", "daemonsets", []string{"list", "watch", "patch"}},
	{"versioner", "batch", "cronjobs", []string{"list", "watch", "patch"}},
	{"versioner", "batch", "jobs", []string{"list"}},
	{"versioner", "apps", "replicasets", []string{"list"}},
	{"versioner", "apps", "controllerrevisions", []string{"list"}},
	{"versioner", "", "replicationcontrollers", []string{"list"}},
	{"versioner", "", "podtemplates", []string{"list"}},
	{"versioner", "", "pods", []string{"list"}},
}

// rights asks the API server whether both programs may do what they have to, by the names
// that they have in their Deployments.
func (c *checkup) rights(ctx context.Context) {
	const about = "rights"
	settings := c.readSettings(ctx)
	if settings.why != "" {
		c.add(about, unknown, "", "%s", settings.why)
		return
	}
	missing := map[string][]string{}
	for _, need := range needed {
		account, found := c.accounts[need.program]
		if !found {
			c.add(about, unknown, "", "nobody can tell who the %s is: its Deployment isn't there, or can't be read", need.program)
			return
		}
		what := need.program + " may not %s " + need.resource
		for _, verb := range need.verbs {
			may, err := c.may(ctx, "system:serviceaccount:"+c.home+":"+account, verb, schema.GroupVersionResource{Group: need.group, Resource: need.resource}, settings.namespaces)
			if err != nil {
				c.unread(about, err, "")
				return
			}
			if !may {
				missing[what] = append(missing[what], verb)
			}
		}
	}
	if len(missing) > 0 {
		var sentences []string
		for _, what := range slices.Sorted(maps.Keys(missing)) {
			sentences = append(sentences, fmt.Sprintf(what, strings.Join(missing[what], ", ")))
		}
		c.add(about, problem, "apply configpin's ClusterRoles, or Roles, and their bindings again", "the %s", strings.Join(sentences, "; the "))
		return
	}
	c.add(about, fine, "", "both programs may read and write ConfigMaps and workloads")
}

// may says whether somebody has a right in each of some namespaces.
func (c *checkup) may(ctx context.Context, user, verb string, kind schema.GroupVersionResource, namespaces []string) (bool, error) {
	for _, namespace := range namespaces {
		if may, err := c.reader.May(ctx, user, verb, kind, namespace); err != nil || !may {
			return false, err
		}
	}
	return true, nil
}
