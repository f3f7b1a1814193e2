package cluster

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// large is a source of which a View doesn't hold on to the content.
func large(name, text string) snapshot.Object {
	return snapshot.Object{
		Kind: wellknown.ConfigMap, Namespace: "shop", Name: name,
		Annotations: map[string]string{wellknown.Versioned: "true"},
		Data:        map[string]string{"key": strings.Repeat(text, maxHeld)},
	}
}

// deploying is the creation of a Deployment that mounts sources.
func deploying(t *testing.T, sources ...string) *pin.Case {
	t.Helper()
	var volumes []string
	for _, name := range sources {
		volumes = append(volumes, fmt.Sprintf(`{"name":%q,"configMap":{"name":%q}}`, name, name))
	}
	object, err := workload.Lookup("apps", "Deployment").Read(`{"metadata":{"name":"web","labels":{"configpin.io/enabled":"true"}},` +
		`"spec":{"template":{"spec":{"volumes":[` + strings.Join(volumes, ",") + `]}}}}`)
	require.NoError(t, err)
	return pin.NewCase(pin.Request{New: object})
}

func (s *store) everywhere(atOnce int64) *Objects {
	objects := s.reach()
	objects.scope = Scope{Namespaces: Everywhere}
	objects.reading, objects.keeping = semaphore.NewWeighted(atOnce), semaphore.NewWeighted(atOnce)
	return objects
}

func TestAViewHoldsOnToNoLargeContent(t *testing.T) {
	blue := large("app", "blue")
	s := &store{objects: map[string]snapshot.Object{"app": blue}}
	view, err := s.everywhere(1).View(t.Context(), "shop", deploying(t, "app"))
	require.NoError(t, err)
	for target, held := range view.read {
		assert.Empty(t, held.Data, target)
	}
	settled, err := view.Keep(t.Context(), view.of.Decide().Outcomes, false)
	require.NoError(t, err)
	assert.True(t, settled)
	assert.Equal(t, blue.Data, s.objects[snapshot.Of(blue, 12).Name].Data)
}

func TestALargeSourceThatChangesMeanwhileIsDecidedAboutAgain(t *testing.T) {
	green := large("app", "green")
	s := &store{objects: map[string]snapshot.Object{"app": large("app", "blue")}}
	view, err := s.everywhere(1).View(t.Context(), "shop", deploying(t, "app"))
	require.NoError(t, err)
	s.objects["app"] = green
	settled, err := view.Keep(t.Context(), view.of.Decide().Outcomes, false)
	require.NoError(t, err)
	require.False(t, settled)
	decision := view.of.Decide()
	settled, err = view.Keep(t.Context(), decision.Outcomes, false)
	require.NoError(t, err)
	assert.True(t, settled)
	assert.Equal(t, snapshot.Of(green, 12).Name, decision.Outcomes[0].Name)
	assert.Equal(t, green.Data, s.objects[decision.Outcomes[0].Name].Data)
}

// TestAKeyThatChangesMeanwhile: what is read before and after looks alike if it is.
func TestAKeyThatChangesMeanwhile(t *testing.T) {
	source := snapshot.Object{
		Kind: wellknown.Secret, Namespace: "shop", Name: "db", Type: "Opaque", Key: testKey(t, 1),
		Annotations: map[string]string{wellknown.Versioned: "true"}, Data: map[string]string{"password": "hunter2"},
	}
	kept := snapshot.Of(source, 12)
	s := &store{objects: map[string]snapshot.Object{"db": source, kept.Name: kept}}
	s.before = func(_, name string) error {
		object := s.objects[name]
		object.Key = testKey(t, 2)
		if name == kept.Name {
			object.Key = testKey(t, 1)
		}
		s.objects[name] = object
		return nil
	}
	objects := s.reachAs(wellknown.Secret)
	objects.scope = Scope{Namespaces: Everywhere, Secrets: Everywhere}
	object, err := workload.Lookup("apps", "Deployment").Read(`{"metadata":{"name":"web","labels":{"configpin.io/enabled":"true"}},"spec":{"template":{` +
		`"metadata":{"annotations":{"configpin.io/pins":"secret/db=` + kept.Name + `"}},"spec":{"volumes":[{"name":"db","secret":{"secretName":"` + kept.Name + `"}}]}}}}`)
	require.NoError(t, err)
	view, err := objects.View(t.Context(), "shop", pin.NewCase(pin.Request{New: object, Old: &object}))
	require.NoError(t, err)
	secret := func(name string) pin.Fact { return view.of.Facts()[refs.Target{Kind: wellknown.Secret, Name: name}] }
	assert.Equal(t, secret("db").Digest, secret(kept.Name).Digest)
	assert.Equal(t, kept.Name, view.of.Decide().Outcomes[0].Name)
}

func TestFewContentsAreReadAtATime(t *testing.T) {
	const most = 3
	var now, highest atomic.Int64
	s := &store{objects: map[string]snapshot.Object{}}
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprint("app-", i))
		s.objects[names[i]] = large(names[i], "x")
	}
	s.before = func(string, string) error {
		highest.Store(max(highest.Load(), now.Add(1)))
		defer now.Add(-1)
		return nil
	}
	view, err := s.everywhere(most).View(t.Context(), "shop", deploying(t, names...))
	require.NoError(t, err)
	assert.Len(t, view.of.Facts(), len(names))
	assert.LessOrEqual(t, highest.Load(), int64(most))
	assert.Equal(t, pin.Source, view.of.Facts()[refs.Target{Kind: wellknown.ConfigMap, Name: "app-7"}].Role)
}

// TestASnapshotThatTakesTooLong: behind a webhook that hangs, whoever waits for us is
// answered before they give up.
func TestASnapshotThatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{objects: map[string]snapshot.Object{"app": app("blue")}}
		objects := s.everywhere(1)
		reached := objects.kinds[wellknown.ConfigMap]
		reached.create = func(ctx context.Context, _ snapshot.Object) (snapshot.Object, error) {
			<-ctx.Done()
			return snapshot.Object{}, ctx.Err()
		}
		objects.kinds[wellknown.ConfigMap] = reached
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		view, err := objects.View(ctx, "shop", deploying(t, "app"))
		require.NoError(t, err)
		settled, err := view.Keep(ctx, view.of.Decide().Outcomes, false)
		require.NoError(t, err)
		assert.False(t, settled)
		require.NoError(t, ctx.Err(), "there is time to answer")
		assert.Equal(t, []string{"configmap/app: no snapshot can be made, so it is not pinned: it takes too long, as behind a webhook that doesn't answer"},
			view.of.Decide().Warnings)
	})
}
