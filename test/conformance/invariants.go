package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
	"github.com/configpin/configpin/test/lab/oracle"
)

// verify checks what must hold at the end of every scenario. What always must, the
// oracle knows.
func (s *space) verify() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	verdict, err := s.oracle.Verify(ctx, s.name, oracle.Rules{
		Absent:    s.absent,
		Unkept:    s.unkept,
		Unpinning: s.unpinning,
		Strict:    s.strict,
		Tampering: s.tampering,
		MinAge:    s.MinAge,
	})
	require.NoError(s.t, err)
	passes(s.t, verdict, s.unknowable...)
	assert.Empty(s.t, s.owned(), "workloads of which configpin owns a part")
	assert.Empty(s.t, s.record.ended, "the record is not complete: this watch ended")
}

// passes checks that the oracle found nothing, and looked at everything but for what was
// named beforehand: what can't be judged for a reason that nobody expected isn't well.
func passes(t *testing.T, verdict oracle.Verdict, unknowable ...oracle.Reason) {
	t.Helper()
	for _, skipped := range verdict.Skipped {
		if slices.Contains(unknowable, skipped.Reason) {
			t.Logf("not checked: %s", skipped)
		} else {
			assert.Fail(t, "an invariant wasn't checked", skipped.String())
		}
	}
	for _, violation := range verdict.Violations {
		assert.Fail(t, "an invariant doesn't hold", violation.String())
	}
}

// withoutAuditLog is what a target without one leaves open.
func (c *cluster) withoutAuditLog() []oracle.Reason {
	if c.AuditLog == "" {
		return []oracle.Reason{oracle.NoAuditLog}
	}
	return nil
}

// configMaps are all ConfigMaps of a namespace at one moment, read once: some are
// large.
type configMaps struct {
	named     map[string]*corev1.ConfigMap
	snapshots map[string][]*corev1.ConfigMap // by source
}

func (s *space) configMaps() configMaps {
	s.t.Helper()
	all := configMaps{map[string]*corev1.ConfigMap{}, map[string][]*corev1.ConfigMap{}}
	for _, c := range s.contents() {
		all.named[c.Name] = c
		if source, _, verified := snapshot.Verified(s.object(c)); verified {
			all.snapshots[source] = append(all.snapshots[source], c)
		}
	}
	return all
}

// contents are all objects of the kind that the sources are of.
func (s *space) contents() []*corev1.ConfigMap {
	s.t.Helper()
	var all []*corev1.ConfigMap
	if s.secrets {
		items := list[corev1.SecretList](s).Items
		for i := range items {
			all = append(all, configMapOf(&items[i]))
		}
		return all
	}
	items := list[corev1.ConfigMapList](s).Items
	for i := range items {
		all = append(all, &items[i])
	}
	return all
}

// current is the snapshot of what a source holds, or nil.
func (c configMaps) current(source string) *corev1.ConfigMap {
	for _, kept := range c.snapshots[source] {
		if live, there := c.named[source]; there && sameContent(live, kept) {
			return kept
		}
	}
	return nil
}

// workloads are those of the namespace, of every served kind.
func (s *space) workloads() []*unstructured.Unstructured {
	s.t.Helper()
	var found []*unstructured.Unstructured
	for _, kind := range workload.Kinds {
		items := &unstructured.UnstructuredList{}
		items.SetGroupVersionKind(schema.GroupVersionKind{Group: kind.Group, Version: kind.Version, Kind: kind.Kind + "List"})
		require.NoError(s.t, s.api.List(s.t.Context(), items, client.InNamespace(s.name)))
		for i := range items.Items {
			found = append(found, &items.Items[i])
		}
	}
	return found
}

// owned are the workloads in which configpin owns a field.
func (s *space) owned() []string {
	s.t.Helper()
	var found []string
	for _, w := range s.workloads() {
		for _, entry := range w.GetManagedFields() {
			if strings.Contains(entry.Manager, wellknown.FieldManager) {
				found = append(found, fmt.Sprintf("%s %s: %s", w.GetKind(), w.GetName(), entry.Manager))
			}
		}
	}
	return found
}

// sameButNames checks that a stored template is what was written, but for names
// of refs and our annotation. What the API server makes of it without us it is
// asked by a dry run.
func (s *space) sameButNames(written, stored *unstructured.Unstructured) {
	s.t.Helper()
	without := written.DeepCopy()
	without.SetNamespace(s.name)
	without.SetName(written.GetName() + "-without")
	labels := without.GetLabels()
	delete(labels, wellknown.Enabled)
	without.SetLabels(labels)
	require.NoError(s.t, s.api.Create(s.t.Context(), without, client.DryRunAll))
	assert.Equal(s.t, pretty(s, foreign(templateOf(s.t, without))), pretty(s, foreign(s.unpinned(stored))),
		"the template of %s %s", stored.GetKind(), stored.GetName())
}

// unpinned is the template of a workload with the names of sources put back.
func (s *space) unpinned(of *unstructured.Unstructured) corev1.PodTemplateSpec {
	s.t.Helper()
	template := templateOf(s.t, of)
	sources := map[string]string{}
	for entry := range strings.SplitSeq(template.Annotations[wellknown.Pins], ",") {
		if source, name, is := strings.Cut(entry, "="); is {
			kind, source, _ := strings.Cut(source, "/")
			sources[kind+"/"+name] = source
		}
	}
	for _, r := range refsIn(&template.Spec) {
		if source, pinned := sources[r.String()]; pinned {
			*r.at = source
		}
	}
	return template
}

// foreign is a template without what is ours, and without what the API server
// makes up for each Job.
func foreign(template corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	delete(template.Annotations, wellknown.Pins)
	if len(template.Annotations) == 0 {
		template.Annotations = nil
	}
	for key := range template.Labels {
		if strings.Contains(key, "controller-uid") || strings.Contains(key, "job-name") {
			delete(template.Labels, key)
		}
	}
	return template
}

func pretty(s *space, object any) string {
	s.t.Helper()
	text, err := json.MarshalIndent(object, "", " ")
	require.NoError(s.t, err)
	return string(text)
}

// content is everything of the namespace that configpin could write, as it is
// stored. Equal contents mean that nothing was written in between.
func (s *space) content() map[string]string {
	s.t.Helper()
	versions := map[string]string{}
	objects := s.workloads()
	for _, c := range list[corev1.ConfigMapList](s).Items {
		versions["ConfigMap "+c.Name] = c.ResourceVersion
	}
	for _, w := range objects {
		// A controller writes the status when it likes; that isn't ours.
		w.SetResourceVersion("")
		w.SetManagedFields(nil)
		delete(w.Object, "status")
		annotations := w.GetAnnotations()
		delete(annotations, revisionAnnotation)
		w.SetAnnotations(annotations)
		versions[w.GetKind()+" "+w.GetName()] = pretty(s, w.Object)
	}
	return versions
}
