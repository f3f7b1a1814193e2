package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tidwall/gjson"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// found is a workload, as it was read, and what is known of its namespace.
type found struct {
	inspect.Subject
	known *inspect.Index
	raw   string
}

// newIndex returns an Index of a namespace, of nothing yet but what is served there.
func (s *session) newIndex(ctx context.Context, namespace string) *inspect.Index {
	known := &inspect.Index{OwnKey: !s.sharedKey}
	served := s.readSettings(ctx)
	for _, kind := range wellknown.Kinds {
		if why := served.unserved(kind, namespace); why != "" {
			known.Unserve(kind, why)
		}
	}
	return known
}

// read reads one workload, and the objects that a decision about it asks for.
func (s *session) read(ctx context.Context, of cluster.Workload) (found, error) {
	return s.readWith(ctx, of, s.newIndex(ctx, of.Namespace))
}

// readWith reads one workload, and adds to known what a decision about it asks for. It
// fails with NotFound where there is none, or not for long.
func (s *session) readWith(ctx context.Context, of cluster.Workload, known *inspect.Index) (found, error) {
	raw, err := s.reader.Workload(ctx, of)
	if apierrors.IsNotFound(err) {
		return found{}, gone("there is no %s in namespace %s", nameOf(of), of.Namespace)
	}
	if err != nil {
		return found{}, err
	}
	object, err := of.Kind.Read(raw)
	switch {
	case err != nil:
		return found{}, err
	case object.Copied():
		return found{}, fmt.Errorf("%s was made by another workload: ask for that", nameOf(of))
	case object.Terminating:
		return found{}, gone("%s in namespace %s is being deleted", nameOf(of), of.Namespace)
	}
	f := found{inspect.Subject{Object: object}, known, raw}
	f.NamespaceEnabled, err = s.reader.NamespaceEnabled(ctx, of.Namespace)
	if apierrors.IsForbidden(err) {
		f.NamespaceHidden, err = hiddenNamespace(of.Namespace), nil
	}
	if err != nil {
		return found{}, err
	}
	request := f.Request()
	request.New = f.OptedIn() // to say also what would become of one that isn't
	if err := s.learn(ctx, of.Namespace, request, known); err != nil {
		return found{}, err
	}
	for source, name := range pin.ParsePins(object.Template.Annotations[wellknown.Pins]) {
		if known.Unserved(source.Kind) != "" { // no decision asks whether it is there
			if err := s.learnOf(ctx, cluster.Key{Namespace: of.Namespace, Target: refs.Target{Kind: source.Kind, Name: name}}, known); err != nil {
				return found{}, err
			}
		}
	}
	return f, nil
}

// gone is a NotFound in our own words.
func gone(format string, values ...any) error {
	err := apierrors.NewNotFound(schema.GroupResource{}, "")
	err.ErrStatus.Message = fmt.Sprintf(format, values...)
	return err
}

func hiddenNamespace(name string) string {
	return "you may not read namespace " + name + ", so nobody can tell whether it opts in"
}

// nameOf is a workload as people call it.
func nameOf(of cluster.Workload) string { return lower(of.Kind) + "/" + of.Name }

// learn reads what a decision about a request asks for, one object after another.
func (s *session) learn(ctx context.Context, namespace string, request pin.Request, known *inspect.Index) error {
	return pin.NewCase(request).Ask(func(targets []refs.Target) (pin.Facts, error) {
		facts := pin.Facts{}
		for _, target := range targets {
			if known.Unserved(target.Kind) == "" {
				if err := s.learnOf(ctx, cluster.Key{Namespace: namespace, Target: target}, known); err != nil {
					return nil, err
				}
			}
			facts[target] = known.Fact(target)
		}
		return facts, nil
	})
}

func (s *session) learnOf(ctx context.Context, key cluster.Key, known *inspect.Index) error {
	if key.Kind == wellknown.Secret {
		s.noteSecrets(ctx)
		s.readDigestKey(ctx)
		known.OwnKey = !s.sharedKey
	}
	object, there, err := s.objects.Find(ctx, key.Namespace, key.Target)
	if apierrors.IsForbidden(err) {
		known.Hide(key.Target, "you may not read it")
		return nil
	}
	if err != nil || !there {
		return err
	}
	known.Add(object)
	if known.Fact(key.Target).Role != pin.Source {
		return nil
	}
	err = s.addSnapshots(ctx, key.Kind, key.Namespace, wellknown.SnapshotOf+"="+snapshot.LabelValue(key.Name), known.Take)
	if apierrors.IsForbidden(err) {
		s.note("you may not list %s in namespace %s, so revisions are unknown", key.Kind.Resource(), key.Namespace)
		return nil
	}
	return err
}

// addSnapshots reads snapshots that a selector of labels fits. Of a Secret by a key that
// isn't ours, nothing can be told without what it holds.
func (s *session) addSnapshots(ctx context.Context, kind wellknown.Kind, namespace, selector string, take func(o snapshot.Object, claimed bool)) error {
	if kind == wellknown.Secret && !s.sharedKey {
		return s.objects.Contents(ctx, kind, namespace, selector, func(o snapshot.Object) { take(o, false) })
	}
	for object, err := range s.reader.Metadata(ctx, kind, namespace, cluster.Selector{Labels: selector}) {
		if err != nil {
			return err
		}
		_, _, claimed := snapshot.Claimed(object)
		if claimed && !snapshot.Rekeyed(object, s.key) {
			take(object, true)
			continue
		}
		// It says something else than its name, or its digest is by a key that was lost.
		whole, there, err := s.objects.Find(ctx, object.Namespace, refs.Target{Kind: kind, Name: object.Name})
		if err != nil {
			return err
		}
		if there {
			take(whole, false)
		}
	}
	return nil
}

// noteSecrets says, where Secrets are concerned, that nobody knows whether they are served.
func (s *session) noteSecrets(ctx context.Context) {
	if why := s.readSettings(ctx).why; why != "" {
		s.note("Secrets are taken to be served: %s", why)
	}
}

// survey is what there is in a namespace, or in all of them.
type survey struct {
	*session
	ctx       context.Context //nolint:containedctx // of one command, which made it
	namespace string
	mutex     sync.Mutex // for indexes, while objects are read side by side
	indexes   map[string]*inspect.Index
	hidden    map[wellknown.Kind]string
	enabled   map[string]bool // namespaces that opt in what is in them
	unlisted  []string        // kinds of workloads that may not be listed
	guessed   string          // why nobody can tell whether the namespace opts in, where all of it counts
}

func newSurvey(ctx context.Context, s *session, namespace string) *survey {
	return &survey{session: s, ctx: ctx, namespace: namespace, indexes: map[string]*inspect.Index{}, hidden: map[wellknown.Kind]string{}, enabled: map[string]bool{}}
}

// survey reads all sources and snapshots of a namespace, or of all.
func (s *session) survey(ctx context.Context, namespace string) (*survey, error) {
	v := newSurvey(ctx, s, namespace)
	if err := v.readNamespaces(ctx); err != nil {
		return nil, err
	}
	for _, kind := range wellknown.Kinds {
		if kind == wellknown.Secret {
			if served := s.readSettings(ctx); len(served.secrets) == 0 {
				continue
			}
			s.readDigestKey(ctx)
			for _, index := range v.indexes {
				index.OwnKey = !s.sharedKey
			}
		}
		err := v.readSources(ctx, kind)
		if apierrors.IsForbidden(err) {
			v.hide(kind, "you may not list "+kind.Resource())
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (v *survey) readNamespaces(ctx context.Context) (err error) {
	var enabled []string
	if v.namespace == metav1.NamespaceAll {
		enabled, err = v.reader.Namespaces(ctx, cluster.Selector{Labels: wellknown.Enabled + "=" + wellknown.True})
	} else if is, err2 := v.reader.NamespaceEnabled(ctx, v.namespace); is || err2 != nil {
		enabled, err = []string{v.namespace}, err2
	}
	if apierrors.IsForbidden(err) {
		v.unlisted = append(v.unlisted, "namespaces")
		return nil
	}
	for _, name := range enabled {
		v.enabled[name] = true
	}
	return err
}

// guess takes all workloads of a namespace that can't be read for some that may be opted
// in: for who asks admission about each.
func (v *survey) guess() {
	at := slices.Index(v.unlisted, "namespaces")
	if v.namespace == metav1.NamespaceAll || at < 0 {
		return
	}
	v.unlisted = slices.Delete(v.unlisted, at, at+1)
	v.enabled[v.namespace], v.guessed = false, hiddenNamespace(v.namespace)
	v.note("%s: admission does", v.guessed)
}

func (v *survey) index(namespace string) *inspect.Index {
	index := v.indexes[namespace]
	if index == nil {
		index = v.newIndex(v.ctx, namespace)
		for kind, why := range v.hidden {
			index.Hide(refs.Target{Kind: kind}, why)
		}
		v.indexes[namespace] = index
	}
	return index
}

// take takes note of an object.
func (v *survey) take(o snapshot.Object, claimed bool) {
	if versioned, _ := snapshot.Versioned(o); versioned && o.Kind == wellknown.Secret {
		v.noteSecrets(v.ctx)
	}
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.index(o.Namespace).Take(o, claimed)
}

func (v *survey) hide(kind wellknown.Kind, why string) {
	v.hidden[kind] = why
	for _, index := range v.indexes {
		index.Hide(refs.Target{Kind: kind}, why)
	}
}

// notSnapshots selects what can be a source.
const notSnapshots = "!" + wellknown.SnapshotOf

// readSources reads the sources and snapshots of a kind. Contents are most of it, so that
// only those of sources are read, one after another, where they are few among many, as
// Secrets among releases of helm; else all are, in one go.
func (v *survey) readSources(ctx context.Context, kind wellknown.Kind) error {
	kept := 0
	of := map[cluster.Key]bool{}
	err := v.addSnapshots(ctx, kind, v.namespace, wellknown.SnapshotOf, func(o snapshot.Object, claimed bool) {
		kept++
		of[cluster.Key{Namespace: o.Namespace, Target: refs.Target{Kind: kind, Name: o.Labels[wellknown.SnapshotOf]}}] = true
		v.take(o, claimed)
	})
	if err != nil {
		return err
	}
	all, err := v.reader.Count(ctx, kind, v.namespace)
	if err != nil {
		return err
	}
	if len(of)*fewAmong >= all-kept { // so many are sources
		return v.readContents(ctx, kind)
	}
	return v.readLive(ctx, kind)
}

func (v *survey) readContents(ctx context.Context, kind wellknown.Kind) error {
	return v.objects.Contents(ctx, kind, v.namespace, notSnapshots, func(o snapshot.Object) { v.take(o, false) })
}

// readLive finds, by metadata, what is a source, and reads no other contents than theirs.
func (v *survey) readLive(ctx context.Context, kind wellknown.Kind) error {
	var sources []cluster.Key
	all := 0
	for object, err := range v.reader.Metadata(ctx, kind, v.namespace, cluster.Selector{Labels: notSnapshots}) {
		if err != nil {
			return err
		}
		all++
		if versioned, _ := snapshot.Versioned(object); versioned {
			sources = append(sources, cluster.Key{Namespace: object.Namespace, Target: refs.Target{Kind: kind, Name: object.Name}})
			continue
		}
		v.take(object, false) // it is plain, whatever it holds
	}
	if len(sources)*fewAmong >= all {
		return v.readContents(ctx, kind)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for _, key := range sources {
		group.Go(func() error {
			object, there, err := v.objects.Find(ctx, key.Namespace, key.Target)
			if err != nil || !there {
				return err
			}
			v.take(object, false)
			return nil
		})
	}
	return group.Wait()
}

const (
	// fewAmong is how many objects it pays to read beside each that is wanted, to read
	// them in one go: a request of its own costs as much as some more of a list.
	fewAmong = 8

	// readers is how many objects are read at a time.
	readers = 16
)

// What says for itself whether it is opted in, and what doesn't.
var (
	labelled   = cluster.Selector{Labels: wellknown.Enabled}
	unlabelled = cluster.Selector{Labels: "!" + wellknown.Enabled}
)

// oneByOne is in how many namespaces workloads are listed one after another. Beyond, it is
// quicker to list those of all.
const oneByOne = 8

// workloads calls f with the opted-in workloads, those of a kind in the order of their
// names.
func (v *survey) workloads(ctx context.Context, f func(found) error) error {
	for _, kind := range workload.Kinds {
		if err := v.each(ctx, kind, v.namespace, labelled, f); err != nil {
			return err
		}
		spaces := slices.Sorted(maps.Keys(v.enabled))
		if len(spaces) > oneByOne {
			spaces = []string{metav1.NamespaceAll}
		}
		for _, namespace := range spaces {
			if err := v.each(ctx, kind, namespace, unlabelled, f); err != nil {
				return err
			}
		}
	}
	where := "namespace " + v.namespace
	if v.namespace == metav1.NamespaceAll {
		where = "all namespaces: say --namespace with one of yours"
	}
	switch {
	case len(v.unlisted) >= len(workload.Kinds) && !slices.ContainsFunc(workload.Kinds, func(k *workload.Kind) bool { return !slices.Contains(v.unlisted, k.Resource) }):
		return fmt.Errorf("you may not list workloads in %s", where)
	case len(v.unlisted) > 0:
		v.note("you may not read %s in %s: what they would tell is left out", strings.Join(v.unlisted, ", "), where)
	}
	return nil
}

func (v *survey) each(ctx context.Context, kind *workload.Kind, namespace string, wanted cluster.Selector, f func(found) error) error {
	for element, err := range v.reader.Workloads(ctx, kind, namespace, wanted) {
		if apierrors.IsForbidden(err) {
			if !slices.Contains(v.unlisted, kind.Resource) {
				v.unlisted = append(v.unlisted, kind.Resource)
			}
			return nil
		}
		if err != nil {
			return err
		}
		object, err := kind.Read(string(element))
		if err != nil {
			return err
		}
		if wanted == unlabelled && !v.enabled[object.Namespace] && v.guessed == "" {
			continue
		}
		if object.Copied() || object.Terminating || slices.Contains(wellknown.UntouchedNamespaces, object.Namespace) || kind.Frozen && finished(element) {
			continue
		}
		subject := inspect.Subject{Object: object, NamespaceEnabled: v.enabled[object.Namespace], NamespaceHidden: v.guessed}
		if err := f(found{subject, v.index(strings.Clone(object.Namespace)), string(element)}); err != nil {
			return err
		}
	}
	return nil
}

// finished says whether a Job is over.
func finished(job []byte) bool {
	over := false
	gjson.GetBytes(job, "status.conditions").ForEach(func(_, condition gjson.Result) bool {
		kind := condition.Get("type").Str
		over = over || condition.Get("status").Str == "True" && (kind == "Complete" || kind == "Failed")
		return !over
	})
	return over
}

func lower(kind *workload.Kind) string { return strings.ToLower(kind.Kind) }
