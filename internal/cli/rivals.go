package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// rivals looks for webhooks that see opted-in workloads after ours, and so templates that
// are pinned. What their match conditions leave out counts as seen.
func (c *checkup) rivals(ctx context.Context) {
	const about = "other webhooks"
	var after []string
	for element, err := range c.reader.Every(ctx, mutating, metav1.NamespaceAll, cluster.Selector{}) {
		if err != nil {
			c.unread(about, err, "")
			return
		}
		name := gjson.GetBytes(element, "metadata.name").String() // copies
		if name <= configurationName {
			continue
		}
		for _, webhook := range gjson.GetBytes(element, "webhooks").Array() {
			seen, err := c.seenBy(ctx, sight{webhook.Get("rules"), gjson.Result{}, webhook.Get("objectSelector"), webhook.Get("namespaceSelector")})
			if err != nil {
				c.unread(about, err, "")
				return
			}
			if seen != "" {
				after = append(after, fmt.Sprintf("%s, which sees %s", name, seen))
				break
			}
		}
	}
	if len(after) > 0 {
		c.add(about, problem, "give them names that sort before "+configurationName+", so that what they change is not taken for a deploy", "after ours comes %s", strings.Join(after, "; "))
		return
	}
	c.add(about, fine, "", "none that sees opted-in workloads comes after ours")
}

// sight is what a webhook or a policy of somebody else is called for.
type sight struct {
	rules, excluded     gjson.Result
	objects, namespaces gjson.Result // selectors
}

// seenBy is an opted-in workload that somebody else's webhook or policy is called for, or
// empty. It has to be in all sights.
func (c *checkup) seenBy(ctx context.Context, sights ...sight) (string, error) {
	wanted := wellknown.Enabled + "=" + wellknown.True
	var namespaces []string
	for _, in := range sights {
		objects, err := selectorOf(in.objects)
		if err != nil {
			return "", err
		}
		wanted = strings.Trim(wanted+","+objects, ",")
		selected, err := c.selected(ctx, in.namespaces)
		switch {
		case err != nil:
			return "", err
		case namespaces == nil:
			namespaces = selected
		case selected != nil:
			namespaces = slices.DeleteFunc(namespaces, func(name string) bool { return !slices.Contains(selected, name) })
		}
	}
	for _, kind := range workload.Kinds {
		if slices.ContainsFunc(sights, func(in sight) bool { return !ruled(in.rules, kind) || in.excluded.Exists() && ruled(in.excluded, kind) }) {
			continue
		}
		for element, err := range c.reader.Workloads(ctx, kind, metav1.NamespaceAll, cluster.Selector{Labels: wanted}) {
			if err != nil {
				return "", err
			}
			namespace := gjson.GetBytes(element, "metadata.namespace").String()
			if namespaces == nil || slices.Contains(namespaces, namespace) {
				return fmt.Sprintf("%s/%s/%s", namespace, lower(kind), gjson.GetBytes(element, "metadata.name").String()), nil
			}
		}
	}
	return "", nil
}

// ruled says whether a kind is among some rules. Those of single objects count for all.
func ruled(rules gjson.Result, kind *workload.Kind) bool {
	return slices.ContainsFunc(rules.Array(), func(rule gjson.Result) bool {
		return has(rule.Get("apiGroups"), kind.Group) && has(rule.Get("resources"), kind.Resource) &&
			(has(rule.Get("operations"), "CREATE") || has(rule.Get("operations"), "UPDATE"))
	})
}

func has(list gjson.Result, value string) bool {
	return slices.ContainsFunc(list.Array(), func(element gjson.Result) bool {
		return element.Str == value || element.Str == "*" || element.Str == "*/*"
	})
}

// selected are the namespaces that a selector of labels fits; nil if that is all.
func (c *checkup) selected(ctx context.Context, selector gjson.Result) ([]string, error) {
	wanted, err := selectorOf(selector)
	if err != nil || wanted == "" {
		return nil, err
	}
	return c.reader.Namespaces(ctx, cluster.Selector{Labels: wanted})
}

// selectorOf is a selector of labels as lists take it; empty if everything fits.
func selectorOf(field gjson.Result) (string, error) {
	read, err := labelSelector(field)
	if err != nil {
		return "", err
	}
	selector, err := metav1.LabelSelectorAsSelector(&read)
	if err != nil {
		return "", fmt.Errorf("reading a selector: %w", err)
	}
	return selector.String(), nil
}
