package cli

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/wellknown"
)

// right is what a program has to be allowed.
type right struct {
	program   string
	namespace string // or in all of them
	group     string
	resource  string
	name      string // of one object; any by default
	verb      string
}

// rights are those without which the programs don't do their work
// (manifests/charts/configpin/templates/_rules.tpl).
func (s settings) rights(home string) []right {
	var all []right
	add := func(program string, namespaces []string, group, resources, name, verbs string) {
		for _, namespace := range namespaces {
			for _, resource := range strings.Fields(resources) {
				for _, verb := range strings.Fields(verbs) {
					all = append(all, right{program, namespace, group, resource, name, verb})
				}
			}
		}
	}
	const content = "list watch get create patch delete"
	here := []string{home}

	add(webhook, s.namespaces, "", "configmaps", "", "get create patch")
	add(webhook, s.namespaces, "apps", "replicasets controllerrevisions", "", "list")
	add(webhook, s.secrets, "", "secrets", "", "get create patch")

	add(versioner, s.namespaces, "", "configmaps", "", content)
	add(versioner, s.secrets, "", "secrets", "", content)
	add(versioner, s.namespaces, "apps", "deployments statefulsets daemonsets", "", "list watch patch")
	add(versioner, s.namespaces, "batch", "cronjobs", "", "list watch patch")
	add(versioner, s.namespaces, "apps", "replicasets controllerrevisions", "", "list")
	add(versioner, s.namespaces, "batch", "jobs", "", "list")
	add(versioner, s.namespaces, "", "pods podtemplates replicationcontrollers", "", "list")
	add(versioner, s.namespaces, "events.k8s.io", "events", "", "create patch")
	for _, kind := range s.kinds {
		add(versioner, s.namespaces, kind.Group, kind.Resource, "", "list")
	}
	for _, namespace := range s.namespaces {
		if namespace == "" {
			add(versioner, cluster.Everywhere, "", "namespaces", "", "list watch")
			continue
		}
		add(versioner, []string{namespace}, "", "namespaces", namespace, "get")
	}
	add(versioner, here, "coordination.k8s.io", "leases", "", "get create update")
	add(versioner, here, "", "events", "", "create")
	if len(s.secrets) > 0 {
		add(webhook, here, "", "secrets", wellknown.DigestKeySecret, "list watch")
		add(versioner, here, "", "secrets", wellknown.DigestKeySecret, "list watch")
		add(versioner, here, "", "secrets", "", "create")
	}
	if s.issues != "" {
		add(versioner, here, "", "secrets", "", "list watch")
		add(versioner, here, "", "secrets", s.issues, "update")
		add(versioner, cluster.Everywhere, mutating.Group, mutating.Resource, "", "list watch")
		add(versioner, cluster.Everywhere, mutating.Group, mutating.Resource, configurationName, "update")
	}
	return all
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
	accounts := map[string]string{}
	for _, program := range programs {
		deployment, err := c.deployment(ctx, program)
		if accounts[program] = deployment.Get("spec.template.spec.serviceAccountName").Str; err != nil || accounts[program] == "" {
			c.add(about, unknown, "", "nobody can tell who the %s is: its Deployment isn't there, or can't be read", program)
			return
		}
	}
	wanted := settings.rights(c.home)
	granted := make([]bool, len(wanted))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, r := range wanted {
		group.Go(func() (err error) {
			granted[i], err = c.reader.May(ctx, c.home, accounts[r.program], authorizationv1.ResourceAttributes{
				Namespace: r.namespace, Group: r.group, Resource: r.resource, Name: r.name, Verb: r.verb,
			})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		c.unread(about, err, "")
		return
	}
	var missing []right
	for i, r := range wanted {
		if !granted[i] {
			missing = append(missing, r)
		}
	}
	if len(missing) == 0 {
		c.add(about, fine, "", "both programs have all %d that they need", len(wanted))
		return
	}
	c.add(about, problem, "apply configpin's roles and their bindings again", "%s", refusals(missing))
}

// refusals tells of rights that are missing, the verbs of the same objects together.
func refusals(missing []right) string {
	var objects []right
	verbs := map[right][]string{}
	for _, r := range missing {
		verb := r.verb
		r.verb = ""
		if verbs[r] == nil {
			objects = append(objects, r)
		}
		verbs[r] = append(verbs[r], verb)
	}
	var told []string
	for _, r := range objects {
		what := schema.GroupResource{Group: r.group, Resource: r.resource}.String()
		if r.name != "" {
			what += " " + r.name
		}
		where := "in all namespaces"
		if r.namespace != "" {
			where = "in namespace " + r.namespace
		}
		told = append(told, fmt.Sprintf("the %s may not %s %s %s", r.program, strings.Join(verbs[r], ", "), what, where))
	}
	more := ""
	if len(told) > maxTold {
		told, more = told[:maxTold], fmt.Sprintf("; and %d more", len(told)-maxTold)
	}
	return strings.Join(told, "; ") + more
}
