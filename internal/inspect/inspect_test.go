package inspect_test

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// source is a ConfigMap that is versioned, and holds a word.
func source(name, word string) snapshot.Object {
	return snapshot.Object{
		Kind: wellknown.ConfigMap, Namespace: "shop", Name: name,
		Annotations: map[string]string{wellknown.Versioned: wellknown.True},
		Data:        map[string]string{"word": word},
	}
}

// kept is the snapshot of what a source holds, with a revision.
func kept(o snapshot.Object, revision int) snapshot.Object {
	made := snapshot.Of(o, snapshot.Lengths[0])
	made.Annotations[wellknown.Revision] = strconv.Itoa(revision)
	return made
}

// nameOf is the name of the snapshot of a word, as a content of a source.
func nameOf(source, word string) string {
	return snapshot.Of(snapshot.Object{Kind: wellknown.ConfigMap, Name: source, Data: map[string]string{"word": word}}, snapshot.Lengths[0]).Name
}

// deployment is one as a test writes it down.
type deployment struct {
	names   []string          // of ConfigMaps
	secret  string            // the name of a Secret
	labels  map[string]string // beside that which opts it in
	pins    string
	exclude string
	kind    string
}

func (d deployment) read(t *testing.T) workload.Object {
	t.Helper()
	labels := map[string]string{wellknown.Enabled: wellknown.True}
	maps.Copy(labels, d.labels)
	var lines []string
	for key, value := range labels {
		lines = append(lines, fmt.Sprintf("%q: %q", key, value))
	}
	var volumes []string
	for _, name := range d.names {
		volumes = append(volumes, fmt.Sprintf(`{"configMap": {"name": %q}}`, name))
	}
	if d.secret != "" {
		volumes = append(volumes, fmt.Sprintf(`{"secret": {"secretName": %q}}`, d.secret))
	}
	annotations := ""
	if d.pins != "" {
		annotations = fmt.Sprintf("%q: %q", wellknown.Pins, d.pins)
	}
	if d.exclude != "" {
		annotations = fmt.Sprintf("%q: %q", wellknown.Exclude, d.exclude)
	}
	kind := workload.Lookup("apps", "Deployment")
	if d.kind == "Job" {
		kind = workload.Lookup("batch", "Job")
	}
	object, err := kind.Read(fmt.Sprintf(`{"metadata": {"name": "web", "namespace": "shop", "labels": {%s}}, "spec": {"template": {
		"metadata": {"annotations": {%s}}, "spec": {"volumes": [%s]}}}}`, strings.Join(lines, ", "), annotations, strings.Join(volumes, ", ")))
	require.NoError(t, err)
	return object
}

// pinned names a snapshot of app, and was offered what app holds with another word.
func pinned(word, offered string) deployment {
	d := deployment{names: []string{nameOf("app", word)}, pins: "configmap/app=" + nameOf("app", word)}
	d.labels = map[string]string{snapshot.ObservedLabel(wellknown.ConfigMap, "app"): snapshot.Suffix(nameOf("app", offered))}
	return d
}

func (d deployment) subject(t *testing.T) inspect.Subject {
	t.Helper()
	return inspect.Subject{Object: d.read(t)}
}

// index knows of objects with what they hold.
func index(objects ...snapshot.Object) *inspect.Index {
	known := &inspect.Index{}
	for _, o := range objects {
		known.Add(o)
	}
	return known
}

func newKey(t *testing.T, letter string) *hashing.Key {
	t.Helper()
	key, err := hashing.NewKey([]byte(strings.Repeat(letter, hashing.KeySize)))
	require.NoError(t, err)
	return key
}
