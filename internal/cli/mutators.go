package cli

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/inspect"
)

// mutatingPolicies are the versions in which an API server may have MutatingAdmissionPolicies,
// the newest first: v1 since Kubernetes 1.36, the others before, where somebody switched
// them on.
var mutatingPolicies = []string{"v1", "v1beta1", "v1alpha1"}

// mutator is a MutatingAdmissionPolicy, and what binds it.
type mutator struct {
	policy   gjson.Result
	bindings []gjson.Result
}

func (m mutator) name() string { return m.policy.Get("metadata.name").Str }

// mutators looks for MutatingAdmissionPolicies that see opted-in workloads: they run before
// our webhook, and see what that has pinned on every write after the first. What their match
// conditions leave out counts as seen.
func (c *checkup) mutators(ctx context.Context) {
	all, err := c.readMutators(ctx)
	if err != nil {
		c.noMutators(err)
		return
	}
	report, reportErr := c.everything(ctx)
	var seeing, looking []string
	for _, m := range all {
		seen, err := c.seenByMutator(ctx, m)
		if err != nil {
			c.noMutators(err)
			return
		}
		if seen == "" {
			continue
		}
		says := fmt.Sprintf("%s, which sees %s", m.name(), seen)
		if names := m.looksFor(report); len(names) > 0 {
			looking = append(looking, fmt.Sprintf("%s, and looks for %s", says, some(names)))
			continue
		}
		seeing = append(seeing, says)
	}
	c.tellMutators(seeing, looking, reportErr)
}

const aboutMutators = "mutating policies"

// noMutators adds that the policies can't be read, or that there can't be any.
func (c *checkup) noMutators(err error) {
	if apierrors.IsNotFound(err) {
		c.add(aboutMutators, fine, "", "this API server doesn't serve any")
		return
	}
	c.unread(aboutMutators, err, "")
}

// tellMutators adds which policies see opted-in workloads, and which of those look for a
// name that pinned templates don't have; as far as anybody can tell, where reportErr says
// why not.
func (c *checkup) tellMutators(seeing, looking []string, reportErr error) {
	switch {
	case len(looking) > 0:
		c.add(aboutMutators, problem, "have it look for names that begin like that of the source, as in name.startsWith('NAME'), or have templates leave the source alone (configpin.io/exclude); what it adds whenever it doesn't find a name grows with each write, until none is let through",
			"pinned templates don't have the names of sources: %s", strings.Join(append(looking, seeing...), "; "))
	case len(seeing) > 0 && reportErr != nil:
		c.add(aboutMutators, unknown, "", "%s; nobody can tell whether they look for the names of sources: %v", strings.Join(seeing, "; "), cause(reportErr))
	case len(seeing) > 0:
		c.add(aboutMutators, fine, "", "none of those that see opted-in workloads looks for the name of a source: %s", strings.Join(seeing, "; "))
	default:
		c.add(aboutMutators, fine, "", "none sees opted-in workloads")
	}
}

// readMutators reads the policies that something binds. It fails with NotFound where the API
// server has none in any version.
func (c *checkup) readMutators(ctx context.Context) (all []mutator, err error) {
	for _, version := range mutatingPolicies {
		kind := schema.GroupVersionResource{Group: mutating.Group, Version: version, Resource: "mutatingadmissionpolicies"}
		all, err = c.readMutatorsOf(ctx, kind)
		if !apierrors.IsNotFound(err) {
			return all, err
		}
	}
	return nil, err
}

func (c *checkup) readMutatorsOf(ctx context.Context, kind schema.GroupVersionResource) (all []mutator, err error) {
	for element, err := range c.reader.Every(ctx, kind, metav1.NamespaceAll, cluster.Selector{}) {
		if err != nil {
			return nil, err
		}
		all = append(all, mutator{policy: gjson.ParseBytes(element)})
	}
	if len(all) == 0 {
		return nil, nil
	}
	kind.Resource = "mutatingadmissionpolicybindings"
	for element, err := range c.reader.Every(ctx, kind, metav1.NamespaceAll, cluster.Selector{}) {
		if err != nil {
			return nil, err
		}
		binding := gjson.ParseBytes(element)
		at := slices.IndexFunc(all, func(m mutator) bool { return m.name() == binding.Get("spec.policyName").Str })
		if at >= 0 {
			all[at].bindings = append(all[at].bindings, binding)
		}
	}
	return all, nil
}

// everyRule is what a binding without rules is for.
var everyRule = gjson.Parse(`[{"apiGroups": ["*"], "resources": ["*"], "operations": ["*"]}]`)

// seenByMutator is an opted-in workload that a policy sees by one of its bindings, or empty.
func (c *checkup) seenByMutator(ctx context.Context, m mutator) (string, error) {
	sightOf := func(matches gjson.Result) sight {
		return sight{matches.Get("resourceRules"), matches.Get("excludeResourceRules"), matches.Get("objectSelector"), matches.Get("namespaceSelector")}
	}
	for _, binding := range m.bindings {
		bound := sightOf(binding.Get("spec.matchResources"))
		if len(bound.rules.Array()) == 0 {
			bound.rules = everyRule
		}
		seen, err := c.seenBy(ctx, sightOf(m.policy.Get("spec.matchConstraints")), bound)
		if seen != "" || err != nil {
			return seen, err
		}
	}
	return "", nil
}

// looksFor are the sources of opted-in workloads whose names a policy compares something
// with.
func (m mutator) looksFor(report statusReport) []string {
	var expressions []string
	for _, path := range []string{"matchConditions.#.expression", "variables.#.expression", "mutations.#.jsonPatch.expression", "mutations.#.applyConfiguration.expression"} {
		for _, expression := range m.policy.Get("spec." + path).Array() {
			expressions = append(expressions, expression.Str)
		}
	}
	pinned := map[string]bool{}
	for _, w := range report.Workloads {
		for _, ref := range w.Refs {
			if ref.Pinned != "" || ref.State == inspect.Settling {
				pinned[ref.Source] = true
			}
		}
	}
	maps.DeleteFunc(pinned, func(source string, _ bool) bool {
		_, name, _ := strings.Cut(source, "/")
		return !slices.ContainsFunc(expressions, func(e string) bool { return compares(e, name) })
	})
	return slices.Sorted(maps.Keys(pinned))
}

// compares says whether an expression in CEL compares something with a name: it has the
// name as a text, but not as the value of a field that it makes, nor as the beginning or a
// part of what it looks for, which the name of a snapshot has, too.
func compares(expression, name string) bool {
	if !strings.Contains(expression, name) { // as nearly all of many
		return false
	}
	literal := regexp.MustCompile(`(^|.)\s*["']` + regexp.QuoteMeta(name) + `["']`)
	partly := regexp.MustCompile(`(startsWith|contains)\(\s*["']` + regexp.QuoteMeta(name) + `["']`)
	for _, found := range literal.FindAllStringSubmatch(partly.ReplaceAllString(expression, ""), -1) {
		if found[1] != ":" {
			return true
		}
	}
	return false
}
