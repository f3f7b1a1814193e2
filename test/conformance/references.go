package conformance

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// ref is what a Pod needs: found by reading the API types, and not by the walk
// that is under test.
type ref struct {
	kind, name string
	optional   *bool
	at         *string // where the name is, to write another
}

func (r ref) String() string { return r.kind + "/" + r.name }

// refsOf returns the refs of a PodSpec.
func refsOf(spec corev1.PodSpec) []ref { return refsIn(&spec) }

func refsIn(spec *corev1.PodSpec) []ref {
	var found []ref
	configMap := func(name *string, optional *bool) { found = append(found, ref{"configmap", *name, optional, name}) }
	secret := func(name *string, optional *bool) { found = append(found, ref{"secret", *name, optional, name}) }
	for i := range spec.Volumes {
		v := &spec.Volumes[i].VolumeSource
		if v.ConfigMap != nil {
			configMap(&v.ConfigMap.Name, v.ConfigMap.Optional)
		}
		if v.Secret != nil {
			secret(&v.Secret.SecretName, v.Secret.Optional)
		}
		if v.Projected == nil {
			continue
		}
		for j := range v.Projected.Sources {
			p := &v.Projected.Sources[j]
			if p.ConfigMap != nil {
				configMap(&p.ConfigMap.Name, p.ConfigMap.Optional)
			}
			if p.Secret != nil {
				secret(&p.Secret.Name, p.Secret.Optional)
			}
		}
	}
	containers := func(list []corev1.Container) {
		for i := range list {
			for j := range list[i].EnvFrom {
				e := &list[i].EnvFrom[j]
				if e.ConfigMapRef != nil {
					configMap(&e.ConfigMapRef.Name, e.ConfigMapRef.Optional)
				}
				if e.SecretRef != nil {
					secret(&e.SecretRef.Name, e.SecretRef.Optional)
				}
			}
			for j := range list[i].Env {
				from := list[i].Env[j].ValueFrom
				if from == nil {
					continue
				}
				if from.ConfigMapKeyRef != nil {
					configMap(&from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Optional)
				}
				if from.SecretKeyRef != nil {
					secret(&from.SecretKeyRef.Name, from.SecretKeyRef.Optional)
				}
			}
		}
	}
	containers(spec.InitContainers)
	containers(spec.Containers)
	return found
}

// describe is a text that differs when the refs do.
func describe(refs []ref) string {
	var all []string
	for _, r := range refs {
		all = append(all, r.String())
	}
	return strings.Join(all, " ")
}

// templateInRevision is the template that a ControllerRevision keeps.
func templateInRevision(t *testing.T, kept appsv1.ControllerRevision) corev1.PodTemplateSpec {
	t.Helper()
	var data struct {
		Spec struct{ Template corev1.PodTemplateSpec }
	}
	require.NoError(t, json.Unmarshal(kept.Data.Raw, &data))
	return data.Spec.Template
}

func sortRevisions(list []revision) {
	slices.SortFunc(list, func(a, b revision) int { return cmp.Compare(a.number, b.number) })
}
