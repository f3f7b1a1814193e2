package conformance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// verify checks what must hold at the end of every scenario.
func (s *space) verify() {
	s.t.Helper()
	s.eventually("everything has converged", func() (string, bool) {
		all := s.configMaps()
		behind := slices.Concat(s.notKept(all), s.notConverged(all))
		return strings.Join(behind, "\n"), len(behind) == 0
	})
	assert.Empty(s.t, s.dangling(), "refs that name nothing")
	assert.Empty(s.t, s.lost(), "contents that a workload was pinned to, and that are gone")
	assert.Empty(s.t, s.spoiltSnapshots(), "snapshots that changed, or never were what they say")
	assert.Empty(s.t, s.owned(), "workloads of which configpin owns a part")
	assert.Empty(s.t, s.record.ended, "the record is not complete: this watch ended")
}

// configMaps are all ConfigMaps of a namespace at one moment, read once: some are
// large.
type configMaps struct {
	named     map[string]*corev1.ConfigMap
	snapshots map[string][]*corev1.ConfigMap // by source
	sources   map[string]string              // by snapshot
}

func (s *space) configMaps() configMaps {
	s.t.Helper()
	all := configMaps{map[string]*corev1.ConfigMap{}, map[string][]*corev1.ConfigMap{}, map[string]string{}}
	items := list[corev1.ConfigMapList](s).Items
	for i := range items {
		c := &items[i]
		all.named[c.Name] = c
		if source, _, verified := snapshot.Verified(snapshot.FromConfigMap(c)); verified {
			all.snapshots[source] = append(all.snapshots[source], c)
			all.sources[c.Name] = source
		}
	}
	return all
}

func (c configMaps) versioned(name string) bool {
	found, there := c.named[name]
	if !there {
		return false
	}
	is, _ := snapshot.Versioned(snapshot.FromConfigMap(found))
	return is
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

// notKept are the sources whose content isn't kept as the highest revision.
func (s *space) notKept(all configMaps) []string {
	s.t.Helper()
	var found []string
	for name := range all.named {
		if !all.versioned(name) || s.unkept[name] {
			continue
		}
		highest := 0
		for _, kept := range all.snapshots[name] {
			highest = max(highest, numberOf(kept))
		}
		if current := all.current(name); current == nil || numberOf(current) == 0 || numberOf(current) != highest {
			found = append(found, fmt.Sprintf("%s: its content isn't kept, or isn't revision %d", name, highest))
		}
	}
	return found
}

func numberOf(kept *corev1.ConfigMap) int {
	number, _ := strconv.Atoi(kept.Annotations[wellknown.Revision]) // absent for a moment
	return number
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

// notConverged are the opted-in workloads that name a source, or pin what is
// neither current nor held.
func (s *space) notConverged(all configMaps) []string {
	s.t.Helper()
	var found []string
	for _, w := range s.workloads() {
		labels := w.GetLabels()
		if labels[wellknown.Enabled] != wellknown.True || labels[wellknown.Rollout] == wellknown.RolloutManual || w.GetKind() == "Job" {
			continue
		}
		template := templateOf(s.t, w)
		for _, r := range refsOf(template.Spec) {
			if r.kind == "configmap" && !strings.Contains(template.Annotations[wellknown.Exclude], r.String()) && s.behind(all, r.name, labels) {
				found = append(found, fmt.Sprintf("%s %s names %s", w.GetKind(), w.GetName(), r.name))
			}
		}
	}
	return found
}

// behind says whether a ref of an opted-in workload should name something else.
func (s *space) behind(all configMaps, name string, labels map[string]string) bool {
	if all.versioned(name) && !s.unkept[name] {
		return true
	}
	source, pinned := all.sources[name]
	if !pinned || !all.versioned(source) || s.unkept[source] {
		return false
	}
	current := all.current(source)
	if current == nil {
		return true
	}
	held := labels[snapshot.ObservedLabel(wellknown.ConfigMap, source)] == snapshot.Suffix(current.Name)
	return name != current.Name && !held
}

// dangling are the refs that name nothing, of everything that has a template.
func (s *space) dangling() []string {
	s.t.Helper()
	there := map[string]bool{}
	for _, c := range list[corev1.ConfigMapList](s).Items {
		there["configmap/"+c.Name] = true
	}
	for _, c := range list[corev1.SecretList](s).Items {
		there["secret/"+c.Name] = true
	}
	var found []string
	check := func(what string, spec corev1.PodSpec) {
		for _, r := range refsOf(spec) {
			if !there[r.String()] && !s.absent[r.String()] && (r.optional == nil || !*r.optional) {
				found = append(found, what+" names "+r.String())
			}
		}
	}
	for _, w := range s.workloads() {
		check(w.GetKind()+" "+w.GetName(), templateOf(s.t, w).Spec)
	}
	for _, pod := range list[corev1.PodList](s).Items {
		check("Pod "+pod.Name, pod.Spec)
	}
	for _, set := range list[appsv1.ReplicaSetList](s).Items {
		check("ReplicaSet "+set.Name, set.Spec.Template.Spec)
	}
	for _, kept := range list[appsv1.ControllerRevisionList](s).Items {
		check("ControllerRevision "+kept.Name, templateInRevision(s.t, kept).Spec)
	}
	return found
}

// lost are the snapshots that a workload was ever pinned to and that aren't
// there any more.
func (s *space) lost() []string {
	s.t.Helper()
	all := s.configMaps()
	var found []string
	for _, kind := range workload.Kinds {
		for _, h := range s.record.all(kind.Kind) {
			for _, version := range h.versions {
				for _, name := range pins(templateOf(s.t, version)) {
					if _, kept := all.sources[name]; !kept && !s.absent["configmap/"+name] && !slices.Contains(found, name) {
						found = append(found, name)
					}
				}
			}
		}
	}
	return found
}

// spoiltSnapshots are those that were ever stored with other content than their
// first, not immutable, or with content that their name doesn't stand for. A
// squatter claims nothing, so it can't be told from what is none of our
// business.
func (s *space) spoiltSnapshots() []string {
	s.t.Helper()
	var found []string
	for _, h := range s.record.all(configMapKind.Kind) {
		first := h.versions[0]
		if manager := writer(first); manager != wellknown.FieldManager {
			continue
		}
		for _, version := range h.versions {
			object := asConfigMap(s, version)
			if _, _, verified := snapshot.Verified(snapshot.FromConfigMap(object)); !verified {
				found = append(found, object.Name+" is not what its name says")
			}
			if !sameContent(asConfigMap(s, first), object) {
				found = append(found, object.Name+" changed")
			}
		}
	}
	return found
}

// writer is who created an object.
func writer(object *unstructured.Unstructured) string {
	if fields := object.GetManagedFields(); len(fields) > 0 {
		return fields[0].Manager
	}
	return ""
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
	for source, name := range pins(template) {
		sources["configmap/"+name] = source
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

// asConfigMap decodes a recorded ConfigMap.
func asConfigMap(s *space, object *unstructured.Unstructured) *corev1.ConfigMap {
	s.t.Helper()
	text, err := object.MarshalJSON()
	require.NoError(s.t, err)
	decoded := &corev1.ConfigMap{}
	require.NoError(s.t, json.Unmarshal(text, decoded))
	return decoded
}
